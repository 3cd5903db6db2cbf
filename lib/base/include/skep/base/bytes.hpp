// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "skep/base/result.hpp"

namespace skep {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

[[nodiscard]] inline Bytes as_bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

[[nodiscard]] inline std::string_view as_text(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Reads a trivially copyable value at any alignment. Requires sizeof(T) readable bytes at `from`.
template <class T>
    requires std::is_trivially_copyable_v<T>
[[nodiscard]] T load(const void* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

/// Writes a trivially copyable value at any alignment. Requires sizeof(T) writable bytes at `to`.
template <class T>
    requires std::is_trivially_copyable_v<T>
void store(void* to, const T& value) noexcept {
    std::memcpy(to, &value, sizeof(T));
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr T to_big(T value) noexcept {
    return std::endian::native == std::endian::little ? std::byteswap(value) : value;
}
template <std::unsigned_integral T>
[[nodiscard]] constexpr T from_big(T value) noexcept {
    return to_big(value);
}

/// Walks over a byte range; every read is bounds-checked and names its offset when it fails.
/// With `swapped` integers are read in the other byte order. Does not own the bytes.
class ByteReader {
public:
    explicit ByteReader(Bytes bytes, bool swapped = false) noexcept
        : bytes_(bytes), swapped_(swapped) {}

    [[nodiscard]] std::size_t offset() const noexcept { return offset_; }
    [[nodiscard]] std::size_t remaining() const noexcept { return bytes_.size() - offset_; }
    [[nodiscard]] bool at_end() const noexcept { return remaining() == 0; }

    template <std::integral T>
    Result<T> read() {
        const Bytes raw = SKEP_TRY(take(sizeof(T)));
        const auto value = load<T>(raw.data());
        return swapped_ ? std::byteswap(value) : value;
    }

    /// The next `size` bytes; fails if fewer remain.
    Result<Bytes> take(std::size_t size);

    /// Moves to an absolute offset within the range.
    Result<void> seek(std::size_t offset);

private:
    Bytes bytes_;
    std::size_t offset_ = 0;
    bool swapped_;
};

/// a + b, or nothing if it overflows.
template <std::integral T>
[[nodiscard]] constexpr bool add_overflows(T a, T b, T& sum) noexcept {
    return __builtin_add_overflow(a, b, &sum);
}
template <std::integral T>
[[nodiscard]] constexpr bool mul_overflows(T a, T b, T& product) noexcept {
    return __builtin_mul_overflow(a, b, &product);
}

/// True if [offset, offset + size) lies inside [0, limit), for any values.
[[nodiscard]] constexpr bool in_range(std::uint64_t offset, std::uint64_t size,
                                      std::uint64_t limit) noexcept {
    return offset <= limit && size <= limit - offset;
}

} // namespace skep
