// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "emitter.hpp"

namespace skep::jit::x64 {

using asmjit::x86::Gp;
namespace Inst = asmjit::x86::Inst;
using asmjit::x86::Mem;
using ir::Node;
using ir::Op;
using ir::Ref;

void Emitter::emit_load(Ref ref, const Node& node) {
    const Gp to = result(ref, 8);
    const Mem from = address(node, node.width);
    const bool is_signed = node.has(ir::kSigned);
    switch (node.width) {
    case 1:
    case 2:
        if (is_signed)
            as_.movsx(to, from);
        else
            as_.movzx(reg(to.id(), 4), from);
        break;
    case 4:
        if (is_signed)
            as_.movsxd(to, from);
        else
            as_.mov(reg(to.id(), 4), from);
        break;
    default:
        as_.mov(to, from);
        break;
    }
    keep(ref);
}

void Emitter::emit_store(Ref /*ref*/, const Node& node) {
    const Mem to = address(node, node.width);
    std::int32_t number = 0;
    if (immediate(node.b, node.width, number)) {
        as_.mov(to, number);
        return;
    }
    as_.mov(to, value(node.b, kR11, node.width));
}

void Emitter::emit_update(Ref /*ref*/, const Node& node) {
    asmjit::InstId inst = Inst::kIdAdd;
    switch (static_cast<Op>(node.aux)) {
    case Op::Sub:
        inst = Inst::kIdSub;
        break;
    case Op::And:
        inst = Inst::kIdAnd;
        break;
    case Op::Or:
        inst = Inst::kIdOr;
        break;
    case Op::Xor:
        inst = Inst::kIdXor;
        break;
    default:
        break;
    }
    const Mem to = address(node, node.width);
    std::int32_t number = 0;
    if (immediate(node.b, node.width, number)) {
        as_.emit(inst, to, number);
        return;
    }
    as_.emit(inst, to, value(node.b, kR11, node.width));
}

void Emitter::emit_atomic(Ref ref, const Node& node) {
    const unsigned width = node.width;
    const Mem cell = address(node, width);
    asmjit::InstId inst = Inst::kIdAdd;
    if (node.op == Op::AtomicOr)
        inst = Inst::kIdOr;
    else if (node.op == Op::AtomicAnd)
        inst = Inst::kIdAnd;
    else if (node.op == Op::AtomicXor)
        inst = Inst::kIdXor;
    if (!node.has(ir::kFetch)) {
        std::int32_t number = 0;
        as_.lock();
        if (immediate(node.b, width, number)) {
            as_.emit(inst, cell, number);
        } else if (in_register(node.b)) {
            as_.emit(inst, cell, value(node.b, kR11, width));
        } else {
            as_.resetInstOptions();
            materialise(reg(kR11), node.b);
            as_.lock();
            as_.emit(inst, cell, reg(kR11, width));
        }
        return;
    }
    if (node.op == Op::AtomicAdd) {
        materialise(reg(kR11), node.b);
        as_.lock().xadd(cell, reg(kR11, width));
        if (in_register(ref))
            as_.mov(result(ref, width), reg(kR11, width));
        else if (place(ref) != Allocation::kNowhere) {
            if (width == 4)
                as_.mov(reg(kR11, 4), reg(kR11, 4));
            keep(ref);
        }
        return;
    }
    const Label again = as_.newLabel();
    as_.mov(reg(kRax, width), cell);
    as_.bind(again);
    materialise(reg(kR11), node.b);
    as_.emit(inst, reg(kR11, width), reg(kRax, width));
    as_.lock().cmpxchg(cell, reg(kR11, width), reg(kRax, width));
    as_.jnz(again);
    as_.mov(result(ref, width), reg(kRax, width));
    keep(ref);
}

void Emitter::emit_exchange(Ref ref, const Node& node) {
    const unsigned width = node.width;
    const Mem cell = address(node, width);
    materialise(reg(kR11), node.b);
    as_.xchg(cell, reg(kR11, width));
    if (in_register(ref)) {
        as_.mov(result(ref, width), reg(kR11, width));
    } else if (place(ref) != Allocation::kNowhere) {
        if (width == 4)
            as_.mov(reg(kR11, 4), reg(kR11, 4));
        keep(ref);
    }
}

void Emitter::emit_compare_exchange(Ref ref, const Node& node) {
    const unsigned width = node.width;
    const Mem cell = address(node, width);
    materialise(reg(kRax), node.c);
    const Gp b = value(node.b, kR11, width);
    as_.lock().cmpxchg(cell, b, reg(kRax, width));
    as_.mov(result(ref, width), reg(kRax, width));
    keep(ref);
}

} // namespace skep::jit::x64
