// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "term.hpp"

#include "domain/fact.hpp"

namespace skep::verifier::domain {

using SymbolicFact = FactOf<Term>;

/// Any fact, and any member of it.
struct Member {
    SymbolicFact fact;
    Term x;
};

template <unsigned P>
Claim well_formed(const Arc<Symbol<P>>& a) {
    return !is_all(a) || is_zero(a.base);
}
inline Claim well_formed(const SymbolicFact& a) {
    return well_formed(a.bits) && well_formed(a.arc) && well_formed(a.low);
}

/// What an operation calls stands in its proof for what was proved of it: the overloads below are
/// taken in place of the templates of the same names. What they say, they say of `values`, of their
/// low halves, and of `operands`, whose sums, differences and products are spoken of, too.
struct Lemmas {
    inline static bool on = false;
    /// Of arcs, too, nothing is known but the lemmas.
    inline static bool opaque = false;
    inline static std::vector<Term> values;
    inline static std::vector<std::pair<Term, Term>> operands;

    template <unsigned P>
    static void each(auto&& visit) {
        for (const Term& x : values)
            visit(part<P>(x));
    }
    template <unsigned P>
    static void each_pair(auto&& visit) {
        for (const auto& [x, y] : operands)
            visit(part<P>(x), part<P>(y));
    }
    template <unsigned P>
    static Symbol<P> part(const Term& x) {
        if constexpr (P == 1)
            return x;
        else
            return low_half(x);
    }
};

inline Tnum<Term> any_tnum() {
    auto& paths = Paths::current();
    return {{paths.variable("value", 1)}, {paths.variable("mask", 1)}};
}
template <unsigned P>
Arc<Symbol<P>> any_arc() {
    auto& paths = Paths::current();
    return {{paths.variable("base", P)}, {paths.variable("size", P)}};
}

template <unsigned P>
Claim has(const Arc<Symbol<P>>& a, Symbol<P> x) noexcept {
    if (!Lemmas::opaque || a.size.bits.simplify().is_numeral())
        return has<Symbol<P>>(a, x);
    return {Paths::current().unknown_claim("has", {a.base.bits, a.size.bits, x.bits})};
}
/// Arcs of which nothing is known.
template <unsigned P>
bool is_opaque(const Arc<Symbol<P>>& a) {
    return Lemmas::opaque && !a.size.bits.simplify().is_numeral();
}
/// A bound of an arc: lemma(bound, x) holds for all of its members.
template <unsigned P>
Symbol<P> bound_of(const char* name, const Arc<Symbol<P>>& a, auto&& lemma) {
    const Symbol<P> made{Paths::current().unknown_word(name, {a.base.bits, a.size.bits}, P)};
    Lemmas::each<P>(
        [&](const Symbol<P>& x) { Paths::current().assume(!has(a, x) || lemma(made, x)); });
    return made;
}
template <unsigned P>
Symbol<P> least(const Arc<Symbol<P>>& a) noexcept {
    return !is_opaque(a) ? least<Symbol<P>>(a)
                         : bound_of("least", a, [](const auto& bound, const auto& x) {
                               return at_most(bound, x);
                           });
}
template <unsigned P>
Symbol<P> most(const Arc<Symbol<P>>& a) noexcept {
    return !is_opaque(a) ? most<Symbol<P>>(a)
                         : bound_of("most", a, [](const auto& bound, const auto& x) {
                               return at_most(x, bound);
                           });
}
template <unsigned P>
Symbol<P> least_signed(const Arc<Symbol<P>>& a) noexcept {
    return !is_opaque(a) ? least_signed<Symbol<P>>(a)
                         : bound_of("least_signed", a, [](const auto& bound, const auto& x) {
                               return !below_signed(x, bound);
                           });
}
template <unsigned P>
Symbol<P> most_signed(const Arc<Symbol<P>>& a) noexcept {
    return !is_opaque(a) ? most_signed<Symbol<P>>(a)
                         : bound_of("most_signed", a, [](const auto& bound, const auto& x) {
                               return !below_signed(bound, x);
                           });
}
template <unsigned P>
Arc<Symbol<P>> arc_between(Symbol<P> low, Symbol<P> high) noexcept {
    if (!Lemmas::opaque)
        return arc_between<Symbol<P>>(low, high);
    const auto made = any_arc<P>();
    Paths::current().assume(well_formed(made));
    Lemmas::each<P>([&](const Symbol<P>& x) {
        Paths::current().assume(!(at_most(low, x) && at_most(x, high)) || has(made, x));
        Paths::current().assume(below_signed(x, low) || below_signed(high, x) || has(made, x));
    });
    return made;
}
template <unsigned P>
Arc<Symbol<P>> moved(const Arc<Symbol<P>>& a, Symbol<P> distance) noexcept {
    if (!Lemmas::opaque)
        return moved<Symbol<P>>(a, distance);
    const auto made = any_arc<P>();
    Paths::current().assume(well_formed(made));
    Lemmas::each_pair<P>([&](const Symbol<P>& x, const Symbol<P>& y) {
        Paths::current().assume(!has(a, x) || !same(distance, y) || has(made, x + y));
        Paths::current().assume(!has(a, y) || !same(distance, x) || has(made, x + y));
        Paths::current().assume(!has(a, x) || !same(distance, Symbol<P>{} - y) || has(made, x - y));
    });
    return made;
}

/// Of comparisons: the first of `operands` are members that satisfy them.
bool assume(Compare compare, SymbolicFact& a, SymbolicFact& b) noexcept;
bool learn_low(SymbolicFact& fact, const SymbolicFact& refined) noexcept;
bool within(const SymbolicFact& a, const SymbolicFact& b) noexcept;
SymbolicFact zero_extend(const SymbolicFact& a, unsigned width) noexcept;
SymbolicFact sign_extend(const SymbolicFact& a, unsigned width) noexcept;
/// A fact with the same members; false only if it has none.
bool reduce(SymbolicFact& fact) noexcept;
bool sharpen(SymbolicFact& fact) noexcept;

/// The result of an operation on members, for all operands.
Tnum<Term> tnum_by_lemma(const Tnum<Term>& a, const Tnum<Term>& b, auto&& concrete) {
    const Tnum<Term> made = any_tnum();
    Paths::current().assume(well_formed(made));
    Lemmas::each_pair<1>([&](const Term& x, const Term& y) {
        Paths::current().assume(!(has(a, x) && has(b, y)) || has(made, concrete(x, y)));
        Paths::current().assume(!(has(a, y) && has(b, x)) || has(made, concrete(y, x)));
    });
    return made;
}
inline Tnum<Term> add(const Tnum<Term>& a, const Tnum<Term>& b) noexcept {
    return !Lemmas::on ? add<Term>(a, b)
                       : tnum_by_lemma(a, b, [](const auto& x, const auto& y) { return x + y; });
}
inline Tnum<Term> subtract(const Tnum<Term>& a, const Tnum<Term>& b) noexcept {
    return !Lemmas::on ? subtract<Term>(a, b)
                       : tnum_by_lemma(a, b, [](const auto& x, const auto& y) { return x - y; });
}
inline Tnum<Term> multiply(const Tnum<Term>& a, const Tnum<Term>& b) noexcept {
    return !Lemmas::on
               ? multiply<Term>(a, b)
               : tnum_by_lemma(a, b, [](const auto& x, const auto& y) { return product(x, y); });
}
template <unsigned P>
Symbol<P> next_member(const Tnum<Symbol<P>>& a, Symbol<P> from) noexcept {
    if (!Lemmas::on)
        return next_member<Symbol<P>>(a, from);
    const Symbol<P> distance{Paths::current().variable("next", P)};
    Lemmas::each<P>([&](const Symbol<P>& x) {
        Paths::current().assume(!has(a, x) || at_most(distance, x - from));
    });
    return from + distance;
}
template <unsigned P>
Symbol<P> previous_member(const Tnum<Symbol<P>>& a, Symbol<P> from) noexcept {
    if (!Lemmas::on)
        return previous_member<Symbol<P>>(a, from);
    const Symbol<P> distance{Paths::current().variable("previous", P)};
    Lemmas::each<P>([&](const Symbol<P>& x) {
        Paths::current().assume(!has(a, x) || at_most(distance, from - x));
    });
    return from - distance;
}
template <unsigned P>
Claim disjoint(const Arc<Symbol<P>>& a, const Arc<Symbol<P>>& b) noexcept {
    if (!Lemmas::on)
        return disjoint<Symbol<P>>(a, b);
    const Claim made = Paths::current().some_claim();
    Lemmas::each<P>(
        [&](const Symbol<P>& x) { Paths::current().assume(!made || !(has(a, x) && has(b, x))); });
    return made;
}
template <unsigned P>
Claim within(const Arc<Symbol<P>>& a, const Arc<Symbol<P>>& b) noexcept {
    if (!Lemmas::on)
        return within<Symbol<P>>(a, b);
    const Claim made = Paths::current().some_claim();
    Lemmas::each<P>(
        [&](const Symbol<P>& x) { Paths::current().assume(!made || !has(a, x) || has(b, x)); });
    return made;
}
template <unsigned P>
Arc<Symbol<P>> meet(const Arc<Symbol<P>>& a, const Arc<Symbol<P>>& b) noexcept {
    if (!Lemmas::on)
        return meet<Symbol<P>>(a, b);
    const auto made = any_arc<P>();
    Paths::current().assume(well_formed(made));
    Lemmas::each<P>([&](const Symbol<P>& x) {
        Paths::current().assume(!(has(a, x) && has(b, x)) || has(made, x));
    });
    return made;
}
template <unsigned P>
Arc<Symbol<P>> join(const Arc<Symbol<P>>& a, const Arc<Symbol<P>>& b) noexcept {
    if (!Lemmas::on)
        return join<Symbol<P>>(a, b);
    const auto made = any_arc<P>();
    Paths::current().assume(well_formed(made));
    Lemmas::each<P>([&](const Symbol<P>& x) {
        Paths::current().assume(!(has(a, x) || has(b, x)) || has(made, x));
    });
    return made;
}
template <unsigned P>
Arc<Symbol<P>> add(const Arc<Symbol<P>>& a, const Arc<Symbol<P>>& b) noexcept {
    if (!Lemmas::on)
        return add<Symbol<P>>(a, b);
    const auto made = any_arc<P>();
    Paths::current().assume(well_formed(made));
    Lemmas::each_pair<P>([&](const Symbol<P>& x, const Symbol<P>& y) {
        Paths::current().assume(!(has(a, x) && has(b, y)) || has(made, x + y));
        Paths::current().assume(!(has(a, y) && has(b, x)) || has(made, x + y));
    });
    return made;
}
template <unsigned P>
Arc<Symbol<P>> subtract(const Arc<Symbol<P>>& a, const Arc<Symbol<P>>& b) noexcept {
    if (!Lemmas::on)
        return subtract<Symbol<P>>(a, b);
    const auto made = any_arc<P>();
    Paths::current().assume(well_formed(made));
    Lemmas::each_pair<P>([&](const Symbol<P>& x, const Symbol<P>& y) {
        Paths::current().assume(!(has(a, x) && has(b, y)) || has(made, x - y));
    });
    return made;
}

} // namespace skep::verifier::domain

