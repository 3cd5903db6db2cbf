// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace skep::isa {

/// A name for a number in an instruction.
struct Symbol {
    std::string_view name;
    std::int32_t imm = 0;
    std::int16_t off = 0; ///< of a kfunc in a module: index of the BTF descriptor
};

/// The names that a disassembler writes and an assembler reads. Tables, because both directions and
/// "did you mean" need them. Does not own them: they must outlive the call.
struct Symbols {
    std::span<const Symbol> helpers; ///< imm: helper number
    std::span<const Symbol> kfuncs;  ///< imm: BTF id
    std::span<const Symbol> maps;    ///< imm: what `lddw` of a map holds (descriptor or index)
};

} // namespace skep::isa
