// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Inclusion (O5), join, widening (O9), meet and holes of facts, and their views (O7).
#include "symbolic_fact.hpp"

namespace skep::verifier::domain {
namespace {

using Lattice = FactProofs;

TEST_F(Lattice, reduction_is_its_rounds) {
    for (unsigned holes = 0; holes <= 1; ++holes)
        prove(64, "reduce", [&] {
            Member a = any_member(holes);
            speak_of({a.x});
            return reduce<Term>(a.fact) ? holds(a.fact, a.x) : never();
        });
}

TEST_F(Lattice, what_is_within_has_its_members_there) {
    for (const unsigned holes : {0U, 1U, 4U})
        prove(64, "within", [&] {
            const Member a = any_member(holes);
            const SymbolicFact b = any_fact(holes);
            speak_of({a.x});
            if (!within<Term>(a.fact, b))
                return Paths::current().claim(true);
            return b.contains(a.x);
        });
}

TEST_F(Lattice, joins_hold_the_members_of_both) {
    for (const unsigned holes : {0U, 1U})
        prove(64, "join", [&] {
            const Member a = any_member(holes);
            const Member b = any_member(holes);
            speak_of({a.x, b.x});
            const SymbolicFact both_of_them = join(a.fact, b.fact);
            return holds(both_of_them, a.x) && holds(both_of_them, b.x);
        });
}

/// Any lower and any higher bound.
struct AnyStops {
    bool all = false;
    static Term below(const Term& bound) {
        const Term stop{Paths::current().variable("below", 1)};
        Paths::current().assume(!below_signed(bound, stop));
        return stop;
    }
    static Term above(const Term& bound) {
        const Term stop{Paths::current().variable("above", 1)};
        Paths::current().assume(!below_signed(stop, bound));
        return stop;
    }
};

TEST_F(Lattice, widening_keeps_the_members) {
    for (const bool all : {false, true})
        prove(64, "widen", [&] {
            const SymbolicFact from = any_fact();
            const Member to = any_member(1);
            speak_of({to.x});
            return holds(widen(from, to.fact, AnyStops{.all = all}), to.x);
        });
}

TEST_F(Lattice, meets_keep_common_members) {
    for (const unsigned holes : {0U, 1U, 2U})
        prove(64, "meet", [&] {
            const Member a = any_member(holes);
            const SymbolicFact b = any_fact(holes);
            Paths::current().assume(b.contains(a.x));
            speak_of({a.x});
            const auto common = meet(a.fact, b);
            return common ? holds(*common, a.x) : never();
        });
}

TEST_F(Lattice, a_hole_is_its_value_only) {
    for (unsigned holes = 0; holes <= 4; ++holes)
        prove(64, "exclude", [&] {
            Member a = any_member(holes);
            const Term value{Paths::current().variable("value", 1)};
            Paths::current().assume(!same(a.x, value));
            speak_of({a.x});
            return exclude(a.fact, value) ? holds(a.fact, a.x) : never();
        });
}

TEST_F(Lattice, constants_and_ranges_hold_their_members) {
    prove(64, "constant", [&] {
        const Term x{Paths::current().variable("x", 1)};
        return holds(SymbolicFact::constant(x), x);
    });
    prove(64, "between", [&] {
        const Term low{Paths::current().variable("low", 1)};
        const Term high{Paths::current().variable("high", 1)};
        const Term x{Paths::current().variable("x", 1)};
        Paths::current().assume(at_most(low, x) && at_most(x, high));
        speak_of({x});
        return holds(SymbolicFact::between(low, high), x);
    });
    for (const unsigned width : {8U, 16U, 32U, 64U})
        prove(64, "of_width", [&] {
            const Term x{Paths::current().variable("x", 1)};
            if (width < 64)
                Paths::current().assume(at_most(x, low_mask(x, width)));
            speak_of({x});
            return holds(SymbolicFact::of_width(width), x);
        });
}

TEST_F(Lattice, views_bound_the_members) {
    Lemmas::opaque = false;
    prove(64, "views", [&] {
        const Member a = any_member();
        return at_most(a.fact.umin(), a.x) && at_most(a.x, a.fact.umax()) &&
               !below_signed(a.x, a.fact.smin()) && !below_signed(a.fact.smax(), a.x);
    });
    prove(64, "is_constant", [&] {
        const Member a = any_member();
        return !a.fact.is_constant() || same(a.x, a.fact.bits.value);
    });
}

} // namespace
} // namespace skep::verifier::domain
