// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "skep/isa/insn.hpp"
#include "skep/isa/symbols.hpp"

namespace skep::isa {

/// The instruction at slot `index` in the syntax of the kernel's verifier log: `r1 += r2`,
/// `if r1 s> 0x5 goto pc+3`, `r0 = *(u32 *)(r1 +4)`. Maps and function addresses as bpftool shows
/// them: `r1 = map[id:4]`, `r1 = map[id:4][0]+8`, `r1 = subprog[+7]`; with a symbol `r1 =
/// map[name:flows]`.
///
/// What no kernel accepts (unknown opcodes, reserved fields set, a split `lddw`) is shown raw, one
/// slot:
/// `.insn 0xff dst 0 src 0 off 0 imm 0`. So assemble() always gives back the same slots.
/// Requires index < insns.size().
std::string disassemble(std::span<const Insn> insns, std::size_t index,
                        const Symbols& symbols = {});

/// How many slots the text of disassemble() at `index` covers: 2 for a whole `lddw`, else 1.
[[nodiscard]] std::size_t slots_at(std::span<const Insn> insns, std::size_t index) noexcept;

/// All instructions, one line each, as bpftool's `prog dump xlated`: `0: (b7) r1 = 5`.
std::string listing(std::span<const Insn> insns, const Symbols& symbols = {});

} // namespace skep::isa
