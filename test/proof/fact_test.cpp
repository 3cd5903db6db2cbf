// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Facts on random members: what an operation makes of members is a member of the result, assume()
// keeps every pair that satisfies the comparison, and decide() is right.
#include <cstdlib>
#include <gtest/gtest.h>
#include <random>

#include "domain/fact.hpp"

namespace skep::verifier::domain {
namespace {

class Facts : public testing::Test {
protected:
    std::uint64_t seed = [] {
        const char* given = std::getenv("SKEP_SEED");
        return given == nullptr ? std::uint64_t{1} : std::strtoull(given, nullptr, 0);
    }();
    std::mt19937_64 random{seed};

    u64 below(u64 bound) { return random() % bound; }

    u64 some_word() {
        static constexpr u64 kEdges[] = {0,
                                         1,
                                         2,
                                         63,
                                         255,
                                         0x7fffffff,
                                         0x80000000,
                                         0xffffffff,
                                         0x100000000,
                                         0x7fffffffffffffff,
                                         0x8000000000000000,
                                         ~u64{0},
                                         ~u64{0} - 1};
        switch (below(4)) {
        case 0:
            return kEdges[below(std::size(kEdges))];
        case 1:
            return below(300);
        case 2:
            return random() >> below(64);
        default:
            return u64{0} - below(300);
        }
    }

    /// A member, and a fact that holds it.
    std::pair<u64, Fact> some_fact() {
        const u64 member = some_word();
        Fact fact = Fact::constant(member);
        for (u64 steps = below(4); steps > 0; --steps)
            switch (below(3)) {
            case 0:
                fact = join(fact, Fact::constant(some_word()));
                break;
            case 1: {
                const u64 mask = random() & random();
                fact.bits = join(fact.bits, Tnum<u64>{member & ~mask, mask});
                fact.arc = arc_all(u64{});
                fact.low = arc_all(u32{});
                EXPECT_TRUE(reduce(fact));
                break;
            }
            default: {
                const u64 other = some_word();
                if (other != member) {
                    EXPECT_TRUE(exclude(fact, other));
                }
            }
            }
        EXPECT_TRUE(fact.contains(member)) << "SKEP_SEED=" << seed;
        return {member, fact};
    }

