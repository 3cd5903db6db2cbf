// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "registers.hpp"

namespace skep::jit::x64 {
namespace {

using ir::Node;
using ir::Op;

RegisterSet destroys(const ir::Graph& graph, const Node& node) {
    switch (node.op) {
    case Op::Udiv:
    case Op::Umod:
    case Op::Sdiv:
    case Op::Smod:
        return bit(kRax) | bit(kRdx);
    case Op::MulHigh:
        return bit(kRdx) | bit(kRax);
    case Op::AtomicOr:
    case Op::AtomicAnd:
    case Op::AtomicXor:
        return node.has(ir::kFetch) ? bit(kRax) : 0;
    case Op::AtomicCmpxchg:
        return bit(kRax);
    case Op::Shl:
    case Op::Shr:
    case Op::Sar:
    case Op::Rol: // By cl, where the count is not constant.
        return graph.at(node.b).op == Op::Const || has_bmi2() ? 0 : bit(kRcx);
    default:
        return 0;
    }
}

unsigned late_operands(const ir::Graph& graph, const Node& node) {
    constexpr unsigned kA = 1;
    constexpr unsigned kB = 2;
    constexpr unsigned kOther = 8;
    switch (node.op) {
    case Op::Add:
    case Op::And:
    case Op::Or:
    case Op::Xor:
    case Op::Mul:
        return graph.at(node.b).has(ir::kFolded) ? kB : 0;
    case Op::Sub:
    case Op::Shl:
    case Op::Shr:
    case Op::Sar:
    case Op::Rol:
        return kB;
    case Op::Select:
        return kOther;
    case Op::AtomicOr:
    case Op::AtomicAnd:
    case Op::AtomicXor:
    case Op::AtomicCmpxchg:
        return kA | kB;
    default:
        return 0;
    }
}

consteval Target make() {
    Target target;
    target.any_scale = true;
    target.index_and_offset = true;
    target.least_offset = INT32_MIN / 2;
    target.greatest_offset = INT32_MAX / 2;
    target.memory_operands = true;
    target.updates = true;
    target.lea = true;
    target.allocatable = 0xffff & ~(bit(kRsp) | bit(kR10) | bit(kR11));
    target.caller_saved =
        bit(kRax) | bit(kRdi) | bit(kRsi) | bit(kRdx) | bit(kRcx) | bit(kR8) | bit(kR9);
    target.order = {kR9, kR8, kRcx, kRdx, kRsi, kRdi, kRax, kRbp, kR12, kRbx, kR13, kR14, kR15};
    target.order_count = 13;
    target.home = {kRax, kRdi, kRsi, kRdx, kRcx, kR8, kRbx, kR13, kR14, kR15, kNoRegister};
    target.arguments = {kRdi, kRsi, kRdx, kRcx, kR8, kR9};
    target.result = kRax;
    target.destroys = destroys;
    target.late_operands = late_operands;
    return target;
}

constexpr Target kTarget = make();

} // namespace

const Target& target() noexcept {
    return kTarget;
}

bool has_bmi2() noexcept {
#if defined(__x86_64__)
    static const bool has = __builtin_cpu_supports("bmi2") != 0;
    return has;
#else
    return false;
#endif
}

} // namespace skep::jit::x64
