// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Functions that are proved once for many calls: what callers may learn from that, and what not.
#include <gmock/gmock.h>

#include "judge.hpp"

namespace skep::verifier {
namespace {

/// The verdict with summaries wherever they are possible, which must be the one without any.
Report report_of(std::string_view text, spec::ProgramType type = spec::ProgramType::Xdp) {
    Report walked = test::report_of(text, type, {.least_summary = UINT64_MAX});
    Report report = test::report_of(text, type, {.facts = true, .least_summary = 0});
    EXPECT_EQ(walked.statistics.summaries, 0U);
    EXPECT_EQ(walked.outcome, report.outcome) << text;
    if (!walked.findings.empty() && !report.findings.empty()) {
        EXPECT_EQ(walked.findings.front().insn, report.findings.front().insn) << text;
        EXPECT_EQ(walked.findings.front().code, report.findings.front().code) << text;
    }
    return report;
}

std::string judge(std::string_view text, spec::ProgramType type = spec::ProgramType::Xdp) {
    const Report report = report_of(text, type);
    if (report.outcome == Outcome::Accepted)
        return report.statistics.summaries != 0 ? "accepted by summary" : "accepted";
    const Finding& first = report.findings.front();
    return first.code + " at " + std::to_string(first.insn);
}

/// Functions of `levels` levels; each has a body and calls the next one three times.
std::string call_tree(int levels, std::string_view body) {
    std::string text = "r1 = 1; call f0; r0 = 1; exit;";
    for (int i = 0; i < levels; ++i) {
        text += "f" + std::to_string(i) + ": r6 = r1; " + std::string(body);
        if (i + 1 < levels)
            for (int call = 0; call < 3; ++call)
                text += "r1 = r6; call f" + std::to_string(i + 1) + ";";
        text += "r0 = 0; exit;";
    }
    return text;
}

TEST(summaries, keep_call_trees_linear) {
    constexpr const char* kDiamonds =
        "call 7; if r0 > 5 goto pc+1; r6 = 3; call 7; if r0 > 7 goto pc+1; r6 = 4;"
        "r7 = 0; r7 += 1; if r7 < 20 goto pc-2; call 7; if r0 > 9 goto pc+1; r6 = 1;";
    const std::string text = call_tree(6, kDiamonds);
    const Report walked =
        test::report_of(text, spec::ProgramType::Xdp, {.least_summary = UINT64_MAX});
    const Report report = test::report_of(text);
    ASSERT_EQ(walked.outcome, Outcome::Accepted);
    ASSERT_EQ(report.outcome, Outcome::Accepted);
    EXPECT_GT(walked.statistics.visited, 10'000U);
    EXPECT_LT(report.statistics.visited, 2'000U);
    // The bound of a run does not depend on how it was found.
    EXPECT_GE(report.statistics.worst_case, 364U * 15);
    EXPECT_LE(report.statistics.worst_case, walked.statistics.worst_case * 4);
}

// --- what a caller learns ---

constexpr const char* kRandom = "call 7; r6 = r0; call 7; r7 = r0;";

TEST(summaries, name_results_by_what_was_passed) {
    // r0 is the caller's own number plus 3: what is learnt of it, is learnt of that.
    constexpr const char* kPlus3 = "f: r0 = r1; r0 += 3; exit";
    EXPECT_EQ(judge(std::string(kRandom) +
                    "r6 &= 0xff; r1 = r6; call f; if r0 > 10 goto end;"
                    "r1 = r10; r1 += -8; r1 += r6; *(u8 *)(r1 +0) = 1; end: r0 = 1; exit;" +
                    kPlus3),
              "accepted by summary");
    EXPECT_EQ(judge(std::string(kRandom) +
                    "r6 &= 0xff; r1 = r6; call f; if r0 > 11 goto end;"
                    "r1 = r10; r1 += -8; r1 += r6; *(u8 *)(r1 +0) = 1; end: r0 = 1; exit;" +
                    kPlus3),
              "V103 at 11");
}

TEST(summaries, keep_the_distance_between_what_calls_pass) {
    // The second call passes 3 more than the first one; both go by the same proof.
    const auto twice = [](const char* limit) {
        return judge(std::string("call 7; r6 = r0; r6 &= 0xff; r1 = r6; call f; r7 = r6; r7 += 3;"
                                 "r1 = r7; call f; r7 = r7; if r0 > ") +
                     limit +
                     " goto end; r1 = r10; r1 += -8; r1 += r6; *(u8 *)(r1 +0) = 1;"
                     "end: r7 = r7; r0 = 1; exit; f: if r1 > 400 goto pc+0; r0 = r1; exit");
    };
    EXPECT_EQ(twice("10"), "accepted by summary");
    EXPECT_EQ(twice("11"), "V103 at 14");
}

TEST(summaries, do_not_mix_up_arguments) {
    // On some way both paths of the function meet with r6 and r7 exchanged.
    const auto which = [](const char* used) {
        return judge("call 7; r6 = r0; r6 &= 7; call 7; r7 = r0; r7 &= 0xff; r1 = r6; r2 = r7;"
                     "call f; if r0 > 7 goto end; r1 = r10; r1 += -8; r1 += " +
                     std::string(used) +
                     "; *(u8 *)(r1 +0) = 1; end: r0 = 1; exit;"
                     "f: r6 = r1; r7 = r2; call 7; if r0 > 5 goto pc+2; r7 = r6; r6 = 0; "
                     "r0 = r7; exit");
    };
    EXPECT_EQ(which("r6"), "accepted by summary");
    EXPECT_EQ(which("r0"), "accepted by summary");
    EXPECT_EQ(which("r7"), "V103 at 13");
}

TEST(summaries, give_pointers_back) {
    constexpr const char* kLookup =
        "*(u32 *)(r10 -4) = 0; r2 = r10; r2 += -4; r1 = map[id:0]; call 1; if r0 == 0 goto end;"
        "r6 = r0; r1 = r0; call f;";
    const auto at = [&](const char* size_and_off) {
        return judge(std::string(kLookup) + "r0 = *(" + size_and_off +
                     "); r0 = *(u64 *)(r6 +8); end: r0 = 1; exit; f: r0 = r1; r0 += 4; exit");
    };
    EXPECT_EQ(at("u64 *)(r0 +4"), "accepted by summary");
    EXPECT_EQ(at("u64 *)(r0 +5"), "V102 at 10");
    // Null or not: each has an exit of its own.
    EXPECT_EQ(judge(std::string(kLookup) +
                    "if r0 == 0 goto end; r0 = *(u64 *)(r0 +8); end: r0 = 1;"
                    "exit; f: r6 = r1; call 7; if r0 > 5 goto pc+2; r0 = r6; exit; r0 = 0; exit"),
              "accepted by summary");
    EXPECT_EQ(judge(std::string(kLookup) +
                    "r0 = *(u64 *)(r0 +8); end: r0 = 1;"
                    "exit; f: r6 = r1; call 7; if r0 > 5 goto pc+2; r0 = r6; exit; r0 = 0; exit"),
              "V202 at 10");
}

TEST(summaries, tell_what_a_function_found_out) {
    constexpr const char* kPacket =
        "r6 = r1; r2 = *(u32 *)(r1 +4); r1 = *(u32 *)(r1 +0); r7 = r1; call f;"
        "if r0 == 0 goto end; r0 = *(u64 *)(r7 +%); end: r0 = 1; exit;"
        "f: r0 = 0; r3 = r1; r3 += 8; if r3 > r2 goto pc+1; r0 = r1; exit";
    const auto with = [&](const char* off) {
        std::string text = kPacket;
        return judge(text.replace(text.find('%'), 1, off));
    };
    EXPECT_EQ(with("0"), "accepted by summary");
    EXPECT_EQ(with("1"), "V101 at 6");
    // A null test by the function is one by the caller.
    constexpr const char* kNull = "*(u32 *)(r10 -4) = 0; r2 = r10; r2 += -4; r1 = map[id:0]; call "
                                  "1; r6 = r0; r1 = r0; call f;"
                                  "if r0 == 0 goto end; r0 = *(u64 *)(r6 +8); end: r0 = 1; exit;"
                                  "f: if r1 == 0 goto pc+2; r0 = r1; exit; r0 = 0; exit";
    EXPECT_EQ(judge(kNull), "accepted by summary");
}

// --- what a caller loses ---

TEST(summaries, say_that_the_packet_may_have_moved) {
    constexpr const char* kMover =
        "r6 = r1; r2 = *(u32 *)(r1 +0); r3 = *(u32 *)(r1 +4); r7 = r2; r4 = r2; r4 += 8;"
        "if r4 > r3 goto end; %; call f; r0 = *(u8 *)(r7 +0); end: r0 = 1; exit;"
        "f: r6 = r1; call 7; if r0 > 5 goto pc+3; r1 = r6; r2 = 0; @; r0 = 0; exit";
    const auto with = [&](const char* argument, const char* what) {
        std::string text = kMover;
        text.replace(text.find('%'), 1, argument);
        return judge(text.replace(text.find('@'), 1, what));
    };
    EXPECT_EQ(with("r1 = r6", "call 44").substr(0, 4), "V202");
    EXPECT_EQ(with("r1 = r6", "call 7"), "accepted by summary");
}

/// With one map.
std::string judge_with(const MapView& map, std::string_view text) {
    const auto program = test::program(text, spec::ProgramType::SchedCls);
    const Report report = verify(*program, std::array{map}, {.least_summary = 0});
    if (report.outcome == Outcome::Accepted)
        return report.statistics.summaries != 0 ? "accepted by summary" : "accepted";
    return report.findings[0].code + " at " + std::to_string(report.findings[0].insn);
}

TEST(summaries, of_functions_that_make_tail_calls) {
    const spec::MapDef def{
        .kind = spec::MapKind::ProgArray, .key_size = 4, .value_size = 4, .max_entries = 4};
    const auto tail = [&](const char* before, const char* after) {
        return judge_with({.def = &def}, std::string(before) + "r1 = r6; call f;" + after +
                                             "end: r0 = 1; exit;"
                                             "f: r2 = map[id:0]; r3 = 0; call 12; r0 = 0; exit");
    };
    EXPECT_EQ(tail("r6 = r1;", "r1 = r6; call f;"), "accepted by summary");
    // The other program may move the packet, and does not know what is held here.
    constexpr const char* kPacket =
        "r6 = r1; r7 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +80); r4 = r7;"
        "r4 += 8; if r4 > r3 goto end;";
    EXPECT_EQ(tail(kPacket, "r0 = *(u8 *)(r7 +0);"), "V202 at 8");
    EXPECT_EQ(tail("r6 = r1; r2 = r10; r2 += -12; *(u64 *)(r10 -8) = 0; *(u32 *)(r10 -12) = 0;"
                   "r3 = 12; r4 = 0; r5 = 0; call 84; if r0 == 0 goto end; r7 = r0;",
                   "r1 = r7; call 86;"),
              "V401 at 20");
}

TEST(summaries, are_not_for_calls_with_a_lock_held) {
    const spec::MapDef def{
        .kind = spec::MapKind::Hash, .key_size = 4, .value_size = 32, .max_entries = 4};
    const auto locked = [&](const char* before, const char* body) {
        return judge_with({.def = &def, .special = {{SpecialField::Kind::SpinLock, 0, 4}}},
                          std::string("*(u32 *)(r10 -4) = 0; r2 = r10; r2 += -4; r1 = map[id:0];"
                                      "call 1; if r0 == 0 goto end; r6 = r0;") +
                              before + "end: r0 = 0; exit; f: " + body);
    };
    constexpr const char* kAround = "r1 = r6; call 93; r1 = r6; call f; r1 = r6; call 94;";
    EXPECT_EQ(locked(kAround, "*(u32 *)(r1 +8) = 0; r0 = 0; exit"), "accepted");
    EXPECT_EQ(locked(kAround, "call 7; exit"), "V403 at 16");
    // The function takes it, or gives it back.
    EXPECT_EQ(locked("r1 = r6; call f; r1 = r6; call 94;", "call 93; r0 = 0; exit"), "accepted");
    EXPECT_EQ(locked("r1 = r6; call f;", "call 93; r0 = 0; exit").substr(0, 4), "V403");
    EXPECT_EQ(locked("r1 = r6; call 93; r1 = r6; call f;", "call 94; r0 = 0; exit"), "accepted");
    EXPECT_EQ(locked("r1 = r6; call f;", "r6 = r1; call 93; r1 = r6; call 94; r0 = 0; exit"),
              "accepted by summary");
}

TEST(summaries, neither_release_nor_keep_what_is_not_theirs) {
    using enum spec::ProgramType;
    constexpr const char* kTake =
        "r2 = r10; r2 += -12; *(u64 *)(r10 -8) = 0; *(u32 *)(r10 -12) = 0; r3 = 12; r4 = 0; r5 = 0;"
        "call 84; if r0 == 0 goto end; r6 = r0;";
    const auto taken = [&](const std::string& rest) {
        return judge(std::string(kTake) + rest, SchedCls);
    };
    // The function releases what it is given: this call is walked into.
    EXPECT_EQ(taken("r1 = r6; call f; end: r0 = 0; exit; f: call 86; r0 = 0; exit"), "accepted");
    EXPECT_EQ(taken("r1 = r6; call f; r0 = *(u32 *)(r6 +4); end: r0 = 0; exit; f: call 86; r0 = 0;"
                    "exit"),
              "V202 at 12");
    // What is held while a function runs that has nothing to do with it.
    EXPECT_EQ(taken("call f; r1 = r6; call 86; end: r0 = 0; exit; f: call 7; r0 = 0; exit"),
              "accepted by summary");
    EXPECT_EQ(taken("call f; end: r0 = 0; exit; f: call 7; r0 = 0; exit"), "V401 at 12");
}

TEST(summaries, hand_over_what_functions_take) {
    using enum spec::ProgramType;
    constexpr const char* kTaker =
        "f: r2 = r10; r2 += -12; *(u64 *)(r10 -8) = 0; *(u32 *)(r10 -12) = 0; r3 = 12; r4 = 0;"
        "r5 = 0; call 84; exit";
    const auto called = [&](const std::string& rest) { return judge(rest + kTaker, SchedCls); };
    EXPECT_EQ(called("r6 = r1; call f; if r0 == 0 goto next; r1 = r0; call 86; next: r1 = r6;"
                     "call f; if r0 == 0 goto end; r1 = r0; call 86; end: r0 = 0; exit;"),
              "accepted by summary");
    EXPECT_EQ(called("call f; r0 = 0; exit;"), "V401 at 2");
    EXPECT_EQ(called("r6 = r1; call f; r7 = r0; r1 = r6; call f; r8 = r0; if r7 == 0 goto next;"
                     "r1 = r7; call 86; next: if r8 == 0 goto end; r1 = r7; call 86; end: r0 = 0;"
                     "exit;")
                  .substr(0, 1),
              "V");
    EXPECT_EQ(called("r6 = r1; call f; r7 = r0; r1 = r6; call f; r8 = r0; if r7 == 0 goto next;"
                     "r1 = r7; call 86; next: if r8 == 0 goto end; r1 = r8; call 86; end: r0 = 0;"
                     "exit;"),
              "accepted by summary");
}

TEST(summaries, see_nothing_of_the_caller_but_arguments) {
    EXPECT_EQ(judge("r6 = 1; r1 = 2; call f; exit; f: r0 = r6; exit"), "V301 at 4");
    EXPECT_EQ(judge("r6 = 1; r1 = 2; call f; exit; f: r0 = r2; exit"), "V301 at 4");
    // Pointers to the caller's stack are walked with.
    EXPECT_EQ(judge("*(u64 *)(r10 -8) = 1; r1 = r10; r1 += -8; call f; r1 = *(u64 *)(r10 -8);"
                    "r2 = r10; r2 += -8; r2 += r1; *(u8 *)(r2 +0) = 1; r0 = 0; exit;"
                    "f: *(u64 *)(r1 +0) = 16; r0 = 0; exit"),
              "V103 at 8");
    // Registers that a call destroys, and those that it does not.
    EXPECT_EQ(judge("r1 = 1; r6 = 2; call f; r0 = r1; exit; f: r0 = 0; exit"), "V301 at 3");
    EXPECT_EQ(judge("r1 = 1; r6 = 2; call f; r0 = r6; exit; f: r6 = r10; r0 = 0; exit"),
              "accepted by summary");
    EXPECT_EQ(judge("r1 = 1; call f; exit; f: r0 = r10; exit").substr(0, 4), "V205");
}

// --- endings ---

TEST(summaries, of_functions_that_do_not_end_are_refused) {
    EXPECT_EQ(judge("r1 = 1; call f; r0 = 0; exit; f: r6 = r1; l: call 7; if r0 != 0 goto l; exit"),
              "V501 at 5");
    EXPECT_EQ(judge("call f; exit; f: call g; exit; g: call f; exit").substr(0, 4), "V503");
}

TEST(summaries, count_in_the_bound_of_a_run) {
    const auto bound = [](std::string_view text) { return report_of(text).statistics.worst_case; };
    EXPECT_EQ(bound("call f; call f; exit; f: r0 = 0; r0 = 1; exit"), 9U);
    // 10 rounds of a call that may go on 2^23 times.
    EXPECT_GE(bound("r6 = 0; l: call f; r6 += 1; if r6 < 10 goto l; r0 = 0; exit;"
                    "f: may_goto end; goto f; end: r0 = 1; exit"),
              10U << 23);
    // The callback goes on for 5 rounds, each time.
    EXPECT_GE(bound("r6 = 0; l: call f; r6 += 1; if r6 < 10 goto l; r0 = 0; exit;"
                    "f: r1 = 5; r2 = subprog[g]; r3 = 0; r4 = 0; call 181; r0 = 0; exit;"
                    "g: r0 = 0; exit"),
              10U * 5 * 2);
}

TEST(summaries, do_not_let_a_loop_start_its_contract_anew) {
    // A may_goto in the function does not bound the caller's loop.
    EXPECT_EQ(judge("l: call f; call 7; if r0 != 0 goto l; r0 = 0; exit;"
                    "f: may_goto end; goto f; end: r0 = 1; exit")
                  .substr(0, 4),
              "V501");
}

TEST(summaries, of_functions_that_call_themselves_by_callbacks) {
    EXPECT_EQ(judge("call f; call f; exit; f: r1 = 1; r2 = subprog[g]; r3 = 0; r4 = 0; call 181;"
                    "r0 = 0; exit; g: call f; r0 = 0; exit")
                  .substr(0, 4),
              "V503");
}

TEST(summaries, share_the_stack) {
    EXPECT_EQ(judge("*(u64 *)(r10 -400) = 1; call f; call f; r0 = 1; exit;"
                    "f: *(u64 *)(r10 -200) = 1; r0 = 1; exit"),
              "V503 at 1");
    // What both calls have in common would need 512 bytes.
    EXPECT_EQ(judge("*(u64 *)(r10 -64) = 1; r1 = 1; call f; r1 = 2; call f; r0 = 1; exit;"
                    "f: if r1 > 63 goto end; r1 <<= 3; r2 = r10; r2 += -8; r1 = -r1; r2 += r1;"
                    "*(u64 *)(r2 +0) = 1; end: r0 = 1; exit"),
              "accepted");
    // Nine functions.
    EXPECT_EQ(judge(call_tree(7, "")), "accepted by summary");
    EXPECT_EQ(judge(call_tree(8, "")).substr(0, 4), "V503");
}

TEST(summaries, give_facts_of_what_functions_do) {
    const Report report = report_of("r1 = 5; call f; r1 = 7; call f; exit; f: r0 = r1; exit");
    ASSERT_EQ(report.outcome, Outcome::Accepted);
    EXPECT_TRUE(report.facts->insns[5].reached);
    EXPECT_LE(report.facts->insns[5].src.umin, 5U);
    EXPECT_GE(report.facts->insns[5].src.umax, 7U);
}

} // namespace
} // namespace skep::verifier
