// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Reduction loses no member (O4): each of its steps, and so any series of them.
#include "symbolic_fact.hpp"

namespace skep::verifier::domain {
namespace {

class Reduction : public FactProofs {
protected:
    Reduction() { Lemmas::opaque = false; }

    /// `step` keeps every member.
    template <class Step>
    void step(unsigned width, const std::string& what, Step step, unsigned holes = 0) {
        prove(width, what, [&] {
            Member a = any_member(holes);
            speak_of({a.x});
            return step(a.fact) ? holds(a.fact, a.x) : never();
        });
    }
};

// The bits are spoken of by the lemmas only: next_member() goes no further than to a member. At 64
// bits it takes Z3 three minutes.
TEST_F(Reduction, moves_ends_of_16_bits_to_members_of_the_bits) {
    prove(16, "step_ends", [&] {
        const Tnum<Term> bits = any_tnum();
        Arc<Term> arc = any_arc<1>();
        const Term i{Paths::current().variable("i", 1)};
        const Term x = arc.base + i;
        Paths::current().assume(well_formed(bits) && has(bits, x) && at_most(i, arc.size));
        Paths::current().assume(well_formed(arc));
        speak_of({x});
        return step_ends(arc, bits) ? has(arc, x) && well_formed(arc) : never();
    });
}
TEST_F(Reduction, narrows_the_arcs_to_the_range_of_the_bits) {
    step(64, "range_of", [](SymbolicFact& fact) { return meet_arc(fact, range_of(fact.bits)); });
    step(64, "range_of of the low half",
         [](SymbolicFact& fact) { return meet_low(fact, range_of(low_half(fact.bits))); });
}
TEST_F(Reduction, takes_bits_from_the_arcs) {
    step(64, "bits_from_arcs", [](SymbolicFact& fact) { return bits_from_arcs(fact); });
}
TEST_F(Reduction, lets_the_halves_meet) {
    step(64, "halves_meet", [](SymbolicFact& fact) { return halves_meet(fact); });
}
TEST_F(Reduction, trims_holes) {
    for (unsigned holes = 1; holes <= 4; ++holes)
        for (unsigned at = 0; at < holes; ++at)
            step(
                64, "trim_hole",
                [at](SymbolicFact& fact) {
                    unsigned i = at;
                    bool changed = false;
                    return trim_hole(fact, i, changed);
                },
                holes);
}

} // namespace
} // namespace skep::verifier::domain
