// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "build.hpp"

namespace skep::test {
namespace {

TEST(count, of_straight_code) {
    EXPECT_EQ(run("r0 = 1; r0 = 2; exit").instructions, 3U);
    EXPECT_EQ(run("r0 = 1 ll; r0 += 1; exit").instructions, 3U); // lddw counts once
}

TEST(count, of_jumps_and_loops) {
    EXPECT_EQ(run("r0 = 0; goto +1; r0 = 1; exit").instructions, 3U);
    EXPECT_EQ(run("r0 = 0; l: r0 += 1; if r0 != 10 goto l; exit").instructions, 22U);
}

TEST(count, of_calls) {
    EXPECT_EQ(run("call f; r0 += 1; exit; f: r0 = 5; exit").instructions, 5U);
}

TEST(count, includes_the_instruction_that_traps) {
    EXPECT_EQ(run("r0 = 0; r1 = 0; r2 = *(u8 *)(r1 +0); exit").instructions, 3U);
}

TEST(fuel, ends_endless_loops) {
    const auto result = run("r0 = 0; l: r0 += 1; goto l", {.fuel = 1000});
    EXPECT_EQ(result.trap.kind, exec::TrapKind::OutOfFuel);
    EXPECT_GE(result.instructions, 1000U);
    EXPECT_LE(result.instructions, 1003U);
}

TEST(fuel, ends_recursion_of_calls_by_depth) {
    EXPECT_EQ(outcome("call f; exit; f: call f; exit"),
              "insn 2: bad call: more than 8 nested calls");
}

TEST(may_goto, falls_through_while_the_budget_lasts) {
    EXPECT_EQ(outcome("r0 = 0; l: may_goto +2; r0 += 1; goto l; exit", {.fuel = 100'000'000}),
              "r0 = 8388608");
}

} // namespace
} // namespace skep::test
