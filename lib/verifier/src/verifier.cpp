// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The engine explores the program's states; the checker proves that what it kept is inductive.
#include "skep/verifier/verifier.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <utility>

#include "liveness.hpp"
#include "order.hpp"
#include "skep/btf/btf.hpp"
#include "skep/isa/decode.hpp"
#include "skep/program/control_flow.hpp"
#include "step.hpp"

namespace skep::verifier {
namespace {

constexpr std::uint8_t kMayGoto = 0xe5;
constexpr const char* kBudget = "V502";

/// A place in the program and the calls that led there.
struct Point {
    u32 pc = 0;
    u64 calls = 0;
    friend auto operator<=>(const Point&, const Point&) = default;
};

Point point_of(const State& state, u32 pc) {
    Point point{.pc = pc};
    for (std::size_t i = 1; i < state.frames.size(); ++i)
        point.calls = (point.calls + state.frames[i].return_to) * 0x9e3779b97f4a7c15 + 1;
    return point;
}

/// A state that was kept. All that can be reached from it lies in states of lower rank, or behind
/// something that is bounded by contract.
struct Kept {
    State state;
    u64 shape = 0;
    u32 rank = 0;
    bool done = false;
    /// For each way out, in the order in which walk() finds them: which of the states kept there
    /// holds what arrives.
    std::vector<u32> targets;
};

/// States to look at before a new one is kept. More find more that are covered, but cost time.
constexpr std::size_t kLookBack = 24;
/// Behind a contract: states of a shape that are joined before bounds are moved on, and before
/// everything that changes is given up.
constexpr std::size_t kJoins = 2;
constexpr std::size_t kWidenings = 12;

struct Arrival {
    State state;
    u32 pc = 0;
    bool by_contract = false; ///< whatever bounds the iterations bounds these arrivals, too
};

class Analysis {
public:
    Analysis(const Program& program, std::span<const MapView> maps, const Options& options,
             const std::vector<isa::InsnFault>& faults)
        : program_(program), options_(options), faults_(faults),
          flow_(ControlFlow::build(program.insns)), order_(flow_),
          live_(live_registers(program, flow_)), stepper_(program, flow_, maps, symbols_) {}

    Report run() {
        if (structure() && prove(stepper_.initial(), 0) && global_functions() && stacks(0, 0, 1))
            report_.outcome = Outcome::Accepted;
        return std::move(report_);
    }

private:
    /// Everything that runs from one start.
    bool prove(std::optional<State> start, u32 pc) {
        if (!start)
            return fail();
        kept_.clear();
        states_ = 0;
        root_ = pc;
        exact_ = false;
        stepper_.count_rounds(false);
        const std::uint64_t before = report_.statistics.visited;
        limit_ = before + options_.max_visits;
        bool proved = joined(*start);
        const auto again = [&](auto attempt) {
            if (proved || report_.outcome == Outcome::Unsupported)
                return;
            kept_.clear();
            states_ = 0;
            const auto lost = std::exchange(report_.findings, {});
            report_.statistics.visited = before;
            proved = attempt();
            // Where an attempt took too long, what the one before it lacked says more.
            if (!proved && report_.findings[0].code == kBudget)
                report_.findings.insert(report_.findings.begin(), lost.begin(), lost.end());
        };
        // What widening gave up may be found round by round.
        if (!contracts_.empty())
            again([&] {
                exact_ = true;
                stepper_.count_rounds(true);
                return joined(*start);
            });
        // What was lost in a join may be found on the single paths.
        if (proved || report_.findings[0].code != kBudget)
            again([&] {
                report_.statistics.path_mode = true;
                return by_paths(*start);
            });
        if (proved && !check(*start)) {
            report_.findings.push_back(
                {.code = "V900", .message = "internal: the checker does not agree"});
            proved = false;
        }
        for (const auto& [point, states] : kept_)
            report_.statistics.states += states.size();
        return proved;
    }

    /// Each on its own: calls rely on nothing but the contract.
    bool global_functions() {
        return std::ranges::all_of(flow_.functions, [this](const FunctionRange& function) {
            return stepper_.contract_of(function.begin) == nullptr ||
                   prove(stepper_.initial_of(function.begin), function.begin);
        });
    }

