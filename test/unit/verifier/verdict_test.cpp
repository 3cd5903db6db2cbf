// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// One obligation each: a program that breaks it, and the nearest one that does not.
#include <gmock/gmock.h>

#include "judge.hpp"

namespace skep::verifier {
namespace {

using test::judge;

constexpr const char* kPacket = "r2 = *(u32 *)(r1 +0); r3 = *(u32 *)(r1 +4); r4 = r2; r4 += 8;";
constexpr const char* kLookup = "*(u32 *)(r10 -4) = 0; r2 = r10; r2 += -4; r1 = map[id:0]; call 1;";

std::string with(const char* start, const char* rest) {
    return std::string(start) + rest;
}

TEST(verdict, packets_are_read_where_a_test_shows_them) {
    EXPECT_EQ(judge(with(kPacket, "if r4 > r3 goto pc+1; r0 = *(u64 *)(r2 +0); r0 = 1; exit")),
              "accepted");
    EXPECT_EQ(judge(with(kPacket, "if r4 > r3 goto pc+1; r0 = *(u64 *)(r2 +1); r0 = 1; exit")),
              "V101 at 5");
    EXPECT_EQ(judge(with(kPacket, "if r4 > r3 goto pc+1; r0 = *(u8 *)(r2 -1); r0 = 1; exit")),
              "V101 at 5");
    EXPECT_EQ(judge(with(kPacket, "if r4 >= r3 goto pc+1; r0 = *(u8 *)(r2 +8); r0 = 1; exit")),
              "accepted");
}

TEST(verdict, packet_pointers_die_when_the_packet_moves) {
    const char* move =
        "r6 = r1; r7 = r2; if r4 > r3 goto pc+4; r2 = 0; call 44; r0 = *(u8 *)(r7 +0);"
        "goto pc+0; r0 = 1; exit";
    EXPECT_EQ(judge(with(kPacket, move)), "V202 at 9");
}

TEST(verdict, map_values_are_tested_for_null_and_stay_inside) {
    EXPECT_EQ(judge(with(kLookup, "r0 = *(u8 *)(r0 +0); exit")), "V201 at 6");
    EXPECT_EQ(judge(with(kLookup, "if r0 == 0 goto pc+1; r0 = *(u64 *)(r0 +8); r0 = 1; exit")),
              "accepted");
    EXPECT_EQ(judge(with(kLookup, "if r0 == 0 goto pc+1; r0 = *(u64 *)(r0 +9); r0 = 1; exit")),
              "V102 at 7");
    EXPECT_EQ(judge(with(kLookup, "r6 = r0; r6 += 1; r0 = 1; exit")), "V201 at 7");
}

TEST(verdict, an_index_is_bounded_on_both_sides) {
    const auto indexed = [](const char* tests) {
        return with(kLookup, "if r0 == 0 goto end; r6 = r0; call 7; r0 <<= 32; r0 s>>= 32;") +
               tests + "r6 += r0; r0 = *(u8 *)(r6 +0); end: r0 = 1; exit";
    };
    EXPECT_EQ(judge(indexed("if r0 s> 15 goto end; if r0 s< 0 goto end;")), "accepted");
    EXPECT_EQ(judge(indexed("if r0 s> 15 goto end;")), "V204 at 12");
    EXPECT_EQ(judge(indexed("if r0 > 15 goto end;")), "accepted");
    EXPECT_EQ(judge(indexed("if r0 > 16 goto end;")), "V102 at 13");
    EXPECT_EQ(judge(indexed("r0 &= 15;")), "accepted");
    EXPECT_EQ(judge(indexed("r0 %= 16;")), "accepted");
    EXPECT_EQ(judge(indexed("r0 &= 31;")), "V102 at 13");
}

TEST(verdict, stack_accesses_lie_in_the_frame_and_are_aligned) {
    EXPECT_EQ(judge("*(u64 *)(r10 -512) = 1; r0 = 1; exit"), "accepted");
    EXPECT_EQ(judge("*(u64 *)(r10 -520) = 1; r0 = 1; exit"), "V103 at 0");
    EXPECT_EQ(judge("*(u32 *)(r10 +0) = 1; r0 = 1; exit"), "V103 at 0");
    EXPECT_EQ(judge("*(u64 *)(r10 -12) = 1; r0 = 1; exit"), "V106 at 0");
}

TEST(verdict, registers_are_written_before_they_are_read) {
    EXPECT_EQ(judge("r0 = r3; exit"), "V301 at 0");
    EXPECT_EQ(judge("exit"), "V301 at 0");
    EXPECT_EQ(judge("if r0 == 0 goto pc+0; r0 = 1; exit"), "V301 at 0");
    EXPECT_EQ(judge("r0 = 1; if r0 == r5 goto pc+0; exit"), "V301 at 1");
    EXPECT_EQ(judge("call 7; r0 = r1; exit"), "V301 at 1");
}

TEST(verdict, pointers_and_numbers_are_not_mixed_up) {
    EXPECT_EQ(judge("r1 *= 2; r0 = 1; exit"), "V204 at 0");
    EXPECT_EQ(judge("r2 = 8; r0 = *(u8 *)(r2 +0); exit"), "V202 at 1");
    EXPECT_EQ(judge("r10 += 1; r0 = 1; exit"), "V100 at 0");
    // Nobody gets there.
    EXPECT_EQ(judge("r0 = 1; if r0 == 1 goto pc+1; r10 += 1; exit"), "accepted");
}

TEST(verdict, contexts_are_accessed_by_field) {
    EXPECT_EQ(judge("r0 = *(u32 *)(r1 +12); exit"), "accepted");
    EXPECT_EQ(judge("r0 = *(u32 *)(r1 +2); exit"), "V604 at 0");
    EXPECT_EQ(judge("*(u32 *)(r1 +0) = r1; r0 = 1; exit"), "V604 at 0");
}

TEST(verdict, helpers_get_what_they_take) {
    EXPECT_EQ(judge("call 9999; exit"), "V602 at 0");
    EXPECT_EQ(judge("r1 = 0; r2 = r10; r2 += -4; call 1; exit"), "V601 at 3");
    EXPECT_EQ(judge("r1 = r10; r1 += -8; r2 = 0; call 16; r0 = 1; exit", spec::ProgramType::Kprobe),
              "V105 at 3");
}

TEST(verdict, code_that_nobody_reaches_is_refused) {
    EXPECT_EQ(judge("r0 = 1; exit; r0 = 2; exit"), "V504 at 2");
}

TEST(verdict, references_are_given_back) {
    const char* reserve = "r1 = map[id:0]; r2 = 8; r3 = 0; call 131; r0 = 1; exit";
    EXPECT_EQ(judge(reserve), "V601 at 4"); // An array is no ring buffer.
}

TEST(verdict, sockets_are_read_by_field_and_live_as_long_as_their_owner) {
    using enum spec::ProgramType;
    constexpr const char* kSk = "r6 = r1; r1 = *(u64 *)(r1 +168); if r1 == 0 goto end;";
    EXPECT_EQ(judge(with(kSk, "r0 = *(u32 *)(r1 +4); end: r0 = 0; exit"), SchedCls), "accepted");
    // A socket that need not be a full one has no type; nobody writes to sockets.
    EXPECT_EQ(judge(with(kSk, "r0 = *(u32 *)(r1 +8); end: r0 = 0; exit"), SchedCls), "V604 at 3");
    EXPECT_EQ(judge(with(kSk, "r0 = *(u64 *)(r1 +0); end: r0 = 0; exit"), SchedCls), "V604 at 3");
    EXPECT_EQ(judge(with(kSk, "*(u32 *)(r1 +16) = 1; end: r0 = 0; exit"), SchedCls), "V606 at 3");
    const auto full = [&](const char* rest) {
        return with(kSk, "call 95; if r0 == 0 goto end;") + rest + "end: r0 = 0; exit";
    };
    EXPECT_EQ(judge(full("r0 = *(u32 *)(r0 +8);"), SchedCls), "accepted");
    EXPECT_EQ(judge(full("r0 = *(u16 *)(r0 +50);"), SchedCls), "V604 at 5");
    EXPECT_EQ(judge(full("r1 = r0; call 86;"), SchedCls), "V402 at 6");
}

TEST(verdict, a_view_of_a_socket_ends_with_it) {
    constexpr const char* kTaken =
        "r6 = r1; r2 = r10; r2 += -12; *(u64 *)(r10 -8) = 0; *(u32 *)(r10 -12) = 0; r3 = 12;"
        "r4 = 0; r5 = 0; call 84; if r0 == 0 goto end; r6 = r0; r1 = r0; call 96; r7 = r0;";
    const auto taken = [&](const char* rest) { return with(kTaken, rest) + "end: r0 = 0; exit"; };
    using enum spec::ProgramType;
    const char* release = "r1 = r6; call 86;";
    EXPECT_EQ(judge(taken(release), SchedCls), "accepted");
    EXPECT_EQ(judge(taken(""), SchedCls), "V401 at 15");
    EXPECT_EQ(
        judge(taken("if r7 == 0 goto pc+1; r8 = *(u32 *)(r7 +0); r1 = r6; call 86;"), SchedCls),
        "accepted");
    EXPECT_EQ(
        judge(taken("r1 = r6; call 86; if r7 == 0 goto end; r8 = *(u32 *)(r7 +0);"), SchedCls),
        "V202 at 17");
    // The view gives back what it shows.
    EXPECT_EQ(judge(taken("if r7 == 0 goto pc+3; r1 = r7; call 86; goto end; r1 = r6; call 86;"),
                    SchedCls),
              "accepted");
}

/// Map 0 is a hash of 32-byte values with a lock at 0 and a timer at 8.
std::string judge_special(std::string_view text,
                          spec::ProgramType type = spec::ProgramType::SchedCls) {
    spec::MapDef def{
        .kind = spec::MapKind::Hash, .key_size = 4, .value_size = 32, .max_entries = 4};
    def.name = "special";
    const std::array maps{MapView{
        .def = &def,
        .special = {{SpecialField::Kind::SpinLock, 0, 4}, {SpecialField::Kind::Timer, 8, 16}}}};
    const auto tested = test::program(text, type);
    const Report report = verify(*tested, maps);
    return report.outcome == Outcome::Accepted
               ? "accepted"
               : report.findings[0].code + " at " + std::to_string(report.findings[0].insn);
}

constexpr const char* kValue = "*(u32 *)(r10 -4) = 0; r2 = r10; r2 += -4; r1 = map[id:0]; call 1;"
                               "if r0 == 0 goto end; r6 = r0;";

TEST(verdict, locks_are_taken_one_at_a_time_and_given_back) {
    const auto locked = [](const char* what) {
        return judge_special(std::string(kValue) + "r1 = r6; call 93;" + what +
                             "r1 = r6; call 94; end: r0 = 0; exit");
    };
    EXPECT_EQ(locked("*(u64 *)(r6 +24) = 1;"), "accepted");
    EXPECT_EQ(locked("call 7;"), "V403 at 10");
    EXPECT_EQ(locked("r1 = r6; call 93;"), "V403 at 11");
    EXPECT_EQ(locked("r1 = r6; call 94;"), "V403 at 13");
    EXPECT_EQ(locked("goto end;").substr(0, 4), "V504");
    EXPECT_EQ(locked("if r6 == r10 goto end;"), "V403 at 14");
    // Not where a lock is, not by loads and stores, not in every program.
    EXPECT_EQ(judge_special(std::string(kValue) + "r1 = r6; r1 += 4; call 93; end: r0 = 0; exit"),
              "V601 at 10");
    EXPECT_EQ(judge_special(std::string(kValue) + "*(u32 *)(r6 +0) = 0; end: r0 = 0; exit"),
              "V606 at 8");
    EXPECT_EQ(judge_special(std::string(kValue) + "*(u32 *)(r6 +4) = 0; end: r0 = 0; exit"),
              "accepted");
    EXPECT_EQ(judge_special(std::string(kValue) + "end: r0 = 0; exit", spec::ProgramType::Kprobe),
              "V602 at 3");
}

TEST(verdict, timer_callbacks_are_judged_on_their_own) {
    const auto timer = [](const char* callback) {
        return judge_special(std::string(kValue) +
                             "r1 = r6; r1 += 8; r2 = subprog[+4]; call 170; end: r0 = 0; exit;" +
                             callback);
    };
    EXPECT_EQ(timer("r0 = 0; exit"), "accepted");
    EXPECT_EQ(timer("r0 = 1; exit"), "V603 at 16");
    // The map, the key, the value.
    EXPECT_EQ(timer("r0 = *(u32 *)(r2 +0); r0 = *(u64 *)(r3 +24); r0 = 0; exit"), "accepted");
    EXPECT_EQ(timer("r0 = *(u32 *)(r2 +4); r0 = 0; exit"), "V104 at 15");
    EXPECT_EQ(timer("*(u64 *)(r3 +8) = 0; r0 = 0; exit"), "V606 at 15");
    EXPECT_EQ(timer("r0 = r4; exit"), "V301 at 15");
}

TEST(verdict, legacy_loads_may_return_early_from_functions_that_return_numbers) {
    // Without a type, nothing says that the function returns a number.
    EXPECT_EQ(judge("r6 = r1; call pc+2; r0 = 0; exit; r6 = r1; r0 = *(u8 *)skb[0]; exit",
                    spec::ProgramType::SocketFilter),
              "V602 at 5");
    EXPECT_EQ(judge("r6 = r1; r0 = *(u8 *)skb[0]; exit", spec::ProgramType::SocketFilter),
              "accepted");
}

TEST(verdict, differences_of_numbers_are_known) {
    // r6: a value of 16 bytes; r7 and r8: any 32-bit numbers.
    const auto judged = [](const std::string& rest) {
        return judge(with(kLookup, "if r0 == 0 goto end; r6 = r0; call 7; r7 = r0; call 7; r8 = r0;"
                                   "w7 = w7; w8 = w8;") +
                         rest + "end: r0 = 0; exit",
                     spec::ProgramType::Kprobe);
    };
    // A bound of one that is found later bounds the other.
    const std::string load = "r6 += r7; r0 = *(u8 *)(r6 +0);";
    EXPECT_EQ(judged("if r7 >= r8 goto end; if r8 > 16 goto end;" + load), "accepted");
    EXPECT_EQ(judged("if r7 >= r8 goto end; if r8 > 17 goto end;" + load), "V102 at 17");
    EXPECT_EQ(judged("if r7 > r8 goto end; if r8 > 16 goto end;" + load), "V102 at 17");
    EXPECT_EQ(judged("if r8 >= r7 goto end; if r8 > 16 goto end;" + load), "V204 at 16");
    // Ways that meet keep the weaker one.
    const std::string ways = "call 7; if r0 == 1 goto other; if r7 >= r8 goto end; goto meet;"
                             "other: r1 = r7; r1 += 5; if r1 >= r8 goto end; meet: ";
    EXPECT_EQ(judged(ways + "if r8 > 16 goto end;" + load), "accepted");
    EXPECT_EQ(judged(ways + "if r8 > 17 goto end;" + load), "V102 at 23");
    // The place and the size of an access go together.
    const std::string read = "r1 = r6; r1 += r7; r3 = 0; call 113;";
    EXPECT_EQ(judged("r7 &= 15; r2 = 16; r2 -= r7;" + read), "accepted");
    EXPECT_EQ(judged("r7 &= 15; r2 = 17; r2 -= r7;" + read), "V102 at 20");
    EXPECT_EQ(judged("r7 &= 15; r8 &= 15; if r7 > r8 goto end; r2 = 16; r2 -= r8;" + read),
              "accepted");
    EXPECT_EQ(judged("r7 &= 15; r8 &= 15; if r8 > r7 goto end; r2 = 16; r2 -= r8;" + read),
              "V102 at 22");
    // A branch that contradicts them is not taken.
    EXPECT_EQ(judged("if r7 >= r8 goto end; r1 = r8; r2 = r7; r2 += 1; if r2 <= r1 goto end;"
                     "r0 = *(u8 *)(r6 +16);"),
              "accepted");
}

TEST(verdict, numbers_keep_what_branches_say) {
    // r0 != 6 here, so it is not 6 there.
    EXPECT_EQ(judge("call 7; if r0 == 6 goto pc+3; if r0 != 6 goto pc+1; r0 = r9; r0 = 1; exit;"
                    "r0 = 2; exit"),
              "V504 at 6");
    EXPECT_EQ(judge("call 7; if r0 == 6 goto pc+2; if r0 != 6 goto pc+1; r0 = r9; r0 = 1; exit"),
              "accepted");
    // Half of a number below 9 is below 5: what was learnt of a half holds for the whole.
    EXPECT_EQ(judge("call 7; r6 = r0; r0 >>= 1; if r0 > 6 goto pc+4; r7 = r10; r7 += -16; r7 += r6;"
                    "*(u8 *)(r7 +0) = 1; r0 = 1; exit"),
              "accepted");
    EXPECT_EQ(judge("call 7; r6 = r0; r0 >>= 1; if r0 > 8 goto pc+4; r7 = r10; r7 += -16; r7 += r6;"
                    "*(u8 *)(r7 +0) = 1; r0 = 1; exit"),
              "V103 at 7");
}

} // namespace
} // namespace skep::verifier
