// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "../target.hpp"

/// Machine registers by their numbers in encodings.
namespace skep::jit::x64 {

enum Register : std::uint8_t {
    kRax,
    kRcx,
    kRdx,
    kRbx,
    kRsp,
    kRbp,
    kRsi,
    kRdi,
    kR8,
    kR9,
    kR10, ///< first scratch register: never allocated
    kR11, ///< second scratch register
    kR12,
    kR13,
    kR14,
    kR15,
};

[[nodiscard]] constexpr RegisterSet bit(Register reg) noexcept {
    return RegisterSet{1} << reg;
}

/// Registers that a function must leave as it found them.
inline constexpr RegisterSet kCalleeSaved =
    (1U << kRbx) | (1U << kRbp) | (1U << kR12) | (1U << kR13) | (1U << kR14) | (1U << kR15);

[[nodiscard]] const Target& target() noexcept;
/// Shifts by a register and products without flags.
[[nodiscard]] bool has_bmi2() noexcept;

} // namespace skep::jit::x64
