// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "judge.hpp"

namespace skep::verifier {
namespace {

using test::judge;

TEST(loops, end_by_a_counter_or_not_at_all) {
    EXPECT_EQ(judge("r0 = 0; l: r0 += 1; if r0 < 100 goto l; exit"), "accepted");
    EXPECT_EQ(judge("r0 = 0; l: r0 += 2; if r0 != 100 goto l; exit"), "accepted");
    EXPECT_EQ(judge("r0 = 0; l: r1 = 1; goto l; exit"), "V504 at 3");
    EXPECT_EQ(judge("r6 = 0; l: call 7; if r0 != 0 goto l; exit"), "V501 at 1");
    EXPECT_EQ(judge("r0 = 1; l: r0 += 2; if r0 != 0 goto l; exit"), "V502 at 1");
}

TEST(loops, rounds_are_told_apart_by_the_counter) {
    // One byte for each round; the 17th would be outside.
    const auto fill = [](const char* rounds) {
        return std::string("r6 = 0; r7 = r10; r7 += -16; l: *(u8 *)(r7 +0) = 1; r7 += 1; r6 += 1; "
                           "if r6 < ") +
               rounds + " goto l; r0 = 1; exit";
    };
    EXPECT_EQ(judge(fill("16")), "accepted");
    EXPECT_EQ(judge(fill("17")), "V103 at 3");
}

TEST(loops, nested_ones_end) {
    EXPECT_EQ(judge("r6 = 0; a: r7 = 0; b: r7 += 1; if r7 < 20 goto b; r6 += 1; if r6 < 20 goto a;"
                    "r0 = 1; exit"),
              "accepted");
}

TEST(loops, may_goto_bounds_what_nothing_else_does) {
    EXPECT_EQ(judge("l: may_goto end; goto l; end: r0 = 1; exit"), "accepted");
    EXPECT_EQ(judge("r6 = 0; l: may_goto end; r6 += 1; goto l; end: r0 = 1; exit"), "accepted");
    // The number of rounds is not known.
    EXPECT_EQ(judge("r6 = r10; r6 += -512; l: may_goto end; *(u8 *)(r6 +0) = 1; r6 += 1; goto l;"
                    "end: r0 = 1; exit"),
              "V103 at 3");
    EXPECT_EQ(judge("r6 = 0; l: may_goto end; r7 = r10; r7 += -8; r7 += r6; *(u8 *)(r7 +0) = 1;"
                    "r6 += 1; if r6 < 8 goto l; end: r0 = 1; exit"),
              "accepted");
}

// r7 = r6 & 63 holds in the first round only; a state of the second must not pass for one of the
// first, although r7 is the same number in both.
TEST(loops, what_one_number_says_of_another_ends_when_either_changes) {
    EXPECT_EQ(judge("r9 = r1; r6 = *(u32 *)(r1 +12); r7 = r6; r7 &= 63;"
                    "l: may_goto end; if r6 > 7 goto next;"
                    "r1 = r10; r1 += -8; r1 += r7; *(u8 *)(r1 +0) = 1;"
                    "next: r6 = *(u32 *)(r9 +16); goto l; end: r0 = 1; exit"),
              "V103 at 9");
}

TEST(loops, callbacks_run_any_number_of_times) {
    const auto loop = [](const char* body) {
        return std::string("*(u64 *)(r10 -8) = 0; r1 = 100; r2 = subprog[+7]; r3 = r10; r3 += -8;"
                           "r4 = 0; call 181; r0 = 1; exit;") +
               body;
    };
    EXPECT_EQ(judge(loop("r0 = 0; exit")), "accepted");
    EXPECT_EQ(judge(loop("r0 = 2; exit")), "V607 at 11");
    EXPECT_EQ(judge(loop("*(u64 *)(r2 +0) = 1; r0 = 0; exit")), "accepted");
    EXPECT_EQ(judge(loop("*(u64 *)(r2 +8) = 1; r0 = 0; exit")), "V103 at 10");
    // 100 rounds of an index below 100.
    EXPECT_EQ(judge(loop("if r1 > 99 goto pc+2; r0 = 0; exit; r0 = r9; exit")), "accepted");
}

TEST(functions, are_walked_into) {
    EXPECT_EQ(judge("r1 = 3; call pc+1; exit; r0 = r1; exit"), "accepted");
    EXPECT_EQ(judge("call pc+1; exit; r0 = r1; call pc-2; exit"), "V503 at 3");
    EXPECT_EQ(judge("*(u64 *)(r10 -400) = 1; call pc+2; r0 = 1; exit; *(u64 *)(r10 -200) = 1; r0 = "
                    "1; exit"),
              "V503 at 1");
}

} // namespace
} // namespace skep::verifier
