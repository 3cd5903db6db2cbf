// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// A function that is called often is proved from one input that holds what several calls give it;
// each of them goes on with the states in which that proof returns.
//
// The input is a state of two frames. The function's has the arguments. Below it is one that stands
// for all callers: its registers 1 to 5 keep the arguments, so that what the function learns of
// them, and what it makes of them, can be said in the caller's terms, whatever the states of the
// proof call them; register 9 points to the packet for as long as that has not moved. References
// that the caller holds are one that nobody can give back. What the two frames do not have, the
// function can neither read nor change.
#pragma once

#include <utility>
#include <vector>

#include "checker.hpp"
#include "proof.hpp"

namespace skep::verifier {

/// Claimed by the engine. It may be used when a checker has confirmed it.
class Summary {
public:
    /// `key`: what Walker::callees() names it by; greater than any slot, and the summary's own.
    Summary(u32 key, u32 function, State input)
        : key_(key), function_(function), input_(std::move(input)) {}

    [[nodiscard]] u32 key() const { return key_; }
    /// Its first slot.
    [[nodiscard]] u32 function() const { return function_; }
    [[nodiscard]] const State& input() const { return input_; }
    [[nodiscard]] bool proved() const { return proved_; }
    /// The states in which it returns: of one frame, the caller's. Requires proved().
    [[nodiscard]] const std::vector<StateRef>& exits() const { return exits_; }

    /// What the engine kept.
    Proof proof;

private:
    friend class Checker;
    u32 key_;
    u32 function_;
    State input_;
    bool proved_ = false;
    std::vector<StateRef> exits_;
};

/// Of the frame that stands for the caller.
constexpr unsigned kPacketMark = 9;

} // namespace skep::verifier