    bool fail() {
        report_.findings.push_back(stepper_.finding());
        report_.outcome = stepper_.unsupported() ? Outcome::Unsupported : Outcome::Rejected;
        return false;
    }
    bool refuse(u32 pc, const char* code, std::string message) {
        report_.findings.push_back({code, pc, std::move(message)});
        report_.outcome = Outcome::Rejected;
        return false;
    }

    bool unsupported(std::string message) {
        report_.findings.push_back({"V900", 0, std::move(message)});
        report_.outcome = Outcome::Unsupported;
        return false;
    }

    /// What can be said without states: unreachable code, recursion, which loops contracts bound.
    bool structure() {
        if (const Subprogram& main = program_.subprograms.front();
            program_.btf != nullptr && main.type_id != 0)
            for (const std::string_view tag : program_.btf->decl_tags(main.type_id))
                if (tag.starts_with("exception_callback:"))
                    return unsupported("exception callbacks are not supported yet");
        if (const auto slot = flow_.first_unreachable())
            return refuse(*slot, "V504", "the instruction is never reached");
        for (u32 i = 0; i < program_.insns.size(); ++i) {
            const isa::Insn& insn = program_.insns[i];
            if (insn.opcode == kMayGoto || stepper_.kfunc_at(i) == Kfunc::IteratorNext)
                order_.bound_by_contract(flow_.block_of[i]);
            if (insn.opcode == isa::kLddw)
                ++i;
            else
                note_threshold(insn);
        }
        for (unsigned bit = 0; bit < 63; ++bit)
            widening_.thresholds.push_back((i64{1} << bit) - 1);
        std::ranges::sort(widening_.thresholds);
        give_up_.all = true;
        std::vector<int> colour(flow_.functions.size(), 0);
        return no_recursion(0, colour);
    }

    /// Bounds stop best where the program compares.
    void note_threshold(const isa::Insn& insn) {
        const unsigned cls = insn.opcode & isa::kClassMask;
        if ((cls == isa::kJmp || cls == isa::kJmp32) && insn.opcode != isa::kCall &&
            insn.opcode != isa::kExit && (insn.opcode & isa::kSrcMask) == isa::kK)
            for (const i64 step : {-1, 0, 1})
                widening_.thresholds.push_back(insn.imm + step);
    }

    // Functions are walked at each call: a call of a caller would not end.
    bool no_recursion(u32 function, std::vector<int>& colour) {
        colour[function] = 1;
        for (const FunctionUse& use : flow_.uses) {
            if (use.caller != function || use.address)
                continue;
            if (colour[use.callee] == 1)
                return refuse(use.slot, "V503", "the function calls itself");
            if (colour[use.callee] == 0 && !no_recursion(use.callee, colour))
                return false;
        }
        colour[function] = 2;
        return true;
    }

    /// All functions of a call chain share 512 bytes of stack, but where the kernel gives a
    /// function one of its own: in tracing programs, if it uses 64 bytes or more and there are no
    /// tail calls.
    bool stacks(u32 function, u32 callers, u32 frames) {
        const u32 used = (stepper_.stack_used(flow_.functions[function].begin) + 15) / 16 * 16;
        const bool own = own_stacks() && used >= 64;
        const u32 total = own ? callers : callers + used;
        for (const FunctionUse& use : flow_.uses) {
            if (use.caller != function)
                continue;
            if (frames == isa::kMaxCallFrames)
                return refuse(use.slot, "V503", "more than 8 nested calls");
            const u32 callee =
                (stepper_.stack_used(flow_.functions[use.callee].begin) + 15) / 16 * 16;
            if (total + (own_stacks() && callee >= 64 ? 0 : callee) > isa::kMaxStackDepth)
                return refuse(use.slot, "V503",
                              fmt::format("the nested functions use {} bytes of stack together",
                                          total + callee));
            if (total >= 256 && tail_calls(use.callee))
                return refuse(
                    use.slot, "V503",
                    fmt::format("a function that makes tail calls is called with {} bytes "
                                "of stack in use, limit 255",
                                total));
            if (!stacks(use.callee, total, frames + 1))
                return false;
        }
        return true;
    }

