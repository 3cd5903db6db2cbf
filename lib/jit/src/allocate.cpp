// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "allocate.hpp"

#include <algorithm>
#include <array>
#include <bit>

// Positions: node n stands at 2n, the end of a block whose last node is n - 1 at 2n - 1. Phis begin
// with their block, at the position of the end of the block before; the moves that give them their
// values stand at the ends of the predecessors.
//
// Why a lifetime is one interval: a value's definition stands before its uses, and before every
// place to which control comes back while it is live (definitions dominate). So it is live in a
// loop that begins behind its definition if it is used in the loop, and then in all of it.

namespace skep::jit {
namespace {

using ir::Graph;
using ir::Node;
using ir::Op;
using ir::Ref;

struct Interval {
    std::uint32_t start = 0;
    std::uint32_t end = 0;
    float weight = 0; ///< uses, those in loops counted more
};

class Allocator {
public:
    Allocator(const Graph& graph, const Target& target, Allocation& out)
        : graph_(graph), target_(target), out_(out) {}
    void run() {
        out_.places.assign(graph_.nodes.size(), Allocation::kNowhere);
        out_.used = 0;
        out_.slots = 0;
        intervals_.assign(graph_.nodes.size(), {});
        find_intervals();
        scan();
    }

private:
    void find_intervals();
    void use_operands(const Node& node, std::uint32_t block, std::uint32_t at);
    void use(Ref ref, std::uint32_t block, std::uint32_t at);
    void scan();
    void place(Ref ref);
    [[nodiscard]] RegisterSet forbidden(const Interval& life);
    [[nodiscard]] int choose(Ref ref, RegisterSet free) const;
    void spill(Ref ref);
    [[nodiscard]] float worth(Ref ref) const noexcept {
        const Interval& life = intervals_[ref];
        return life.weight / static_cast<float>(life.end - life.start + 1);
    }

