// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Every abstract operator on every pair of abstract values of 4-bit words: each member of the
// operands has its result in the result (O1), and no smaller result would do (where promised).
#include <functional>
#include <gmock/gmock.h>

#include "nibble.hpp"

namespace skep::verifier::domain {
namespace {

/// A set of 4-bit words: bit x tells whether x is in it.
using Set = std::uint16_t;

template <class A>
Set members(const A& a) {
    Set set = 0;
    for (unsigned x = 0; x < 16; ++x)
        if (has(a, Nibble(x)))
            set = static_cast<Set>(set | 1U << x);
    return set;
}

std::vector<Tnum<Nibble>> all_tnums() {
    std::vector<Tnum<Nibble>> all;
    for (unsigned value = 0; value < 16; ++value)
        for (unsigned mask = 0; mask < 16; ++mask)
            if ((value & mask) == 0)
                all.push_back({Nibble(value), Nibble(mask)});
    return all;
}

std::vector<Arc<Nibble>> all_arcs() {
    std::vector<Arc<Nibble>> all{arc_all(Nibble())};
    for (unsigned base = 0; base < 16; ++base)
        for (unsigned size = 0; size < 15; ++size)
            all.push_back({Nibble(base), Nibble(size)});
    return all;
}

template <class A>
std::vector<A> all();
template <>
std::vector<Tnum<Nibble>> all() {
    return all_tnums();
}
template <>
std::vector<Arc<Nibble>> all() {
    return all_arcs();
}

/// f(x, y) for all members x of a and y of b.
template <class A>
Set image(const A& a, const A& b, const std::function<Nibble(Nibble, Nibble)>& f) {
    Set set = 0;
    for (unsigned x = 0; x < 16; ++x)
        for (unsigned y = 0; y < 16; ++y)
            if (has(a, Nibble(x)) && has(b, Nibble(y)))
                set = static_cast<Set>(set | 1U << f(Nibble(x), Nibble(y)).bits);
    return set;
}

template <class A>
int size_of_best(Set wanted) {
    static const auto sizes = [] {
        std::vector<std::uint8_t> best(1U << 16, 17);
        for (const A& candidate : all<A>()) {
            const Set set = members(candidate);
            // All subsets of the candidate's set.
            for (Set sub = set;; sub = static_cast<Set>((sub - 1) & set)) {
                best[sub] = std::min<std::uint8_t>(best[sub],
                                                   static_cast<std::uint8_t>(std::popcount(set)));
                if (sub == 0)
                    break;
            }
        }
        return best;
    }();
    return sizes[wanted];
}

/// Checks an operator; returns how many results are larger than the best there is.
template <class A>
int check(const std::function<A(const A&, const A&)>& abstract,
          const std::function<Nibble(Nibble, Nibble)>& concrete) {
    int larger = 0;
    for (const A& a : all<A>())
        for (const A& b : all<A>()) {
            const Set wanted = image(a, b, concrete);
            const Set got = members(abstract(a, b));
            EXPECT_EQ(wanted & ~got, 0);
            larger += std::popcount(got) > size_of_best<A>(wanted) ? 1 : 0;
        }
    return larger;
}

using T = Tnum<Nibble>;
using R = Arc<Nibble>;

TEST(tnum, operators_are_sound_and_best) {
    EXPECT_EQ(check<T>([](const T& a, const T& b) { return add(a, b); }, std::plus<Nibble>()), 0);
    EXPECT_EQ(check<T>([](const T& a, const T& b) { return subtract(a, b); }, std::minus<Nibble>()),
              0);
    EXPECT_EQ(
        check<T>([](const T& a, const T& b) { return bit_and(a, b); }, std::bit_and<Nibble>()), 0);
    EXPECT_EQ(check<T>([](const T& a, const T& b) { return bit_or(a, b); }, std::bit_or<Nibble>()),
              0);
    EXPECT_EQ(
        check<T>([](const T& a, const T& b) { return bit_xor(a, b); }, std::bit_xor<Nibble>()), 0);
}

TEST(tnum, multiplication_is_sound) {
    // Not the best for 256 of 6,561 pairs: no better algorithm of this cost is known.
    EXPECT_LE(
        check<T>([](const T& a, const T& b) { return multiply(a, b); }, std::multiplies<Nibble>()),
        1200);
}

TEST(tnum, shifts_by_constants_are_sound_and_best) {
    for (unsigned n = 0; n < 4; ++n) {
        EXPECT_EQ(check<T>([n](const T& a, const T&) { return shift_left(a, n); },
                           [n](Nibble x, Nibble) { return shift_left(x, n); }),
                  0);
        EXPECT_EQ(check<T>([n](const T& a, const T&) { return shift_right(a, n); },
                           [n](Nibble x, Nibble) { return shift_right(x, n); }),
                  0);
        EXPECT_EQ(check<T>([n](const T& a, const T&) { return shift_right_signed(a, n); },
                           [n](Nibble x, Nibble) { return shift_right_signed(x, n); }),
                  0);
    }
}

TEST(arc, addition_and_subtraction_are_sound_and_best) {
    EXPECT_EQ(check<R>([](const R& a, const R& b) { return add(a, b); }, std::plus<Nibble>()), 0);
    EXPECT_EQ(check<R>([](const R& a, const R& b) { return subtract(a, b); }, std::minus<Nibble>()),
              0);
}

/// Inclusion, disjointness, join and meet against sets.
template <class A>
void check_lattice(bool best_join, bool best_meet) {
    for (const A& a : all<A>())
        for (const A& b : all<A>()) {
            const Set x = members(a);
            const Set y = members(b);
            EXPECT_EQ(within(a, b), (x & ~y) == 0);
            EXPECT_EQ(disjoint(a, b), (x & y) == 0);
            const Set either_one = members(join(a, b));
            EXPECT_EQ((x | y) & ~either_one, 0);
            if (best_join) {
                EXPECT_EQ(std::popcount(either_one), size_of_best<A>(static_cast<Set>(x | y)));
            }
            if ((x & y) == 0)
                continue;
            const Set common = members(meet(a, b));
            EXPECT_EQ((x & y) & ~common, 0);
            EXPECT_TRUE(std::popcount(common) <= std::popcount(x) ||
                        std::popcount(common) <= std::popcount(y));
            if (best_meet) {
                EXPECT_EQ(std::popcount(common), size_of_best<A>(static_cast<Set>(x & y)));
            }
        }
}

TEST(tnum, order_join_and_meet) {
    check_lattice<T>(true, true);
}
TEST(arc, order_join_and_meet) {
    check_lattice<R>(true, false);
}

TEST(arc, bounds_are_those_of_its_members) {
    for (const R& a : all_arcs()) {
        int low = 15;
        int high = 0;
        int low_signed = 7;
        int high_signed = -8;
        for (unsigned x = 0; x < 16; ++x) {
            if (!has(a, Nibble(x)))
                continue;
            low = std::min(low, static_cast<int>(x));
            high = std::max(high, static_cast<int>(x));
            low_signed = std::min(low_signed, signed_value(Nibble(x)));
            high_signed = std::max(high_signed, signed_value(Nibble(x)));
        }
        EXPECT_EQ(least(a).bits, low);
        EXPECT_EQ(most(a).bits, high);
        EXPECT_EQ(signed_value(least_signed(a)), low_signed);
        EXPECT_EQ(signed_value(most_signed(a)), high_signed);
        EXPECT_EQ(members(negative(a)), image(a, a, [](Nibble x, Nibble) { return Nibble() - x; }));
        for (unsigned n = 0; n < 16; ++n)
            EXPECT_EQ(members(moved(a, Nibble(n))),
                      image(a, a, [n](Nibble x, Nibble) { return x + Nibble(n); }));
    }
}

TEST(tnum, of_a_range_is_the_best) {
    for (unsigned low = 0; low < 16; ++low)
        for (unsigned high = low; high < 16; ++high) {
            const Set wanted = members(arc_between(Nibble(low), Nibble(high)));
            const Set got = members(tnum_of_range(Nibble(low), Nibble(high)));
            EXPECT_EQ(wanted & ~got, 0);
            EXPECT_EQ(std::popcount(got), size_of_best<T>(wanted));
        }
}

TEST(tnum, next_and_previous_members_are_the_nearest) {
    for (const T& a : all_tnums())
        for (unsigned x = 0; x < 16; ++x) {
            unsigned up = 0;
            while (!has(a, Nibble(x + up)))
                ++up;
            unsigned down = 0;
            while (!has(a, Nibble(x - down)))
                ++down;
            EXPECT_EQ(next_member(a, Nibble(x)).bits, Nibble(x + up).bits);
            EXPECT_EQ(previous_member(a, Nibble(x)).bits, Nibble(x - down).bits);
        }
}

} // namespace
} // namespace skep::verifier::domain
