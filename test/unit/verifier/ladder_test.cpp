// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// What a join or a widening lost is found again, without a walk of every path.
#include <gmock/gmock.h>

#include "judge.hpp"

namespace skep::verifier {
namespace {

using test::judge;
using test::report_of;

constexpr const char* kPacket =
    "r9 = r1; r7 = *(u32 *)(r1 +0); r3 = *(u32 *)(r1 +4); r4 = r7; r4 += 8;";

/// `count` branches in sequence on what nobody knows, each of which leaves another number in r8:
/// 2^count paths, and no state of one lies in one of another.
std::string diamonds(int count) {
    std::string text = "r8 = 0;";
    for (int i = 0; i < count; ++i) {
        const std::string name = "d" + std::to_string(i);
        text += "r0 = *(u32 *)(r9 +12); if r0 > " + std::to_string(i) + " goto " + name +
                "; r8 += " + std::to_string(1U << static_cast<unsigned>(i)) + "; " + name + ":";
    }
    return text;
}

struct Proved {
    Outcome outcome = Outcome::Rejected;
    std::uint64_t visited = 0;
    bool path_mode = false;
};

Proved prove(const std::string& text) {
    const Report report = report_of(text);
    return {report.outcome, report.statistics.visited, report.statistics.path_mode};
}

TEST(ladder, a_flag_tells_what_was_tested_however_many_paths_lie_between) {
    const auto program = [](const char* access) {
        return std::string(kPacket) + "r6 = 0; if r4 > r3 goto m; r6 = 1; m:" + diamonds(20) +
               access + "end: r0 = 1; exit";
    };
    const Proved proved = prove(program("if r6 == 0 goto end; r0 = *(u64 *)(r7 +0);"));
    EXPECT_EQ(proved.outcome, Outcome::Accepted);
    EXPECT_FALSE(proved.path_mode);
    EXPECT_LT(proved.visited, 2000);
    // The wrong way round, and without the flag.
    EXPECT_EQ(judge(program("if r6 == 1 goto end; r0 = *(u64 *)(r7 +0);")).substr(0, 4), "V101");
    EXPECT_EQ(judge(program("r0 = *(u64 *)(r7 +0);")).substr(0, 4), "V101");
}

TEST(ladder, the_same_question_has_the_same_answer_later) {
    const auto program = [](const char* second) {
        return std::string(kPacket) +
               "r6 = *(u32 *)(r1 +16); if r6 == 0 goto m; if r4 > r3 goto end; m:" + diamonds(20) +
               second + "r0 = *(u64 *)(r7 +0); end: r0 = 1; exit";
    };
    const Proved proved = prove(program("if r6 == 0 goto end;"));
    EXPECT_EQ(proved.outcome, Outcome::Accepted);
    EXPECT_FALSE(proved.path_mode);
    EXPECT_EQ(judge(program("if r6 == 1 goto end;")).substr(0, 4), "V101");
}

TEST(ladder, several_flags_are_told_apart) {
    // Three lengths, each limited where its flag is set; the flags are used in another order.
    std::string text =
        "r9 = r1; *(u64 *)(r10 -8) = 0; *(u64 *)(r10 -16) = 0; *(u64 *)(r10 -24) = 0;";
    for (const char* slot : {"-8", "-16", "-24"}) {
        const std::string name = slot + 1;
        text += "r0 = *(u32 *)(r9 +12); if r0 > 15 goto n" + name + "; *(u64 *)(r10 " + slot +
                ") = 1; n" + name + ": *(u64 *)(r10 -" + std::to_string(std::stoi(name) + 32) +
                ") = r0;";
    }
    text += diamonds(16) +
            "*(u32 *)(r10 -4) = 0; *(u32 *)(r10 -100) = 0; r2 = r10; r2 += -100; r1 = map[id:0];"
            "call 1; if r0 == 0 goto end; r6 = r0;";
    std::string good = text;
    std::string bad = text;
    for (const char* slot : {"16", "24"}) {
        const std::string use = std::string("r1 = *(u64 *)(r10 -") + slot + "); if r1 == 0 goto u" +
                                slot +
                                "; r1 = *(u64 *)(r10 -%);"
                                "r2 = r6; r2 += r1; r0 = *(u8 *)(r2 +0); u" +
                                slot + ":";
        const auto with = [&](int offset) {
            std::string filled = use;
            return filled.replace(filled.find('%'), 1, std::to_string(offset));
        };
        good += with(std::stoi(slot) + 32);
        bad += with(std::stoi(slot) == 24 ? 48 : 48);
    }
    good += "end: r0 = 1; exit";
    bad += "end: r0 = 1; exit";
    const Proved proved = prove(good);
    EXPECT_EQ(proved.outcome, Outcome::Accepted);
    EXPECT_FALSE(proved.path_mode);
    EXPECT_EQ(prove(bad).outcome, Outcome::Rejected);
}

TEST(ladder, flags_are_told_apart_in_loops) {
    // 1000 rounds: each tests the packet or not, and reads it only if it did.
    const auto program = [](const char* test) {
        return std::string(kPacket) +
               "r2 = r3; r5 = 0; l: r6 = 0; r0 = *(u32 *)(r9 +12); if r0 > 7 goto m; if r4 > r2 "
               "goto m; r6 = 1; m: r0 = *(u32 *)(r9 +16); if r0 > 3 goto n; r8 = 1; n:" +
               test + " r0 = *(u64 *)(r7 +0); o: r5 += 1; if r5 < 1000 goto l; r0 = 1; exit";
    };
    const Proved proved = prove(program("if r6 == 0 goto o;"));
    EXPECT_EQ(proved.outcome, Outcome::Accepted);
    EXPECT_LT(proved.visited, 2000);
    EXPECT_EQ(prove(program("if r6 == 1 goto o;")).outcome, Outcome::Rejected);
}

/// A map value of 16 bytes in r7, and a number up to `limit` in r6.
std::string indexed(int limit) {
    return "r9 = r1; *(u32 *)(r10 -4) = 0; r2 = r10; r2 += -4; r1 = map[id:0]; call 1;"
           "if r0 == 0 goto end; r7 = r0; r6 = *(u32 *)(r9 +12); r6 &= " +
           std::to_string(limit) + ";";
}

TEST(ladder, what_widening_gave_away_comes_back) {
    const auto program = [](int limit) {
        return indexed(limit) + "r8 = 0; l: r1 = r7; r1 += r8; r0 = *(u8 *)(r1 +0); r8 += 1;"
                                "if r8 < r6 goto l; end: r0 = 1; exit";
    };
    const Proved proved = prove(program(15));
    EXPECT_EQ(proved.outcome, Outcome::Accepted);
    EXPECT_FALSE(proved.path_mode);
    EXPECT_LT(proved.visited, 80);
    EXPECT_EQ(judge(program(31)).substr(0, 4), "V102");
}

TEST(ladder, the_end_of_a_loop_of_any_length_is_known) {
    // 50000 rounds at most, where no instruction names the number; after it, the counter is used.
    const auto program = [](const char* shift) {
        return indexed(0xffff) + "r8 = 0; l: r8 += 1; if r8 < r6 goto l; r8 >>= " + shift +
               "; r7 += r8; r0 = *(u8 *)(r7 +0); end: r0 = 1; exit";
    };
    const Proved proved = prove(program("12"));
    EXPECT_EQ(proved.outcome, Outcome::Accepted);
    EXPECT_LT(proved.visited, 200);
    EXPECT_NE(prove(program("11")).outcome, Outcome::Accepted);
}

TEST(ladder, nested_loops_are_narrowed_together) {
    const auto program = [](int limit) {
        return indexed(limit) +
               "r8 = 0; a: r9 = 0; b: r1 = r7; r1 += r8; r0 = *(u8 *)(r1 +0); r1 = r7; r1 += r9;"
               "r0 = *(u8 *)(r1 +0); r9 += 1; if r9 < r6 goto b; r8 += 1; if r8 < r6 goto a;"
               "end: r0 = 1; exit";
    };
    const Proved proved = prove(program(15));
    EXPECT_EQ(proved.outcome, Outcome::Accepted);
    EXPECT_LT(proved.visited, 400);
    EXPECT_EQ(judge(program(31)).substr(0, 4), "V102");
}

/// The first finding with code V101, V102 or V103 of an analysis that may not take long.
Finding hasty(const std::string& text, std::uint64_t visits) {
    const auto program = test::program(text, spec::ProgramType::Xdp);
    spec::MapDef def{
        .kind = spec::MapKind::Array, .key_size = 4, .value_size = 16, .max_entries = 4};
    const std::array maps{MapView{.def = &def}};
    const Report report = verify(*program, maps, {.max_visits = visits, .explain = true});
    for (const Finding& finding : report.findings)
        if (finding.code.starts_with("V10"))
            return finding;
    return {};
}

TEST(ladder, a_finding_says_where_ways_met_and_what_each_knew) {
    // The paths are too many: what is left is what the joined states lacked.
    const Finding finding =
        hasty(std::string(kPacket) + "r6 = 0; if r4 > r3 goto m; r6 = 1; m:" + diamonds(20) +
                  "if r6 == 0 goto end; r0 = *(u64 *)(r7 +0); end: r0 = 1; exit",
              4200);
    ASSERT_FALSE(finding.notes.empty());
    const Note& note = finding.notes.back();
    EXPECT_EQ(note.kind, "merge");
    EXPECT_EQ(note.insn, 8);
    EXPECT_EQ(note.reg, 7);
    EXPECT_EQ(note.text, "is the packet's data with 8 bytes tested on the way through instruction "
                         "7, and the packet's data, not tested, on the way through instruction 6 "
                         "(jumps): both meet here");
}

TEST(ladder, a_finding_says_where_a_loop_was_widened) {
    // Too many rounds to tell them apart.
    const Finding finding =
        hasty(indexed(0xffff) + "r8 = 0; l: r8 += 1; if r8 < r6 goto l; r8 >>= 12; r7 += r8;"
                                "r0 = *(u8 *)(r7 +0); end: r0 = 1; exit",
              1000);
    ASSERT_FALSE(finding.notes.empty());
    EXPECT_EQ(finding.notes.front().kind, "widening");
    EXPECT_EQ(finding.notes.front().insn, 12);
    EXPECT_EQ(finding.notes.front().reg, 8);
    EXPECT_EQ(finding.notes.front().text,
              "is 1 to 256 after some rounds, and more in each: 0 to 65535 is assumed here");
}

} // namespace
} // namespace skep::verifier
