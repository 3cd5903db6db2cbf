// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "skep/isa/opcodes.hpp"

namespace skep::isa {

/// The fields that are operands of a format.
struct Fields {
    bool dst = false;
    bool src = false;
    bool off = false;
    bool imm = false;
    bool imm2 = false; ///< imm of the second slot
};

[[nodiscard]] constexpr Fields fields_of(Format format) noexcept {
    switch (format) {
    case Format::AluImm:
        return {.dst = true, .imm = true};
    case Format::AluReg:
        return {.dst = true, .src = true};
    case Format::Unary:
    case Format::Callx:
        return {.dst = true};
    case Format::AddrSpaceCast:
        return {.dst = true, .src = true, .imm = true};
    case Format::JmpImm:
        return {.dst = true, .off = true, .imm = true};
    case Format::JmpReg:
        return {.dst = true, .src = true, .off = true};
    case Format::Ja:
        return {.off = true};
    case Format::Gotol:
    case Format::CallHelper:
    case Format::CallLocal:
    case Format::LdAbs:
        return {.imm = true};
    case Format::CallKfunc:
        return {.off = true, .imm = true};
    case Format::Exit:
        return {};
    case Format::LddwMap:
        return {.dst = true, .imm = true};
    case Format::Lddw:
    case Format::LddwMapValue:
    case Format::LddwBtfId:
    case Format::LddwFunc:
        return {.dst = true, .imm = true, .imm2 = true};
    case Format::Ldx:
    case Format::Stx:
        return {.dst = true, .src = true, .off = true};
    case Format::St:
        return {.dst = true, .off = true, .imm = true};
    case Format::LdInd:
        return {.src = true, .imm = true};
    }
    return {};
}

/// Fields that are neither operands nor the discriminator are zero.
[[nodiscard]] constexpr bool reserved_fields_are_zero(const OpInfo& row,
                                                      const Insn& insn) noexcept {
    const Fields used = fields_of(row.format);
    return (used.dst || insn.dst == 0) &&
           (used.src || row.discriminator == Discriminator::Src || insn.src == 0) &&
           (used.off || row.discriminator == Discriminator::Off || insn.off == 0) &&
           (used.imm || row.discriminator == Discriminator::Imm || insn.imm == 0);
}

[[nodiscard]] constexpr bool registers_are_in_range(const OpInfo& row, const Insn& insn) noexcept {
    const Fields used = fields_of(row.format);
    return (!used.dst || insn.dst < kRegisters) && (!used.src || insn.src < kRegisters);
}

/// Could follow the first slot of this kind of lddw.
[[nodiscard]] constexpr bool is_second_slot_of(const OpInfo& row, const Insn& second) noexcept {
    return second.opcode == 0 && second.dst == 0 && second.src == 0 && second.off == 0 &&
           (fields_of(row.format).imm2 || second.imm == 0);
}

} // namespace skep::isa
