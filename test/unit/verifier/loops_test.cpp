// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "judge.hpp"

namespace skep::verifier {
namespace {

using test::judge;
using test::report_of;

TEST(loops, end_by_a_counter_or_not_at_all) {
    EXPECT_EQ(judge("r0 = 0; l: r0 += 1; if r0 < 100 goto l; exit"), "accepted");
    EXPECT_EQ(judge("r0 = 0; l: r0 += 2; if r0 != 100 goto l; exit"), "accepted");
    EXPECT_EQ(judge("r0 = 0; l: r1 = 1; goto l; exit"), "V504 at 3");
    EXPECT_EQ(judge("r6 = 0; l: call 7; if r0 != 0 goto l; exit"), "V501 at 1");
    EXPECT_EQ(judge("r0 = 1; l: r0 += 2; if r0 != 0 goto l; exit"), "V501 at 1");
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

std::uint64_t worst_case(const char* text) {
    const Report report = report_of(text);
    EXPECT_EQ(report.outcome, Outcome::Accepted) << text;
    return report.statistics.worst_case;
}

TEST(loops, the_longest_run_is_known) {
    EXPECT_EQ(worst_case("r0 = 0; exit"), 2);
    const auto rounds = worst_case("r0 = 0; l: r0 += 1; if r0 < 100 goto l; exit");
    EXPECT_GE(rounds, 202);
    EXPECT_LE(rounds, 404);
    // The longer of two ways.
    EXPECT_EQ(worst_case("call 7; if r0 == 0 goto a; r0 = 1; r0 = 2; exit; a: exit"), 5);
    // A function each time that it is called.
    EXPECT_EQ(worst_case("call pc+2; call pc+1; exit; r0 = 0; r0 = 1; exit"), 9);
    // may_goto goes on 2^23 times at most.
    const auto most = worst_case("l: may_goto end; goto l; end: r0 = 1; exit");
    EXPECT_GE(most, (1U << 24) + 3);
    EXPECT_LE(most, (1U << 25) + 8);
    // bpf_loop with a number that is known: 5 calls of two instructions, and each returns there.
    const auto five = worst_case("r1 = 5; r2 = subprog[+6]; r3 = 0; r4 = 0; call 181; r0 = 0;"
                                 "exit; r0 = 0; exit");
    EXPECT_GE(five, 7 + 5 * 2);
    EXPECT_LE(five, 7 * 6);
}

TEST(loops, a_session_of_a_contract_is_not_started_for_ever) {
    // The callback sets what keeps the outer loop going: 3 rounds, again and again.
    constexpr const char* kLoop =
        "a: *(u64 *)(r10 -8) = 0; r1 = 3; r2 = subprog[+9]; r3 = r10; r3 += -8; r4 = 0; call 181;"
        "r1 = *(u64 *)(r10 -8); %; r0 = 0; exit; *(u64 *)(r2 +0) = 1; r0 = 0; exit";
    const auto with = [&](const char* what) {
        std::string text = kLoop;
        return judge(text.replace(text.find('%'), 1, what));
    };
    EXPECT_EQ(with("if r1 != 0 goto a").substr(0, 4), "V501");
    EXPECT_EQ(with("r0 = 1"), "accepted");
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

// r6 points into a value of 2,400 bytes, r7 counts.
verifier::Report fill(const std::string& body, const char* end = "if r7 != 600 goto loop;") {
    return test::report_of("*(u32 *)(r10 -4) = 0; r2 = r10; r2 += -4; r1 = map[id:0]; call 1;"
                           "if r0 == 0 goto end; r6 = r0; r7 = 0; loop: " +
                               body + end + "end: r0 = 1; exit",
                           spec::ProgramType::Xdp, {}, 2400);
}

void expect_one_round(const verifier::Report& report) {
    EXPECT_EQ(report.outcome, verifier::Outcome::Accepted)
        << (report.findings.empty() ? "" : report.findings.front().message);
    EXPECT_LT(report.statistics.visited, 200U);
}

TEST(loops, a_pointer_that_moves_in_step_with_a_counter_is_bounded_by_it) {
    expect_one_round(fill("*(u32 *)(r6 +0) = 1; r6 += 4; r7 += 1;"));
    expect_one_round(fill("*(u8 *)(r6 +0) = 1; r6 += 1; r7 += 1;", "if r7 < 2400 goto loop;"));
    expect_one_round(fill("*(u8 *)(r6 +11) = 1; r6 += 12; r7 += 1;", "if r7 < 200 goto loop;"));
    // The counter is the one with the longer steps.
    expect_one_round(fill("*(u8 *)(r6 +0) = 1; r6 += 1; r7 += 16;", "if r7 < 38400 goto loop;"));
    // In some rounds only, but both or neither.
    expect_one_round(fill("if r7 > 599 goto end; *(u32 *)(r6 +0) = 1; r1 = *(u8 *)(r6 +0);"
                          "if r1 == 3 goto next; r6 += 4; r7 += 1; next: r1 = *(u32 *)(r10 -4);"
                          "r1 += 1; *(u32 *)(r10 -4) = r1;",
                          "if r1 != 7000 goto loop;"));
}

TEST(loops, what_does_not_move_in_step_is_not_bounded) {
    const auto code = [](const verifier::Report& report) {
        return report.findings.empty() ? "accepted" : report.findings.front().code;
    };
    EXPECT_EQ(code(fill("*(u32 *)(r6 +0) = 1; r6 += 4; r7 += 1;", "if r7 != 601 goto loop;")),
              "V102");
    EXPECT_EQ(code(fill("*(u32 *)(r6 +0) = 1; r6 += 5; r7 += 1;")), "V102");
    // The pointer moves once more where the counter does not.
    EXPECT_EQ(code(fill("r1 = *(u8 *)(r6 +0); *(u32 *)(r6 +0) = 1; r6 += 4;"
                        "if r1 == 3 goto loop; r7 += 1;")),
              "V102");
    // The relation of the first rounds ends.
    EXPECT_EQ(code(fill("*(u32 *)(r6 +0) = 1; r6 += 4; r7 += 1; if r7 < 300 goto loop; r6 += 4;")),
              "V102");
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
