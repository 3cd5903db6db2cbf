// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "termination.hpp"
#include "walker.hpp"

namespace skep::verifier {

/// A state that nobody changes any more.
using StateRef = std::shared_ptr<const State>;
[[nodiscard]] StateRef freeze(State state);

/// What a walk came to.
struct Arrived {
    StateRef state;
    u32 pc = 0;
    bool by_contract = false;
    std::vector<Decision> trail;
};

/// Decides whether a program is proved. It walks each state of the proof itself, once, and at the
/// end compares what arrived where with the states that the engine claims to hold it. Of the engine
/// it believes nothing: states that it has got cannot be changed, and ways that are not claimed,
/// claims that are not so and states that were not walked fail the proof.
class Checker {
public:
    explicit Checker(Walker& walker) : walker_(walker) {}

    /// Begins another proof.
    void clear();
    /// The number of a state that walk() is going to get. They begin with 0.
    u32 reserve();
    /// Walks from a state at `pc` to the next meetings; once for each number. False after a
    /// finding. `counter` counts instructions.
    /// `summary`: what a call at `pc` goes by. Nothing is walked from kReturned on.
    bool walk(u32 id, StateRef state, u32 pc, std::vector<Arrived>& arrived, std::uint64_t& counter,
              const Summary* summary = nullptr);
    /// Claims that what arrived as number `way` of walk(id) lies in the state `target`.
    void claim(u32 id, u32 way, u32 target);

    /// Whether the claims prove the program: the start, at `pc`, lies in state 0, and every way out
    /// of a state in the one that was claimed. `ends` gets the ways: who asks it knows whether they
    /// end. `counter` counts instructions that are walked once more for that.
    [[nodiscard]] bool confirm(const State& start, u32 pc, std::uint64_t& counter,
                               Termination& ends);
    /// The same of a summary, and that it ends; then it may be used.
    [[nodiscard]] bool confirm(Summary& summary, std::uint64_t& counter, Termination& ends);

private:
    struct Way {
        StateRef arrived; ///< until the claim was seen to be true
        u32 pc = 0;
        u32 target = kNone;
        Termination::Way way;
    };
    struct Record {
        StateRef state;
        u32 pc = 0;
        const Summary* summary = nullptr;
        u32 cost = 0;
        PoolVector<u32> callees;
        u32 first_way = 0;
        u32 ways = 0;
    };
    static constexpr u32 kNone = 0xffffffff;
    static constexpr std::size_t kMostWaiting = 1024;

    [[nodiscard]] Termination::Way way_of(const Arrival& arrival) const;
    bool settle();
    [[nodiscard]] bool holds(Way& way) const;

    Walker& walker_;
    PoolVector<Record> records_;
    PoolVector<Way> ways_;
    PoolVector<u32> waiting_; ///< ways whose claim was not looked at yet
    std::size_t limit_ = kMostWaiting;
    bool refuted_ = false;
    std::vector<Arrival> arrivals_; ///< kept for its memory
};

} // namespace skep::verifier
