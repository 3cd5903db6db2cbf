// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "emitter.hpp"

namespace skep::jit::x64 {

using asmjit::x86::Gp;
namespace Inst = asmjit::x86::Inst;
using asmjit::x86::Mem;
using ir::Cond;
using ir::Node;
using ir::Op;
using ir::Ref;

namespace {

asmjit::InstId instruction(Op op) noexcept {
    switch (op) {
    case Op::Add:
        return Inst::kIdAdd;
    case Op::Sub:
        return Inst::kIdSub;
    case Op::Mul:
        return Inst::kIdImul;
    case Op::And:
        return Inst::kIdAnd;
    case Op::Or:
        return Inst::kIdOr;
    case Op::Xor:
        return Inst::kIdXor;
    default:
        return Inst::kIdNone;
    }
}

bool commutes(Op op) noexcept {
    return op != Op::Sub;
}

} // namespace

/// to = to op b; b as an immediate, in memory or in a register.
void Emitter::two_operands(asmjit::InstId inst, const Gp& to, Ref b, unsigned width) {
    const Node& node = at(b);
    std::int32_t number = 0;
    if (node.has(ir::kFolded))
        as_.emit(inst, to, address(node, width));
    else if (immediate(b, width, number))
        as_.emit(inst, to, number);
    else if (!is_remade(node.op) && place(b) < 0)
        as_.emit(inst, to, slot(place(b), width));
    else
        as_.emit(inst, to, value(b, kR10, width));
}

void Emitter::emit_binary(Ref ref, const Node& node) {
    const Gp to = result(ref, node.width);
    Ref a = node.a;
    Ref b = node.b;
    if (commutes(node.op) && in_register(b) && !at(b).has(ir::kFolded) && place(b) == place(ref) &&
        !(in_register(a) && place(a) == place(ref)))
        std::swap(a, b);
    if (!(in_register(a) && reg(static_cast<unsigned>(place(a))).id() == to.id()))
        materialise(to, a);
    two_operands(instruction(node.op), to, b, node.width);
    keep(ref);
}

void Emitter::emit_add(Ref ref, const Node& node) {
    const Gp to = result(ref, node.width);
    const bool in_place = in_register(node.a) && place(node.a) == place(ref);
    const bool swapped = in_register(node.b) && place(node.b) == place(ref);
    std::int32_t number = 0;
    if (in_place || swapped || !in_register(node.a) || at(node.b).has(ir::kFolded)) {
        emit_binary(ref, node);
        return;
    }
    const Gp a = value(node.a, kR10);
    if (immediate(node.b, node.width, number)) {
        as_.lea(to, asmjit::x86::ptr(a, number));
    } else if (in_register(node.b)) {
        as_.lea(to, asmjit::x86::ptr(a, value(node.b, kR10)));
    } else {
        emit_binary(ref, node);
        return;
    }
    keep(ref);
}

void Emitter::emit_multiply(Ref ref, const Node& node) {
    std::int32_t number = 0;
    if (!immediate(node.b, node.width, number)) {
        emit_binary(ref, node);
        return;
    }
    const Gp to = result(ref, node.width);
    if (at(node.a).has(ir::kFolded))
        as_.imul(to, address(at(node.a), node.width), number);
    else
        as_.imul(to, value(node.a, kR10, node.width), number);
    keep(ref);
}

void Emitter::emit_shift(Ref ref, const Node& node) {
    static constexpr std::array<asmjit::InstId, 4> kPlain{Inst::kIdShl, Inst::kIdShr, Inst::kIdSar,
                                                          Inst::kIdRol};
    static constexpr std::array<asmjit::InstId, 3> kFlagless{Inst::kIdShlx, Inst::kIdShrx,
                                                             Inst::kIdSarx};
    const auto which =
        static_cast<std::size_t>(std::to_underlying(node.op) - std::to_underlying(Op::Shl));
    const Gp to = result(ref, node.width);
    if (is_constant(node.b)) {
        const auto count = static_cast<std::uint8_t>(at(node.b).imm & (node.width * 8 - 1));
        const bool in_place = in_register(node.a) && place(node.a) == place(ref);
        if (node.op == Op::Rol && bmi2_ && !in_place) {
            as_.rorx(to, value(node.a, kR10, node.width), node.width * 8U - count);
        } else if (node.op == Op::Shl && count == 1 && !in_place) {
            const Gp a = value(node.a, kR10);
            as_.lea(to, asmjit::x86::ptr(a, a));
        } else {
            materialise(to, node.a);
            as_.emit(kPlain[which], to, count);
        }
        keep(ref);
        return;
    }
    if (bmi2_ && node.op != Op::Rol) {
        as_.emit(kFlagless[which], to, value(node.a, kR11, node.width),
                 value(node.b, kR10, node.width));
        keep(ref);
        return;
    }
    // The count has to be in cl, which is free.
    materialise(reg(kR11), node.a);
    materialise(reg(kRcx), node.b);
    as_.emit(kPlain[which], reg(kR11, node.width), asmjit::x86::cl);
    if (in_register(ref))
        as_.mov(reg(static_cast<unsigned>(place(ref)), node.width), reg(kR11, node.width));
    else
        keep(ref);
}

void Emitter::emit_multiply_high(Ref ref, const Node& node) {
    const Gp to = result(ref, 8);
    if (bmi2_ && is_constant(node.b)) {
        if (in_register(node.a) && place(node.a) == kRdx) {
            materialise(reg(kR11), node.b);
            as_.mulx(to, to, reg(kR11));
        } else {
            const Gp a = value(node.a, kR11);
            materialise(reg(kRdx), node.b);
            as_.mulx(to, to, a);
        }
        keep(ref);
        return;
    }
    materialise(reg(kR11), node.b);
    materialise(reg(kRax), node.a);
    as_.mul(reg(kR11));
    as_.mov(to, reg(kRdx));
    keep(ref);
}

void Emitter::emit_divide(Ref ref, const Node& node) {
    const unsigned width = node.width;
    const bool is_signed = node.op == Op::Sdiv || node.op == Op::Smod;
    const bool in_own = in_register(node.b) && place(node.b) != kRax && place(node.b) != kRdx;
    const Gp b = in_own ? reg(static_cast<unsigned>(place(node.b)), width) : reg(kR11, width);
    if (!in_own)
        materialise(reg(kR11), node.b);
    if (at(node.a).has(ir::kFolded))
        as_.mov(reg(kRax, width), address(at(node.a), width));
    else
        materialise(reg(kRax), node.a);
    const std::int64_t divisor = is_constant(node.b) ? at(node.b).imm : 0;
    const bool minus_one = width == 4 ? static_cast<std::int32_t>(divisor) == -1 : divisor == -1;
    const bool safe = is_constant(node.b) ? divisor != 0 && !(is_signed && minus_one)
                                          : node.has(ir::kNonZero) && !is_signed;
    const Label back = safe ? Label() : as_.newLabel();
    if (!safe) {
        const Label stub = as_.newLabel();
        if (is_signed) { // 0 and -1, plus 1, are at most 1.
            as_.lea(reg(kR10, width), asmjit::x86::ptr(reg(b.id()), 1));
            as_.cmp(reg(kR10, width), 1);
            as_.jbe(stub);
        } else {
            as_.test(b, b);
            as_.jz(stub);
        }
        stubs_.push_back({.kind = Stub::Kind::Divide,
                          .from = stub,
                          .back = back,
                          .ref = ref,
                          .divisor = static_cast<std::uint8_t>(b.id())});
    }
    if (!is_signed) {
        as_.xor_(reg(kRdx, 4), reg(kRdx, 4));
        as_.div(b);
    } else {
        if (width == 4)
            as_.cdq();
        else
            as_.cqo();
        as_.idiv(b);
    }
    if (!safe)
        as_.bind(back);
    const bool quotient = node.op == Op::Udiv || node.op == Op::Sdiv;
    const Gp from = reg(quotient ? kRax : kRdx, width);
    const Gp to = result(ref, width);
    if (width == 4 || to.id() != from.id())
        as_.mov(to, from);
    keep(ref);
}

void Emitter::emit_lea(Ref ref, const Node& node) {
    const Gp to = result(ref, node.width);
    const auto offset = static_cast<std::int32_t>(node.imm);
    const Gp a = value(node.a, kR10);
    if (node.b == 0)
        as_.lea(to, asmjit::x86::ptr(a, offset));
    else
        as_.lea(to, asmjit::x86::ptr(a, value(node.b, kR11), node.scale, offset));
    keep(ref);
}

void Emitter::emit_negate(Ref ref, const Node& node) {
    const Gp to = result(ref, node.width);
    materialise(to, node.a);
    as_.neg(to);
    keep(ref);
}

void Emitter::emit_swap(Ref ref, const Node& node) {
    const Gp to = result(ref, 8);
    const Gp a = value(node.a, kR11);
    switch (node.op) {
    case Op::Swap16:
        as_.movzx(reg(to.id(), 4), reg(a.id(), 2));
        as_.rol(reg(to.id(), 2), 8);
        break;
    case Op::Swap32:
        as_.mov(reg(to.id(), 4), reg(a.id(), 4));
        as_.bswap(reg(to.id(), 4));
        break;
    default:
        move(to.id(), a.id());
        as_.bswap(to);
        break;
    }
    keep(ref);
}

void Emitter::emit_extend(Ref ref, const Node& node) {
    const Gp to = result(ref, node.width);
    const unsigned id = to.id();
    const Gp a = value(node.a, kR11);
    switch (node.op) {
    case Op::Sext8:
        as_.movsx(to, reg(a.id(), 1));
        break;
    case Op::Sext16:
        as_.movsx(to, reg(a.id(), 2));
        break;
    case Op::Sext32:
        as_.movsxd(reg(id, 8), reg(a.id(), 4));
        break;
    case Op::Zext8:
        as_.movzx(reg(id, 4), reg(a.id(), 1));
        break;
    case Op::Zext16:
        as_.movzx(reg(id, 4), reg(a.id(), 2));
        break;
    default:
        as_.mov(reg(id, 4), reg(a.id(), 4));
        break;
    }
    keep(ref);
}

/// Sets the flags for a condition. May exchange the operands, and then changes it.
void Emitter::compare(Cond& cond, unsigned width, Ref a, Ref b) {
    std::int32_t number = 0;
    if (is_constant(a) && !is_constant(b) && !at(b).has(ir::kFolded)) {
        std::swap(a, b);
        cond = ir::mirrored(cond);
    }
    const bool test = cond == Cond::Test || cond == Cond::TestNot;
    const bool fits = immediate(b, width, number);
    if (at(a).has(ir::kFolded)) {
        const Mem memory = address(at(a), width);
        if (fits)
            as_.cmp(memory, number);
        else
            as_.cmp(memory, value(b, kR11, width));
        return;
    }
    if (test) {
        const Gp left = value(a, kR11, width);
        if (fits && number > 0 && number <= INT8_MAX)
            as_.test(reg(left.id(), 1), number);
        else if (fits)
            as_.test(left, number);
        else
            as_.test(left, value(b, kR10, width));
        return;
    }
    if (!is_remade(at(a).op) && place(a) < 0 && place(a) != Allocation::kNowhere && fits) {
        as_.cmp(slot(place(a), width), number);
        return;
    }
    const Gp left = value(a, kR11, width);
    if (fits && number == 0)
        as_.test(left, left);
    else
        two_operands(Inst::kIdCmp, left, b, width);
}

void Emitter::emit_select(Ref ref, const Node& node) {
    auto cond = static_cast<Cond>(node.aux);
    compare(cond, node.width, node.a, node.b);
    const Ref yes = graph_->pool[node.c];
    const Ref no = graph_->pool[node.c + 1];
    const Gp to = result(ref, 8);
    materialise(to, no);
    static constexpr std::array<asmjit::InstId, 12> kMoves{
        Inst::kIdCmovz,  Inst::kIdCmovnz,  Inst::kIdCmovb,  Inst::kIdCmovnb,
        Inst::kIdCmovbe, Inst::kIdCmovnbe, Inst::kIdCmovl,  Inst::kIdCmovnl,
        Inst::kIdCmovle, Inst::kIdCmovnle, Inst::kIdCmovnz, Inst::kIdCmovz,
    };
    const asmjit::InstId inst = kMoves[std::to_underlying(cond)];
    if (!is_remade(at(yes).op) && place(yes) < 0)
        as_.emit(inst, to, slot(place(yes)));
    else
        as_.emit(inst, to, value(yes, kR10));
    keep(ref);
}

} // namespace skep::jit::x64