#include "domain/fact_ops.hpp"

namespace skep::verifier::domain {

/// Members are written base + i: a phrase that Z3 decides in seconds, where x - base <= size takes
/// minutes.
inline Member any_member(unsigned holes = 0) {
    auto& paths = Paths::current();
    Member made{};
    made.fact.bits = any_tnum();
    made.fact.arc = any_arc<1>();
    made.fact.low = any_arc<2>();
    made.fact.hole_count = static_cast<std::uint8_t>(holes);
    for (unsigned i = 0; i < holes; ++i)
        made.fact.holes[i] = {paths.variable("hole", 1)};
    paths.assume(well_formed(made.fact));
    const Term distance{paths.variable("distance", 1)};
    made.x = Lemmas::opaque ? distance : made.fact.arc.base + distance;
    paths.assume(Lemmas::opaque ? has(made.fact.arc, distance)
                                : at_most(distance, made.fact.arc.size));
    paths.assume(has(made.fact.bits, made.x));
    paths.assume(has(made.fact.low, low_half(made.x)));
    paths.assume(!is_hole(made.fact, made.x));
    return made;
}
inline SymbolicFact any_fact(unsigned holes = 0) {
    return any_member(holes).fact; // One without members says nothing of them.
}
inline Claim holds(const SymbolicFact& fact, const Term& x) {
    return well_formed(fact) && fact.contains(x);
}

inline bool by_lemma(SymbolicFact& fact) {
    auto& paths = Paths::current();
    const SymbolicFact before = fact;
    if (!paths.any()) {
        for (const Term& x : Lemmas::values)
            paths.assume(!before.contains(x));
        return false;
    }
    fact = {};
    fact.bits = any_tnum();
    fact.arc = any_arc<1>();
    fact.low = any_arc<2>();
    while (fact.hole_count < before.hole_count && paths.any())
        fact.holes[fact.hole_count++] = {paths.variable("hole", 1)};
    paths.assume(well_formed(fact));
    for (const Term& x : Lemmas::values)
        paths.assume(!before.contains(x) || fact.contains(x));
    return true;
}
inline bool reduce(SymbolicFact& fact) noexcept {
    return Lemmas::on ? by_lemma(fact) : reduce<Term>(fact);
}
inline bool sharpen(SymbolicFact& fact) noexcept {
    return Lemmas::on ? by_lemma(fact) : sharpen<Term>(fact);
}
/// Any fact that has a member if `condition` holds, with at most `holes`.
inline SymbolicFact fact_if(const Claim& condition, const Term& x, unsigned holes) {
    SymbolicFact made;
    made.bits = any_tnum();
    made.arc = any_arc<1>();
    made.low = any_arc<2>();
    while (made.hole_count < holes && Paths::current().any())
        made.holes[made.hole_count++] = {Paths::current().variable("hole", 1)};
    Paths::current().assume(well_formed(made));
    Paths::current().assume(!condition || made.contains(x));
    return made;
}
inline bool assume(Compare compare, SymbolicFact& a, SymbolicFact& b) noexcept {
    if (Lemmas::operands.empty())
        return assume<Term>(compare, a, b);
    const auto [x, y] = Lemmas::operands.front();
    const Claim members = a.contains(x) && b.contains(y);
    if (!Paths::current().any()) {
        Paths::current().assume(!members);
        return false;
    }
    a = fact_if(members, x, a.hole_count);
    b = fact_if(members, y, b.hole_count);
    return true;
}
/// The values are words, each followed by its extended low half.
inline bool learn_low(SymbolicFact& fact, const SymbolicFact& refined) noexcept {
    if (Lemmas::operands.empty())
        return learn_low<Term>(fact, refined);
    const SymbolicFact before = fact;
    const bool possible = Paths::current().any();
    if (possible)
        fact = any_fact();
    for (std::size_t i = 0; i + 1 < Lemmas::values.size(); i += 2) {
        const Claim kept =
            before.contains(Lemmas::values[i]) && refined.contains(Lemmas::values[i + 1]);
        Paths::current().assume(
            !kept || (possible ? fact.contains(Lemmas::values[i]) : Paths::current().claim(false)));
    }
    return possible;
}
inline bool within(const SymbolicFact& a, const SymbolicFact& b) noexcept {
    if (!Lemmas::opaque)
        return within<Term>(a, b);
    if (!Paths::current().any())
        return false;
    for (const Term& x : Lemmas::values)
        Paths::current().assume(!a.contains(x) || b.contains(x));
    return true;
}
/// The fact of f of the members of a.
inline SymbolicFact extended_by_lemma(const SymbolicFact& a, auto&& f) {
    SymbolicFact made;
    made.bits = any_tnum();
    made.arc = any_arc<1>();
    made.low = any_arc<2>();
    while (made.hole_count < a.hole_count && Paths::current().any())
        made.holes[made.hole_count++] = {Paths::current().variable("hole", 1)};
    Paths::current().assume(well_formed(made));
    for (const Term& x : Lemmas::values)
        Paths::current().assume(!a.contains(x) || made.contains(f(x)));
    return made;
}
inline SymbolicFact zero_extend(const SymbolicFact& a, unsigned width) noexcept {
    if (!Lemmas::opaque)
        return zero_extend<Term>(a, width);
    return extended_by_lemma(a, [width](const Term& x) { return x & low_mask(x, width); });
}
inline SymbolicFact sign_extend(const SymbolicFact& a, unsigned width) noexcept {
    if (!Lemmas::opaque)
        return sign_extend<Term>(a, width);
    const unsigned rest = width_of(Term{}) - width;
    return extended_by_lemma(
        a, [rest](const Term& x) { return shift_right_signed(shift_left(x, rest), rest); });
}

/// Proves with lemmas for what is called.
class FactProofs : public testing::Test {
protected:
    FactProofs() { Lemmas::on = Lemmas::opaque = true; }
    ~FactProofs() override {
        Lemmas::on = Lemmas::opaque = false;
        Lemmas::values.clear();
        Lemmas::operands.clear();
    }
    FactProofs(const FactProofs&) = delete;
    FactProofs& operator=(const FactProofs&) = delete;

    template <class Statement>
    void prove(unsigned width, const std::string& what, Statement statement) {
        Paths paths(width);
        paths.prove(what, [&]() -> Claim {
            Lemmas::values.clear();
            Lemmas::operands.clear();
            return statement();
        });
        Lemmas::values.clear();
        Lemmas::operands.clear();
    }
    static void speak_of(std::initializer_list<Term> values) {
        Lemmas::values.insert(Lemmas::values.end(), values);
    }
    static Claim never() { return Paths::current().claim(false); }

    /// f of any members is a member of what `abstract` makes of their facts.
    template <class Abstract, class Concrete>
    void transfer(unsigned width, const std::string& what, Abstract abstract, Concrete concrete,
                  unsigned holes = 0) {
        prove(width, what, [&] {
            const Member a = any_member(holes);
            const Member b = any_member(holes);
            const Term value = concrete(a.x, b.x);
            speak_of({value, a.x, b.x});
            Lemmas::operands = {{a.x, b.x}};
            return holds(abstract(a.fact, b.fact), value);
        });
    }
};

} // namespace skep::verifier::domain
