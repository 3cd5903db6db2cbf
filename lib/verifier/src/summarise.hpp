// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "summary.hpp"

namespace skep::verifier {

/// Decides which calls go by summaries. The first call of a function is walked into. What it got is
/// remembered; the next call asks for a proof from a state that holds both inputs and leaves open
/// what differs, so that it serves the calls that follow.
class Summariser {
public:
    /// Explores a summary and has it confirmed.
    using Prove = std::function<bool(Summary&)>;

    /// `least`: functions that are worth it have as many instructions, with those they call as
    /// often as they name them, times the places that call them. `widening`: how what differs
    /// between calls is left open.
    Summariser(Walker& walker, const domain::Widening& widening, std::uint64_t least);

    /// There are calls that may go by summaries.
    [[nodiscard]] bool any() const { return any_; }
    /// Those, by slot; if there are any.
    [[nodiscard]] const std::vector<char>& calls() const { return calls_; }

    /// Another proof: what was summarised for others is of no use to it.
    void begin();
    /// What a call goes by, or nullptr: it is walked into.
    const Summary* choose(const State& state, u32 pc, const Prove& prove);
    /// Summaries since begin().
    [[nodiscard]] std::uint64_t made() const { return made_; }
    /// A call came this way since begin().
    [[nodiscard]] bool asked() const { return !functions_.empty(); }

private:
    struct Function {
        std::deque<State> seen; ///< of each shape, what calls gave that went by no summary
        std::vector<const Summary*> summaries;
        std::vector<u32> sites; ///< that called
        std::uint32_t calls = 0;
        std::uint32_t failures = 0;
    };

    /// Notes a call; false if nothing says that there will be more.
    [[nodiscard]] bool expects_more(Function& function, u32 pc) const;
    bool attempt(Function& function, State input, const State& caller, u32 pc, const Prove& prove);

    Walker& walker_;
    const domain::Widening& widening_;
    std::vector<char> calls_;
    std::map<u32, std::size_t> sites_; ///< places that call, by first slot
    std::uint64_t made_ = 0;
    bool any_ = false;
    bool at_once_ = false;              ///< without a call that is walked into
    std::map<u32, Function> functions_; ///< by first slot
    std::deque<Summary> summaries_;     ///< proofs refer to them
};

} // namespace skep::verifier
