// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/isa/opcodes.hpp"

namespace skep::isa {

/// What an instruction works on; members that its format does not use stay zero.
struct Operands {
    std::uint8_t dst = 0;
    std::uint8_t src = 0;
    std::int16_t off = 0;
    std::int32_t imm = 0;
};

/// The instruction of one slot (of `lddw`: the first): opcode and discriminating field come from
/// the table, the rest from `operands`. encode(Op::Add64Imm, {.dst = 1, .imm = 4}) is `r1 += 4`.
[[nodiscard]] constexpr Insn encode(Op op, const Operands& operands = {}) noexcept {
    const OpInfo& row = info(op);
    Insn insn;
    insn.opcode = row.opcode;
    insn.dst = operands.dst & 0xfU;
    insn.src = (row.discriminator == Discriminator::Src ? static_cast<unsigned>(row.value)
                                                        : operands.src) &
               0xfU;
    insn.off = row.discriminator == Discriminator::Off ? static_cast<std::int16_t>(row.value)
                                                       : operands.off;
    insn.imm = row.discriminator == Discriminator::Imm ? row.value : operands.imm;
    return insn;
}

/// Both slots of a `lddw`: the low half of `value` is the imm of the first, the high half of the
/// second. Requires a row of lddw.
[[nodiscard]] constexpr std::array<Insn, 2> encode_lddw(Op op, std::uint8_t dst,
                                                        std::uint64_t value) noexcept {
    const Insn first = encode(op, {.dst = dst, .imm = static_cast<std::int32_t>(value)});
    return {first, Insn{.imm = static_cast<std::int32_t>(value >> 32)}};
}

/// The 64-bit value that the imms of both slots of a `lddw` make.
[[nodiscard]] constexpr std::uint64_t lddw_value(const Insn& first, const Insn& second) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(second.imm)) << 32 |
           static_cast<std::uint32_t>(first.imm);
}

/// The bytes of a code section in the given byte order.
std::vector<std::byte> to_bytes(std::span<const Insn> insns,
                                std::endian order = std::endian::little);

} // namespace skep::isa
