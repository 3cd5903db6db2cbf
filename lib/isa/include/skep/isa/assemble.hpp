// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "skep/base/result.hpp"
#include "skep/isa/insn.hpp"
#include "skep/isa/symbols.hpp"

namespace skep::isa {

struct AssembleOptions {
    /// Names for `call name`, `call name#1` and `map[name:flows]`.
    Symbols symbols;
    /// `r1 = 0x5` means `lddw`, as in a verifier log, where only `lddw` shows hexadecimal. Without
    /// it the text is a `mov`, as LLVM writes it. `r1 = 5 ll` is a `lddw` and `r1 = 5` a `mov`
    /// always.
    bool hex_move_is_lddw = true;
};

/// Instructions from the syntax that disassemble() and the kernel's verifier log write.
///
///     r0 = 0; r2 = *(u32 *)(r1 +4)      // statements end at ';' or at the end of the line
///     if r2 > 0x10 goto out             # a label where the kernel writes pc+N
///     call sum                          // helper or kfunc by symbol, or a label; also call #5,
///     pc+7
///   out: exit
///   sum: r0 = 7 ll; exit
///
/// Numbers are decimal or 0x..., with a sign where the field has one. A prefix as in a log, `7:
/// (b7)`, is checked and dropped. Slots are counted from 0; `lddw` takes two. `.insn 0xff dst 0 src
/// 0 off 0 imm 0` makes any slot. The result is not validated: tests assemble malformed programs
/// too.
///
/// Errors: Malformed, "line 2, column 4: found ..., expected ..."; the hint may hold a "did you
/// mean".
Result<std::vector<Insn>> assemble(std::string_view text, const AssembleOptions& options = {});

} // namespace skep::isa
