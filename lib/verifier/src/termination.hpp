// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "walker.hpp"

namespace skep::verifier {

/// The states of a proof and the ways between them, for the question whether and when they end.
///
/// Every run follows these ways, so what has to be shown is that no cycle of them can be followed
/// for ever. Of a strongly connected component of ways there are two arguments, each of which takes
/// some ways out; what is left is looked at again:
///
/// - a contract bounds the rounds of one session: from one call of bpf_loop, one bpf_iter_num_new,
///   one entry of the function with may_goto. A component that starts no session anew takes the
///   ways of that contract no more often.
/// - a counter: a place in each state (a register, a stack cell) such that every way adds a number
///   that is never negative (or never positive) to what is there, and the states bound it. The ways
///   that change it are taken no more often than the bounds allow.
class Termination {
public:
    /// Why a way may be taken again.
    enum class Contract : uint8_t { None, Callback, Iterator, MayGoto };

    /// A register or a stack cell of a frame: see place_of().
    using Place = u32;
    /// What is at `to` behind a way is what was at `from` before it, plus `delta` (mod 2^64).
    struct Link {
        Place from = 0;
        Place to = 0;
        i64 delta = 0;
    };
    struct Way {
        u32 to = 0;
        Contract contract = Contract::None;
        u64 rounds = 0;   ///< most rounds of one session
        u64 started = 0;  ///< iterators that are started on the way: Arrival::started
        u64 iterator = 0; ///< the one that goes on
        u32 lowest = 0;   ///< least number of frames on the way
        PoolVector<Link> links;
    };
    struct Node {
        Point point;
        u32 frames = 0;
        u64 cost = 0;            ///< most instructions of a way from here
        PoolVector<u32> callees; ///< global functions that are called on the ways from here
        PoolVector<Way> ways;
        PoolVector<std::pair<Place, Fact>> values; ///< of places that links name
    };

    static constexpr u64 kUnbounded = std::numeric_limits<u64>::max();

    u32 add(Node node) {
        nodes_.push_back(std::move(node));
        return static_cast<u32>(nodes_.size() - 1);
    }
    /// Global functions that are called, by first slot.
    [[nodiscard]] PoolVector<u32> callees() const;
    [[nodiscard]] Node& operator[](u32 node) { return nodes_[node]; }

    /// Nodes whose links and values are needed: those of components with cycles of no contract.
    [[nodiscard]] PoolVector<u32> in_plain_cycles() const;
    /// The links of a way from a state to another, and the values of the places there.
    static PoolVector<Link> links(const State& from, const State& to);
    static PoolVector<std::pair<Place, Fact>> values(const State& state);

    /// The most instructions that can run from any state, with what each global function takes;
    /// saturates. Nothing: it may go on for ever.
    [[nodiscard]] std::optional<u64> worst_case(const std::map<u32, u64>& functions) const;
    /// After worst_case() gave nothing: where something goes round.
    [[nodiscard]] u32 culprit() const { return culprit_; }

private:
    /// Ways that are not looked at.
    using Removed = PoolVector<char>;
    /// One behind the other, each after those it leads to.
    struct Components {
        PoolVector<u32> members;
        PoolVector<u32> ends; ///< of each, in members
        [[nodiscard]] std::span<const u32> operator[](std::size_t i) const {
            const u32 begin = i == 0 ? 0 : ends[i - 1];
            return {members.data() + begin, ends[i] - begin};
        }
    };

    using Members = std::span<const u32>;

    /// Finds what all questions begin with, once all nodes are there.
    void prepare() const;
    [[nodiscard]] Components components(Members members, const Removed& removed) const;
    [[nodiscard]] bool goes_round(Members component, const Removed& removed) const;
    std::optional<u64> cost(const Components& parts, Removed& removed) const;
    std::optional<u64> cycle(Members members, Removed& removed) const;
    std::optional<u64> by_contract(Members members, Removed& removed) const;
    std::optional<u64> by_counter(Members members, Removed& removed) const;
    struct Counter;
    [[nodiscard]] std::optional<Counter> counter(Members members, const Removed& removed,
                                                 Place start) const;
    /// The rest when some ways are out, as often as they can be taken and once more.
    std::optional<u64> rounds(Members members, Removed& removed, const PoolVector<u32>& taken,
                              u64 times) const;
    void each_way(Members members, const Removed& removed,
                  const std::function<void(u32 from, const Way&, u32 id)>& visit) const;

    PoolVector<Node> nodes_;
    mutable u32 culprit_ = 0;
    mutable PoolVector<u32> first_way_; ///< of each node, in Removed
    mutable Components whole_;          ///< of all nodes by all ways
    mutable const std::map<u32, u64>* functions_ = nullptr;
};

} // namespace skep::verifier