    const Graph& graph_;
    const Target& target_;
    Allocation& out_;
    std::vector<Interval> intervals_;
    std::vector<std::uint32_t> calls_; ///< positions at which all caller-saved registers are lost
    struct Loss {
        std::uint32_t at;
        RegisterSet registers;
    };
    std::vector<Loss> losses_;
    std::size_t next_call_ = 0;
    std::size_t next_loss_ = 0;
    std::array<Ref, 32> holder_{}; ///< of each register; 0: none so far
    std::vector<std::pair<std::uint32_t, std::int16_t>> slots_; ///< end of use, slot
};

void Allocator::use(Ref ref, std::uint32_t block, std::uint32_t at) {
    const Node& node = graph_.at(ref);
    if (is_remade(node.op))
        return;
    if (node.has(ir::kFolded)) {
        use_operands(node, block, at);
        return;
    }
    Interval& life = intervals_[ref];
    std::uint32_t loop = graph_.blocks[block].loop;
    life.weight += loop == 0
                       ? 1.0F
                       : static_cast<float>(1U << (3 * std::min(graph_.loops[loop - 1].depth, 6U)));
    life.end = std::max(life.end, at);
    while (loop != 0) {
        const ir::Loop& around = graph_.loops[loop - 1];
        if (2 * graph_.blocks[around.first].first <= life.start + 1)
            break; // It begins in the loop.
        life.end = std::max(life.end, 2 * graph_.blocks[around.last].last - 1);
        loop = around.parent;
    }
}

void Allocator::use_operands(const Node& node, std::uint32_t block, std::uint32_t at) {
    ir::for_each_operand(graph_, node, [&](Ref operand) { use(operand, block, at); });
}

void Allocator::find_intervals() {
    for (std::uint32_t b = 0; b < graph_.blocks.size(); ++b) {
        const ir::Block& block = graph_.blocks[b];
        for (Ref ref = block.first; ref < block.last; ++ref) {
            const Node& node = graph_.at(ref);
            if (!shape_of(node.op).result)
                continue;
            const bool early = node.op == Op::Phi || node.op == Op::Param || node.op == Op::Run;
            intervals_[ref].start = early ? 2 * block.first - 1 : 2 * ref;
            intervals_[ref].end = std::max(intervals_[ref].end, intervals_[ref].start);
        }
    }
    for (std::uint32_t b = 0; b < graph_.blocks.size(); ++b) {
        const ir::Block& block = graph_.blocks[b];
        for (Ref ref = block.first; ref < block.last; ++ref) {
            const Node& node = graph_.at(ref);
            if (node.op == Op::None || node.has(ir::kFolded))
                continue;
            const std::uint32_t at = 2 * ref;
            if (node.op == Op::Phi) {
                for (std::uint32_t p = 0; p < node.b; ++p) {
                    const Ref operand = graph_.pool[node.a + p];
                    const std::uint32_t from = graph_.predecessors[block.predecessors + p];
                    if (operand != 0)
                        use(operand, from, 2 * graph_.blocks[from].last - 1);
                }
                // A phi is written at the ends of its predecessors.
                for (std::uint32_t p = 0; p < node.b; ++p)
                    intervals_[ref].weight += 1;
                continue;
            }
            const unsigned late = target_.late_operands(graph_, node);
            const ir::Shape shape = shape_of(node.op);
            if (node.op == Op::TailCall) {
                use_operands(node, b, at + 1);
            } else if (late == 0 || shape.pool) {
                use_operands(node, b, at);
            } else {
                if (shape.a && node.a != 0)
                    use(node.a, b, at + (late & 1));
                if (shape.b && node.b != 0)
                    use(node.b, b, at + (late >> 1 & 1));
                if (shape.c && node.c != 0)
                    use(node.c, b, at + (late >> 2 & 1));
                if (node.op == Op::Select) { // The first is moved over the second.
                    use(graph_.pool[node.c], b, at + 1);
                    use(graph_.pool[node.c + 1], b, at);
                }
            }
            if (node.op == Op::Call || node.op == Op::CallLocal || node.op == Op::TailCall)
                calls_.push_back(at);
            else if (const RegisterSet lost = target_.destroys(graph_, node); lost != 0)
                losses_.push_back({at, lost});
        }
        const std::uint32_t end = 2 * block.last - 1;
        if (block.a != 0)
            use(block.a, b, end);
        if (block.term == ir::Term::Branch)
            use(block.b, b, end);
    }
}

/// Registers that lose their values while this one lives.
RegisterSet Allocator::forbidden(const Interval& life) {
    RegisterSet lost = 0;
    while (next_call_ < calls_.size() && calls_[next_call_] <= life.start)
        ++next_call_;
    if (next_call_ < calls_.size() && calls_[next_call_] < life.end)
        lost |= target_.caller_saved;
    while (next_loss_ < losses_.size() && losses_[next_loss_].at <= life.start)
        ++next_loss_;
    for (std::size_t i = next_loss_; i < losses_.size() && losses_[i].at < life.end; ++i)
        lost |= losses_[i].registers;
    return lost;
}

int Allocator::choose(Ref ref, RegisterSet free) const {
    const Node& node = graph_.at(ref);
    const auto has = [&](std::uint8_t reg) { return reg != kNoRegister && (free >> reg & 1) != 0; };
    if (node.home != ir::kNoHome && has(target_.home[node.home]))
        return target_.home[node.home];
    // Where an operand dies, its register needs no move.
    const auto operand_register = [&](Ref operand) -> std::uint8_t {
        if (operand == 0 || operand >= out_.places.size())
            return kNoRegister;
        const std::int16_t place = out_.places[operand];
        return Allocation::in_register(place) && intervals_[operand].end <= intervals_[ref].start
                   ? static_cast<std::uint8_t>(place)
                   : kNoRegister;
    };
    const ir::Shape shape = shape_of(node.op);
    if (node.op == Op::Phi) {
        for (std::uint32_t p = 0; p < node.b; ++p)
            if (const std::uint8_t reg = operand_register(graph_.pool[node.a + p]); has(reg))
                return reg;
    } else if (!shape.pool) {
        if (shape.a)
            if (const std::uint8_t reg = operand_register(node.a); has(reg))
                return reg;
        if (shape.b)
            if (const std::uint8_t reg = operand_register(node.b); has(reg))
                return reg;
    }
    for (std::uint32_t i = 0; i < target_.order_count; ++i) {
        const std::uint8_t reg = target_.order[i];
        if (has(reg) && ((target_.caller_saved | out_.used) >> reg & 1) != 0)
            return reg;
    }
    for (std::uint32_t i = 0; i < target_.order_count; ++i)
        if (has(target_.order[i]))
            return target_.order[i];
    return -1;
}

void Allocator::spill(Ref ref) {
    const Interval& life = intervals_[ref];
    for (auto& [end, slot] : slots_)
        if (end <= life.start) {
            end = life.end;
            out_.places[ref] = slot;
            return;
        }
    const auto slot = static_cast<std::int16_t>(-1 - static_cast<int>(out_.slots++));
    slots_.emplace_back(life.end, slot);
    out_.places[ref] = slot;
}

void Allocator::place(Ref ref) {
    const Interval& life = intervals_[ref];
    const RegisterSet allowed = target_.allocatable & ~forbidden(life);
    RegisterSet free = 0;
    for (RegisterSet rest = allowed; rest != 0; rest &= rest - 1) {
        const int reg = std::countr_zero(rest);
        const Ref holder = holder_[static_cast<std::size_t>(reg)];
        if (holder == 0 || intervals_[holder].end <= life.start)
            free |= RegisterSet{1} << reg;
    }
    int reg = choose(ref, free);
    if (reg < 0) {
        // The value that is used least for its length goes to memory.
        Ref victim = ref;
        float least = worth(ref);
        for (RegisterSet rest = allowed; rest != 0; rest &= rest - 1) {
            const Ref holder = holder_[static_cast<std::size_t>(std::countr_zero(rest))];
            if (worth(holder) < least) {
                least = worth(holder);
                victim = holder;
            }
        }
        if (victim == ref) {
            spill(ref);
            return;
        }
        reg = out_.places[victim];
        spill(victim);
    }
    holder_[static_cast<std::size_t>(reg)] = ref;
    out_.places[ref] = static_cast<std::int16_t>(reg);
    out_.used |= RegisterSet{1} << reg;
}

void Allocator::scan() {
    for (const ir::Block& block : graph_.blocks)
        for (Ref ref = block.first; ref < block.last; ++ref) {
            const Node& node = graph_.at(ref);
            if (node.op != Op::None && shape_of(node.op).result && !is_remade(node.op) &&
                !node.has(ir::kFolded) && node.uses != 0)
                place(ref);
        }
}

} // namespace

void allocate(const Graph& graph, const Target& target, Allocation& allocation) {
    Allocator(graph, target, allocation).run();
}

} // namespace skep::jit
