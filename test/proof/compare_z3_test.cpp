// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Comparisons: assume() and assume_low() keep every pair of members that satisfies them (O2), and
// decide() is right about every pair (O3).
#include "symbolic_fact.hpp"

namespace skep::verifier::domain {
namespace {

/// What the jump tests.
template <unsigned P>
Claim satisfies(Compare compare, const Symbol<P>& x, const Symbol<P>& y) {
    const z3::expr& a = x.bits;
    const z3::expr& b = y.bits;
    switch (compare) {
    case Compare::Eq:
        return {a == b};
    case Compare::Ne:
        return {a != b};
    case Compare::Gt:
        return {z3::ugt(a, b)};
    case Compare::Ge:
        return {z3::uge(a, b)};
    case Compare::Lt:
        return {z3::ult(a, b)};
    case Compare::Le:
        return {z3::ule(a, b)};
    case Compare::Sgt:
        return {z3::sgt(a, b)};
    case Compare::Sge:
        return {z3::sge(a, b)};
    case Compare::Slt:
        return {z3::slt(a, b)};
    case Compare::Sle:
        return {z3::sle(a, b)};
    case Compare::Set:
        return !is_zero(x & y);
    case Compare::NotSet:
        break;
    }
    return is_zero(x & y);
}

class Comparisons : public FactProofs, public testing::WithParamInterface<Compare> {};

TEST_P(Comparisons, keep_what_satisfies_them) {
    for (const unsigned holes : {0U, 1U})
        prove(64, "assume", [&] {
            Member a = any_member(holes);
            Member b = any_member(holes);
            Paths::current().assume(satisfies(GetParam(), a.x, b.x));
            speak_of({a.x, b.x});
            return assume<Term>(GetParam(), a.fact, b.fact)
                       ? holds(a.fact, a.x) && holds(b.fact, b.x)
                       : never();
        });
}
Term extended(const Term& x, bool is_signed) {
    return is_signed ? shift_right_signed(shift_left(x, 32), 32) : x & low_mask(x, 32);
}
bool is_signed(Compare compare) {
    return compare >= Compare::Sgt && compare <= Compare::Sle;
}

using LowHalves = FactProofs;
TEST_F(LowHalves, are_learned_from_their_extensions) {
    for (const bool with_sign : {false, true})
        for (const unsigned holes : {0U, 1U})
            prove(64, "learn_low", [&] {
                Member a = any_member(holes);
                const SymbolicFact refined = any_fact(holes);
                const Term low = extended(a.x, with_sign);
                speak_of({a.x, low});
                Paths::current().assume(refined.contains(low));
                return learn_low<Term>(a.fact, refined) ? holds(a.fact, a.x) : never();
            });
}
TEST_P(Comparisons, of_low_halves_keep_what_satisfies_them) {
    prove(64, "assume_low", [&] {
        Member a = any_member(1);
        Member b = any_member(1);
        const Term x = extended(a.x, is_signed(GetParam()));
        const Term y = extended(b.x, is_signed(GetParam()));
        Paths::current().assume(satisfies(GetParam(), low_half(a.x), low_half(b.x)));
        speak_of({a.x, x, b.x, y});
        // What the lemma of assume() asks for.
        if (!satisfies(GetParam(), x, y))
            return never();
        Lemmas::operands = {{x, y}};
        return assume_low(GetParam(), a.fact, b.fact) ? holds(a.fact, a.x) && holds(b.fact, b.x)
                                                      : never();
    });
}
TEST_P(Comparisons, are_decided_as_they_are) {
    prove(64, "decide", [&] {
        const Member a = any_member();
        const Member b = any_member();
        speak_of({a.x, b.x});
        const auto decided = decide(GetParam(), a.fact, b.fact);
        if (!decided)
            return Paths::current().claim(true);
        const Claim is = satisfies(GetParam(), a.x, b.x);
        return *decided ? is : !is;
    });
}
INSTANTIATE_TEST_SUITE_P(All, Comparisons,
                         testing::Values(Compare::Eq, Compare::Ne, Compare::Gt, Compare::Ge,
                                         Compare::Lt, Compare::Le, Compare::Sgt, Compare::Sge,
                                         Compare::Slt, Compare::Sle, Compare::Set,
                                         Compare::NotSet));

} // namespace
} // namespace skep::verifier::domain
