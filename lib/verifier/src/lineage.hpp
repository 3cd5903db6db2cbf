// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "proof.hpp"

namespace skep::verifier {

/// How the states that a joined attempt kept came to be: which ways led into each of them.
/// Nothing here is trusted: it only chooses what to try next, and what to tell people.
class Lineage {
public:
    static constexpr u32 kNone = 0xffffffff;

    struct Node {
        Point point;
        u32 index = 0;      ///< among the states of the point
        u32 before = kNone; ///< a node whose state was taken in as well: it was widened
    };
    /// What the walk from a state finds at one of its ends became part of another state.
    struct Way {
        u32 from = kNone; ///< kNone: the start
        u32 arrival = 0;  ///< in the order in which Walker::walk() finds them
        u32 to = 0;
    };

    void clear() {
        nodes_.clear();
        ways_.clear();
    }
    u32 add(const Node& node) {
        nodes_.push_back(node);
        return static_cast<u32>(nodes_.size() - 1);
    }
    void lead(const Way& way) { ways_.push_back(way); }
    [[nodiscard]] const Node& operator[](u32 node) const { return nodes_[node]; }
    [[nodiscard]] const PoolVector<Way>& ways() const { return ways_; }

private:
    PoolVector<Node> nodes_;
    PoolVector<Way> ways_;
};

/// A state that was made of several, from each of which what fails would have held.
struct Loss {
    struct Side {
        State state;
        u32 from = 0;        ///< slot of the last instruction before
        bool jumped = false; ///< a conditional jump, and it was taken
    };
    u32 node = 0;
    bool widened = false; ///< joined alone, they would have held
    Finding finding;      ///< what fails
    std::vector<Side> sides;
    std::vector<Note> notes; ///< what is known on each side of what the finding is about
};

/// The newest such state on a way to `failing`, whose walk ended in a finding. Nothing if there is
/// none: what fails then fails on a way of its own, or is lost in an instruction, or the search
/// took more than `budget` instructions, which `counter` counts.
[[nodiscard]] std::optional<Loss> find_loss(Walker& walker, const Proof& proof,
                                            const Lineage& lineage, u32 failing,
                                            std::uint64_t budget, std::uint64_t& counter);

} // namespace skep::verifier
