// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "outline.hpp"

#include <algorithm>
#include <bit>

#include "skep/base/check.hpp"
#include "skep/isa/decode.hpp"
#include "skep/spec/helper.hpp"

namespace skep::jit {
namespace {

using isa::Format;
using isa::Op;

constexpr std::uint32_t kTailCall = 12;
constexpr std::uint32_t kLoop = 181;
constexpr std::uint64_t kMaxRounds = 8U << 20; // BPF_MAX_LOOPS
constexpr std::uint32_t kSmallFunction = 40;   ///< inlined wherever it is called
constexpr std::uint32_t kOnceFunction = 600;   ///< inlined if it is called once
constexpr std::uint32_t kMostInlined = 2000;   ///< instructions of one function of machine code
constexpr unsigned kArguments = 5;
constexpr std::size_t kMostSlots = 40; ///< of one function, that become variables

bool is_memory(Format format) noexcept {
    return format == Format::Ldx || format == Format::St || format == Format::Stx;
}

/// The accesses of one function to its own frame through r10.
class SlotUses {
public:
    void add(std::int32_t offset, std::uint32_t size, bool plain) noexcept {
        const std::int32_t at = offset + static_cast<std::int32_t>(isa::kMaxStackDepth);
        if (at < 0 || at + static_cast<std::int32_t>(size) > 512)
            return;
        const auto place = static_cast<std::size_t>(at);
        if (!plain || (sizes_[place] != 0 && sizes_[place] != size))
            spoil(place, size);
        sizes_[place] = static_cast<std::uint8_t>(std::max<std::uint32_t>(sizes_[place], size));
    }
    /// A bit per 8 bytes, the lowest for fp-8, as in FunctionFact.
    void spoil_slots(std::uint64_t slots) noexcept {
        for (; slots != 0; slots &= slots - 1) {
            const auto slot = static_cast<std::size_t>(std::countr_zero(slots));
            spoil(512 - 8 * (slot + 1), 8);
        }
    }
    std::vector<PromotedSlot> take() noexcept {
        // What overlaps is in memory, and so is what overlaps that.
        bool changed = true;
        while (changed) {
            changed = false;
            for (std::size_t at = 0; at < 512; ++at)
                for (std::size_t i = 1; sizes_[at] != 0 && i < sizes_[at] && at + i < 512; ++i)
                    if (sizes_[at + i] != 0 && !(spoiled_[at] && spoiled_[at + i])) {
                        spoil(at, sizes_[at]);
                        spoil(at + i, sizes_[at + i]);
                        changed = true;
                    }
            for (std::size_t at = 0; at < 512; ++at)
                for (std::size_t i = 0; i < sizes_[at] && at + i < 512; ++i)
                    if (spoiled_[at + i] && !spoiled_[at]) {
                        spoil(at, sizes_[at]);
                        changed = true;
                    }
        }
        std::vector<PromotedSlot> slots;
        for (std::size_t at = 512; at-- > 0;) {
            if (sizes_[at] == 0 || spoiled_[at])
                continue;
            if (slots.size() == kMostSlots)
                spoil(at, sizes_[at]);
            else
                slots.push_back(
                    {static_cast<std::int16_t>(static_cast<int>(at) - 512), sizes_[at]});
        }
        return slots;
    }
    /// Bytes below r10 that stay in memory.
    [[nodiscard]] std::uint32_t in_memory() const noexcept {
        for (std::size_t at = 0; at < 512; ++at)
            if (spoiled_[at])
                return static_cast<std::uint32_t>(512 - at / 8 * 8);
        return 0;
    }

private:
    void spoil(std::size_t place, std::uint32_t size) noexcept {
        for (std::size_t i = place; i < std::min<std::size_t>(place + size, 512); ++i)
            spoiled_[i] = true;
    }