    [[nodiscard]] bool own_stacks() const {
        using enum spec::ProgramType;
        const auto t = program_.type;
        if (t != Kprobe && t != Tracepoint && t != PerfEvent && t != RawTracepoint &&
            t != RawTracepointWritable)
            return false;
        for (u32 f = 0; f < flow_.functions.size(); ++f)
            if (tail_calls(f))
                return false;
        return true;
    }

    [[nodiscard]] bool tail_calls(u32 function) const {
        const FunctionRange& range = flow_.functions[function];
        for (u32 i = range.begin; i < range.end; ++i)
            if (const isa::Insn& insn = program_.insns[i];
                insn.opcode == isa::kCall && insn.src == isa::kCallHelper && insn.imm == 12)
                return true;
        return false;
    }

    /// True if states are kept where `pc` begins: paths meet there.
    [[nodiscard]] bool is_meeting(u32 pc) const {
        const BasicBlock& block = flow_.blocks[flow_.block_of[pc]];
        if (block.begin != pc)
            return true; // Behind a call, or at the call of a callback.
        const bool entry = flow_.functions[block.function].begin == pc;
        return block.predecessors.size() + (entry ? 1 : 0) > 1 || stepper_.calls_back(pc);
    }

    /// Forgets registers that nobody reads.
    void clean(State& state, u32 pc) {
        const auto keep = [](Frame& frame, u32 live) {
            for (unsigned reg = 0; reg < 10; ++reg)
                if ((live >> reg & 1) == 0)
                    frame.regs[reg] = {};
        };
        for (std::size_t i = 0; i + 1 < state.frames.size(); ++i) {
            const Frame& callee = state.frames[i + 1];
            const u32 mask = callee.callback != 0 ? 0b1111111111U : 0b1111000000U;
            keep(state.frames[i], live_[callee.return_to] & mask);
        }
        keep(state.frame(), live_[pc]);
        forget_unused(state, symbols_);
    }

    /// Walks from `from` to the next meetings; false after a finding.
    bool walk(Arrival from, std::vector<Arrival>& arrivals, std::uint64_t& counter) {
        std::vector<Arrival> work;
        work.push_back(std::move(from));
        bool first = true;
        while (!work.empty()) {
            Arrival now = std::move(work.back());
            work.pop_back();
            if (!first && (now.by_contract || is_meeting(now.pc))) {
                clean(now.state, now.pc);
                arrivals.push_back(std::move(now));
                continue;
            }
            first = false;
            if (!straight(now, work, counter))
                return false;
        }
        return true;
    }

    /// To the end of the block, or to where a state is kept within it.
    bool straight(Arrival& now, std::vector<Arrival>& next, std::uint64_t& counter) {
        State& state = now.state;
        const BasicBlock& block = flow_.blocks[flow_.block_of[now.pc]];
        for (u32 pc = now.pc; pc < block.end; ++pc) {
            ++counter;
            if (!faults_.empty())
                if (const auto fault = std::ranges::find(faults_, pc, &isa::InsnFault::insn);
                    fault != faults_.end())
                    return refuse(pc, "V100", fault->text);
            const isa::Insn& insn = program_.insns[pc];
            const unsigned cls = insn.opcode & isa::kClassMask;
            if (cls != isa::kJmp && cls != isa::kJmp32) {
                if (!stepper_.step(state, pc))
                    return fail();
                if (insn.opcode == isa::kLddw)
                    ++pc;
                continue;
            }
            switch (insn.opcode) {
            case isa::kExit:
                return exit(now, pc, next);
            case isa::kCall:
                if (pc != now.pc && stepper_.calls_back(pc)) {
                    next.push_back({std::move(state), pc});
                    return true;
                }
                if (!call(now, pc, next))
                    return false;
                if (state.frames.empty())
                    return true; // It went elsewhere.
                break;
            case 0x05: // ja
            case 0x06: // gotol
                next.push_back({std::move(state), target(pc)});
                return true;
            case kMayGoto:
                next.push_back({state, target(pc)});
                next.push_back({std::move(state), pc + 1, true});
                return true;
            default:
                if ((insn.opcode & 0xf0U) != 0x80)
                    return branch(now, pc, next);
                if (!stepper_.step(state, pc)) // callx
                    return fail();
            }
        }
        next.push_back({std::move(state), block.end});
        return true;
    }

