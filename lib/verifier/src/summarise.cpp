// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "summarise.hpp"

#include <algorithm>

#include "skep/isa/decode.hpp"

namespace skep::verifier {
namespace {

/// Greater than any slot.
constexpr u32 kFirstKey = 0x80000000;
/// Of one function: with more, or after as many attempts in vain, calls are walked into.
constexpr std::size_t kMostSummaries = 6;
constexpr std::size_t kMostFailures = 2;
constexpr std::size_t kMostSeen = 4;
/// A summary with more exits tells callers apart from little else.
constexpr std::size_t kMostExits = 12;

/// Instructions of each function with those that it calls, as often as it names them.
class Sizes {
public:
    explicit Sizes(const ControlFlow& flow)
        : flow_(flow), known_(flow.functions.size(), kUnknown) {}

    std::uint64_t of(u32 function) {
        if (known_[function] != kUnknown)
            return known_[function];
        known_[function] = 0; // Of a function that calls itself, which is refused elsewhere.
        std::uint64_t size = flow_.functions[function].end - flow_.functions[function].begin;
        for (const FunctionUse& use : flow_.uses)
            if (use.caller == function)
                size = std::min(size + of(use.callee), kMost);
        return known_[function] = size;
    }

private:
    static constexpr std::uint64_t kUnknown = UINT64_MAX;
    static constexpr std::uint64_t kMost = 1U << 30;
    const ControlFlow& flow_;
    std::vector<std::uint64_t> known_;
};

/// The caller goes on with a number or a pointer that it passed.
bool keeps(const State& caller, const Val& passed) {
    const auto same = [&](const Val& val) {
        return val.kind == passed.kind &&
               ((passed.sym != 0 && val.sym == passed.sym) ||
                (passed.instance != 0 && val.instance == passed.instance));
    };
    for (std::size_t f = 0; f < caller.frames.size(); ++f) {
        const Frame& frame = caller.frames[f];
        const unsigned first = f + 1 == caller.frames.size() ? 6 : 0;
        for (unsigned reg = first; reg < 10; ++reg)
            if (same(frame.regs[reg]))
                return true;
        bool any = false;
        frame.stack.each([&](std::size_t, const Val& val, unsigned) { any |= same(val); });
        if (any)
            return true;
    }
    return false;
}

bool usable(const Summary& summary) {
    return summary.exits().size() <= kMostExits &&
           std::ranges::all_of(summary.exits(), [&](const StateRef& exit) {
               return exit->held_lock == 0 &&
                      exit->references.size() >= summary.input().references.size();
           });
}

} // namespace

Summariser::Summariser(Walker& walker, const domain::Widening& widening, std::uint64_t least)
    : walker_(walker), widening_(widening), at_once_(least == 0) {
    const ControlFlow& flow = walker.flow();
    if (flow.functions.size() == 1)
        return;
    Sizes sizes(flow);
    for (u32 f = 0; f < flow.functions.size(); ++f) {
        const auto calls = [f](const FunctionUse& use) { return use.callee == f && !use.address; };
        const auto sites = static_cast<std::uint64_t>(std::ranges::count_if(flow.uses, calls));
        if (sites < (at_once_ ? 1 : 2) ||
            walker.stepper().contract_of(flow.functions[f].begin) != nullptr ||
            sites * sizes.of(f) < least)
            continue;
        any_ = true;
        calls_.resize(walker.program().insns.size(), 0);
        sites_[flow.functions[f].begin] = sites;
        for (const FunctionUse& use : flow.uses)
            if (calls(use))
                calls_[use.slot] = 1;
    }
}

void Summariser::begin() {
    functions_.clear();
    made_ = 0;
}

const Summary* Summariser::choose(const State& state, u32 pc, const Prove& prove) {
    if (calls_[pc] == 0)
        return nullptr;
    const auto begin = static_cast<u32>(isa::target_of(walker_.program().insns[pc], pc));
    Function& function = functions_[begin];
    const auto input = walker_.stepper().project(state, pc, walker_.live(begin));
    if (!input)
        return nullptr;
    for (std::size_t i = function.summaries.size(); i-- > 0;)
        if (within(*input, function.summaries[i]->input(), walker_.symbols()))
            return function.summaries[i];
    const bool more = expects_more(function, pc);
    if (function.failures >= kMostFailures || function.summaries.size() >= kMostSummaries)
        return nullptr;
    const u64 form = shape(*input);
    // A callback may call the function in turn: then there are more when attempt() is done.
    const auto found = std::ranges::find(function.seen, form, shape);
    if (found == function.seen.end()) {
        if (function.seen.size() < kMostSeen)
            function.seen.push_back(*input);
        const bool made = at_once_ && attempt(function, *input, state, pc, prove);
        return made ? function.summaries.back() : nullptr;
    }
    if (!more && !at_once_)
        return nullptr;
    State& seen = *found;
    State open = join(seen, *input, walker_.symbols(), &widening_);
    if (attempt(function, open, state, pc, prove)) {
        seen = std::move(open);
        return function.summaries.back();
    }
    seen = join(seen, *input, walker_.symbols());
    return attempt(function, seen, state, pc, prove) ? function.summaries.back() : nullptr;
}

bool Summariser::expects_more(Function& function, u32 pc) const {
    if (std::ranges::find(function.sites, pc) == function.sites.end())
        function.sites.push_back(pc);
    const auto begin = static_cast<u32>(isa::target_of(walker_.program().insns[pc], pc));
    ++function.calls;
    return function.sites.size() < sites_.at(begin) || function.calls > function.sites.size();
}

bool Summariser::attempt(Function& function, State input, const State& caller, u32 pc,
                         const Prove& prove) {
    // What the caller forgets need not be told apart.
    for (unsigned reg = 1; reg <= 5; ++reg)
        if (!keeps(caller, caller.frame().regs[reg]))
            input.frames[0].regs[reg] = {};
    const auto begin = static_cast<u32>(isa::target_of(walker_.program().insns[pc], pc));
    Summary& made = summaries_.emplace_back(kFirstKey + static_cast<u32>(summaries_.size()), begin,
                                            std::move(input));
    if (prove(made) && usable(made)) {
        function.summaries.push_back(&made);
        ++made_;
        return true;
    }
    ++function.failures;
    return false;
}

} // namespace skep::verifier