    std::array<std::uint8_t, 512> sizes_{};
    std::array<bool, 512> spoiled_{};
};

/// The register through which an access goes.
unsigned base_of(const isa::OpInfo& op, const isa::Insn& insn) noexcept {
    return op.format == Format::Ldx ? insn.src : insn.dst;
}

class Planner {
public:
    Planner(ProgramPlan& plan) : plan_(plan) {}
    void run() {
        plan_.functions.resize(plan_.flow.functions.size());
        for (std::uint32_t i = 0; i < plan_.functions.size(); ++i)
            scan(i);
        // Bottom up: what a caller passes is what its callee reads. Nobody calls the program
        // itself.
        done_.assign(plan_.functions.size(), false);
        for (std::uint32_t i = 1; i < plan_.functions.size(); ++i)
            count_arguments(i);
        for (const FunctionUse& use : plan_.flow.uses)
            if (!use.address && plan_.fact(use.slot).reached)
                ++plan_.functions[use.callee].call_sites;
        plan_.functions[0].needs_code = true;
    }

private:
    void scan(std::uint32_t index);
    void count_arguments(std::uint32_t index);

    ProgramPlan& plan_;
    std::vector<bool> done_;
};

void Planner::scan(std::uint32_t index) {
    FunctionPlan& function = plan_.functions[index];
    const FunctionRange& range = plan_.flow.functions[index];
    const FunctionFact& fact = plan_.binding->facts->functions[index];
    function.begin = range.begin;
    function.end = range.end;
    function.reached = plan_.fact(range.begin).reached;
    if (!function.reached)
        return;
    SlotUses stack;
    bool has_stack = fact.address_taken != 0;
    stack.spoil_slots(fact.address_taken);
    for (std::uint32_t i = range.begin; i < range.end; ++i) {
        const isa::OpInfo* op = plan_.ops[i];
        if (op == nullptr || !plan_.fact(i).reached)
            continue;
        ++function.insns;
        const isa::Insn& insn = plan_.insn(i);
        if (is_memory(op->format)) {
            if (base_of(*op, insn) == isa::kFramePointer) {
                const bool plain = (op->opcode & isa::kModeMask) == isa::kMem ||
                                   (op->opcode & isa::kModeMask) == isa::kMemSx;
                stack.add(insn.off, op->access_size(), plain);
                has_stack = true;
            }
        } else if (op->op == Op::MayGoto) {
            function.may_goto = true;
            function.inlinable = false;
        } else if (op->format == Format::LdAbs || op->format == Format::LdInd ||
                   (op->op == Op::CallHelper &&
                    static_cast<std::uint32_t>(insn.imm) == kTailCall)) {
            function.inlinable = false;
        }
        const unsigned written = isa::registers(op->writes, insn);
        function.uses_saved |= (written & 0x3c0U) != 0;
    }
    function.zero_frame = fact.reads_unwritten;
    if (!has_stack)
        return;
    function.slots = stack.take();
    function.frame_bytes = stack.in_memory();
    function.inlinable &= !function.zero_frame;
    if (function.slots.empty())
        return;
    for (std::uint32_t i = range.begin; i < range.end; ++i) {
        const isa::OpInfo* op = plan_.ops[i];
        if (op == nullptr || !is_memory(op->format) ||
            base_of(*op, plan_.insn(i)) != isa::kFramePointer)
            continue;
        const auto found =
            std::ranges::find(function.slots, plan_.insn(i).off, &PromotedSlot::offset);
        if (found != function.slots.end())
            plan_.slot_of[i] = static_cast<std::uint8_t>(found - function.slots.begin() + 1);
    }
}

/// Registers that an instruction reads, with calls by what the callee reads.
std::uint32_t reads_of(const ProgramPlan& plan, std::uint32_t i) noexcept {
    const isa::OpInfo& op = *plan.ops[i];
    const isa::Insn& insn = plan.insn(i);
    const auto arguments = [](unsigned count) { return ((1U << count) - 1) << 1; };
    switch (op.op) {
    case Op::CallHelper:
        return arguments(arguments_of(static_cast<std::uint32_t>(insn.imm)));
    case Op::CallLocal: {
        const auto target = static_cast<std::uint32_t>(isa::target_of(insn, i));
        return arguments(plan.functions[plan.function_at(target)].arguments);
    }
    default:
        return isa::registers(op.reads, insn);
    }
}

void Planner::count_arguments(std::uint32_t index) {
    FunctionPlan& function = plan_.functions[index];
    if (done_[index] || !function.reached)
        return;
    done_[index] = true;
    const FunctionRange& range = plan_.flow.functions[index];
    for (const FunctionUse& use : plan_.flow.uses)
        if (use.caller == index && !use.address)
            count_arguments(use.callee);
    // Liveness of r1 to r5 at the entry, backwards until nothing changes.
    std::vector<std::uint32_t> live(range.block_count);
    bool changed = true;
    while (changed) {
        changed = false;
        for (std::uint32_t b = range.block_count; b-- > 0;) {
            const BasicBlock& block = plan_.flow.blocks[range.first_block + b];
            std::uint32_t now = 0;
            for (const std::uint32_t target : block.successors)
                now |= live[target - range.first_block];
            for (std::uint32_t i = block.end; i-- > block.begin;) {
                if (plan_.ops[i] == nullptr)
                    continue;
                now &= ~std::uint32_t{isa::registers(plan_.ops[i]->writes, plan_.insn(i))};
                now |= reads_of(plan_, i);
            }
            changed |= now != live[b];
            live[b] = now;
        }
    }
    function.arguments = static_cast<std::uint32_t>(std::bit_width((live[0] >> 1) & 0x1fU));
}

class Outliner {
public:
    Outliner(ProgramPlan& plan, Outline& outline) : plan_(plan), out_(outline) {}
    void run(std::uint32_t function);

private:
    std::uint32_t expand(std::uint32_t instance, unsigned depth);
    std::uint32_t add(Part::Kind kind, std::uint32_t instance, std::uint32_t begin = 0,
                      std::uint32_t end = 0);
    void link(std::uint32_t from, std::uint32_t to);
    void end_part(std::uint32_t part, std::uint32_t instance, const BasicBlock& block,
                  const std::vector<std::uint32_t>& first);
    bool take_vars(const FunctionPlan& callee, Instance& instance, unsigned extra);
    std::uint32_t inline_call(std::uint32_t caller, std::uint32_t slot, std::uint32_t part,
                              unsigned depth);
    std::uint32_t inline_loop(std::uint32_t caller, std::uint32_t slot, std::uint32_t part,
                              unsigned depth);
    std::uint32_t zero_part(std::uint32_t instance);
    [[nodiscard]] std::uint32_t callback_of(std::uint32_t slot) const;
    void find_order();
    void find_loops();
    void find_liveness();
    void scan(Part& part) const;

