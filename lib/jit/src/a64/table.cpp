// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "emitter.hpp"

namespace skep::jit::a64 {

using ir::Op;

const Emitter::Function* Emitter::table() noexcept {
    static constexpr std::array<Function, std::to_underlying(Op::Count_)> kTable = [] {
        std::array<Function, std::to_underlying(Op::Count_)> rows{};
        rows.fill(&Emitter::emit_nothing);
        const auto set = [&](Function function, auto... ops) {
            ((rows[std::to_underlying(ops)] = function), ...);
        };
        set(&Emitter::emit_sum, Op::Add, Op::Sub);
        set(&Emitter::emit_logical, Op::And, Op::Or, Op::Xor);
        set(&Emitter::emit_multiply, Op::Mul);
        set(&Emitter::emit_shift, Op::Shl, Op::Shr, Op::Sar, Op::Rol);
        set(&Emitter::emit_multiply_high, Op::MulHigh);
        set(&Emitter::emit_divide, Op::Udiv, Op::Umod, Op::Sdiv, Op::Smod);
        set(&Emitter::emit_lea, Op::Lea);
        set(&Emitter::emit_negate, Op::Neg);
        set(&Emitter::emit_swap, Op::Swap16, Op::Swap32, Op::Swap64);
        set(&Emitter::emit_extend, Op::Sext8, Op::Sext16, Op::Sext32, Op::Zext8, Op::Zext16,
            Op::Zext32);
        set(&Emitter::emit_select, Op::Select);
        set(&Emitter::emit_load, Op::Load);
        set(&Emitter::emit_store, Op::Store);
        set(&Emitter::emit_load_acquire, Op::LoadAcquire);
        set(&Emitter::emit_store_release, Op::StoreRelease);
        set(&Emitter::emit_atomic, Op::AtomicAdd, Op::AtomicOr, Op::AtomicAnd, Op::AtomicXor,
            Op::AtomicXchg);
        set(&Emitter::emit_compare_exchange, Op::AtomicCmpxchg);
        set(&Emitter::emit_call, Op::Call, Op::CallLocal);
        set(&Emitter::emit_tail_call, Op::TailCall);
        set(&Emitter::emit_check, Op::Check);
        return rows;
    }();
    return kTable.data();
}

/// Phis and arguments are there when their block begins; constants are made where they are used.
void Emitter::emit_nothing(Ref /*ref*/, const Node& /*node*/) {}

} // namespace skep::jit::a64
