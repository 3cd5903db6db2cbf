// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>

#include "skep/isa/insn.hpp"

namespace skep::isa {

/// Every instruction that skep knows: the rows of ops.def, in their order. What kernel sources call
/// one opcode may be several Ops: signed division, sign-extending moves, byte swaps by width,
/// atomic operations, the kinds of `lddw` and of calls.
enum class Op : std::uint8_t {
#define SKEP_OP(name, ...) name,
#include "skep/isa/ops.def"
};

namespace detail {
inline constexpr Op kOpList[] = {
#define SKEP_OP(name, ...) Op::name,
#include "skep/isa/ops.def"
};
} // namespace detail
inline constexpr std::size_t kOpCount = std::size(detail::kOpList);
static_assert(kOpCount <= 256, "Op is one byte");

/// The field that tells rows with one opcode byte apart; None: the opcode alone decides.
enum class Discriminator : std::uint8_t { None, Off, Imm, Src };

/// Which fields are operands. A field that is neither an operand nor the discriminator must be
/// zero.
enum class Format : std::uint8_t {
    AluImm,        ///< dst, imm
    AluReg,        ///< dst, src
    Unary,         ///< dst
    AddrSpaceCast, ///< dst, src, imm
    JmpImm,        ///< dst, imm, off
    JmpReg,        ///< dst, src, off
    Ja,            ///< off
    Gotol,         ///< imm
    CallHelper,    ///< imm: helper number
    CallLocal,     ///< imm: distance in slots
    CallKfunc,     ///< imm: BTF id, off: index of the BTF descriptor
    Callx,         ///< dst
    Exit,          ///< nothing
    Lddw,          ///< dst, imm, imm of slot 2
    LddwMap,       ///< dst, imm
    LddwMapValue,  ///< dst, imm, imm of slot 2: byte offset
    LddwBtfId,     ///< dst, imm: BTF id, imm of slot 2: descriptor of a module's BTF
    LddwFunc,      ///< dst, imm: distance in slots, imm of slot 2: ignored by the kernel
    Ldx,           ///< dst, src, off
    St,            ///< dst, off, imm
    Stx,           ///< dst, src, off
    LdAbs,         ///< imm
    LdInd,         ///< src, imm
};

/// Conformance groups of RFC 9669, 2.4. Base64 includes Base32, and so on. None: Linux only.
enum class Group : std::uint8_t {
    None,
    Base32,
    Base64,
    Atomic32,
    Atomic64,
    Divmul32,
    Divmul64,
    Packet,
};

/// A set of operands, as the table states it: one bit per member.
struct RegSet {
    std::uint8_t bits = 0;
    [[nodiscard]] constexpr bool has(RegSet other) const noexcept {
        return (bits & other.bits) == other.bits;
    }
    friend constexpr RegSet operator|(RegSet a, RegSet b) noexcept {
        return {static_cast<std::uint8_t>(a.bits | b.bits)};
    }
    friend bool operator==(RegSet, RegSet) = default;
};
inline constexpr RegSet kNoRegs{0};
inline constexpr RegSet kDst{1};   ///< the register that the dst field names
inline constexpr RegSet kSrc{2};   ///< the register that the src field names
inline constexpr RegSet kR0{4};    ///< r0, always
inline constexpr RegSet kR6{8};    ///< r6, always: the packet of ldabs and ldind
inline constexpr RegSet kArgs{16}; ///< r1 to r5: read at most, by a call; or lost after it

/// One row of the table.
///
/// `text` is the kernel verifier's syntax. Its placeholders:
///   %d %s  dst and src as r0..r10       %D %S  the same as w0..w10
///   %i     imm, signed decimal          %I     the same; reads 0..2^32-1 too (32-bit operations)
///   %x     imm as 0x..., 32 bits        %u     imm, unsigned decimal
///   %o     off, "+4" or "-4"            %j     off as "pc+4"      %J  imm as "pc+4"
///   %p     imm as "+4"                  %a     address spaces: imm >> 16, imm & 0xffff
///   %q     both imms as 0x..., 64 bits  %n     imm of slot 2, unsigned
///   %N     nothing or "+imm of slot 2"  %f     nothing or " fd:imm of slot 2"
///   %m     imm as "id:5" or "name:flows"              %%  a percent sign
///   %h %k  name#imm of a helper, of a kfunc
struct OpInfo {
    Op op;
    std::uint8_t opcode;
    Discriminator discriminator;
    std::int32_t value; ///< of the discriminating field
    Format format;
    Group group;
    std::uint8_t cpu; ///< lowest -mcpu=v<cpu> with which clang generates it
    RegSet reads;
    RegSet writes;
    std::string_view name; ///< of the enumerator
    std::string_view text;

