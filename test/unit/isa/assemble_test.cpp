// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/isa/assemble.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "samples.hpp"
#include "skep/isa/encode.hpp"

namespace skep::isa {
namespace {

using test::asm_or_die;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

constexpr Symbol kHelpers[] = {{"bpf_map_lookup_elem", 1}, {"bpf_map_update_elem", 2}};
constexpr Symbol kKfuncs[] = {{"bpf_rcu_read_lock", 500, 0}, {"bpf_in_module", 501, 2}};
constexpr Symbol kMaps[] = {{"flows", 4}};
const AssembleOptions kWithSymbols{
    .symbols = {.helpers = kHelpers, .kfuncs = kKfuncs, .maps = kMaps}};

std::string error(std::string_view text, const AssembleOptions& options = {}) {
    const auto insns = assemble(text, options);
    if (insns)
        return "no error";
    return insns.error().message + (insns.error().hint.empty() ? "" : "; " + insns.error().hint);
}

TEST(assemble, statements_end_at_semicolons_and_lines) {
    EXPECT_THAT(asm_or_die("r0 = 1; r1 = r2\n\n ;; exit ;"),
                ElementsAre(encode(Op::Mov64Imm, {.imm = 1}),
                            encode(Op::Mov64Reg, {.dst = 1, .src = 2}), encode(Op::Exit)));
}

TEST(assemble, comments_reach_to_the_end_of_the_line) {
    EXPECT_EQ(asm_or_die("r0 = 1 // r1 = 2; exit\n# all of it\nexit # 5\n"),
              asm_or_die("r0 = 1; exit"));
}

TEST(assemble, a_hash_before_a_number_belongs_to_a_call) {
    EXPECT_EQ(asm_or_die("call #5; call unknown#5; call 5; exit #5"),
              asm_or_die("call 5; call 5; call 5; exit"));
}

TEST(assemble, spaces_are_free_around_operators) {
    EXPECT_EQ(asm_or_die("r1=r2;r1+=-5;if r1==0x1 goto pc + 3;*(u32*)(r10-8)=r1"),
              asm_or_die("r1 = r2; r1 += -5; if r1 == 0x1 goto pc+3; *(u32 *)(r10 -8) = r1"));
}

TEST(assemble, an_access_without_offset_is_at_zero) {
    EXPECT_EQ(asm_or_die("r1 = *(u8 *)(r2)"), asm_or_die("r1 = *(u8 *)(r2 +0)"));
}

TEST(assemble, labels_forwards_and_backwards) {
    EXPECT_EQ(asm_or_die(R"(
        top: r1 += 1
             r2 = 5 ll
             if r1 < r2 goto top
             goto end
             gotol top
             may_goto end
             call f
             r3 = subprog[f]
        end: exit
        f:   exit
    )"),
              asm_or_die(R"(
             r1 += 1
             r2 = 5 ll
             if r1 < r2 goto pc-4
             goto pc+5
             gotol pc-6
             may_goto pc+3
             call pc+3
             r3 = subprog[+2]
             exit
             exit
    )"));
}

TEST(assemble, a_label_may_stand_alone_or_at_the_end) {
    EXPECT_EQ(asm_or_die("goto end\n end:\n exit"), asm_or_die("goto pc+0; exit"));
    EXPECT_EQ(asm_or_die("goto end; end:"), asm_or_die("goto pc+0"));
}

TEST(assemble, a_label_may_be_called_pc) {
    EXPECT_EQ(asm_or_die("goto pc; pc: exit"), asm_or_die("goto pc+0; exit"));
}

TEST(assemble, a_decimal_move_is_a_mov_and_a_hexadecimal_one_a_lddw) {
    EXPECT_THAT(asm_or_die("r1 = 5"), ElementsAre(encode(Op::Mov64Imm, {.dst = 1, .imm = 5})));
    EXPECT_THAT(asm_or_die("r1 = 0x5"), ElementsAreArray(encode_lddw(Op::LddwImm, 1, 5)));
    EXPECT_THAT(asm_or_die("r1 = -0x5"), ElementsAre(encode(Op::Mov64Imm, {.dst = 1, .imm = -5})));
    EXPECT_THAT(asm_or_die("w1 = 0x5"), ElementsAre(encode(Op::Mov32Imm, {.dst = 1, .imm = 5})));
}

TEST(assemble, in_the_syntax_of_llvm_a_hexadecimal_move_is_a_mov) {
    const AssembleOptions llvm{.hex_move_is_lddw = false};
    EXPECT_THAT(*assemble("r1 = 0x5", llvm),
                ElementsAre(encode(Op::Mov64Imm, {.dst = 1, .imm = 5})));
    EXPECT_THAT(*assemble("r1 = 0x5 ll", llvm), ElementsAreArray(encode_lddw(Op::LddwImm, 1, 5)));
}

TEST(assemble, ll_makes_a_lddw_of_any_number) {
    EXPECT_THAT(asm_or_die("r1 = 5 ll"), ElementsAreArray(encode_lddw(Op::LddwImm, 1, 5)));
    EXPECT_THAT(asm_or_die("r1 = 5ll"), ElementsAreArray(encode_lddw(Op::LddwImm, 1, 5)));
    EXPECT_THAT(asm_or_die("r1 = -1 ll"), ElementsAreArray(encode_lddw(Op::LddwImm, 1, ~0ULL)));
    EXPECT_THAT(asm_or_die("r1 = 18446744073709551615 ll"),
                ElementsAreArray(encode_lddw(Op::LddwImm, 1, ~0ULL)));
}

TEST(assemble, an_unsigned_immediate_where_only_32_bits_matter) {
    EXPECT_EQ(asm_or_die("w1 = 4294967295; if r1 > 0xffffffff goto pc+0"),
              asm_or_die("w1 = -1; if r1 > -1 goto pc+0"));
}

TEST(assemble, prefixes_of_a_log_are_checked) {
    EXPECT_EQ(asm_or_die("0: (b7) r0 = 0\n 1: (95) exit"), asm_or_die("r0 = 0; exit"));
    EXPECT_EQ(error("0: r0 = 0; 2: exit"),
              "line 1, column 12: found instruction number 2, expected 1");
    EXPECT_EQ(error("(b7) exit"), "line 1, column 6: found \"exit\", expected an instruction");
    EXPECT_EQ(error("(ff) exit"), "line 1, column 6: no instruction has this opcode");
}

TEST(assemble, what_bpftool_prints) {
    constexpr std::string_view kDump = R"(   0: (62) *(u32 *)(r10 -4) = 0
   1: (bf) r2 = r10
   2: (07) r2 += -4
   3: (18) r1 = map[id:330]
   5: (85) call __htab_map_lookup_elem#330864
   6: (15) if r0 == 0x0 goto pc+1
   7: (18) r2 = subprog[+4]
   9: (18) r1 = map[id:332][0]+16
  11: (85) call pc+1#bpf_prog_af1e074c0851defb_f
  12: (95) exit
  13: (2c) w0 *= w1
  14: (95) exit
)";
    EXPECT_EQ(asm_or_die(kDump), asm_or_die(R"(
        *(u32 *)(r10 -4) = 0
        r2 = r10
        r2 += -4
        r1 = map[id:330]
        call 330864
        if r0 == 0 goto pc+1
        r2 = subprog[+4]
        r1 = map[id:332][0]+16
        call f
        exit
     f: w0 *= w1
        exit
    )"));
}

TEST(assemble, names_from_symbols) {
    EXPECT_THAT(
        *assemble("call bpf_map_update_elem; call bpf_map_lookup_elem#1", kWithSymbols),
        ElementsAre(encode(Op::CallHelper, {.imm = 2}), encode(Op::CallHelper, {.imm = 1})));
    EXPECT_THAT(*assemble("call bpf_in_module; call bpf_rcu_read_lock", kWithSymbols),
                ElementsAre(encode(Op::CallKfunc, {.off = 2, .imm = 501}),
                            encode(Op::CallKfunc, {.imm = 500})));
    EXPECT_THAT(*assemble("r1 = map[name:flows]", kWithSymbols),
                ElementsAreArray(encode_lddw(Op::LddwMapFd, 1, 4)));
}

TEST(assemble, a_label_hides_a_helper) {
    EXPECT_THAT(*assemble("call bpf_map_update_elem; bpf_map_update_elem: exit", kWithSymbols),
                ElementsAre(encode(Op::CallLocal, {.imm = 0}), encode(Op::Exit)));
}

TEST(assemble_error, not_an_instruction) {
    EXPECT_EQ(error("r0 = 0\n  frob r1"),
              "line 2, column 3: found \"frob\", expected an instruction");
}

TEST(assemble_error, misspelt_mnemonic) {
    EXPECT_EQ(error("exti"), "line 1, column 1: found \"exti\", expected an instruction; did you "
                             "mean \"exit\"?");
    EXPECT_EQ(error("if r1 > r2 gotto pc+1"),
              "line 1, column 12: found \"gotto\", expected \"goto\"; did you mean \"goto\"?");
    EXPECT_EQ(
        error("r1 = atomic64_fetch_ad((u64 *)(r2 +0), r1)"),
        "line 1, column 6: found \"atomic64_fetch_ad\", which cannot follow \"r1 =\"; did you "
        "mean \"atomic64_fetch_add\"?");
}

TEST(assemble_error, missing_operand) {
    EXPECT_EQ(error("goto"),
              "line 1, column 5: found end of statement, expected a label or a distance");
    EXPECT_EQ(error("r1 = *(u32 *)"), "line 1, column 14: found end of statement, expected \"(\"");
    EXPECT_EQ(error("r0 = *(u32 *)"),
              "line 1, column 14: found end of statement, expected \"(\" or \"skb\"");
}

TEST(assemble_error, text_after_the_end) {
    EXPECT_EQ(error("exit now"), "line 1, column 6: found \"now\", expected end of statement");
}

TEST(assemble_error, no_such_register) {
    EXPECT_EQ(error("r0 = r11"), "line 1, column 6: found \"r11\", expected r0 to r10");
    EXPECT_EQ(error("w12 += 1"), "line 1, column 1: found \"w12\", expected w0 to w10");
}

TEST(assemble_error, registers_of_different_width) {
    EXPECT_EQ(error("w1 += r2"), "line 1, column 7: found \"r2\", expected a number or w0 to w10");
}

TEST(assemble_error, a_register_that_must_be_repeated) {
    EXPECT_EQ(error("r1 = be16 r2"), "line 1, column 11: found \"r2\", expected \"r1\"");
}

TEST(assemble_error, numbers_out_of_range) {
    EXPECT_EQ(error("r1 += 2147483648"),
              "line 1, column 7: found 2147483648, expected -2147483648 to 2147483647");
    EXPECT_EQ(error("r1 = 2147483648"),
              "line 1, column 6: found 2147483648, expected -2147483648 to 2147483647");
    EXPECT_EQ(error("r1 = *(u8 *)(r2 +32768)"),
              "line 1, column 17: found 32768, expected -32768 to 32767");
    EXPECT_EQ(error("goto pc-32769"), "line 1, column 8: found -32769, expected -32768 to 32767");
    EXPECT_EQ(error("r1 += 99999999999999999999"),
              "line 1, column 7: found a number of more than 64 bits");
}

TEST(assemble_error, labels) {
    EXPECT_EQ(error("goto outt; out: exit"), "line 1, column 6: label \"outt\" is not defined; did "
                                             "you mean \"out\"?");
    EXPECT_EQ(error("a: exit\na: exit"), "line 2, column 1: label \"a\" is defined twice");
}

TEST(assemble_error, a_label_too_far_away) {
    std::string text = "goto end\n";
    for (int i = 0; i < 32768; ++i)
        text += "exit\n";
    EXPECT_EQ(error(text + "end: exit"),
              "line 1, column 6: label \"end\" is 32768 slots away, expected -32768 to 32767; "
              "gotol reaches further");
    EXPECT_EQ(asm_or_die("gotol end\n" + text.substr(9) + "end: exit")[0],
              encode(Op::Gotol, {.imm = 32768}));
}

TEST(assemble_error, unknown_names) {
    EXPECT_EQ(error("call bpf_map_lokup_elem", kWithSymbols),
              "line 1, column 6: function \"bpf_map_lokup_elem\" is not known; did you mean "
              "\"bpf_map_lookup_elem\"?");
    EXPECT_EQ(error("call bpf_rcu_read_lok", kWithSymbols),
              "line 1, column 6: function \"bpf_rcu_read_lok\" is not known; did you mean "
              "\"bpf_rcu_read_lock\"?");
    EXPECT_EQ(error("r1 = map[name:flow]", kWithSymbols),
              "line 1, column 15: map \"flow\" is not known; did you mean \"flows\"?");
    EXPECT_EQ(error("call bpf_map_lookup_elem#2", kWithSymbols),
              "line 1, column 6: bpf_map_lookup_elem is helper 1, found 2");
}

} // namespace
} // namespace skep::isa
