// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <bit>

#include "emit_basics.hpp"
#include "emitter.hpp"
#include "field.hpp"

namespace skep::jit::a64 {

using asmjit::a64::Inst;
namespace arm = asmjit::arm;
using asmjit::Imm;
using ir::Cond;
using ir::Node;
using ir::Op;
using ir::Ref;

// --- operands that are shifted or extended on their way ---

/// The register of a folded shift or extension, and what is done with it. Uses x16.
Emitter::Gp Emitter::shifted_operand(const Node& b, unsigned width, Imm& shift) {
    const auto count = [&] { return static_cast<std::uint32_t>(number(b.b, 8) & (width * 8 - 1)); };
    switch (b.op) {
    case Op::Shl:
        shift = Imm(arm::lsl(count()));
        break;
    case Op::Shr:
        shift = Imm(arm::lsr(count()));
        break;
    case Op::Sar:
        shift = Imm(arm::asr(count()));
        break;
    case Op::Rol:
        shift = Imm(arm::ror((width * 8 - count()) & (width * 8 - 1)));
        break;
    case Op::Zext8:
        shift = Imm(arm::uxtb(0));
        break;
    case Op::Zext16:
        shift = Imm(arm::uxth(0));
        break;
    case Op::Zext32:
        shift = Imm(arm::uxtw(0));
        break;
    case Op::Sext8:
        shift = Imm(arm::sxtb(0));
        break;
    case Op::Sext16:
        shift = Imm(arm::sxth(0));
        break;
    default:
        shift = Imm(arm::sxtw(0));
        break;
    }
    return value(b.a, kX16, width);
}

void Emitter::emit_shifted(InstId inst, Gp to, Gp a, const Node& b) {
    Imm shift;
    const Gp from = shifted_operand(b, to.isGpX() ? 8 : 4, shift);
    as_.emit(inst, to, a, from, shift);
}

/// Bits that are moved to another place in one instruction.
bool Emitter::emit_field(Ref ref, const Node& node) {
    if (!is_folded(node.a))
        return false;
    const Node& inner = at(node.a);
    const Field field = field_of(*graph_, node, inner);
    const Gp from = value(inner.a, kX17, field.width);
    const Gp to = result(ref, field.width);
    const bool insert = node.op == Op::Shl;
    const InstId inst = insert ? (field.is_signed ? Inst::kIdSbfiz : Inst::kIdUbfiz)
                               : (field.is_signed ? Inst::kIdSbfx : Inst::kIdUbfx);
    as_.emit(inst, to, from, Imm(field.at), Imm(field.bits));
    keep(ref);
    return true;
}

// --- sums ---

/// a + x * y, a - x * y.
void Emitter::emit_sum_of_product(Ref ref, const Node& node) {
    const Node& product = at(node.b);
    const unsigned width = node.width;
    const Gp a = value_or_zero(node.a, kX17, width);
    const Gp x = value_or_zero(product.a, kX16, width);
    const Gp y = value_or_zero(product.b, kX15, width);
    as_.emit(node.op == Op::Add ? Inst::kIdMadd : Inst::kIdMsub, result(ref, width), x, y, a);
    keep(ref);
}

void Emitter::emit_sum(Ref ref, const Node& node) {
    const unsigned width = node.width;
    const bool adds = node.op == Op::Add;
    const InstId inst = adds ? Inst::kIdAdd : Inst::kIdSub;
    const InstId opposite = adds ? Inst::kIdSub : Inst::kIdAdd;
    const Gp to = result(ref, width);
    if (is_folded(node.b)) {
        if (at(node.b).op == Op::Mul) {
            emit_sum_of_product(ref, node);
            return;
        }
        emit_shifted(inst, to, value(node.a, kX17, width), at(node.b));
        keep(ref);
        return;
    }
    if (is_constant(node.b)) {
        const std::uint64_t n = number(node.b, width);
        const std::uint64_t negated =
            width == 4 ? static_cast<std::uint32_t>(0 - n) : std::uint64_t{0} - n;
        if (fits_add(n) || fits_add(negated)) {
            const Gp a = value(node.a, kX17, width);
            if (fits_add(n))
                as_.emit(inst, to, a, Imm(n));
            else
                as_.emit(opposite, to, a, Imm(negated));
            keep(ref);
            return;
        }
    }
    const Gp a = value_or_zero(node.a, kX17, width);
    as_.emit(inst, to, a, value_or_zero(node.b, kX16, width));
    keep(ref);
}

/// What addresses of other machines are; nothing makes it here.
void Emitter::emit_lea(Ref ref, const Node& node) {
    const Gp a = value(node.a, kX17);
    Gp sum = a;
    if (node.b != 0) {
        sum = reg(kX17);
        as_.add(sum, a, value(node.b, kX16), arm::lsl(node.scale));
    }
    add_number(as_, result(ref, 8), sum, node.imm, reg(kX16));
    keep(ref);
}

void Emitter::emit_negate(Ref ref, const Node& node) {
    const unsigned width = node.width;
    const Gp to = result(ref, width);
    if (is_folded(node.a) && at(node.a).op == Op::Mul) {
        const Node& product = at(node.a);
        const Gp x = value_or_zero(product.a, kX17, width);
        as_.mneg(to, x, value_or_zero(product.b, kX16, width));
    } else if (is_folded(node.a)) {
        emit_shifted(Inst::kIdSub, to, zero(width), at(node.a));
    } else {
        as_.neg(to, value_or_zero(node.a, kX17, width));
    }
    keep(ref);
}

// --- bits ---

void Emitter::emit_logical(Ref ref, const Node& node) {
    if (emit_field(ref, node))
        return;
    const unsigned width = node.width;
    const Gp to = result(ref, width);
    struct Pair {
        InstId plain;
        InstId inverted; ///< with the second operand's bits negated
    };
    const Pair pair = node.op == Op::And  ? Pair{Inst::kIdAnd, Inst::kIdBic}
                      : node.op == Op::Or ? Pair{Inst::kIdOrr, Inst::kIdOrn}
                                          : Pair{Inst::kIdEor, Inst::kIdEon};
    const Gp a = value_or_zero(node.a, kX17, width);
    if (is_folded(node.b)) {
        const Node& b = at(node.b);
        if (b.op == Op::Xor)
            as_.emit(pair.inverted, to, a, value_or_zero(b.a, kX16, width));
        else
            emit_shifted(pair.plain, to, a, b);
        keep(ref);
        return;
    }
    if (is_constant(node.b)) {
        const std::uint64_t n = number(node.b, width);
        const std::uint64_t ones = ~std::uint64_t{0} >> (64 - width * 8);
        if (fits_logical(n, width)) {
            as_.emit(pair.plain, to, a, Imm(n));
            keep(ref);
            return;
        }
        if (n == ones) {
            as_.emit(pair.inverted, to, a, zero(width));
            keep(ref);
            return;
        }
    }
    as_.emit(pair.plain, to, a, value_or_zero(node.b, kX16, width));
    keep(ref);
}

void Emitter::emit_shift(Ref ref, const Node& node) {
    if (node.op == Op::Shl && emit_field(ref, node))
        return;
    const unsigned width = node.width;
    const unsigned bits = width * 8;
    const Gp to = result(ref, width);
    const Gp a = value_or_zero(node.a, kX17, width);
    const InstId inst = node.op == Op::Shl   ? Inst::kIdLsl
                        : node.op == Op::Shr ? Inst::kIdLsr
                        : node.op == Op::Sar ? Inst::kIdAsr
                                             : Inst::kIdRor;
    if (is_constant(node.b)) {
        auto count = static_cast<unsigned>(number(node.b, 8) & (bits - 1));
        if (node.op == Op::Rol)
            count = (bits - count) & (bits - 1);
        if (count == 0)
            as_.mov(to, a);
        else
            as_.emit(inst, to, a, Imm(count));
        keep(ref);
        return;
    }
    Gp count = value(node.b, kX16, width);
    if (node.op == Op::Rol) {
        as_.neg(reg(kX16, width), count);
        count = reg(kX16, width);
    }
    as_.emit(inst, to, a, count);
    keep(ref);
}

void Emitter::emit_swap(Ref ref, const Node& node) {
    const Gp to = result(ref, 8);
    const Gp a = value(node.a, kX17);
    switch (node.op) {
    case Op::Swap16: {
        const Node& from = at(node.a);
        const bool short_already =
            from.op == Op::Zext16 || from.op == Op::Swap16 ||
            (from.op == Op::Load && from.width == 2 && !from.has(ir::kSigned));
        as_.rev16(to.w(), a.w());
        if (!short_already)
            as_.uxth(to.w(), to.w());
        break;
    }
    case Op::Swap32:
        as_.rev(to.w(), a.w());
        break;
    default:
        as_.rev(to, a);
        break;
    }
    keep(ref);
}

void Emitter::emit_extend(Ref ref, const Node& node) {
    if (emit_field(ref, node))
        return;
    const Gp to = result(ref, node.width);
    const Gp a = value(node.a, kX17).w();
    switch (node.op) {
    case Op::Sext8:
        as_.sxtb(to, a);
        break;
    case Op::Sext16:
        as_.sxth(to, a);
        break;
    case Op::Sext32:
        if (node.width == 8)
            as_.sxtw(to, a);
        else
            as_.mov(to, a);
        break;
    case Op::Zext8:
        as_.uxtb(to.w(), a);
        break;
    case Op::Zext16:
        as_.uxth(to.w(), a);
        break;
    default:
        as_.mov(to.w(), a);
        break;
    }
    keep(ref);
}

// --- products and quotients ---

void Emitter::emit_multiply(Ref ref, const Node& node) {
    const unsigned width = node.width;
    const Gp to = result(ref, width);
    if (is_folded(node.a)) { // 32 bits by 32 bits
        const bool is_signed = at(node.a).op == Op::Sext32;
        const Gp x = value(at(node.a).a, kX17, 4);
        const Gp y = value(is_folded(node.b) ? at(node.b).a : node.b, kX16, 4);
        as_.emit(is_signed ? Inst::kIdSmull : Inst::kIdUmull, to, x, y);
        keep(ref);
        return;
    }
    const Gp a = value_or_zero(node.a, kX17, width);
    if (is_constant(node.b)) {
        const std::uint64_t less = number(node.b, width) - 1;
        if (std::has_single_bit(less) && less > 1) { // 2^n + 1
            as_.emit(Inst::kIdAdd, to, a, a,
                     Imm(arm::lsl(static_cast<std::uint32_t>(std::countr_zero(less)))));
            keep(ref);
            return;
        }
    }
    as_.mul(to, a, value_or_zero(node.b, kX16, width));
    keep(ref);
}

void Emitter::emit_multiply_high(Ref ref, const Node& node) {
    const Gp a = value_or_zero(node.a, kX17);
    as_.umulh(result(ref, 8), a, value_or_zero(node.b, kX16));
    keep(ref);
}

/// The machine divides as BPF does: by zero gives zero, and the least number by -1 itself.
void Emitter::emit_divide(Ref ref, const Node& node) {
    const unsigned width = node.width;
    const bool is_signed = node.op == Op::Sdiv || node.op == Op::Smod;
    const InstId divide = is_signed ? Inst::kIdSdiv : Inst::kIdUdiv;
    const Gp a = value_or_zero(node.a, kX17, width);
    const Gp b = value_or_zero(node.b, kX16, width);
    const Gp to = result(ref, width);
    if (node.op == Op::Udiv || node.op == Op::Sdiv) {
        as_.emit(divide, to, a, b);
    } else {
        const Gp quotient = reg(kX15, width);
        as_.emit(divide, quotient, a, b);
        as_.msub(to, quotient, b, a);
    }
    keep(ref);
}

// --- conditions ---

void Emitter::compare_number(unsigned width, Gp a, std::uint64_t n) {
    const std::uint64_t negated =
        width == 4 ? static_cast<std::uint32_t>(0 - n) : std::uint64_t{0} - n;
    if (fits_add(n)) {
        as_.cmp(a, n);
    } else if (fits_add(negated)) {
        as_.cmn(a, negated);
    } else {
        load_number(as_, reg(kX16), n);
        as_.cmp(a, reg(kX16, width));
    }
}

namespace {

asmjit::a64::CondCode code_of(Cond cond) noexcept {
    using Code = asmjit::a64::CondCode;
    static constexpr std::array<Code, 12> kCodes{
        Code::kEQ, Code::kNE, Code::kLO, Code::kHS, Code::kLS, Code::kHI,
        Code::kLT, Code::kGE, Code::kLE, Code::kGT, Code::kNE, Code::kEQ,
    };
    return kCodes[std::to_underlying(cond)];
}

} // namespace

/// Sets the flags for a condition; what they have to say for it to hold.
Emitter::CondCode Emitter::compare(Cond cond, unsigned width, Ref a, Ref b) {
    if (is_constant(a) && !is_constant(b)) {
        std::swap(a, b);
        cond = ir::mirrored(cond);
    }
    const CondCode code = code_of(cond);
    const bool test = cond == Cond::Test || cond == Cond::TestNot;
    const Gp left = value(a, kX17, width);
    if (is_folded(b)) {
        Imm shift;
        const Gp right = shifted_operand(at(b), width, shift);
        as_.emit(test ? Inst::kIdTst : Inst::kIdCmp, left, right, shift);
    } else if (!is_constant(b)) {
        as_.emit(test ? Inst::kIdTst : Inst::kIdCmp, left, value(b, kX16, width));
    } else if (!test) {
        compare_number(width, left, number(b, width));
    } else if (fits_logical(number(b, width), width)) {
        as_.tst(left, number(b, width));
    } else {
        as_.tst(left, value_or_zero(b, kX16, width));
    }
    return code;
}

void Emitter::emit_select(Ref ref, const Node& node) {
    CondCode code = compare(static_cast<Cond>(node.aux), node.width, node.a, node.b);
    Ref yes = graph_->pool[node.c];
    Ref no = graph_->pool[node.c + 1];
    const auto is = [&](Ref which, std::int64_t n) {
        return is_constant(which) && at(which).imm == n;
    };
    const Gp to = result(ref, 8);
    // One and minus one are what zero becomes where the condition does not hold.
    if ((is(yes, 1) || is(yes, -1)) && !is(no, 1) && !is(no, -1)) {
        std::swap(yes, no);
        code = asmjit::a64::negateCond(code);
    }
    const Gp first = value_or_zero(yes, kX17);
    if (is(no, 1))
        as_.csinc(to, first, zero(8), code);
    else if (is(no, -1))
        as_.csinv(to, first, zero(8), code);
    else
        as_.csel(to, first, value_or_zero(no, kX16), code);
    keep(ref);
}

} // namespace skep::jit::a64
