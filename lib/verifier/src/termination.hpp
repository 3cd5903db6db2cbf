// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "walker.hpp"

namespace skep::verifier {

/// The states of a proof and the ways between them, for the question whether and when they end.
///
/// Ranks fall on every way but those that a contract bounds (a callback's next round, an
/// iterator's next number, may_goto): so every cycle has one of these. The contract bounds the
/// rounds of one session: from one call of bpf_loop, one bpf_iter_num_new, one entry of the
/// function. A cycle that starts sessions anew could go on for ever.
class Termination {
public:
    /// Why a way may be taken again.
    enum class Contract : uint8_t { None, Callback, Iterator, MayGoto };

    struct Way {
        u32 to = 0;
        Contract contract = Contract::None;
        u64 rounds = 0;   ///< most rounds of one session
        u64 started = 0;  ///< iterators that are started on the way: Arrival::started
        u64 iterator = 0; ///< the one that goes on
        u32 lowest = 0;   ///< least number of frames on the way
    };
    struct Node {
        Point point;
        u32 frames = 0;
        u64 cost = 0;             ///< most instructions of a way from here
        std::vector<u32> callees; ///< global functions that are called on the ways from here
        std::vector<Way> ways;
    };

    static constexpr u64 kUnbounded = std::numeric_limits<u64>::max();

    u32 add(Node node) {
        nodes_.push_back(std::move(node));
        return static_cast<u32>(nodes_.size() - 1);
    }
    /// Global functions that are called, by first slot.
    [[nodiscard]] std::vector<u32> callees() const;
    [[nodiscard]] Node& operator[](u32 node) { return nodes_[node]; }

    /// The most instructions that can run from any state, with what each global function takes;
    /// saturates. Nothing: it may go on for ever.
    [[nodiscard]] std::optional<u64> worst_case(const std::map<u32, u64>& functions) const;
    /// After worst_case() gave nothing: where something goes round.
    [[nodiscard]] u32 culprit() const { return culprit_; }

private:
    std::optional<u64> cost(const std::vector<u32>& members, std::vector<char>& removed,
                            const std::map<u32, u64>& functions) const;
    std::optional<u64> cycle(const std::vector<u32>& members, std::vector<char>& removed,
                             const std::map<u32, u64>& functions) const;

    std::vector<Node> nodes_;
    mutable u32 culprit_ = 0;
    mutable std::vector<u32> first_way_; ///< of each node, in `removed`
};

} // namespace skep::verifier
