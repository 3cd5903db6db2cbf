// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "skep/isa/opcodes.hpp"

namespace skep::isa::test {

using Rng = std::mt19937_64;

/// From SKEP_SEED if it is set, else a new one; print it with the failure.
std::uint64_t seed();

/// An instruction (two slots for lddw) of this row with random operands, well formed. Registers are
/// r0 to r9, so that any may be written.
std::vector<Insn> sample(const OpInfo& row, Rng& rng);

/// assemble(text), or a test failure that shows the error.
std::vector<Insn> asm_or_die(std::string_view text);

/// The instructions as `0xb7 r1 r0 0 5` lines, for failure messages.
std::string raw(const std::vector<Insn>& insns);

} // namespace skep::isa::test

namespace skep::isa {
/// How GoogleTest shows an instruction.
void PrintTo(const Insn& insn, std::ostream* out);
} // namespace skep::isa
