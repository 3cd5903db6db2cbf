// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "skep/base/bytes.hpp"
#include "skep/base/result.hpp"

namespace skep::jit {

/// Bytes of a page; what mmap(2) counts in.
[[nodiscard]] std::size_t page_bytes() noexcept;

[[nodiscard]] constexpr std::size_t round_up(std::size_t size, std::size_t unit) noexcept {
    return (size + unit - 1) / unit * unit;
}

/// Addresses between two pages that cannot be touched. Owned; nothing is mapped there at first.
class Region {
public:
    /// Requires a multiple of the page size, which is not 0.
    static Result<Region> reserve(std::size_t size);

    Region() noexcept = default;
    Region(Region&& other) noexcept;
    Region& operator=(Region&& other) noexcept;
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;
    ~Region();

    [[nodiscard]] std::byte* begin() const noexcept { return begin_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    Region(std::byte* begin, std::size_t size) noexcept : begin_(begin), size_(size) {}

    std::byte* begin_ = nullptr;
    std::size_t size_ = 0;
};

/// 4 KiB of instructions that stop a program: what memory holds where no code is.
[[nodiscard]] Bytes breakpoints() noexcept;

/// Every thread that learns of this code from now on runs it as it is now. `reused`: other code
/// may have been at these addresses before.
void publish(Bytes code, bool reused) noexcept;

/// False where code that has run stays as it was when its file is written and it is published anew:
/// in emulators that notice only writes to the addresses of the code (qemu's user emulation of
/// arm64 before 8.1). True where that cannot be tried. Thread-safe.
[[nodiscard]] bool code_follows_its_file() noexcept;

} // namespace skep::jit
