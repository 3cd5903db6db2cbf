// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "../support.hpp"
#include "emitter.hpp"

namespace skep::jit::x64 {

using asmjit::x86::Gp;
using ir::Node;
using ir::Op;
using ir::Ref;

void Emitter::pass_arguments(const Node& node) {
    moves_.clear();
    for (std::uint32_t i = 0; i < node.b; ++i) {
        const Ref argument = graph_->pool[node.a + i];
        const bool last = i + 1 == node.b && node.has(ir::kPassRun);
        const std::uint8_t to = target().arguments[last ? 5 : i];
        const bool made = is_remade(at(argument).op);
        moves_.push_back(
            {.to = to, .from = made ? Allocation::kNowhere : place(argument), .value = argument});
    }
    move_all(moves_);
}

void Emitter::emit_call(Ref ref, const Node& node) {
    pass_arguments(node);
    if (node.op == Op::CallLocal) {
        as_.call(functions_[static_cast<std::size_t>(node.imm)]);
    } else {
        load_number(reg(kRax), static_cast<std::uint64_t>(node.imm));
        as_.call(reg(kRax));
    }
    const std::int16_t to = place(ref);
    if (to >= 0)
        move(static_cast<unsigned>(to), kRax);
    else if (to != Allocation::kNowhere)
        as_.mov(slot(to), reg(kRax));
}

/// The program that is called takes this function's place.
void Emitter::emit_tail_call(Ref /*ref*/, const Node& node) {
    const auto operand = [&](std::uint32_t i) { return graph_->pool[node.a + i]; };
    const auto from = [&](Ref value) {
        return is_remade(at(value).op) ? Allocation::kNowhere : place(value);
    };
    const Ref context = operand(0);
    const Ref run = operand(3);
    moves_.clear();
    moves_.push_back({.to = kRdi, .from = from(run), .value = run});
    moves_.push_back({.to = kRsi, .from = from(operand(1)), .value = operand(1)});
    moves_.push_back({.to = kRdx, .from = from(operand(2)), .value = operand(2)});
    move_all(moves_);
    load_number(reg(kRcx), reinterpret_cast<std::uint64_t>(&program_));
    load_number(reg(kRax), reinterpret_cast<std::uint64_t>(&support::tail_target));
    as_.call(reg(kRax));
    const Label fails = as_.newLabel();
    as_.test(reg(kRax), reg(kRax));
    as_.jz(fails);
    materialise(reg(kRdi), context);
    materialise(reg(target().arguments[run_argument(0)]), run);
    epilogue();
    as_.jmp(reg(kRax));
    as_.bind(fails);
}

void Emitter::emit_check(Ref ref, const Node& node) {
    const ir::Check& check = graph_->checks[static_cast<std::size_t>(node.imm)];
    const Label stub = as_.newLabel();
    stubs_.push_back({.kind = Stub::Kind::Check, .from = stub, .ref = ref});
    const Gp value = this->value(node.a, kR11);
    const auto compare = [&](std::uint64_t bound) {
        load_number(reg(kR10), bound);
        as_.cmp(value, reg(kR10));
    };
    if (check.umin != 0) {
        compare(check.umin);
        as_.jb(stub);
    }
    if (check.umax != UINT64_MAX) {
        compare(check.umax);
        as_.ja(stub);
    }
    if (check.smin != INT64_MIN) {
        compare(static_cast<std::uint64_t>(check.smin));
        as_.jl(stub);
    }
    if (check.smax != INT64_MAX) {
        compare(static_cast<std::uint64_t>(check.smax));
        as_.jg(stub);
    }
    if (check.unknown != UINT64_MAX) {
        load_number(reg(kR10), ~check.unknown);
        as_.and_(reg(kR10), value);
        const Gp known = value.id() == kR11 ? reg(kR11) : reg(kR11);
        load_number(known, check.bits);
        as_.cmp(reg(kR10), known);
        as_.jne(stub);
    }
}

} // namespace skep::jit::x64