    template <class F, class G>
    void check(const char* name, F abstract, G concrete, int rounds = 20'000) {
        for (int i = 0; i < rounds; ++i) {
            const auto [x, a] = some_fact();
            const auto [y, b] = some_fact();
            const Fact result = abstract(a, b);
            ASSERT_TRUE(result.contains(concrete(x, y)))
                << name << " of " << x << " and " << y << ", SKEP_SEED=" << seed;
        }
    }
};

using Operator = Fact (*)(const Fact&, const Fact&) noexcept;

i64 s(u64 x) {
    return static_cast<i64>(x);
}

TEST_F(Facts, arithmetic_holds_what_members_give) {
    check("add", Operator(add), [](u64 x, u64 y) { return x + y; });
    check("subtract", Operator(subtract), [](u64 x, u64 y) { return x - y; });
    check("multiply", Operator(multiply), [](u64 x, u64 y) { return x * y; });
    check("divide", Operator(divide), [](u64 x, u64 y) { return y == 0 ? 0 : x / y; });
    check("remainder", Operator(remainder), [](u64 x, u64 y) { return y == 0 ? x : x % y; });
    check("divide_signed", Operator(divide_signed), [](u64 x, u64 y) {
        return y == 0 ? 0 : s(y) == -1 ? u64{0} - x : static_cast<u64>(s(x) / s(y));
    });
    check("remainder_signed", Operator(remainder_signed), [](u64 x, u64 y) {
        return y == 0 ? x : s(y) == -1 ? 0 : static_cast<u64>(s(x) % s(y));
    });
    check("and", Operator(bit_and), [](u64 x, u64 y) { return x & y; });
    check("or", Operator(bit_or), [](u64 x, u64 y) { return x | y; });
    check("xor", Operator(bit_xor), [](u64 x, u64 y) { return x ^ y; });
}

TEST_F(Facts, shifts_and_extensions_hold_what_members_give) {
    check(
        "shl", [](const Fact& a, const Fact& b) { return shift_left(a, b, 64); },
        [](u64 x, u64 y) { return x << (y & 63); });
    check(
        "shr", [](const Fact& a, const Fact& b) { return shift_right(a, b, 64); },
        [](u64 x, u64 y) { return x >> (y & 63); });
    check(
        "sar", [](const Fact& a, const Fact& b) { return shift_right_signed(a, b, 64); },
        [](u64 x, u64 y) { return static_cast<u64>(s(x) >> (y & 63)); });
    check(
        "shr by less than 32", [](const Fact& a, const Fact& b) { return shift_right(a, b, 32); },
        [](u64 x, u64 y) { return x >> (y & 31); });
    for (const unsigned width : {8U, 16U, 32U}) {
        const u64 mask = (u64{1} << width) - 1;
        check(
            "zext", [width](const Fact& a, const Fact&) { return zero_extend(a, width); },
            [mask](u64 x, u64) { return x & mask; });
        check(
            "sext", [width](const Fact& a, const Fact&) { return sign_extend(a, width); },
            [width](u64 x, u64) { return static_cast<u64>(s(x << (64 - width)) >> (64 - width)); });
    }
    check(
        "swap", [](const Fact& a, const Fact&) { return swap_bytes(a, 64); },
        [](u64 x, u64) { return __builtin_bswap64(x); });
    check(
        "swap 16", [](const Fact& a, const Fact&) { return swap_bytes(a, 16); },
        [](u64 x, u64) { return u64{__builtin_bswap16(static_cast<std::uint16_t>(x))}; });
}

TEST_F(Facts, join_and_inclusion_hold_members) {
    for (int i = 0; i < 50'000; ++i) {
        const auto [x, a] = some_fact();
        const auto [y, b] = some_fact();
        const Fact both_of_them = join(a, b);
        ASSERT_TRUE(both_of_them.contains(x) && both_of_them.contains(y)) << "SKEP_SEED=" << seed;
        ASSERT_TRUE(within(a, both_of_them) && within(b, both_of_them)) << "SKEP_SEED=" << seed;
        const Fact wide = widen(a, both_of_them, {.thresholds = {-1, 0, 15, 255, 1'000'000}});
        ASSERT_TRUE(wide.contains(x) && wide.contains(y)) << "SKEP_SEED=" << seed;
        ASSERT_TRUE(within(both_of_them, wide)) << "SKEP_SEED=" << seed;
        if (within(a, b)) {
            ASSERT_TRUE(b.contains(x)) << "SKEP_SEED=" << seed;
        }
        if (b.contains(x)) {
            const auto common = meet(a, b);
            ASSERT_TRUE(common && common->contains(x)) << "SKEP_SEED=" << seed;
        }
    }
}

bool holds(Compare compare, u64 x, u64 y) {
    switch (compare) {
    case Compare::Eq:
        return x == y;
    case Compare::Ne:
        return x != y;
    case Compare::Gt:
        return x > y;
    case Compare::Ge:
        return x >= y;
    case Compare::Lt:
        return x < y;
    case Compare::Le:
        return x <= y;
    case Compare::Sgt:
        return s(x) > s(y);
    case Compare::Sge:
        return s(x) >= s(y);
    case Compare::Slt:
        return s(x) < s(y);
    case Compare::Sle:
        return s(x) <= s(y);
    case Compare::Set:
        return (x & y) != 0;
    case Compare::NotSet:
        return (x & y) == 0;
    }
    return false;
}

TEST_F(Facts, comparisons_keep_what_satisfies_them) {
    for (int i = 0; i < 300'000; ++i) {
        const auto compare = static_cast<Compare>(below(12));
        const auto [x, a] = some_fact();
        const auto [y, b] = some_fact();
        const bool is_signed = compare >= Compare::Sgt && compare <= Compare::Sle;
        const auto view = [is_signed](u64 word) {
            return is_signed ? static_cast<u64>(i64{static_cast<std::int32_t>(word)})
                             : word & 0xffffffff;
        };
        Fact p = a;
        Fact q = b;
        const bool possible = assume(compare, p, q);
        if (holds(compare, x, y)) {
            ASSERT_TRUE(possible && p.contains(x) && q.contains(y))
                << static_cast<int>(compare) << " " << x << " " << y << " SKEP_SEED=" << seed;
        }
        p = a;
        q = b;
        const bool low_possible = assume_low(compare, p, q);
        if (holds(compare, view(x), view(y))) {
            ASSERT_TRUE(low_possible && p.contains(x) && q.contains(y))
                << static_cast<int>(compare) << " " << x << " " << y << " SKEP_SEED=" << seed;
        }
        if (const auto decided = decide(compare, a, b)) {
            ASSERT_EQ(*decided, holds(compare, x, y)) << "SKEP_SEED=" << seed;
        }
    }
}

} // namespace
} // namespace skep::verifier::domain