    [[nodiscard]] constexpr std::uint8_t insn_class() const noexcept { return opcode & kClassMask; }
    [[nodiscard]] constexpr bool is_lddw() const noexcept { return opcode == kLddw; }
    /// Slots of the instruction: 2 for lddw, else 1.
    [[nodiscard]] constexpr unsigned slots() const noexcept { return is_lddw() ? 2 : 1; }
    [[nodiscard]] constexpr bool is_conditional_jump() const noexcept {
        return format == Format::JmpImm || format == Format::JmpReg || op == Op::MayGoto;
    }
    /// Bytes that a load, store, atomic or packet instruction accesses; 0 for all others.
    [[nodiscard]] constexpr unsigned access_size() const noexcept {
        if (insn_class() > kStx || is_lddw())
            return 0;
        switch (opcode & kSizeMask) {
        case kB:
            return 1;
        case kH:
            return 2;
        case kW:
            return 4;
        default:
            return 8;
        }
    }
};

namespace detail {
// clang-format off
/// The rows, indexed by Op.
inline constexpr OpInfo kOps[] = {
#define SKEP_OP(name, opcode, discriminator, value, format, text, reads, writes, group, cpu)       \
    {Op::name, opcode, Discriminator::discriminator, value, Format::format, Group::group, cpu,     \
     reads, writes, #name, text},
#include "skep/isa/ops.def"
};
// clang-format on

/// The rows of each opcode byte as a chain: `first`, then `next` until `none`.
struct Lookup {
    static constexpr std::uint8_t none = 0xff;
    std::array<std::uint8_t, 256> first{};
    std::array<std::uint8_t, kOpCount> next{};
};
consteval Lookup make_lookup() {
    Lookup lookup;
    lookup.first.fill(Lookup::none);
    for (std::size_t i = kOpCount; i-- > 0;) {
        lookup.next[i] = lookup.first[kOps[i].opcode];
        lookup.first[kOps[i].opcode] = static_cast<std::uint8_t>(i);
    }
    return lookup;
}
inline constexpr Lookup kLookup = make_lookup();

constexpr std::int32_t discriminating_field(Discriminator field, const Insn& insn) noexcept {
    switch (field) {
    case Discriminator::None:
        return 0;
    case Discriminator::Off:
        return insn.off;
    case Discriminator::Imm:
        return insn.imm;
    case Discriminator::Src:
        return insn.src;
    }
    return 0;
}
} // namespace detail
static_assert(kOpCount < detail::Lookup::none);

/// The row of an Op.
[[nodiscard]] constexpr const OpInfo& info(Op op) noexcept {
    return detail::kOps[std::to_underlying(op)];
}

/// All rows, in the order of Op.
[[nodiscard]] constexpr std::span<const OpInfo> all_ops() noexcept {
    return detail::kOps;
}

/// The row that an instruction belongs to by its opcode and discriminating field; nullptr if none.
/// Of `lddw` pass the first slot. Constant time (at most 12 rows share an opcode). Checks nothing
/// else: validate() in decode.hpp does.
[[nodiscard]] constexpr const OpInfo* classify(const Insn& insn) noexcept {
    for (std::uint8_t i = detail::kLookup.first[insn.opcode]; i != detail::Lookup::none;
         i = detail::kLookup.next[i]) {
        const OpInfo& row = detail::kOps[i];
        if (detail::discriminating_field(row.discriminator, insn) == row.value)
            return &row;
    }
    return nullptr;
}

/// The registers r0 to r10, as bits, that a set means for this instruction.
[[nodiscard]] constexpr std::uint16_t registers(RegSet set, const Insn& insn) noexcept {
    unsigned bits = 0;
    if (set.has(kDst))
        bits |= 1U << insn.dst;
    if (set.has(kSrc))
        bits |= 1U << insn.src;
    if (set.has(kR0))
        bits |= 1U;
    if (set.has(kR6))
        bits |= 1U << 6;
    if (set.has(kArgs))
        bits |= 0x3eU;
    return static_cast<std::uint16_t>(bits);
}

} // namespace skep::isa
