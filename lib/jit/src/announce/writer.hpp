// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "skep/base/bytes.hpp"

namespace skep::jit {

/// Collects bytes, integers in the order of this machine.
class Writer {
public:
    template <std::integral T>
    void put(T value) {
        const std::size_t at = bytes_.size();
        bytes_.resize(at + sizeof value);
        store(bytes_.data() + at, value);
    }
    void bytes(Bytes some) { bytes_.insert(bytes_.end(), some.begin(), some.end()); }
    /// With the zero that ends it; stops at a zero within.
    void text(std::string_view some) {
        bytes(as_bytes(some.substr(0, some.find('\0'))));
        put<std::uint8_t>(0);
    }
    void uleb(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7U)
            put(static_cast<std::uint8_t>(value | 0x80U));
        put(static_cast<std::uint8_t>(value));
    }
    void sleb(std::int64_t value) {
        for (; value < -0x40 || value >= 0x40; value >>= 7)
            put(static_cast<std::uint8_t>(value | 0x80));
        put(static_cast<std::uint8_t>(value & 0x7f));
    }
    void align(std::size_t unit, std::uint8_t fill = 0) {
        while (bytes_.size() % unit != 0)
            put(fill);
    }
    /// Room for a 32-bit length of what follows, until end_length() with its value.
    [[nodiscard]] std::size_t begin_length() {
        put<std::uint32_t>(0);
        return bytes_.size();
    }
    void end_length(std::size_t begin) {
        store(bytes_.data() + begin - 4, static_cast<std::uint32_t>(bytes_.size() - begin));
    }

    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
    [[nodiscard]] Bytes view() const noexcept { return bytes_; }
    [[nodiscard]] std::vector<std::byte> take() noexcept { return std::move(bytes_); }

private:
    std::vector<std::byte> bytes_;
};

} // namespace skep::jit
