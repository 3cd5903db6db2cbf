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
};

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
        bool proved = false;
        if (acyclic_) {
            proved = joined(*start);
            if (!proved && !stepper_.unsupported()) {
                // What was lost in a join may be found on the single paths.
                kept_.clear();
                report_.findings.clear();
                report_.statistics.path_mode = true;
                proved = by_paths(*start);
            }
        } else {
            report_.statistics.path_mode = true;
            proved = by_paths(*start);
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
        for (const BasicBlock& block : flow_.blocks)
            for (const u32 next : block.successors)
                acyclic_ &= order_[flow_.blocks[next].begin] > order_[block.begin];
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
        (void)refuse(pc, "V502",
                     fmt::format("the analysis gave up after {} instructions and {} states",
                                 report_.statistics.visited, states_));
        return true;
    }

    // --- joined states: each meeting is processed once, when all ways to it are known ---

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

    bool joined(const State& start) {
        std::map<std::vector<u32>, std::pair<Point, std::vector<Kept>>> queue;
        const auto arrive = [&](Arrival arrival) {
            const u64 form = shape(arrival.state);
            auto& [point, states] = queue[place(arrival.state, arrival.pc)];
            point = point_of(arrival.state, arrival.pc);
            for (Kept& kept : states)
                if (kept.shape == form) {
                    if (!within(arrival.state, kept.state, symbols_))
                        kept.state = join(kept.state, arrival.state, symbols_);
                    return;
                }
            ++states_;
            states.push_back({.state = std::move(arrival.state), .shape = form});
        };
        arrive({start, 0});
        u32 rank = 0xffffffff;
        while (!queue.empty()) {
            auto [point, states] = std::move(queue.begin()->second);
            queue.erase(queue.begin());
            for (Kept& kept : states) {
                kept.rank = rank;
                kept.done = true;
                std::vector<Arrival> arrivals;
                if (!walk({kept.state, point.pc}, arrivals, report_.statistics.visited) ||
                    over_budget(point.pc))
                    return false;
                for (Arrival& arrival : arrivals)
                    arrive(std::move(arrival));
            }
            --rank;
            kept_[point] = std::move(states);
        }
        return true;
    }

    // --- single paths, cut where a state lies in one that is done ---

    bool by_paths(const State& start) {
        struct Work {
            Arrival arrival;
            Point point;
            std::size_t close = SIZE_MAX; ///< index of the kept state that is done now
        };
        std::vector<Work> work;
        work.push_back({.arrival = {start, 0}});
        u32 rank = 0;
        while (!work.empty()) {
            Work now = std::move(work.back());
            work.pop_back();
            if (now.close != SIZE_MAX) {
                Kept& kept = kept_[now.point][now.close];
                kept.done = true;
                kept.rank = rank++;
                continue;
            }
            const u32 pc = now.arrival.pc;
            const Point point = point_of(now.arrival.state, pc);
            auto& states = kept_[point];
            const u64 form = shape(now.arrival.state);
            bool covered = false;
            for (std::size_t i = states.size(); i-- > 0 && !covered;) {
                if (states[i].shape != form ||
                    !within(now.arrival.state, states[i].state, symbols_))
                    continue;
                if (states[i].done)
                    covered = true;
                else if (within(states[i].state, now.arrival.state, symbols_))
                    return refuse(pc, "V501",
                                  "the loop comes back to the same state: it may not end");
            }
            if (covered)
                continue;
            ++states_;
            states.push_back({.state = now.arrival.state, .shape = form});
            work.push_back({.arrival = {}, .point = point, .close = states.size() - 1});
            std::vector<Arrival> arrivals;
            if (!walk(std::move(now.arrival), arrivals, report_.statistics.visited) ||
                over_budget(pc))
                return false;
            for (std::size_t i = arrivals.size(); i-- > 0;)
                work.push_back({.arrival = std::move(arrivals[i])});
        }
        return true;
    }

    // --- the checker: kept states are inductive, and ranks fall on every way ---

    bool covered(const Arrival& arrival, u32 below) {
        const auto found = kept_.find(point_of(arrival.state, arrival.pc));
        if (found == kept_.end())
            return false;
        return std::ranges::any_of(found->second, [&](const Kept& kept) {
            return kept.rank < below && within(arrival.state, kept.state, symbols_);
        });
    }

    bool check(const State& start) {
        if (!covered_start(start))
            return false;
        for (const auto& [point, states] : kept_)
            for (const Kept& kept : states) {
                std::vector<Arrival> arrivals;
                if (!walk({kept.state, point.pc}, arrivals, report_.statistics.checked))
                    return false;
                for (const Arrival& arrival : arrivals)
                    if (!covered(arrival, kept.rank))
                        return false;
            }
        return true;
    }
    bool covered_start(const State& start) {
        const auto found = kept_.find(point_of(start, 0));
        return found != kept_.end() && std::ranges::any_of(found->second, [&](const Kept& kept) {
                   return within(start, kept.state, symbols_);
               });
    }

    const Program& program_;
    const Options& options_;
    ControlFlow flow_;
    std::vector<std::uint16_t> live_;
    Symbols symbols_;
    Stepper stepper_;
    Report report_;
    std::unordered_map<u32, u32> order_; ///< of blocks, by their first slot
    bool acyclic_ = true;
    std::uint64_t states_ = 0;
    std::map<Point, std::vector<Kept>> kept_;
};

} // namespace

Report verify(const Program& program, std::span<const MapView> maps, const Options& options) {
    return Analysis(program, maps, options).run();
}

} // namespace skep::verifier
