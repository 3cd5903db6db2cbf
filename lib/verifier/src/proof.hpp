// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "checker.hpp"

namespace skep::verifier {

/// A state that was kept.
struct Kept {
    StateRef state;
    u64 shape = 0;
    u32 id = 0; ///< of the checker
    bool done = false;
    const Summary* summary = nullptr; ///< of a call: what it goes by
    u32 node = 0;                     ///< of the engine's Lineage
};

/// The states that the engine keeps, by point. All are walked in a proof.
using Proof = PoolMap<Point, PoolVector<Kept>>;

} // namespace skep::verifier
