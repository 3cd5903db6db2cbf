// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The engine explores the program's states; the checker proves that what it kept is inductive.
#include "skep/verifier/verifier.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <unordered_map>

#include "liveness.hpp"
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

/// A state that was kept. All that can be reached from it lies in states of lower rank.
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

struct Arrival {
    State state;
    u32 pc = 0;
};

class Analysis {
public:
    Analysis(const Program& program, std::span<const MapView> maps, const Options& options)
        : program_(program), options_(options), flow_(ControlFlow::build(program.insns)),
          live_(live_registers(program, flow_)), stepper_(program, maps, symbols_) {}

    Report run() {
        if (!structure()) {
            finish();
            return std::move(report_);
        }
        auto start = stepper_.initial();
        if (!start) {
            note();
            finish();
            return std::move(report_);
        }
        bool proved = joined(*start);
        if (!proved && !stepper_.unsupported()) {
            // What was lost in a join may be found on the single paths.
            kept_.clear();
            states_ = 0;
            const auto lost = std::exchange(report_.findings, {});
            const bool too_many = !lost.empty() && lost[0].code == kBudget;
            report_.statistics.visited = 0;
            report_.statistics.path_mode = true;
            proved = !too_many && by_paths(*start);
            // Where there are too many paths, what the joined states lacked says more.
            if (!proved && (too_many || report_.findings[0].code == kBudget))
                report_.findings.insert(report_.findings.begin(), lost.begin(), lost.end());
        }
        if (proved && !check(*start)) {
            report_.findings.push_back(
                {.code = "V900", .message = "internal: the checker does not agree"});
            proved = false;
        }
        if (proved)
            report_.outcome = Outcome::Accepted;
        finish();
        return std::move(report_);
    }

private:
    void finish() {
        for (const auto& [point, states] : kept_)
            report_.statistics.states += states.size();
    }

    void note() {
        report_.findings.push_back(stepper_.finding());
        report_.outcome = stepper_.unsupported() ? Outcome::Unsupported : Outcome::Rejected;
    }
    bool refuse(u32 pc, const char* code, std::string message) {
        report_.findings.push_back({code, pc, std::move(message)});
        report_.outcome = Outcome::Rejected;
        return false;
    }

    /// What can be said without states: unreachable code, recursion, loops, things not supported.
    bool structure() {
        if (const auto slot = flow_.first_unreachable())
            return refuse(*slot, "V504", "the instruction is never reached");
        for (u32 i = 0; i < program_.insns.size(); ++i) {
            const isa::Insn& insn = program_.insns[i];
            if (insn.opcode == kMayGoto) {
                report_.findings.push_back({"V900", i, "may_goto is not supported yet"});
                report_.outcome = Outcome::Unsupported;
                return false;
            }
            if (insn.opcode == isa::kLddw)
                ++i;
        }
        for (u32 f = 0; f < flow_.functions.size(); ++f)
            for (const u32 b : flow_.reverse_postorder(f))
                order_[flow_.blocks[b].begin] = static_cast<u32>(order_.size());
        // Functions are walked at each call: a call of a caller would not end.
        std::vector<int> colour(flow_.functions.size(), 0);
        return no_recursion(0, colour);
    }

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

    /// True if states are kept where `pc` begins: paths meet there.
    [[nodiscard]] bool is_meeting(u32 pc) const {
        const BasicBlock& block = flow_.blocks[flow_.block_of[pc]];
        if (block.begin != pc)
            return true; // Behind a call.
        const bool entry = flow_.functions[block.function].begin == pc;
        return block.predecessors.size() + (entry ? 1 : 0) > 1;
    }