    [[nodiscard]] u32 target(u32 pc) const {
        return static_cast<u32>(isa::target_of(program_.insns[pc], pc));
    }

    bool exit(Arrival& now, u32 pc, std::vector<Arrival>& next) {
        State& state = now.state;
        const u32 return_to = state.frame().return_to;
        const bool callback = state.frame().callback != 0;
        if (!stepper_.leave(state, pc))
            return fail();
        if (!state.frames.empty())
            next.push_back({std::move(state), return_to, callback});
        return true;
    }

    /// A call that goes on behind it leaves the state where it is, any other takes its frames.
    bool call(Arrival& now, u32 pc, std::vector<Arrival>& next) {
        State& state = now.state;
        const isa::Insn& insn = program_.insns[pc];
        const auto away = [&](State&& to, u32 at, bool by_contract = false) {
            next.push_back({std::move(to), at, by_contract});
            state.frames.clear();
            return true;
        };
        if (insn.src == isa::kCallLocal) {
            if (const Contract* contract = stepper_.contract_of(target(pc)))
                return stepper_.call_by_contract(state, pc, *contract) || fail();
            if (!stepper_.enter(state, pc))
                return fail();
            return away(std::move(state), target(pc));
        }
        if (stepper_.kfunc_at(pc) == Kfunc::IteratorNext) {
            for (const bool more : {true, false}) {
                State after = state;
                bool possible = false;
                if (!stepper_.next(after, pc, more, possible))
                    return fail();
                if (possible)
                    next.push_back({std::move(after), pc + 1, more});
            }
            state.frames.clear();
            return true;
        }
        if (!stepper_.calls_back(pc))
            return stepper_.step(state, pc) || fail();
        State inside = state;
        if (!stepper_.step(state, pc))
            return fail();
        state.frame().round = 0;
        u32 callback = 0;
        bool possible = false;
        if (!stepper_.enter_callback(inside, pc, callback, possible))
            return fail();
        if (possible)
            next.push_back({std::move(inside), callback});
        return away(std::move(state), pc + 1);
    }

    bool branch(Arrival& now, u32 pc, std::vector<Arrival>& next) {
        const isa::Insn& insn = program_.insns[pc];
        const auto& regs = now.state.frame().regs;
        const bool from_register = (insn.opcode & isa::kSrcMask) == isa::kX;
        for (const unsigned reg : {unsigned{insn.dst}, unsigned{insn.src}}) {
            if (reg == insn.src && !from_register)
                continue;
            if (regs[reg].kind == Kind::Uninit)
                return refuse(pc, "V301", fmt::format("r{} is read, but was never written", reg));
        }
        if (auto taken = stepper_.branch(now.state, pc, true))
            next.push_back({*std::move(taken), target(pc)});
        if (auto other = stepper_.branch(now.state, pc, false))
            next.push_back({*std::move(other), pc + 1});
        return true;
    }

    [[nodiscard]] bool over_budget(u32 pc) {
        if (report_.statistics.visited <= limit_ && states_ <= options_.max_states)
            return false;
        (void)refuse(pc, kBudget,
                     fmt::format("the analysis gave up after {} instructions and {} states",
                                 report_.statistics.visited, states_));
        return true;
    }

    // --- joined states ---

    /// Where a state stands in an order in which every point comes after those that lead to it:
    /// for each frame, outermost first, the loops around its place, each with the round it is in,
    /// then the block and the slot.
    using Place = std::vector<u32>;

    /// The place of `state` at `pc`, which was reached from a place by a walk.
    [[nodiscard]] Place place(const State& state, u32 pc, const Place& from) const {
        Place out;
        std::size_t at = 0; // In `from`: where the frame begins.
        for (std::size_t i = 0; i < state.frames.size(); ++i) {
            const bool top = i + 1 == state.frames.size();
            u32 slot = pc;
            if (!top) {
                const Frame& callee = state.frames[i + 1];
                slot = callee.callback != 0 ? callee.return_to : callee.return_to - 1;
            }
            const u32 block = flow_.block_of[slot];
            const bool known = at < from.size();
            const u32 depth = known ? from[at] : 0;
            const u32* old = known ? &from[at + 1] : nullptr;
            out.push_back(order_.depth(block));
            add_loops(out, block, old, depth, top && flow_.blocks[block].begin == pc);
            out.push_back(order_.position(block));
            out.push_back(slot);
            at += 2 * std::size_t{depth} + 3;
        }
        return out;
    }