    ProgramPlan& plan_;
    Outline& out_;
    std::uint32_t insns_ = 0;
};

std::uint32_t Outliner::add(Part::Kind kind, std::uint32_t instance, std::uint32_t begin,
                            std::uint32_t end) {
    out_.parts.push_back({.kind = kind, .instance = instance, .begin = begin, .end = end});
    return static_cast<std::uint32_t>(out_.parts.size() - 1);
}

void Outliner::link(std::uint32_t from, std::uint32_t to) {
    Part& part = out_.parts[from];
    part.successors[part.successor_count++] = to;
}

/// Variables for an inlined function. False: there are too many.
bool Outliner::take_vars(const FunctionPlan& callee, Instance& instance, unsigned extra) {
    const unsigned saved = callee.uses_saved ? 4 : 0;
    if (out_.vars + saved + callee.slots.size() + extra > kMaxVars)
        return false;
    for (unsigned i = 0; i < saved; ++i)
        instance.saved[i] = static_cast<Var>(out_.vars++);
    instance.first_slot = static_cast<Var>(out_.vars);
    out_.vars += static_cast<unsigned>(callee.slots.size());
    return true;
}

std::uint32_t Outliner::zero_part(std::uint32_t instance) {
    for (std::uint32_t i = 0; i < out_.parts.size(); ++i)
        if (out_.parts[i].kind == Part::Kind::Zero)
            return i;
    return add(Part::Kind::Zero, instance);
}

/// The function whose address is in r2, if this part of the block says so; else kNone.
std::uint32_t Outliner::callback_of(std::uint32_t slot) const {
    const std::uint32_t begin = plan_.flow.blocks[plan_.flow.block_of[slot]].begin;
    for (std::uint32_t i = slot; i-- > begin;) {
        const isa::OpInfo* op = plan_.ops[i];
        if (op == nullptr || (isa::registers(op->writes, plan_.insn(i)) & 4U) == 0)
            continue;
        if (op->format != Format::LddwFunc)
            return kNone;
        return plan_.function_at(static_cast<std::uint32_t>(isa::target_of(plan_.insn(i), i)));
    }
    return kNone;
}

/// Makes the parts of an inlined call; the part behind it, or kNone if it is not inlined.
std::uint32_t Outliner::inline_call(std::uint32_t caller, std::uint32_t slot, std::uint32_t part,
                                    unsigned depth) {
    const auto target = static_cast<std::uint32_t>(isa::target_of(plan_.insn(slot), slot));
    const std::uint32_t index = plan_.function_at(target);
    FunctionPlan& callee = plan_.functions[index];
    const bool small = callee.insns <= kSmallFunction;
    const bool once = callee.call_sites == 1 && callee.insns <= kOnceFunction;
    Instance made{.function = index};
    if (!callee.inlinable || !(small || once) || depth >= isa::kMaxCallFrames ||
        insns_ + callee.insns > kMostInlined || !take_vars(callee, made, 0)) {
        callee.needs_code = true;
        return kNone;
    }
    const Instance& outer = out_.instances[caller];
    const std::uint32_t own = (plan_.functions[outer.function].frame_bytes + 7) / 8 * 8;
    made.frame_top = outer.frame_top - static_cast<std::int32_t>(own);
    out_.parts[part].kind = Part::Kind::Inline;
    out_.parts[part].end = slot;
    const std::uint32_t after = add(Part::Kind::Plain, caller, slot + 1);
    made.after = after;
    out_.instances.push_back(made);
    const std::uint32_t entry =
        expand(static_cast<std::uint32_t>(out_.instances.size() - 1), depth + 1);
    link(part, entry);
    return after;
}

std::uint32_t Outliner::inline_loop(std::uint32_t caller, std::uint32_t slot, std::uint32_t part,
                                    unsigned depth) {
    const std::uint32_t index = callback_of(slot);
    const CallFact* call = plan_.binding->facts->call_at(slot);
    if (index == kNone || call == nullptr)
        return kNone;
    FunctionPlan& callee = plan_.functions[index];
    Instance made{.function = index};
    const bool bounded = call->arguments[0].known && call->arguments[0].umax <= kMaxRounds &&
                         call->arguments[3].is_constant() && call->arguments[3].bits == 0;
    if (!bounded || !callee.inlinable || callee.insns > kOnceFunction ||
        depth >= isa::kMaxCallFrames || insns_ + callee.insns > kMostInlined ||
        !take_vars(callee, made, 3))
        return kNone;
    made.round = static_cast<Var>(out_.vars++);
    made.rounds = static_cast<Var>(out_.vars++);
    made.context = static_cast<Var>(out_.vars++);
    const Instance& outer = out_.instances[caller];
    const std::uint32_t own = (plan_.functions[outer.function].frame_bytes + 7) / 8 * 8;
    made.frame_top = outer.frame_top - static_cast<std::int32_t>(own);
    out_.parts[part].kind = Part::Kind::Inline;
    out_.parts[part].end = slot;
    const auto instance = static_cast<std::uint32_t>(out_.instances.size());
    const std::uint32_t init = add(Part::Kind::LoopInit, instance, slot, slot);
    const std::uint32_t head = add(Part::Kind::LoopHead, instance, slot, slot);
    const std::uint32_t next = add(Part::Kind::LoopNext, instance, slot, slot);
    const std::uint32_t done = add(Part::Kind::LoopDone, instance, slot, slot);
    const std::uint32_t after = add(Part::Kind::Plain, caller, slot + 1);
    made.after = next;
    out_.instances.push_back(made);
    link(part, init);
    link(init, head);
    link(head, expand(instance, depth + 1));
    link(head, done);
    link(next, head);
    link(next, done);
    link(done, after);
    return after;
}

void Outliner::end_part(std::uint32_t part, std::uint32_t instance, const BasicBlock& block,
                        const std::vector<std::uint32_t>& first) {
    const std::uint32_t base = plan_.flow.functions[out_.instances[instance].function].first_block;
    std::uint32_t last = block.end - 1;
    if (plan_.ops[last] == nullptr)
        --last; // The second slot of lddw.
    out_.parts[part].end = block.end;
    const isa::OpInfo& op = *plan_.ops[last];
    if (op.op == Op::Exit) {
        if (out_.instances[instance].after != kNone)
            link(part, out_.instances[instance].after);
        return;
    }
    const auto part_of = [&](std::uint32_t target) { return first[target - base]; };
    if (block.successors.size() < 2 || !op.is_conditional_jump()) {
        // A jump to the next instruction is one way, too.
        for (const std::uint32_t target : block.successors)
            if (out_.parts[part].successor_count == 0)
                link(part, part_of(target));
        return;
    }
    const InsnFact& fact = plan_.fact(last);
    const bool budget = op.op == Op::MayGoto;
    const bool jumps = budget || fact.jumps || !fact.falls_through;
    const bool falls = budget || fact.falls_through || !fact.jumps;
    const std::uint32_t fall = part_of(block.successors[0]);
    const std::uint32_t taken = part_of(block.successors[1]);
    if (falls)
        link(part, fall);
    if (jumps && !(falls && taken == fall))
        link(part, taken);
}

/// Makes the parts of an instance; its first one.
std::uint32_t Outliner::expand(std::uint32_t instance, unsigned depth) {
    const std::uint32_t index = out_.instances[instance].function;
    const FunctionRange& range = plan_.flow.functions[index];
    const FunctionPlan& function = plan_.functions[index];
    insns_ += function.insns;
    const auto low = static_cast<std::uint32_t>(
        -(out_.instances[instance].frame_top - static_cast<std::int32_t>(function.frame_bytes)));
    out_.frame_bytes = std::max(out_.frame_bytes, low);
    std::vector<std::uint32_t> first(range.block_count, kNone);
    for (std::uint32_t b = 0; b < range.block_count; ++b) {
        const BasicBlock& block = plan_.flow.blocks[range.first_block + b];
        if (plan_.fact(block.begin).reached)
            first[b] = add(Part::Kind::Plain, instance, block.begin);
    }
    for (std::uint32_t b = 0; b < range.block_count; ++b) {
        if (first[b] == kNone)
            continue;
        const BasicBlock& block = plan_.flow.blocks[range.first_block + b];
        std::uint32_t part = first[b];
        for (std::uint32_t i = block.begin; i < block.end; ++i) {
            const isa::OpInfo* op = plan_.ops[i];
            if (op == nullptr)
                continue;
            std::uint32_t after = kNone;
            if (op->op == Op::CallLocal) {
                after = inline_call(instance, i, part, depth);
            } else if (op->op == Op::CallHelper &&
                       static_cast<std::uint32_t>(plan_.insn(i).imm) == kLoop) {
                after = inline_loop(instance, i, part, depth);
            } else if (op->format == Format::LdAbs || op->format == Format::LdInd) {
                out_.parts[part].kind = Part::Kind::Packet;
                out_.parts[part].end = i + 1;
                after = add(Part::Kind::Plain, instance, i + 1);
                link(part, after);
                link(part, zero_part(instance));
            } else if (op->format == Format::LddwFunc) {
                // Marked when it is seen that somebody uses the address: see the builder.
            }
            if (after != kNone)
                part = after;
        }
        end_part(part, instance, block, first);
    }
    return first[0];
}

void Outliner::find_order() {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> path;
    std::vector<bool> seen(out_.parts.size());
    out_.order.clear();
    path.emplace_back(0, 0);
    seen[0] = true;
    while (!path.empty()) {
        auto& [part, next] = path.back();
        const Part& at = out_.parts[part];
        if (next == at.successor_count) {
            out_.order.push_back(part);
            path.pop_back();
            continue;
        }
        // The last successor that is walked stands first behind its predecessor: the fall-through.
        const std::uint32_t target = at.successors[at.successor_count - 1 - next++];
        if (!seen[target]) {
            seen[target] = true;
            path.emplace_back(target, 0);
        }
    }
    std::ranges::reverse(out_.order);
    for (std::uint32_t i = 0; i < out_.order.size(); ++i)
        out_.parts[out_.order[i]].order = i;
}

// A loop is named by a position to which control comes back. It reaches to the last position from
// which control comes back to it, or to a loop within it.
void Outliner::find_loops() {
    const auto count = static_cast<std::uint32_t>(out_.order.size());
    std::vector<std::uint32_t> end(count, kNone);
    bool any = false;
    for (std::uint32_t i = 0; i < count; ++i) {
        const Part& part = out_.parts[out_.order[i]];
        for (std::uint32_t s = 0; s < part.successor_count; ++s) {
            const std::uint32_t to = out_.parts[part.successors[s]].order;
            if (to <= i) {
                end[to] = i;
                any = true;
            }
        }
    }
    out_.loops.clear();
    out_.loop_defs.clear();
    if (!any)
        return;
    for (std::uint32_t h = count; h-- > 0;) {
        if (end[h] == kNone)
            continue;
        for (std::uint32_t i = h + 1; i <= end[h]; ++i)
            if (end[i] != kNone)
                end[h] = std::max(end[h], end[i]);
    }
    std::uint32_t inside = 0;
    for (std::uint32_t h = 0; h < count; ++h) {
        while (inside != 0 && out_.loops[inside - 1].last < h)
            inside = out_.loops[inside - 1].parent;
        if (end[h] == kNone)
            continue;
        const std::uint32_t depth = inside == 0 ? 1 : out_.loops[inside - 1].depth + 1;
        out_.loops.push_back({.first = h, .last = end[h], .parent = inside, .depth = depth});
        inside = static_cast<std::uint32_t>(out_.loops.size());
        std::uint64_t defs = 0;
        for (std::uint32_t i = h; i <= end[h]; ++i)
            defs |= out_.parts[out_.order[i]].defs;
        out_.loop_defs.push_back(defs);
    }
}

void Outliner::scan(Part& part) const {
    const Instance& instance = out_.instances[part.instance];
    const auto bit = [](Var var) { return std::uint64_t{1} << var; };
    const auto read = [&](std::uint64_t vars) { part.uses |= vars & ~part.defs; };
    switch (part.kind) {
    case Part::Kind::LoopInit:
        part.uses = bit(1) | bit(3);
        part.defs = bit(instance.round) | bit(instance.rounds) | bit(instance.context);
        return;
    case Part::Kind::LoopHead:
        part.uses = bit(instance.round) | bit(instance.rounds) | bit(instance.context);
        part.defs = bit(1) | bit(2);
        return;
    case Part::Kind::LoopNext:
        part.uses = bit(0) | bit(instance.round);
        part.defs = bit(instance.round);
        return;
    case Part::Kind::LoopDone:
        part.uses = bit(instance.round);
        part.defs = 0x3f;
        return;
    default:
        break;
    }
    const auto vars_of = [&](std::uint32_t registers) {
        std::uint64_t vars = registers & 0x3fU;
        for (unsigned reg = 6; reg < 10; ++reg)
            if ((registers >> reg & 1) != 0)
                vars |= bit(instance.saved[reg - 6]);
        return vars;
    };
    for (std::uint32_t i = part.begin; i < part.end; ++i) {
        const isa::OpInfo* op = plan_.ops[i];
        if (op == nullptr)
            continue;
        const std::uint8_t slot = plan_.slot_of[i];
        read(vars_of(reads_of(plan_, i)));
        if (slot != 0 && op->format == Format::Ldx)
            read(bit(static_cast<Var>(instance.first_slot + slot - 1)));
        if (op->op == Op::MayGoto)
            read(bit(instance.budget));
        part.defs |= vars_of(isa::registers(op->writes, plan_.insn(i)));
        if (slot != 0 && op->format != Format::Ldx)
            part.defs |= bit(static_cast<Var>(instance.first_slot + slot - 1));
        if (op->op == Op::MayGoto)
            part.defs |= bit(instance.budget);
    }
}

void Outliner::find_liveness() {
    bool changed = true;
    while (changed) {
        changed = false;
        for (std::size_t i = out_.order.size(); i-- > 0;) {
            Part& part = out_.parts[out_.order[i]];
            std::uint64_t live = 0;
            for (std::uint32_t s = 0; s < part.successor_count; ++s)
                live |= out_.parts[part.successors[s]].live;
            live = (live & ~part.defs) | part.uses;
            changed |= live != part.live;
            part.live = live;
        }
    }
}

void Outliner::run(std::uint32_t index) {
    out_.instances.clear();
    out_.parts.clear();
    out_.frame_bytes = 0;
    insns_ = 0;
    out_.vars = 10;
    const FunctionPlan& function = plan_.functions[index];
    Instance root{.function = index, .saved = {6, 7, 8, 9}};
    if (function.may_goto)
        root.budget = static_cast<Var>(out_.vars++);
    root.first_slot = static_cast<Var>(out_.vars);
    SKEP_CHECK(out_.vars + function.slots.size() <= kMaxVars); // make_plan() took no more.
    out_.vars += static_cast<unsigned>(function.slots.size());
    out_.instances.push_back(root);
    expand(0, 0);
    out_.zero_frame = function.zero_frame;
    for (Part& part : out_.parts)
        scan(part);
    find_order();
    find_liveness();
    find_loops();
}

} // namespace

unsigned arguments_of(std::uint32_t helper) noexcept {
    const spec::HelperProto* proto = spec::find_helper(helper);
    // bpf_trace_printk has the values that its text names in the registers that are left.
    if (proto == nullptr || proto->signature.ends_with("...)"))
        return kArguments;
    unsigned count = 0;
    while (count < kArguments && proto->args[count] != spec::ArgKind::None)
        ++count;
    return count;
}

ProgramPlan make_plan(const Program& program, const Binding& binding) {
    ProgramPlan plan;
    plan.program = &program;
    plan.binding = &binding;
    plan.flow = ControlFlow::build(program.insns);
    plan.slot_of.assign(program.insns.size(), 0);
    plan.ops.assign(program.insns.size(), nullptr);
    for (std::size_t i = 0; i < program.insns.size(); ++i) {
        plan.ops[i] = isa::classify(program.insns[i]);
        if (program.insns[i].opcode == isa::kLddw)
            ++i;
    }
    Planner(plan).run();
    return plan;
}

void make_outline(ProgramPlan& plan, std::uint32_t function, Outline& outline) {
    Outliner(plan, outline).run(function);
}

} // namespace skep::jit
