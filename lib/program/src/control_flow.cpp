// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/program/control_flow.hpp"

#include <algorithm>
#include <utility>

#include "skep/isa/decode.hpp"
#include "skep/isa/opcodes.hpp"

namespace skep {
namespace {

using isa::Insn;
using isa::Op;
using isa::OpInfo;

bool is_jump(const OpInfo& row) {
    return row.is_conditional_jump() || row.op == Op::Ja || row.op == Op::Gotol;
}

// Calls `visit(index, row)` for the first slot of every instruction.
template <class Visit>
void for_each_insn(std::span<const Insn> insns, Visit visit) {
    for (std::uint32_t i = 0; i < insns.size();) {
        const OpInfo& row = *isa::classify(insns[i]); // validate() accepted it.
        visit(i, row);
        i += row.slots();
    }
}

// True at slots where a block begins: functions, targets of jumps, what follows a jump or exit.
std::vector<char> find_leaders(std::span<const Insn> insns,
                               std::span<const std::uint32_t> function_starts) {
    std::vector<char> leader(insns.size() + 1);
    for (const std::uint32_t start : function_starts)
        leader[start] = 1;
    for_each_insn(insns, [&](std::uint32_t i, const OpInfo& row) {
        if (!is_jump(row) && row.op != Op::Exit)
            return;
        leader[i + 1] = 1;
        if (is_jump(row))
            leader[static_cast<std::size_t>(isa::target_of(insns[i], i))] = 1;
    });
    return leader;
}

std::uint32_t function_at(std::span<const FunctionRange> functions, std::uint32_t slot) {
    const auto after = std::ranges::upper_bound(functions, slot, {}, &FunctionRange::begin);
    return static_cast<std::uint32_t>(after - functions.begin()) - 1;
}

} // namespace

Successors successors(std::span<const Insn> insns, std::uint32_t index) noexcept {
    const OpInfo& row = *isa::classify(insns[index]);
    Successors out;
    if (row.op != Op::Exit && row.op != Op::Ja && row.op != Op::Gotol)
        out.slots[out.count++] = index + row.slots();
    if (is_jump(row))
        out.slots[out.count++] = static_cast<std::uint32_t>(isa::target_of(insns[index], index));
    if (out.count == 2 && out.slots[0] == out.slots[1])
        out.count = 1; // A conditional jump to the next instruction.
    return out;
}

ControlFlow ControlFlow::build(std::span<const Insn> insns) {
    ControlFlow flow;
    const std::vector<std::uint32_t> starts = isa::function_starts(insns);
    for (std::size_t i = 0; i < starts.size(); ++i) {
        const std::size_t end = i + 1 < starts.size() ? starts[i + 1] : insns.size();
        flow.functions.push_back({.begin = starts[i], .end = static_cast<std::uint32_t>(end)});
    }

    const std::vector<char> leader = find_leaders(insns, starts);
    flow.blocks.reserve(static_cast<std::size_t>(std::ranges::count(leader, 1)));
    flow.block_of.resize(insns.size());
    for (std::uint32_t i = 0; i < insns.size(); ++i) {
        if (leader[i] != 0)
            flow.blocks.push_back({.begin = i, .function = function_at(flow.functions, i)});
        flow.blocks.back().end = i + 1;
        flow.block_of[i] = static_cast<std::uint32_t>(flow.blocks.size()) - 1;
    }

    std::vector<std::uint32_t> last(flow.blocks.size()); // First slot of each block's last insn.
    for_each_insn(insns, [&](std::uint32_t i, const OpInfo& row) {
        last[flow.block_of[i]] = i;
        if (row.op == Op::CallLocal || row.op == Op::LddwFunc) {
            const auto target = static_cast<std::uint32_t>(isa::target_of(insns[i], i));
            flow.uses.push_back({.slot = i,
                                 .caller = flow.blocks[flow.block_of[i]].function,
                                 .callee = function_at(flow.functions, target),
                                 .address = row.op == Op::LddwFunc});
        }
    });
    for (std::uint32_t b = 0; b < flow.blocks.size(); ++b) {
        FunctionRange& function = flow.functions[flow.blocks[b].function];
        if (function.block_count++ == 0)
            function.first_block = b;
        for (const std::uint32_t slot : skep::successors(insns, last[b])) {
            Successors& targets = flow.blocks[b].successors;
            targets.slots[targets.count++] = flow.block_of[slot];
            ++flow.blocks[flow.block_of[slot]].predecessors;
        }
    }
    return flow;
}

// Depth first without recursion: programs may have a million blocks in a row.
std::vector<std::uint32_t> ControlFlow::reverse_postorder(std::uint32_t function) const {
    const FunctionRange& range = functions[function];
    std::vector<char> seen(range.block_count);
    std::vector<std::uint32_t> order;
    std::vector<std::pair<std::uint32_t, std::size_t>> path;
    order.reserve(range.block_count);
    path.reserve(range.block_count);
    path.emplace_back(range.first_block, 0);
    seen[0] = 1;
    while (!path.empty()) {
        auto& [block, next] = path.back();
        const Successors& targets = blocks[block].successors;
        if (next == targets.size()) {
            order.push_back(block);
            path.pop_back();
            continue;
        }
        const std::uint32_t target = targets[next++];
        if (seen[target - range.first_block] == 0) {
            seen[target - range.first_block] = 1;
            path.emplace_back(target, 0);
        }
    }
    std::ranges::reverse(order);
    return order;
}

std::optional<std::uint32_t> ControlFlow::first_unreachable() const {
    std::vector<bool> reached(blocks.size());
    std::vector<bool> queued(functions.size());
    std::vector<std::uint32_t> work{0};
    queued[0] = true;
    while (!work.empty()) {
        const std::uint32_t function = work.back();
        work.pop_back();
        for (const std::uint32_t block : reverse_postorder(function))
            reached[block] = true;
        for (const FunctionUse& use :
             std::ranges::equal_range(uses, function, {}, &FunctionUse::caller))
            if (reached[block_of[use.slot]] && !queued[use.callee]) {
                queued[use.callee] = true;
                work.push_back(use.callee);
            }
    }
    const auto missed = std::ranges::find(reached, false);
    if (missed == reached.end())
        return std::nullopt;
    return blocks[static_cast<std::size_t>(missed - reached.begin())].begin;
}

} // namespace skep
