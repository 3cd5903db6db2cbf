// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The classes of bugs that were found in Linux's verifier (the CVE of one of each), as programs
// that do harm if the bug is there: each must be refused. Beside it the nearest one that is safe,
// so that a test does not pass because everything is refused.
#include <gmock/gmock.h>

#include "judge.hpp"

namespace skep::verifier {
namespace {

using test::judge;

/// r0 points to the 16 bytes of a map value, r9 is any number.
constexpr const char* kStart =
    "call 7; r9 = r0; r9 <<= 32; call 7; r9 |= r0; *(u32 *)(r10 -4) = 0; r2 = r10; r2 += -4;"
    "r1 = map[id:0]; call 1; if r0 == 0 goto end;";

/// What is said of the access at the offset r1, which `steps` compute.
std::string access_at(const std::string& steps, const char* size = "u8") {
    std::string verdict =
        judge(kStart + steps + "r0 += r1; r2 = *(" + size + " *)(r0 +0); end: r0 = 1; exit");
    return verdict.substr(0, verdict.find(' '));
}

// The test itself must be able to accept.
TEST(known_bugs, offsets_that_are_known_are_accepted) {
    EXPECT_EQ(access_at("r1 = 15;"), "accepted");
    EXPECT_EQ(access_at("r1 = 16;"), "V102");
    EXPECT_EQ(access_at("r1 = r9; r1 &= 15;"), "accepted");
}

// CVE-2017-16995, -16996, -17852
TEST(known_bugs, immediates_are_extended_as_they_run) {
    // w1 = -1 is 2^32 - 1, which is not the 64-bit -1 that the jump compares with.
    EXPECT_EQ(access_at("w1 = -1; if r1 == -1 goto end; r1 = 100;"), "V102");
    EXPECT_EQ(access_at("r1 = -1; if r1 == -1 goto end; r1 = 100;"), "accepted");
    EXPECT_EQ(access_at("w1 = -1; r1 s>>= 63; r1 += 1; r1 *= 100;"), "V102");
    EXPECT_EQ(access_at("r1 = -1; r1 s>>= 63; r1 += 1; r1 *= 100;"), "accepted");
}

// CVE-2017-17853, CVE-2018-18445
TEST(known_bugs, narrow_shifts_see_the_low_half_only) {
    // 2^33 >> 31 is 4, but of the low half 0.
    EXPECT_EQ(access_at("r1 = 0x200000000 ll; w1 >>= 31; r1 ^= 4; r1 *= 100;"), "V102");
    EXPECT_EQ(access_at("r1 = 0x200000000 ll; r1 >>= 31; r1 ^= 4; r1 *= 100;"), "accepted");
    EXPECT_EQ(access_at("r1 = r9; w1 s>>= 31; r1 &= 17;"), "V102");
    EXPECT_EQ(access_at("r1 = r9; w1 s>>= 31; r1 &= 15;"), "accepted");
}

// CVE-2020-8835, CVE-2020-27194, CVE-2021-3490, CVE-2021-31440
TEST(known_bugs, bounds_of_the_low_half_say_nothing_of_the_upper) {
    EXPECT_EQ(access_at("r1 = r9; if w1 > 8 goto end;"), "V204");
    EXPECT_EQ(access_at("r1 = r9; if w1 > 8 goto end; w1 = w1;"), "accepted");
    EXPECT_EQ(access_at("r1 = r9; if r1 > 8 goto end;"), "accepted");
    // Bits of a constant beyond 32: 0, 2, 2^32, 2^32 + 2.
    EXPECT_EQ(access_at("r1 = r9; r2 = 0x100000002 ll; r1 &= r2; w1 = w1; r1 += 14;"), "V102");
    EXPECT_EQ(access_at("r1 = r9; r2 = 0x100000002 ll; r1 &= r2; w1 = w1; r1 += 13;"), "accepted");
    EXPECT_EQ(access_at("r1 = r9; if r1 s< 1 goto end; if w1 > 8 goto end;"), "V204");
}

// CVE-2021-3444, CVE-2026-31525
TEST(known_bugs, division_by_zero_gives_what_it_gives) {
    EXPECT_EQ(access_at("r1 = 32; r2 = 0; r1 %= r2;"), "V102");
    EXPECT_EQ(access_at("r1 = 32; r2 = 0; w1 %= w2;"), "V102");
    EXPECT_EQ(access_at("r1 = 32; r2 = 0; r1 /= r2;"), "accepted");
    // The least number by -1 is itself.
    EXPECT_EQ(access_at("r1 = 1; r1 <<= 63; r2 = -1; r1 s/= r2; r1 >>= 63; r1 *= 16;"), "V102");
}

// CVE-2024-41003, CVE-2026-43070
TEST(known_bugs, copies_are_linked_only_while_they_are_equal) {
    EXPECT_EQ(access_at("r2 = r9; r1 = r2; r1 = be16 r1; if r2 > 8 goto end;"), "V102");
    EXPECT_EQ(access_at("r2 = r9; r1 = r2; if r2 > 8 goto end;"), "accepted");
    EXPECT_EQ(access_at("r1 = r9; if r1 == r1 goto l; r1 = 0; l: ;"), "V204");
    EXPECT_EQ(access_at("r1 = r9; if r1 != r1 goto l; r1 = 0; l: ;"), "accepted");
    EXPECT_EQ(access_at("r2 = r9; r1 = r2; r2 += 1; w2 = w2; if r2 > 8 goto end;"), "V204");
}

// CVE-2023-2163, CVE-2023-52920, CVE-2026-43009
TEST(known_bugs, a_path_that_was_walked_stands_for_no_other) {
    const std::string two =
        "r6 = r0; r1 = 0; if r9 > 7 goto a; r1 = 100; a: call 7; r2 = r0; r0 = r6;";
    // What r1 is must survive the call.
    std::string saved = two;
    for (std::size_t at = 0; (at = saved.find("r1 = ", at)) != std::string::npos;)
        saved.replace(at, 2, "r7");
    EXPECT_EQ(access_at(saved + "if r2 == 3 goto b; b: r1 = r7;"), "V102");
    EXPECT_EQ(access_at(saved + "r1 = r7; if r1 == 100 goto end;"), "accepted");
}

// CVE-2022-23222
TEST(known_bugs, what_may_be_null_is_not_moved) {
    EXPECT_EQ(judge("*(u32 *)(r10 -4) = 0; r2 = r10; r2 += -4; r1 = map[id:0]; call 1; r0 += 8;"
                    "if r0 == 0 goto end; r1 = *(u8 *)(r0 +0); end: r0 = 1; exit"),
              "V201 at 6");
}

// CVE-2021-4204, CVE-2021-34866, CVE-2024-49861
TEST(known_bugs, helpers_get_only_what_they_may_touch) {
    // A size that may be negative, a map of another kind.
    EXPECT_EQ(judge("call 7; r2 = r0; r1 = r10; r1 += -8; call 16; r0 = 0; exit"), "V105 at 4");
    EXPECT_EQ(judge("r1 = map[id:0]; r2 = 8; r3 = 0; call 131; r0 = 0; exit"), "V601 at 4");
    // Results are not written to data that is read-only.
    spec::MapDef def{.kind = spec::MapKind::Array,
                     .key_size = 4,
                     .value_size = 16,
                     .max_entries = 1,
                     .flags = 1U << 7};
    def.name = ".rodata";
    const std::array maps{MapView{.def = &def}};
    const auto program = test::program(
        "*(u64 *)(r10 -8) = 0; r1 = r10; r1 += -8; r2 = 8; r3 = 0; r4 = map[id:0][0]+0; call 105;"
        "r0 = 0; exit");
    const Report report = verify(*program, maps);
    ASSERT_FALSE(report.findings.empty());
    EXPECT_EQ(report.findings[0].code, "V606");
}

// CVE-2021-45402, CVE-2022-0264, CVE-2023-52462
TEST(known_bugs, broken_pointers_are_numbers) {
    EXPECT_EQ(judge("w1 = w10; r0 = *(u8 *)(r1 -8); r0 = 0; exit"), "V202 at 1");
    const auto spilled = [](const char* what) {
        return std::string("*(u64 *)(r10 -8) = r1; ") + what +
               "r2 = *(u64 *)(r10 -8); r0 = *(u32 *)(r2 +8); r0 = 0; exit";
    };
    EXPECT_EQ(judge(spilled("")), "accepted");
    EXPECT_EQ(judge(spilled("*(u8 *)(r10 -7) = 0;")), "V202 at 3");
    EXPECT_EQ(judge(spilled("r3 = 1; lock *(u64 *)(r10 -8) += r3;")), "V202 at 4");
}

// CVE-2024-58098, -58100, -58237, CVE-2024-47702
TEST(known_bugs, packet_pointers_die_in_calls_too) {
    const auto behind = [](const char* call, const char* function) {
        return std::string("r6 = r1; r7 = *(u32 *)(r1 +0); r3 = *(u32 *)(r1 +4); r4 = r7; r4 += 1;"
                           "if r4 > r3 goto end; ") +
               call + "r0 = *(u8 *)(r7 +0); end: r0 = 1; exit; " + function;
    };
    EXPECT_EQ(judge(behind("r1 = r6; call pc+3;", "r0 = 1; exit")), "accepted");
    EXPECT_EQ(judge(behind("r1 = r6; call pc+3;", "r2 = 0; call 44; r0 = 1; exit")), "V202 at 8");
    // Loads that extend the sign of what is a pointer.
    EXPECT_EQ(judge("r2 = *(s32 *)(r1 +0); r0 = 1; exit"), "V604 at 0");
}

// CVE-2023-52676, CVE-2024-35905
TEST(known_bugs, offsets_into_the_stack_do_not_wrap) {
    EXPECT_EQ(judge("r1 = r10; r1 += -512; *(u8 *)(r1 +0) = 1; r0 = 0; exit"), "accepted");
    EXPECT_EQ(judge("r1 = r10; r1 += -513; *(u8 *)(r1 +0) = 1; r0 = 0; exit"), "V103 at 2");
    EXPECT_EQ(judge("r1 = r10; r1 += 2147483647; r1 += 2147483647; r1 += 2; *(u8 *)(r1 -1) = 1;"
                    "r0 = 0; exit")
                  .substr(0, 4),
              "V204");
    EXPECT_EQ(judge("call 7; r0 &= 7; r1 = r10; r1 += -8; r1 += r0; r2 = *(u8 *)(r1 +32767);"
                    "r0 = 0; exit"),
              "V103 at 5");
}

/// r2 points to a packet, r9 is any number, and r1 is the distance to it that `steps` compute.
std::string packet_at(const std::string& steps) {
    std::string verdict =
        judge("r6 = r1; call 7; r9 = r0; r9 <<= 32; call 7; r9 |= r0; r2 = *(u32 *)(r6 +0);"
              "r3 = *(u32 *)(r6 +4);" +
              steps + "end: r0 = 1; exit");
    return verdict.substr(0, verdict.find(' '));
}

// Sums of offsets beyond 2^63 are negative numbers: no bound for what is read.
TEST(known_bugs, offsets_into_packets_do_not_wrap) {
    // r9 - 2^63 is 8 to 16; r2 + that is tested, what is 11 bytes further is not.
    const std::string far =
        "r4 = 0x8000000000000008 ll; if r9 < r4 goto end; r4 += 8; if r9 > r4 goto end;"
        "r4 = 0x7ffffffffffffffa ll; r9 += r4; r2 += r9;";
    EXPECT_EQ(packet_at(far + "if r2 > r3 goto end; r0 = *(u8 *)(r2 +11);"), "V101");
    EXPECT_EQ(packet_at("if r9 > 8 goto end; r2 += r9; if r2 > r3 goto end; r0 = *(u8 *)(r2 +11);"),
              "V101");
    EXPECT_EQ(packet_at("if r9 > 8 goto end; r2 += r9; r4 = r2; r4 += 12; if r4 > r3 goto end;"
                        "r0 = *(u8 *)(r2 +11);"),
              "accepted");
}

// What a function that makes a tail call returns is up to the program that it jumps to.
TEST(known_bugs, a_tail_call_returns_any_number_to_the_caller) {
    spec::MapDef programs{
        .kind = spec::MapKind::ProgArray, .key_size = 4, .value_size = 4, .max_entries = 4};
    programs.name = "programs";
    const std::array maps{verifier::MapView{.def = &programs}};
    const auto judged = [&](const char* jump, const char* mask) {
        const std::string text =
            std::string("call f; ") + mask +
            "r1 = r10; r1 += -8; r1 += r0; *(u8 *)(r1 +0) = 1; r0 = 1; exit; f: r2 = map[id:0];"
            "r3 = 0;" +
            jump + "r0 = 0; exit";
        return verifier::verify(*test::program(text, spec::ProgramType::Xdp), maps).outcome;
    };
    EXPECT_EQ(judged("call 12;", ""), verifier::Outcome::Rejected);
    EXPECT_EQ(judged("call 12;", "r0 &= 7;"), verifier::Outcome::Accepted);
    EXPECT_EQ(judged("", ""), verifier::Outcome::Accepted);
}

// CVE-2022-2905 and its like: what a tail call leaves behind.
TEST(known_bugs, nothing_is_held_across_a_tail_call) {
    spec::MapDef ring{.kind = spec::MapKind::Ringbuf, .max_entries = 4096};
    ring.name = "ring";
    spec::MapDef programs{
        .kind = spec::MapKind::ProgArray, .key_size = 4, .value_size = 4, .max_entries = 1};
    programs.name = "programs";
    const std::array maps{MapView{.def = &ring}, MapView{.def = &programs}};
    const auto code = [&](const char* before) {
        const auto program = test::program(
            std::string("r6 = r1; r1 = map[id:0]; r2 = 8; r3 = 0; call 131; if r0 == 0 goto end;"
                        "r7 = r0;") +
            before +
            "r1 = r6; r2 = map[id:1]; r3 = 0; call 12; r1 = r7; r2 = 0; call 132; end:"
            "r0 = 1; exit");
        const Report report = verify(*program, maps);
        return report.findings.empty() ? "accepted" : report.findings[0].code;
    };
    EXPECT_EQ(code(""), "V401");
}

} // namespace
} // namespace skep::verifier