    void add_loops(Place& out, u32 block, const u32* old, u32 old_depth, bool arrives) const {
        const u32 depth = order_.depth(block);
        const std::size_t first = out.size();
        out.resize(first + 2 * std::size_t{depth});
        u32 loop = order_.loop_of(block);
        for (u32 d = depth; d-- > 0; loop = order_.loop(loop).around)
            out[first + 2 * std::size_t{d}] = order_.position(order_.loop(loop).head);
        bool same = true;
        for (u32 d = 0; d < depth; ++d) {
            const std::size_t i = 2 * std::size_t{d};
            same = same && d < old_depth && old[i] == out[first + i];
            out[first + i + 1] = same ? old[i + 1] : 0;
            const bool head =
                arrives && d + 1 == depth && same && out[first + i] == order_.position(block);
            if (head)
                ++out[first + i + 1];
        }
    }

    /// What the queue is ordered by: the same, without the depths.
    static Place sorted(const Place& place) {
        Place out;
        for (std::size_t at = 0; at < place.size();) {
            const std::size_t size = 2 * std::size_t{place[at]} + 2;
            out.insert(out.end(), place.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                       place.begin() + static_cast<std::ptrdiff_t>(at + 1 + size));
            at += size + 1;
        }
        return out;
    }

    /// The states that wait at a place, and behind a contract all that ever were there.
    struct Group {
        Point point;
        Place place;
        std::vector<u32> waiting;
        std::vector<u32> all;
    };

    /// The round of the innermost loop does not tell states behind a contract apart.
    static Place without_round(Place place) {
        std::size_t top = 0;
        for (std::size_t at = 0; at < place.size(); at += 2 * std::size_t{place[at]} + 3)
            top = at;
        if (place[top] != 0)
            place[place.size() - 3] = 0;
        return sorted(place);
    }

    /// Takes the place that comes first and has new states. What arrives there meanwhile is joined
    /// by shape: so each round of a loop has one state for each shape, and a way out waits until
    /// the loop has no more rounds. Every state ranks below those that lead to it.
    bool joined(const State& start) {
        queue_.clear();
        contracts_.clear();
        arrive({start, root_}, {});
        u32 rank = 0xffffffff;
        while (!queue_.empty()) {
            const Group group = std::move(queue_.begin()->second);
            queue_.erase(queue_.begin());
            for (const u32 index : group.waiting) {
                if (repeats(group.point, index))
                    return refuse(group.point.pc, "V501",
                                  "the loop comes back to the same state: it may not end");
                kept_[group.point][index].rank = rank;
                kept_[group.point][index].done = true;
            }
            --rank;
            for (const u32 index : group.waiting) {
                std::vector<Arrival> arrivals;
                if (!walk({kept_[group.point][index].state, group.point.pc}, arrivals,
                          report_.statistics.visited) ||
                    over_budget(group.point.pc))
                    return false;
                std::vector<u32> targets;
                for (Arrival& arrival : arrivals)
                    targets.push_back(arrive(std::move(arrival), group.place));
                kept_[group.point][index].targets = std::move(targets);
            }
        }
        return true;
    }

    /// Keeps or joins a state; its index among those of its point.
    u32 arrive(Arrival arrival, const Place& from) {
        const u64 form = shape(arrival.state);
        const Point point = point_of(arrival.state, arrival.pc);
        Place here = place(arrival.state, arrival.pc, from);
        Place key = sorted(here);
        std::vector<Kept>& states = kept_[point];
        const bool bounded = arrival.by_contract || stepper_.calls_back(arrival.pc);
        std::vector<u32>* all = nullptr;
        if (bounded) {
            all = &contracts_[stepper_.calls_back(arrival.pc) ? key : without_round(here)];
            if (arrival.by_contract)
                if (const auto found = covering_of(*all, states, form, arrival.state))
                    return *found;
            // Other rounds come first.
            key.push_back(arrival.by_contract ? kLast : 0);
        }
        Group& group = queue_[key];
        group.point = point;
        group.place = std::move(here);
        for (const u32 index : group.waiting)
            if (states[index].shape == form) {
                if (!within(arrival.state, states[index].state, symbols_))
                    states[index].state = join(states[index].state, arrival.state, symbols_);
                return index;
            }
        if (arrival.by_contract && !exact_)
            widen_by(*all, states, form, arrival.state);
        const auto index = static_cast<u32>(states.size());
        ++states_;
        states.push_back({.state = std::move(arrival.state), .shape = form});
        group.waiting.push_back(index);
        if (all != nullptr)
            all->push_back(index);
        return index;
    }

