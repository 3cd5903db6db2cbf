// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <asmjit/arm/a64assembler.h>
#include <cstdint>

/// What arm64 instructions can hold in themselves, and the sequences for what they cannot.
namespace skep::jit::a64 {

using asmjit::a64::Assembler;
using asmjit::a64::Gp;

/// True for what add, sub, cmp and cmn take: 12 bits, or 12 bits shifted by 12.
[[nodiscard]] constexpr bool fits_add(std::uint64_t number) noexcept {
    return number < 4096 || (number < 4096U * 4096 && number % 4096 == 0);
}

/// True for what and, orr, eor and tst take: a run of ones, rotated, in parts of 2 to `width` * 8
/// bits that are all the same.
[[nodiscard]] bool fits_logical(std::uint64_t number, unsigned width) noexcept;

/// True if a load or store of `width` bytes reaches base + offset.
[[nodiscard]] constexpr bool fits_offset(std::int64_t offset, unsigned width) noexcept {
    return (offset >= -256 && offset <= 255) ||
           (offset >= 0 && offset % width == 0 && offset / width < 4096);
}

/// Brings a number into a register, in up to four instructions. Flags stay as they are.
void load_number(Assembler& as, const Gp& to, std::uint64_t number);

/// to = from + number, 64 bits; `from` may be sp if the number has at most 24 bits. `scratch` is
/// changed for numbers of more than 24 bits; then it is not `from`. Flags stay as they are.
void add_number(Assembler& as, Gp to, Gp from, std::int64_t number, const Gp& scratch);

} // namespace skep::jit::a64
