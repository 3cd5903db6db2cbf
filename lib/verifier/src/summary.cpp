// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "summary.hpp"

#include <algorithm>

#include "skep/isa/decode.hpp"

namespace skep::verifier {
namespace {

/// No offset of a pointer is as large.
constexpr i64 kFar = i64{1} << 30;

bool far(i64 distance) {
    return distance < -kFar || distance > kFar;
}

i64 minus(i64 a, i64 b) {
    return static_cast<i64>(static_cast<u64>(a) - static_cast<u64>(b));
}

bool in_packet(const Val& val) {
    return val.kind == Kind::Pointer &&
           (val.region == Region::Packet || val.region == Region::Meta ||
            val.region == Region::PacketEnd);
}

bool holds(const State& state, u32 instance) {
    return std::ranges::find(state.references, instance) != state.references.end();
}

/// One exit of a summary in the terms of one caller.
class Translation {
public:
    Translation(const State& exit, State& out, Symbols& symbols)
        : exit_(exit), out_(out), symbols_(symbols) {}

    /// The same argument there and here.
    void same(const Val& there, const Val& here) {
        if (there.sym != 0)
            numbers_.push_back({there.sym, here.sym, minus(here.off, there.off)});
        instances_.emplace_back(there.instance, here.instance);
        instances_.emplace_back(owner_of(there), owner_of(here));
    }

    Val val(Val val) {
        if (val.kind == Kind::Uninit)
            return val;
        const Number now = number(val.sym);
        val.sym = now.here;
        val.off = static_cast<i64>(static_cast<u64>(val.off) + static_cast<u64>(now.distance));
        if (has_owner(val))
            val.aux = class_of(val) | instance(owner_of(val)) << kOwnerShift;
        val.instance = instance(val.instance);
        return val;
    }

    u32 instance(u32 there) {
        if (there == 0)
            return 0;
        const auto known = std::ranges::find(instances_, there, &std::pair<u32, u32>::first);
        if (known != instances_.end())
            return known->second;
        return instances_.emplace_back(there, symbols_.fresh()).second;
    }

    /// What is known of the packet's length, of the numbers that have a name here.
    void bounds() {
        for (const PacketBound& bound : exit_.bounds) {
            if (bound.sym == 0)
                out_.add_bound(bound);
            for (const Number& number : numbers_)
                if (bound.sym != 0 && number.there == bound.sym && !far(number.distance) &&
                    !far(bound.c))
                    out_.add_bound({bound.region, number.here, bound.c + number.distance});
        }
    }

private:
    struct Number { ///< there = here + distance
        Sym there = 0;
        Sym here = 0;
        i64 distance = 0;
    };

    Number number(Sym there) {
        if (there == 0)
            return {};
        const auto known = std::ranges::find(numbers_, there, &Number::there);
        if (known != numbers_.end())
            return *known;
        const Sym made = symbols_.fresh();
        out_.set_fact(made, exit_.fact(there));
        return numbers_.emplace_back(there, made, 0);
    }

    const State& exit_;
    State& out_;
    Symbols& symbols_;
    std::vector<Number> numbers_;
    std::vector<std::pair<u32, u32>> instances_;
};

} // namespace

std::optional<State> Stepper::project(const State& state, u32 pc, u32 live) {
    if (state.held_lock != 0)
        return std::nullopt;
    State made;
    made.frames.resize(2);
    Frame& outside = made.frames[0];
    Frame& callee = made.frames[1];
    callee.return_to = kReturned;
    callee.function = static_cast<u32>(isa::target_of(program_.insns[pc], pc));
    callee.regs[10] = {.kind = Kind::Pointer, .region = Region::Stack, .aux = 1};
    for (unsigned reg = 1; reg <= 5; ++reg) {
        const Val& val = state.frame().regs[reg];
        if ((live >> reg & 1) == 0)
            continue;
        if (val.kind == Kind::Pointer &&
            (val.region == Region::Stack || holds(state, val.instance) ||
             holds(state, owner_of(val))))
            return std::nullopt;
        callee.regs[reg] = val;
        outside.regs[reg] = val;
    }
    outside.regs[kPacketMark] = {.kind = Kind::Pointer, .region = Region::Packet};
    if (!state.references.empty())
        made.references.push_back(symbols_.fresh());
    made.facts = state.facts;
    made.bounds = state.bounds;
    made.differences = state.differences;
    forget_unused(made, symbols_);
    return made;
}

bool Stepper::after_summary(const State& before, const Summary& summary, const State& exit,
                            State& out) {
    out = before;
    const auto& there = exit.frame().regs;
    const auto& here = before.frame().regs;
    auto& regs = out.frame().regs;
    for (unsigned reg = 0; reg <= 5; ++reg)
        regs[reg] = {};
    const bool moved = !in_packet(there[kPacketMark]);
    if (moved)
        forget_packet(out);
    Translation translation(exit, out, symbols_);
    for (unsigned reg = 1; reg <= 5; ++reg) {
        const Val& was = here[reg];
        // Else it was not kept, or is no longer what it was.
        if (there[reg].kind == Kind::Uninit || there[reg].kind != was.kind ||
            (moved && in_packet(was)))
            continue;
        translation.same(there[reg], was);
        if (was.kind == Kind::Pointer && was.nullable && !there[reg].nullable)
            set_null(out, was.instance, false);
        if (!refine(out, symbols_, was.sym,
                    domain::moved(exit.of(there[reg]), u64{0} - static_cast<u64>(was.off))))
            return false;
    }
    regs[0] = translation.val(there[0]);
    for (std::size_t i = summary.input().references.size(); i < exit.references.size(); ++i)
        out.references.push_back(translation.instance(exit.references[i]));
    translation.bounds();
    return true;
}

bool Stepper::call_by_summary(const State& state, u32 pc, u32 live, const Summary& summary,
                              std::vector<State>& after) {
    const auto input = project(state, pc, live);
    if (!summary.proved() || !input || input->frames[1].function != summary.function() ||
        !within(*input, summary.input(), symbols_))
        return fail(pc, "V900", "internal: the summary does not cover the call");
    for (const StateRef& kept : summary.exits()) {
        const State& exit = *kept;
        const Val& r0 = exit.frame().regs[0];
        if (exit.held_lock != 0 || exit.references.size() < summary.input().references.size() ||
            (r0.kind == Kind::Pointer && r0.region == Region::Stack))
            return fail(pc, "V900", "internal: the summary does not end as it may");
        State out;
        if (after_summary(state, summary, exit, out))
            after.push_back(std::move(out));
    }
    return true;
}

} // namespace skep::verifier
