// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "samples.hpp"
#include "skep/isa/decode.hpp"

namespace skep::isa {
namespace {

// The whole error of validate(), or "" if the program is well formed.
std::string fault(std::string_view text, const ValidateOptions& options = {}) {
    const auto result = validate(test::asm_or_die(text), options);
    return result ? "" : result.error().to_string();
}

TEST(validate, accepts_a_whole_program) {
    EXPECT_EQ(fault(R"(
        r6 = r1
        r2 = 0x123456789 ll
        if r2 > 0x5 goto out
        call sum
        r1 = subprog[sum]
      out:
        r0 = 0
        exit
      sum:
        r0 = r1
        r0 += r2
        exit
    )"),
              "");
}

TEST(validate, unknown_opcode) {
    EXPECT_EQ(fault(".insn 0xff dst 0 src 0 off 0 imm 0; exit"),
              "instruction 0: unknown opcode 0xff");
}

TEST(validate, unknown_off_of_a_division) {
    EXPECT_EQ(fault("r0 = 1; .insn 0x37 dst 0 src 0 off 2 imm 5; exit"),
              "instruction 1: opcode 0x37: off is 2, expected 0 or 1");
}

TEST(validate, unknown_width_of_a_move) {
    EXPECT_EQ(fault(".insn 0xbf dst 0 src 1 off 4 imm 0; exit"),
              "instruction 0: opcode 0xbf: off is 4, expected 0, 8, 16, 32 or 1");
}

TEST(validate, unknown_width_of_a_byte_swap) {
    EXPECT_EQ(fault(".insn 0xdc dst 0 src 0 off 0 imm 8; exit"),
              "instruction 0: opcode 0xdc: imm is 8, expected 16, 32 or 64");
}

TEST(validate, unknown_atomic_operation) {
    EXPECT_EQ(fault(".insn 0xdb dst 10 src 1 off -8 imm 2; exit"),
              "instruction 0: opcode 0xdb: imm is 0x2, expected 0x0, 0x1, 0x40, 0x41, 0x50, 0x51, "
              "0xa0, 0xa1, 0xe1, 0xf1, 0x100 or 0x110");
}

TEST(validate, atomic_operations_on_bytes_only_load_or_store) {
    EXPECT_EQ(fault(".insn 0xd3 dst 10 src 1 off -8 imm 0; exit"),
              "instruction 0: opcode 0xd3: imm is 0x0, expected 0x100 or 0x110");
}

TEST(validate, unknown_kind_of_call) {
    EXPECT_EQ(fault(".insn 0x85 dst 0 src 3 off 0 imm 1; exit"),
              "instruction 0: opcode 0x85: src is 3, expected 0, 1 or 2");
}

TEST(validate, unknown_kind_of_lddw) {
    EXPECT_EQ(fault(".insn 0x18 dst 0 src 7 off 0 imm 1; .insn 0 dst 0 src 0 off 0 imm 0; exit"),
              "instruction 0: opcode 0x18: src is 7, expected 0, 1, 2, 3, 4, 5 or 6");
}

TEST(validate, reserved_dst) {
    EXPECT_EQ(fault(".insn 0x05 dst 1 src 0 off 0 imm 0; exit"),
              "instruction 0: Ja: dst is 1, expected 0");
}

TEST(validate, reserved_src) {
    EXPECT_EQ(fault(".insn 0xb7 dst 0 src 1 off 0 imm 0; exit"),
              "instruction 0: Mov64Imm: src is 1, expected 0");
}

TEST(validate, reserved_off) {
    EXPECT_EQ(fault(".insn 0x07 dst 0 src 0 off -1 imm 0; exit"),
              "instruction 0: Add64Imm: off is -1, expected 0");
}

TEST(validate, reserved_imm) {
    EXPECT_EQ(fault(".insn 0x0f dst 0 src 1 off 0 imm 9; exit"),
              "instruction 0: Add64Reg: imm is 9, expected 0");
}

TEST(validate, register_past_r10) {
    EXPECT_EQ(fault(".insn 0xb7 dst 11 src 0 off 0 imm 0; exit"),
              "instruction 0: Mov64Imm: dst is r11, expected r0 to r10");
    EXPECT_EQ(fault(".insn 0xbf dst 0 src 15 off 0 imm 0; exit"),
              "instruction 0: Mov64Reg: src is r15, expected r0 to r10");
}

TEST(validate, write_to_the_frame_pointer) {
    EXPECT_EQ(fault("r10 += 8; exit"), "instruction 0: Add64Imm: writes r10, which is read-only");
    EXPECT_EQ(fault("r10 = atomic64_fetch_add((u64 *)(r1 +0), r10); exit"),
              "instruction 0: AtomicFetchAddDw: writes r10, which is read-only");
    EXPECT_EQ(fault("*(u64 *)(r10 -8) = r10; r0 = 0; exit"), "");
}

TEST(validate, shift_past_the_width) {
    EXPECT_EQ(fault("r1 <<= 64; exit"), "instruction 0: Lsh64Imm: shift by 64, expected 0 to 63");
    EXPECT_EQ(fault("w1 s>>= -1; exit"), "instruction 0: Arsh32Imm: shift by -1, expected 0 to 31");
    EXPECT_EQ(fault("r1 >>= 63; w1 <<= 31; r0 = 0; exit"), "");
}

TEST(validate, division_by_the_immediate_zero) {
    EXPECT_EQ(fault("r0 s%= 0; exit"),
              "instruction 0: Smod64Imm: divisor is 0, expected another value");
}

TEST(validate, address_spaces) {
    EXPECT_EQ(fault("r0 = addr_space_cast(r1, 0, 2); exit"),
              "instruction 0: AddrSpaceCast: imm is 0x2, expected 0x1 (from 1 to 0) or 0x10000 "
              "(from 0 to 1)");
    EXPECT_EQ(fault("r0 = addr_space_cast(r1, 1, 0); exit"), "");
}

TEST(validate, callx_only_when_asked) {
    EXPECT_EQ(fault("callx r1; exit"),
              "instruction 0: Callx: Linux has no indirect calls, expected "
              "a call of a helper, function or kfunc");
    EXPECT_EQ(fault("callx r1; exit", {.callx = true}), "");
}

TEST(validate, lddw_at_the_end) {
    EXPECT_EQ(fault(".insn 0x18 dst 1 src 0 off 0 imm 1"),
              "instruction 0: LddwImm: second slot is missing, the program ends");
}

TEST(validate, second_slot_of_lddw) {
    EXPECT_EQ(fault(".insn 0x18 dst 1 src 0 off 0 imm 1; exit"),
              "instruction 0: LddwImm: second slot has opcode 0x95, expected 0x0");
    EXPECT_EQ(fault(".insn 0x18 dst 1 src 0 off 0 imm 1; .insn 0 dst 1 src 0 off 0 imm 0; exit"),
              "instruction 0: LddwImm: second slot has dst 1, expected 0");
    EXPECT_EQ(fault(".insn 0x18 dst 1 src 0 off 0 imm 1; .insn 0 dst 0 src 2 off 0 imm 0; exit"),
              "instruction 0: LddwImm: second slot has src 2, expected 0");
    EXPECT_EQ(fault(".insn 0x18 dst 1 src 0 off 0 imm 1; .insn 0 dst 0 src 0 off 3 imm 0; exit"),
              "instruction 0: LddwImm: second slot has off 3, expected 0");
    EXPECT_EQ(fault(".insn 0x18 dst 1 src 1 off 0 imm 1; .insn 0 dst 0 src 0 off 0 imm 4; exit"),
              "instruction 0: LddwMapFd: second slot has imm 4, expected 0");
}

TEST(validate, offset_into_a_map_value_is_limited) {
    EXPECT_EQ(fault("r1 = map[id:3][0]+536870912; r0 = 0; exit"),
              "instruction 0: LddwMapValue: offset into the map value is 536870912, expected less "
              "than 536870912");
}

TEST(validate, jump_out_of_its_function) {
    EXPECT_EQ(fault("r0 = 0; goto pc+5; exit"),
              "instruction 1: jumps to instruction 7, expected 0 to 2 (its function)");
    EXPECT_EQ(fault("r0 = 0; if r0 == 0x0 goto pc-3; exit"),
              "instruction 1: jumps to instruction -1, expected 0 to 2 (its function)");
    EXPECT_EQ(fault("call f; if r0 == 0x0 goto f; exit; f: exit"),
              "instruction 1: jumps to instruction 3, expected 0 to 2 (its function)");
    EXPECT_EQ(fault("may_goto pc+9; exit"),
              "instruction 0: jumps to instruction 10, expected 0 to 1 (its function)");
    EXPECT_EQ(fault("gotol pc+2147483647; exit"),
              "instruction 0: jumps to instruction 2147483648, expected 0 to 1 (its function)");
}

TEST(validate, jump_into_a_lddw) {
    EXPECT_EQ(fault("if r1 == 0x0 goto pc+1; r2 = 0x1; exit"),
              "instruction 0: jumps to instruction 2, the second slot of a lddw");
}

TEST(validate, call_out_of_the_program) {
    EXPECT_EQ(fault("call pc+5; exit"), "instruction 0: calls instruction 6, expected 0 to 1");
    EXPECT_EQ(fault("r1 = subprog[-9]; exit"),
              "instruction 0: takes the address of instruction -8, expected 0 to 2");
}

TEST(validate, call_into_a_lddw) {
    EXPECT_EQ(fault("call pc+2; exit; r2 = 0x1; exit"),
              "instruction 0: calls instruction 3, the second slot of a lddw");
}

TEST(validate, function_that_runs_off_its_end) {
    EXPECT_EQ(fault("r0 = 0"),
              "instruction 0: Mov64Imm: last instruction of its function, expected exit or goto");
    EXPECT_EQ(fault("call f; f: exit"),
              "instruction 0: CallLocal: last instruction of its function, expected exit or goto");
    EXPECT_EQ(fault("exit; r1 = 0x5"),
              "instruction 1: LddwImm: last instruction of its function, expected exit or goto");
}

TEST(validate, empty_program) {
    EXPECT_EQ(fault(""), "program has no instructions, expected 1 to 1000000");
}

std::string program_of(int functions) {
    std::string text;
    for (int i = 1; i < functions; ++i)
        text += "call f" + std::to_string(i) + "\n";
    text += "exit\n";
    for (int i = 1; i < functions; ++i)
        text += "f" + std::to_string(i) + ": exit\n";
    return text;
}

TEST(validate, too_many_functions) {
    EXPECT_EQ(fault(program_of(256)), "");
    EXPECT_EQ(fault(program_of(257)), "program has 257 functions, expected at most 256");
}

TEST(validate, too_long_a_program) {
    const std::vector<Insn> insns(kMaxInsns + 1, Insn{.opcode = kExit});
    EXPECT_EQ(validate(insns).error().message,
              "program has 1000001 instructions, expected 1 to 1000000");
}

} // namespace
} // namespace skep::isa
