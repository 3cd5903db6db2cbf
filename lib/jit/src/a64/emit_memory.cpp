// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <bit>

#include "emit_basics.hpp"
#include "emitter.hpp"

namespace skep::jit::a64 {

using asmjit::a64::Inst;
namespace arm = asmjit::arm;
using asmjit::a64::Mem;
using asmjit::a64::ptr;
using asmjit::a64::sp;
using ir::Node;
using ir::Op;
using ir::Ref;

// --- addresses ---

Mem Emitter::address(const Node& node) {
    const unsigned width = node.width;
    const bool is_frame = at(node.a).op == Op::Frame;
    std::int64_t offset = node.imm;
    if (node.c == 0) {
        if (is_frame)
            offset += frame_offset(at(node.a).imm);
        if (fits_offset(offset, width))
            return ptr(is_frame ? Gp(sp) : value(node.a, kX16), static_cast<std::int32_t>(offset));
        const Gp base = is_frame ? Gp(sp) : value(node.a, kX16);
        if (base.id() == kX16 && (offset >= 1 << 24 || offset <= -(1 << 24))) {
            load_number(as_, reg(kX15), static_cast<std::uint64_t>(offset));
            as_.add(reg(kX16), base, reg(kX15));
        } else {
            add_number(as_, reg(kX16), base, offset, reg(kX16));
        }
        return ptr(reg(kX16));
    }
    // An index, as it is or extended from 32 bits, and scaled by the width or not at all.
    const Gp base = value(node.a, kX16);
    const Node& index = at(node.c);
    const bool extended = index.has(ir::kFolded);
    const arm::Shift shift = !extended                ? arm::lsl(node.scale)
                             : index.op == Op::Sext32 ? arm::sxtw(node.scale)
                                                      : arm::uxtw(node.scale);
    const Gp by = value(extended ? index.a : node.c, kX15);
    const bool scales = node.scale == 0 || (1U << node.scale) == width;
    if (offset == 0 && scales) {
        if (extended)
            return ptr(base, by.w(), shift);
        return ptr(base, by, shift);
    }
    as_.emit(Inst::kIdAdd, reg(kX16), base, by, asmjit::Imm(shift));
    if (fits_offset(offset, width))
        return ptr(reg(kX16), static_cast<std::int32_t>(offset));
    add_number(as_, reg(kX16), reg(kX16), offset, reg(kX15));
    return ptr(reg(kX16));
}

Emitter::Gp Emitter::cell(const Node& node) {
    const bool is_frame = at(node.a).op == Op::Frame;
    if (is_frame) {
        add_number(as_, reg(kX16), sp, frame_offset(at(node.a).imm) + node.imm, reg(kX16));
        return reg(kX16);
    }
    const Gp base = value(node.a, kX16);
    if (node.imm == 0)
        return base;
    add_number(as_, reg(kX16), base, node.imm, reg(kX15));
    return reg(kX16);
}

// --- loads and stores ---

void Emitter::emit_load(Ref ref, const Node& node) {
    const Mem from = address(node);
    const Gp to = result(ref, 8);
    const bool is_signed = node.has(ir::kSigned);
    switch (node.width) {
    case 1:
        as_.emit(is_signed ? Inst::kIdLdrsb : Inst::kIdLdrb, is_signed ? to : Gp(to.w()), from);
        break;
    case 2:
        as_.emit(is_signed ? Inst::kIdLdrsh : Inst::kIdLdrh, is_signed ? to : Gp(to.w()), from);
        break;
    case 4:
        as_.emit(is_signed ? Inst::kIdLdrsw : Inst::kIdLdr, is_signed ? to : Gp(to.w()), from);
        break;
    default:
        as_.ldr(to, from);
        break;
    }
    keep(ref);
}

void Emitter::emit_store(Ref /*ref*/, const Node& node) {
    // The value first: only its address may be in x15.
    const Gp from = value_or_zero(node.b, kX17, node.width);
    const Mem to = address(node);
    const InstId inst = node.width == 1   ? Inst::kIdStrb
                        : node.width == 2 ? Inst::kIdStrh
                                          : Inst::kIdStr;
    as_.emit(inst, from, to);
}

void Emitter::emit_load_acquire(Ref ref, const Node& node) {
    const Mem from = ptr(cell(node));
    const Gp to = result(ref, 8);
    switch (node.width) {
    case 1:
        as_.ldarb(to.w(), from);
        break;
    case 2:
        as_.ldarh(to.w(), from);
        break;
    case 4:
        as_.ldar(to.w(), from);
        break;
    default:
        as_.ldar(to, from);
        break;
    }
    keep(ref);
}

void Emitter::emit_store_release(Ref /*ref*/, const Node& node) {
    const Gp from = value_or_zero(node.b, kX17, node.width);
    const Mem to = ptr(cell(node));
    // By number: stlr() of this asmjit is another instruction.
    const InstId inst = node.width == 1   ? Inst::kIdStlrb
                        : node.width == 2 ? Inst::kIdStlrh
                                          : Inst::kIdStlr;
    as_.emit(inst, from, to);
}

// --- atomics ---
// Those that fetch order all memory before and behind them, as in the kernel; the others order
// nothing.

void Emitter::emit_atomic(Ref ref, const Node& node) {
    if (!lse_) {
        emit_atomic_loop(ref, node);
        return;
    }
    const unsigned width = node.width;
    const Mem to = ptr(cell(node));
    Gp by = value_or_zero(node.b, kX17, width);
    if (node.op == Op::AtomicAnd) { // The machine clears bits.
        as_.mvn(reg(kX17, width), by);
        by = reg(kX17, width);
    }
    struct Pair {
        InstId ordered;
        InstId plain;
    };
    const Pair pair = node.op == Op::AtomicAdd   ? Pair{Inst::kIdLdaddal, Inst::kIdStadd}
                      : node.op == Op::AtomicOr  ? Pair{Inst::kIdLdsetal, Inst::kIdStset}
                      : node.op == Op::AtomicAnd ? Pair{Inst::kIdLdclral, Inst::kIdStclr}
                      : node.op == Op::AtomicXor ? Pair{Inst::kIdLdeoral, Inst::kIdSteor}
                                                 : Pair{Inst::kIdSwpal, Inst::kIdSwpal};
    if (node.has(ir::kFetch) || node.op == Op::AtomicXchg) {
        as_.emit(pair.ordered, by, result(ref, width), to);
        keep(ref);
    } else {
        as_.emit(pair.plain, by, to);
    }
}

/// The same by exclusive accesses: nothing else may access memory between them.
void Emitter::emit_atomic_loop(Ref ref, const Node& node) {
    const unsigned width = node.width;
    const Mem to = ptr(cell(node));
    const Gp by = value_or_zero(node.b, kX17, width);
    const Gp old = reg(kX15, width);
    const Gp made = reg(kX13, width);
    const bool exchanges = node.op == Op::AtomicXchg;
    const bool ordered = node.has(ir::kFetch) || exchanges;
    const Label again = as_.newLabel();
    as_.bind(again);
    as_.ldxr(old, to);
    if (!exchanges) {
        const InstId inst = node.op == Op::AtomicAdd   ? Inst::kIdAdd
                            : node.op == Op::AtomicOr  ? Inst::kIdOrr
                            : node.op == Op::AtomicAnd ? Inst::kIdAnd
                                                       : Inst::kIdEor;
        as_.emit(inst, made, old, by);
    }
    // This asmjit wants registers of one width here; success is 32 bits in any case.
    as_.emit(ordered ? Inst::kIdStlxr : Inst::kIdStxr, ordered ? reg(kX14, width) : reg(kX14, 4),
             exchanges ? by : made, to);
    as_.cbnz(reg(kX14, 4), again);
    if (!ordered)
        return;
    as_.dmb(asmjit::a64::Predicate::DB::kISH);
    as_.mov(result(ref, width), old);
    keep(ref);
}

void Emitter::emit_compare_exchange(Ref ref, const Node& node) {
    const unsigned width = node.width;
    const Mem to = ptr(cell(node));
    const Gp by = value_or_zero(node.b, kX17, width);
    if (lse_) {
        materialise(reg(kX15), node.c);
        as_.casal(reg(kX15, width), by, to);
        as_.mov(result(ref, width), reg(kX15, width));
        keep(ref);
        return;
    }
    const Gp expected = value(node.c, kX13, width);
    const Gp old = reg(kX15, width);
    const Label again = as_.newLabel();
    const Label done = as_.newLabel();
    as_.bind(again);
    as_.ldxr(old, to);
    as_.cmp(old, expected);
    as_.b(CondCode::kNE, done);
    as_.stlxr(reg(kX14, width), by, to);
    as_.cbnz(reg(kX14, 4), again);
    as_.bind(done);
    as_.dmb(asmjit::a64::Predicate::DB::kISH);
    as_.mov(result(ref, width), old);
    keep(ref);
}

} // namespace skep::jit::a64
