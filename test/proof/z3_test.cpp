// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The templates that run in production, proved for all 64-bit words with Z3. Where a proof is out
// of reach at 64 bits (multiplication as a whole), the step it is made of is proved here and the
// whole is tested exhaustively at 4 bits.
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "term.hpp"

namespace skep::verifier::domain {
namespace {

class Proofs : public testing::Test {
protected:
    Paths paths{64};

    Term variable(const char* name) { return {paths.variable(name, 1)}; }
    Tnum<Term> tnum(const char* name) {
        return {variable((std::string(name) + ".value").c_str()),
                variable((std::string(name) + ".mask").c_str())};
    }
    Arc<Term> arc(const char* name) {
        return {variable((std::string(name) + ".base").c_str()),
                variable((std::string(name) + ".size").c_str())};
    }
    /// The only form of all words: base 0.
    static Claim well_formed_arc(const Arc<Term>& a) {
        return either(negate(is_all(a)), same(a.base, word(a.base, 0)));
    }

    /// Under the assumptions the claim always holds.
    void prove(const std::string& what, const std::vector<Claim>& assumptions, const Claim& claim) {
        z3::solver solver(claim.is.ctx(), "QF_BV");
        z3::params params(claim.is.ctx());
        params.set("timeout", 300'000U);
        solver.set(params);
        for (const Claim& assumption : assumptions)
            solver.add(assumption.is);
        // An assumption that nothing satisfies would prove anything.
        ASSERT_EQ(solver.check(), z3::sat) << what << ": the assumptions contradict each other";
        solver.add(!claim.is);
        const z3::check_result result = solver.check();
        EXPECT_EQ(result, z3::unsat)
            << what << ": "
            << (result == z3::sat ? solver.get_model().to_string() : std::string("Z3 gave up"));
    }
};

TEST_F(Proofs, tnum_operators_hold_what_members_give) {
    const auto a = tnum("a");
    const auto b = tnum("b");
    const Term x = variable("x");
    const Term y = variable("y");
    const std::vector<Claim> members{well_formed(a), well_formed(b), has(a, x), has(b, y)};
    const auto sound = [&](const std::string& what, const Tnum<Term>& result, const Term& value) {
        prove(what, members, both(well_formed(result), has(result, value)));
    };
    sound("add", add(a, b), x + y);
    sound("subtract", subtract(a, b), x - y);
    sound("and", bit_and(a, b), x & y);
    sound("or", bit_or(a, b), x | y);
    sound("xor", bit_xor(a, b), x ^ y);
    for (const unsigned n : {0U, 1U, 7U, 31U, 32U, 48U, 63U}) {
        sound("shift_left", shift_left(a, n), shift_left(x, n));
        sound("shift_right", shift_right(a, n), shift_right(x, n));
        sound("shift_right_signed", shift_right_signed(a, n), shift_right_signed(x, n));
    }
}

TEST_F(Proofs, a_step_of_multiplication_holds_what_members_give) {
    const auto sum = tnum("sum");
    const auto a = tnum("a");
    const auto b = tnum("b");
    const Term s = variable("s");
    const Term x = variable("x");
    const Term y = variable("y");
    const Term one = word(x, 1);
    const Term next = s + pick(same(x & one, one), y, word(x, 0));
    const auto result = partial_product(sum, a, b);
    prove("partial product",
          {well_formed(sum), well_formed(a), well_formed(b), has(sum, s), has(a, x), has(b, y)},
          both(well_formed(result), has(result, next)));
}

TEST_F(Proofs, tnum_lattice) {
    const auto a = tnum("a");
    const auto b = tnum("b");
    const Term x = variable("x");
    const std::vector<Claim> formed{well_formed(a), well_formed(b)};
    const auto with = [&](std::initializer_list<Claim> more) {
        auto all = formed;
        all.insert(all.end(), more);
        return all;
    };
    prove("inclusion", with({within(a, b), has(a, x)}), has(b, x));
    prove("join of a", with({has(a, x)}), has(join(a, b), x));
    prove("join of b", with({has(b, x)}), has(join(a, b), x));
    prove("meet", with({has(a, x), has(b, x)}), has(meet(a, b), x));
    prove("disjoint", with({disjoint(a, b), has(a, x)}), negate(has(b, x)));
}

TEST_F(Proofs, the_next_member_is_the_nearest) {
    const auto a = tnum("a");
    const Term x = variable("x");
    const Term other = variable("other");
    const Term next = next_member(a, x);
    prove("it is a member", {well_formed(a)}, has(a, next));
    prove("none is nearer", {well_formed(a), has(a, other)}, at_most(next - x, other - x));
    const Term previous = previous_member(a, x);
    prove("the one before, too", {well_formed(a), has(a, other)},
          both(has(a, previous), at_most(x - previous, x - other)));
}

TEST_F(Proofs, bits_of_a_range_hold_it) {
    const Term low = variable("low");
    const Term high = variable("high");
    const Term x = variable("x");
    const auto bits = tnum_of_range(low, high);
    prove("range", {at_most(low, x), at_most(x, high)}, both(well_formed(bits), has(bits, x)));
}

// Members are written base + i: a phrase that Z3 decides in seconds, where x - base <= size takes
// minutes.
TEST_F(Proofs, arc_operators_hold_what_members_give) {
    const auto a = arc("a");
    const auto b = arc("b");
    const Term i = variable("i");
    const Term j = variable("j");
    const std::vector<Claim> members{well_formed_arc(a), well_formed_arc(b), at_most(i, a.size),
                                     at_most(j, b.size)};
    const Term x = a.base + i;
    const Term y = b.base + j;
    prove("negative", members, has(negative(a), word(x, 0) - x));
    const Term n = variable("n");
    prove("moved", members, has(moved(a, n), x + n) && well_formed_arc(moved(a, n)));
}

// Moving an operand of a sum moves the sum: so both begin at 0. Subtraction is the addition of the
// negative, which was proved above.
TEST_F(Proofs, the_sum_of_arcs_holds_what_members_give) {
    const Term zero = word(variable("like"), 0);
    const Arc<Term> a{zero, variable("a.size")};
    const Arc<Term> b{zero, variable("b.size")};
    const Term x = variable("x");
    const Term y = variable("y");
    prove("add", {at_most(x, a.size), at_most(y, b.size)},
          has(add(a, b), x + y) && well_formed_arc(add(a, b)));
}

// All three commute with moving both arcs by a constant: so a begins at 0.
TEST_F(Proofs, arc_lattice) {
    const Arc<Term> a{word(variable("like"), 0), variable("a.size")};
    const auto b = arc("b");
    const Term x = variable("x");
    const std::vector<Claim> formed{well_formed_arc(b)};
    const auto with = [&](std::initializer_list<Claim> more) {
        auto all = formed;
        all.insert(all.end(), more);
        return all;
    };
    prove("inclusion", with({within(a, b), has(a, x)}), has(b, x));
    prove("inclusion the other way", with({within(b, a), has(b, x)}), has(a, x));
    prove("join of a", with({has(a, x)}), has(join(a, b), x));
    prove("join of b", with({at_most(x, b.size)}), has(join(a, b), b.base + x));
    prove("meet", with({has(a, x), has(b, x)}), has(meet(a, b), x));
    prove("disjoint", with({disjoint(a, b), has(a, x)}), negate(has(b, x)));
}

TEST_F(Proofs, bounds_of_an_arc_hold_its_members) {
    const auto a = arc("a");
    const Term i = variable("i");
    const Term x = a.base + i;
    const std::vector<Claim> members{well_formed_arc(a), at_most(i, a.size)};
    const Term low = variable("low");
    const Term high = variable("high");
    const auto between = arc_between(low, high);
    prove("arc_between", {at_most(low, x), at_most(x, high)}, has(between, x));
    prove("arc_between, signed", {!below_signed(x, low), !below_signed(high, x)}, has(between, x));
    prove("arc_between is well formed", {}, well_formed_arc(between));
    prove("unsigned", members, both(at_most(least(a), x), at_most(x, most(a))));
    const auto at_most_signed = [](const Term& p, const Term& q) {
        return negate(below_signed(q, p));
    };
    prove("signed", members,
          both(at_most_signed(least_signed(a), x), at_most_signed(x, most_signed(a))));
}

} // namespace
} // namespace skep::verifier::domain