    static constexpr u32 kLast = 0xffffffff;

    std::optional<u32> covering_of(const std::vector<u32>& all, const std::vector<Kept>& states,
                                   u64 form, const State& state) {
        for (const u32 index : all)
            if (states[index].shape == form && within(state, states[index].state, symbols_))
                return index;
        return std::nullopt;
    }

    /// Makes a state hold the last one of its shape as well, and more if there were many.
    void widen_by(const std::vector<u32>& all, const std::vector<Kept>& states, u64 form,
                  State& state) {
        std::size_t count = 0;
        const State* last = nullptr;
        for (const u32 index : all)
            if (states[index].shape == form) {
                last = &states[index].state;
                ++count;
            }
        if (last == nullptr)
            return;
        const domain::Widening* widening = count > kWidenings ? &give_up_
                                           : count > kJoins   ? &widening_
                                                              : nullptr;
        state = join(*last, state, symbols_, widening);
    }

    /// At the head of a loop: the state was there before, no more and no less.
    bool repeats(const Point& point, u32 index) {
        const u32 block = flow_.block_of[point.pc];
        const u32 loop = order_.loop_of(block);
        if (loop == Order::kNone || order_.loop(loop).head != block ||
            order_.loop(loop).by_contract || flow_.blocks[block].begin != point.pc)
            return false;
        const std::vector<Kept>& states = kept_[point];
        const Kept& now = states[index];
        const std::size_t end = index > 4 ? index - 4 : 0;
        for (std::size_t i = index; i-- > end;)
            if (states[i].done && states[i].shape == now.shape &&
                within(now.state, states[i].state, symbols_) &&
                within(states[i].state, now.state, symbols_))
                return true;
        return false;
    }

    // --- single paths, cut where a state lies in one that is done ---

    struct Work {
        Arrival arrival;
        std::vector<Kept>* parent = nullptr; ///< where the state is that it comes from
        u32 index = 0;                       ///< of the parent, or of the state to close
        u32 slot = 0;                        ///< in the parent's targets
        bool close = false;
    };

    bool by_paths(const State& start) {
        std::vector<Work> work;
        work.push_back({.arrival = {start, root_}});
        u32 rank = 0;
        while (!work.empty()) {
            Work now = std::move(work.back());
            work.pop_back();
            if (now.close) {
                Kept& kept = (*now.parent)[now.index];
                kept.done = true;
                kept.rank = rank++;
                continue;
            }
            const u32 pc = now.arrival.pc;
            // The elements of a std::map stay where they are.
            std::vector<Kept>& states = kept_[point_of(now.arrival.state, pc)];
            const u64 form = shape(now.arrival.state);
            const auto target = [&](std::size_t index) {
                if (now.parent != nullptr)
                    (*now.parent)[now.index].targets[now.slot] = static_cast<u32>(index);
            };
            const auto found = covering(states, form, now.arrival, pc);
            if (!found)
                return false;
            if (*found != kNone) {
                target(*found);
                continue;
            }
            if (now.arrival.by_contract && !exact_)
                widen_open(states, form, now.arrival.state);
            ++states_;
            const auto index = static_cast<u32>(states.size());
            target(index);
            states.push_back({.state = now.arrival.state, .shape = form});
            work.push_back({.parent = &states, .index = index, .close = true});
            std::vector<Arrival> arrivals;
            now.arrival.by_contract = false;
            if (!walk(std::move(now.arrival), arrivals, report_.statistics.visited) ||
                over_budget(pc))
                return false;
            states[index].targets.resize(arrivals.size());
            for (std::size_t i = arrivals.size(); i-- > 0;)
                work.push_back({.arrival = std::move(arrivals[i]),
                                .parent = &states,
                                .index = index,
                                .slot = static_cast<u32>(i)});
        }
        return true;
    }