    /// Forgets registers that nobody reads.
    void clean(State& state, u32 pc) {
        const auto keep = [](Frame& frame, u32 live) {
            for (unsigned reg = 0; reg < 10; ++reg)
                if ((live >> reg & 1) == 0)
                    frame.regs[reg] = {};
        };
        for (std::size_t i = 0; i + 1 < state.frames.size(); ++i)
            keep(state.frames[i], live_[state.frames[i + 1].return_to] & 0b1111000000U);
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
            if (!first && is_meeting(now.pc)) {
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

    /// To the end of the block.
    bool straight(Arrival& now, std::vector<Arrival>& next, std::uint64_t& counter) {
        State& state = now.state;
        const BasicBlock& block = flow_.blocks[flow_.block_of[now.pc]];
        for (u32 pc = now.pc; pc < block.end; ++pc) {
            ++counter;
            const isa::Insn& insn = program_.insns[pc];
            const unsigned cls = insn.opcode & isa::kClassMask;
            if (cls != isa::kJmp && cls != isa::kJmp32) {
                if (!stepper_.step(state, pc))
                    return fail();
                if (insn.opcode == isa::kLddw)
                    ++pc;
                continue;
            }
            if (insn.opcode == isa::kExit) {
                const u32 return_to = state.frame().return_to;
                if (!stepper_.leave(state, pc))
                    return fail();
                if (!state.frames.empty())
                    next.push_back({std::move(state), return_to});
                return true;
            }
            if (insn.opcode == isa::kCall && insn.src == isa::kCallLocal) {
                if (!stepper_.enter(state, pc))
                    return fail();
                next.push_back({std::move(state), static_cast<u32>(isa::target_of(insn, pc))});
                return true;
            }
            if ((insn.opcode & 0xf0U) == 0x80) {
                if (!stepper_.step(state, pc))
                    return fail();
                continue;
            }
            if ((insn.opcode & 0xf0U) == 0x00) { // goto
                next.push_back({std::move(state), static_cast<u32>(isa::target_of(insn, pc))});
                return true;
            }
            return branch(now, pc, next);
        }
        next.push_back({std::move(state), block.end});
        return true;
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
            next.push_back({*std::move(taken), static_cast<u32>(isa::target_of(insn, pc))});
        if (auto other = stepper_.branch(now.state, pc, false))
            next.push_back({*std::move(other), pc + 1});
        return true;
    }

    bool fail() {
        note();
        return false;
    }

    [[nodiscard]] bool over_budget(u32 pc) {
        if (report_.statistics.visited <= options_.max_visits && states_ <= options_.max_states)
            return false;
        (void)refuse(pc, kBudget,
                     fmt::format("the analysis gave up after {} instructions and {} states",
                                 report_.statistics.visited, states_));
        return true;
    }

    // --- joined states ---

    /// Where a state stands in an order in which every point comes after those that lead to it.
    [[nodiscard]] std::vector<u32> place(const State& state, u32 pc) const {
        std::vector<u32> out;
        const auto add = [&](u32 slot) {
            out.push_back(order_.at(flow_.blocks[flow_.block_of[slot]].begin));
            out.push_back(slot);
        };
        for (std::size_t i = 1; i < state.frames.size(); ++i)
            add(state.frames[i].return_to - 1);
        add(pc);
        return out;
    }

    /// Takes the point that comes first and has new states. What arrives there meanwhile is joined
    /// by shape: so each round of a loop has one state for each shape, and a way out waits until
    /// the loop has no more rounds. Every state ranks below those that lead to it.
    bool joined(const State& start) {
        std::map<std::vector<u32>, std::pair<Point, std::vector<Kept>>> queue;
        const auto arrive = [&](Arrival arrival) -> u32 {
            const u64 form = shape(arrival.state);
            auto& [point, waiting] = queue[place(arrival.state, arrival.pc)];
            point = point_of(arrival.state, arrival.pc);
            const auto before = static_cast<u32>(kept_[point].size());
            for (u32 i = 0; i < waiting.size(); ++i)
                if (waiting[i].shape == form) {
                    if (!within(arrival.state, waiting[i].state, symbols_))
                        waiting[i].state = join(waiting[i].state, arrival.state, symbols_);
                    return before + i;
                }
            ++states_;
            waiting.push_back({.state = std::move(arrival.state), .shape = form});
            return before + static_cast<u32>(waiting.size() - 1);
        };
        arrive({start, 0});
        u32 rank = 0xffffffff;
        while (!queue.empty()) {
            auto [point, fresh] = std::move(queue.begin()->second);
            queue.erase(queue.begin());
            std::vector<Kept>& states = kept_[point];
            const std::size_t before = states.size();
            for (Kept& kept : fresh) {
                if (repeats(states, kept))
                    return refuse(point.pc, "V501",
                                  "the loop comes back to the same state: it may not end");
                kept.rank = rank;
                states.push_back(std::move(kept));
            }
            --rank;
            for (std::size_t i = before; i < before + fresh.size(); ++i) {
                std::vector<Arrival> arrivals;
                if (!walk({states[i].state, point.pc}, arrivals, report_.statistics.visited) ||
                    over_budget(point.pc))
                    return false;
                for (Arrival& arrival : arrivals) {
                    const u32 target = arrive(std::move(arrival));
                    states[i].targets.push_back(target);
                }
            }
        }
        return true;
    }

    /// The state was there before, no more and no less.
    bool repeats(const std::vector<Kept>& states, const Kept& now) {
        const std::size_t end = states.size() > 4 ? states.size() - 4 : 0;
        for (std::size_t i = states.size(); i-- > end;)
            if (states[i].shape == now.shape && within(now.state, states[i].state, symbols_) &&
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
        work.push_back({.arrival = {start, 0}});
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
            const auto found = covering(states, form, now.arrival.state, pc);
            if (!found)
                return false;
            if (*found != kNone) {
                target(*found);
                continue;
            }
            ++states_;
            const auto index = static_cast<u32>(states.size());
            target(index);
            states.push_back({.state = now.arrival.state, .shape = form});
            work.push_back({.parent = &states, .index = index, .close = true});
            std::vector<Arrival> arrivals;
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
                                        const State& state, u32 pc) {
        const std::size_t end = states.size() > kLookBack ? states.size() - kLookBack : 0;
        for (std::size_t i = states.size(); i-- > end;) {
            if (states[i].shape != form || !within(state, states[i].state, symbols_))
                continue;
            if (states[i].done)
                return i;
            if (within(states[i].state, state, symbols_)) {
                (void)refuse(pc, "V501", "the loop comes back to the same state: it may not end");
                return std::nullopt;
            }
        }
        return kNone;
    }

    // --- the checker: kept states are inductive, and ranks fall on every way ---

    bool check(const State& start) {
        const auto first = kept_.find(point_of(start, 0));
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
        return kept.rank < below && within(arrival.state, kept.state, symbols_);
    }

    const Program& program_;
    const Options& options_;
    ControlFlow flow_;
    std::vector<std::uint16_t> live_;
    Symbols symbols_;
    Stepper stepper_;
    Report report_;
    std::unordered_map<u32, u32> order_; ///< of blocks, by their first slot
    std::uint64_t states_ = 0;
    std::map<Point, std::vector<Kept>> kept_;
};

} // namespace

Report verify(const Program& program, std::span<const MapView> maps, const Options& options) {
    if (const auto valid = isa::validate(program.insns); !valid) {
        Report report;
        const std::int64_t at = valid.error().place.instruction;
        report.findings.push_back(
            {"V100", at < 0 ? 0 : static_cast<u32>(at), valid.error().message});
        return report;
    }
    return Analysis(program, maps, options).run();
}

} // namespace skep::verifier
