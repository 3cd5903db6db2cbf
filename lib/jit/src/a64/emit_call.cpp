// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "../support.hpp"
#include "emit_basics.hpp"
#include "emitter.hpp"

namespace skep::jit::a64 {

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
        as_.bl(functions_[static_cast<std::size_t>(node.imm)]);
    } else {
        load_number(as_, reg(kX16), static_cast<std::uint64_t>(node.imm));
        as_.blr(reg(kX16));
    }
    const std::int16_t to = place(ref);
    if (to >= 0)
        move(static_cast<unsigned>(to), kX0);
    else if (to != Allocation::kNowhere)
        store_slot(reg(kX0), to);
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
    moves_.push_back({.to = kX0, .from = from(run), .value = run});
    moves_.push_back({.to = kX1, .from = from(operand(1)), .value = operand(1)});
    moves_.push_back({.to = kX2, .from = from(operand(2)), .value = operand(2)});
    move_all(moves_);
    load_number(as_, reg(kX3), reinterpret_cast<std::uint64_t>(&program_));
    load_number(as_, reg(kX16), reinterpret_cast<std::uint64_t>(&support::tail_target));
    as_.blr(reg(kX16));
    const Label fails = as_.newLabel();
    as_.cbz(reg(kX0), fails);
    move(kX16, kX0);
    materialise(reg(kX0), context);
    materialise(reg(target().arguments[run_argument(0)]), run);
    epilogue();
    as_.br(reg(kX16));
    as_.bind(fails);
}

void Emitter::emit_check(Ref ref, const Node& node) {
    const ir::Check& check = graph_->checks[static_cast<std::size_t>(node.imm)];
    const Label stub = as_.newLabel();
    stubs_.push_back({.kind = Stub::Kind::Check, .from = stub, .ref = ref});
    const std::uint64_t far = distance_to_stubs(block_);
    const Gp value = this->value(node.a, kX17);
    const auto require = [&](std::uint64_t bound, CondCode wrong) {
        compare_number(8, value, bound);
        jump_if(wrong, stub, far);
    };
    if (check.umin != 0)
        require(check.umin, CondCode::kLO);
    if (check.umax != UINT64_MAX)
        require(check.umax, CondCode::kHI);
    if (check.smin != INT64_MIN)
        require(static_cast<std::uint64_t>(check.smin), CondCode::kLT);
    if (check.smax != INT64_MAX)
        require(static_cast<std::uint64_t>(check.smax), CondCode::kGT);
    if (check.unknown != UINT64_MAX) {
        load_number(as_, reg(kX16), ~check.unknown);
        as_.and_(reg(kX16), reg(kX16), value);
        load_number(as_, reg(kX15), check.bits);
        as_.cmp(reg(kX16), reg(kX15));
        jump_if(CondCode::kNE, stub, far);
    }
}

} // namespace skep::jit::a64