    static constexpr std::size_t kNone = SIZE_MAX;

    /// The index of a state that is done and holds this one, or kNone; nothing after a finding.
    std::optional<std::size_t> covering(const std::vector<Kept>& states, u64 form,
                                        const Arrival& arrival, u32 pc) {
        const std::size_t end = states.size() > kLookBack ? states.size() - kLookBack : 0;
        for (std::size_t i = states.size(); i-- > end;) {
            if (states[i].shape != form || !within(arrival.state, states[i].state, symbols_))
                continue;
            if (states[i].done || arrival.by_contract)
                return i;
            if (!bounded_here(pc) && within(states[i].state, arrival.state, symbols_)) {
                (void)refuse(pc, "V501", "the loop comes back to the same state: it may not end");
                return std::nullopt;
            }
        }
        return kNone;
    }

    /// A contract bounds a loop around this place, or the rounds of a callback.
    [[nodiscard]] bool bounded_here(u32 pc) const {
        const u32 loop = order_.loop_of(flow_.block_of[pc]);
        return (loop != Order::kNone && order_.loop(loop).by_contract) || stepper_.calls_back(pc);
    }

    /// Widens by the states of the same shape that the path went through.
    void widen_open(const std::vector<Kept>& states, u64 form, State& state) {
        std::vector<u32> open;
        for (u32 i = 0; i < states.size(); ++i)
            if (!states[i].done)
                open.push_back(i);
        widen_by(open, states, form, state);
    }

    // --- the checker: kept states are inductive, and ranks fall on every way but behind contracts
    // ---

    bool check(const State& start) {
        const auto first = kept_.find(point_of(start, root_));
        if (first == kept_.end() || !within(start, first->second.at(0).state, symbols_))
            return false;
        for (const auto& [point, states] : kept_)
            for (const Kept& kept : states) {
                std::vector<Arrival> arrivals;
                if (!walk({kept.state, point.pc}, arrivals, report_.statistics.checked) ||
                    arrivals.size() != kept.targets.size())
                    return false;
                for (std::size_t i = 0; i < arrivals.size(); ++i)
                    if (!covered(arrivals[i], kept.targets[i], kept.rank))
                        return false;
            }
        return true;
    }

    /// The state that was named holds what arrives, and its rank is lower: no way goes round.
    bool covered(const Arrival& arrival, u32 target, u32 below) {
        const auto found = kept_.find(point_of(arrival.state, arrival.pc));
        if (found == kept_.end() || target >= found->second.size())
            return false;
        const Kept& kept = found->second[target];
        return (kept.rank < below || arrival.by_contract) &&
               within(arrival.state, kept.state, symbols_);
    }

    const Program& program_;
    const Options& options_;
    const std::vector<isa::InsnFault>& faults_; ///< by slot
    ControlFlow flow_;
    Order order_;
    std::vector<std::uint16_t> live_;
    Symbols symbols_;
    Stepper stepper_;
    Report report_;
    domain::Widening widening_;
    domain::Widening give_up_;
    u32 root_ = 0;
    bool exact_ = false; ///< rounds that contracts bound are told apart, too
    std::uint64_t limit_ = 0;
    std::uint64_t states_ = 0;
    std::map<Place, Group> queue_;
    std::map<Place, std::vector<u32>> contracts_;
    std::map<Point, std::vector<Kept>> kept_;
};

} // namespace

Report verify(const Program& program, std::span<const MapView> maps, const Options& options) {
    std::vector<isa::InsnFault> faults;
    if (const auto valid = isa::validate(program.insns, {.when_reached = &faults}); !valid) {
        Report report;
        const std::int64_t at = valid.error().place.instruction;
        report.findings.push_back(
            {"V100", at < 0 ? 0 : static_cast<u32>(at), valid.error().message});
        return report;
    }
    return Analysis(program, maps, options, faults).run();
}

} // namespace skep::verifier
