// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "../target.hpp"

/// Machine registers by their numbers in encodings.
namespace skep::jit::a64 {

enum Register : std::uint8_t {
    kX0,
    kX1,
    kX2,
    kX3,
    kX4,
    kX5,
    kX6,
    kX7,
    kX8,
    kX9,
    kX10,
    kX11,
    kX12,
    kX13,
    kX14,
    kX15, ///< third scratch register; addresses of slots that are far from sp
    kX16, ///< first scratch register: never allocated
    kX17, ///< second scratch register
    kX18, ///< the platform's: never touched
    kX19,
    kX20,
    kX21,
    kX22,
    kX23,
    kX24,
    kX25,
    kX26,
    kX27,
    kX28,
    kFramePointer,
    kLink,
};

[[nodiscard]] constexpr RegisterSet bit(Register reg) noexcept {
    return RegisterSet{1} << reg;
}

/// All registers from first to last.
[[nodiscard]] constexpr RegisterSet bits(Register first, Register last) noexcept {
    return (bit(last) << 1) - bit(first);
}

/// Registers that a function must leave as it found them, of those that are allocated.
inline constexpr RegisterSet kCalleeSaved = bits(kX19, kX28);

[[nodiscard]] const Target& target() noexcept;
/// Atomics in one instruction (Large System Extensions). Code for another machine does without.
[[nodiscard]] bool has_lse() noexcept;

} // namespace skep::jit::a64
