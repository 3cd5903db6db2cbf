// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "skep/base/result.hpp"

namespace skep::maps {

/// Zeroed, page-aligned memory that costs nothing until it is touched.
class Area {
public:
    Area() noexcept = default;
    Area(Area&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Area& operator=(Area&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    Area(const Area&) = delete;
    Area& operator=(const Area&) = delete;
    ~Area();

    /// Error: Limit, if the address space or the memory limit does not allow it.
    static Result<Area> create(std::uint64_t bytes);

    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

/// x rounded up to a multiple of `unit`, a power of two.
[[nodiscard]] constexpr std::uint64_t round_up(std::uint64_t x, std::uint64_t unit) noexcept {
    return (x + unit - 1) & ~(unit - 1);
}

} // namespace skep::maps
