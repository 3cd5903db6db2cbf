// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "termination.hpp"
#include "walker.hpp"

namespace skep::verifier {

/// A state that was kept.
struct Kept {
    State state;
    u64 shape = 0;
    bool done = false;
    u32 node = 0; ///< of the engine's Lineage
    /// For each way out, in the order in which Walker::walk() finds them: which of the states kept
    /// there holds what arrives.
    std::vector<u32> targets;
};

/// An inductive set of states: what the engine claims, and the checker tests.
using Proof = std::map<Point, std::vector<Kept>>;

/// Trusts nothing but the walker: the start lies in the first state of its point, every way out of
/// a state leads into the one that is named.
/// `counter` counts instructions. `ends` gets the ways: who asks it knows whether they end.
[[nodiscard]] bool check(Walker& walker, const Proof& proof, const State& start, u32 root,
                         std::uint64_t& counter, Termination& ends);

} // namespace skep::verifier
