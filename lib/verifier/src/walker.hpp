// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <vector>

#include "skep/isa/decode.hpp"
#include "skep/program/control_flow.hpp"
#include "step.hpp"

namespace skep::verifier {

class Summary;

/// In place of a slot: behind the call of a function that is proved on its own.
constexpr u32 kReturned = 0xffffffff;

/// A place in the program and the calls that led there.
struct Point {
    u32 pc = 0;
    u64 calls = 0;
    friend auto operator<=>(const Point&, const Point&) = default;
};
[[nodiscard]] Point point_of(const State& state, u32 pc);

/// A state and where it is.
struct Arrival {
    State state;
    u32 pc = 0;
    bool by_contract = false; ///< whatever bounds the iterations bounds these arrivals, too
    /// Since the last state that was kept: instructions, the least number of frames, iterators that
    /// were started (a bit for each place on the stack), and the one that goes on, if by_contract.
    u32 steps = 0;
    u32 lowest = 0xffffffff;
    u64 started = 0;
    u64 iterator = 0;
    /// Where a Recorder is at work: the decisions since then.
    std::vector<Decision> trail;
    /// What the next call of a function goes by; nullptr: it is walked into.
    const Summary* summary = nullptr;
    u32 last = 0; ///< likewise: the last instruction before

    /// On the way from there to a place with a state.
    static Arrival after(Arrival&& from, State state, u32 pc, bool by_contract = false) {
        return {std::move(state), pc,           by_contract,   from.steps,
                from.lowest,      from.started, from.iterator, std::move(from.trail)};
    }
    static Arrival after(const Arrival& from, State state, u32 pc, bool by_contract = false) {
        return {std::move(state), pc,           by_contract,   from.steps,
                from.lowest,      from.started, from.iterator, from.trail};
    }
};

/// Is told what a walk passes.
struct Watcher : StackWatcher {
    /// The state before an instruction, and after one that does not leave its block.
    virtual void before(const State& state, u32 pc) = 0;
    virtual void after(const State& state, u32 pc) = 0;
    /// A conditional jump can go there.
    virtual void went(u32 pc, bool jumped) = 0;
};

/// Takes what a walk finds instead of ending it: the walk goes on as if nothing had been wrong.
struct Recorder {
    struct Found {
        Finding finding;
        bool unsupported = false;
        std::vector<Decision> trail;
        std::vector<Sym> about; ///< what the value that it is about is made of
    };
    std::vector<Found> found;
    /// Findings about what an earlier finding had left unknown.
    std::uint32_t folded = 0;
    /// What comes after a finding is walked with all that is still known, not with as little as
    /// leads to no finding that follows from it.
    bool assume = false;
};

/// Walks states through the program from one place where states are kept to the next. Engine and
/// checker use the same. Of each function: false means that an obligation is not met, and finding()
/// says which.
class Walker {
public:
    /// `faults`: of instructions, by slot; reported where they are reached.
    Walker(const Program& program, std::span<const MapView> maps,
           std::vector<isa::InsnFault> faults);

    /// From `from` to the next meetings. `counter` counts instructions.
    bool walk(Arrival from, std::vector<Arrival>& arrivals, std::uint64_t& counter);
    /// Of the last walk: most instructions of a way, and the global functions (their first slots)
    /// and summaries (their keys) that calls went by.
    [[nodiscard]] u32 most_steps() const { return most_steps_; }
    [[nodiscard]] const PoolVector<u32>& callees() const { return callees_; }
    /// One instruction. `goes_on`: control is at the next slot of the block, and the state there is
    /// now.state; otherwise `next` has got all that follows.
    bool one(Arrival& now, u32 pc, std::vector<Arrival>& next, bool& goes_on);

    /// The same; where a Recorder is at work, past what is found.
    bool one_or_recover(Arrival& now, u32 pc, std::vector<Arrival>& next, bool& goes_on);

    /// Keeps states at these calls, too (by slot; nullptr: at none), so that they can go by
    /// summaries.
    void stop_at(const std::vector<char>* calls) { stops_ = calls; }
    /// States are kept within a block at this call.
    [[nodiscard]] bool stops(u32 pc) const {
        return stepper_.calls_back(pc) || (stops_ != nullptr && (*stops_)[pc] != 0);
    }
    /// True if states are kept where `pc` begins: paths meet there.
    [[nodiscard]] bool is_meeting(u32 pc) const;
    /// Forgets registers that nobody reads.
    void clean(State& state, u32 pc);

    /// From now on; nullptr: no longer.
    void watch(Watcher* watcher) {
        watcher_ = watcher;
        stepper_.watch(watcher);
    }
    void record(Recorder* recorder) { recorder_ = recorder; }

    /// The registers that may be read from a slot on.
    [[nodiscard]] u32 live(u32 pc) const { return live_[pc]; }
    [[nodiscard]] const Program& program() const { return program_; }
    [[nodiscard]] const ControlFlow& flow() const { return flow_; }
    [[nodiscard]] Symbols& symbols() { return symbols_; }
    [[nodiscard]] const Symbols& symbols() const { return symbols_; }
    [[nodiscard]] Stepper& stepper() { return stepper_; }
    [[nodiscard]] const Stepper& stepper() const { return stepper_; }

private:
    bool straight(Arrival& now, std::vector<Arrival>& next, std::uint64_t& counter);
    void tell(const Arrival& now, u32 pc, const std::vector<Arrival>& next, std::size_t first,
              bool goes_on);
    void decide(Arrival& arrival, u32 pc, bool taken) const;
    void assume(State& state, u32 pc);
    bool recover(Arrival& now, u32 pc, std::vector<Arrival>& next, bool& goes_on);
    bool no_packet(const Arrival& now, u32 pc, std::vector<Arrival>& next);
    bool tail_call(const Arrival& now, u32 pc, std::vector<Arrival>& next);
    bool exit(Arrival& now, u32 pc, std::vector<Arrival>& next);
    bool call(Arrival& now, u32 pc, std::vector<Arrival>& next, bool& goes_on);
    bool by_summary(const Arrival& now, u32 pc, std::vector<Arrival>& next);
    void calls(u32 callee);
    bool branch(Arrival& now, u32 pc, std::vector<Arrival>& next);
    [[nodiscard]] u32 target(u32 pc) const;

    const Program& program_;
    std::vector<isa::InsnFault> faults_;
    ControlFlow flow_;
    std::vector<std::uint16_t> live_;
    Symbols symbols_;
    Stepper stepper_;
    Recorder* recorder_ = nullptr;
    Watcher* watcher_ = nullptr;
    const std::vector<char>* stops_ = nullptr;
    std::vector<Arrival> work_; ///< of a walk; kept for its memory
    u32 most_steps_ = 0;
    PoolVector<u32> callees_;
    u32 last_ = 0; ///< where a Recorder is at work: the last instruction
};

} // namespace skep::verifier
