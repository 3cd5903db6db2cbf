// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/isa/disassemble.hpp"

#include <gtest/gtest.h>

#include "samples.hpp"
#include "skep/isa/encode.hpp"

namespace skep::isa {
namespace {

std::string text(Op op, const Operands& operands) {
    const Insn insns[] = {encode(op, operands), Insn{}};
    return disassemble(insns, 0);
}

std::string wide(Op op, std::uint64_t value) {
    const auto insns = encode_lddw(op, 1, value);
    return disassemble(insns, 0);
}

TEST(disassemble, arithmetic) {
    EXPECT_EQ(text(Op::Add64Imm, {.dst = 1, .imm = -5}), "r1 += -5");
    EXPECT_EQ(text(Op::Arsh32Reg, {.dst = 1, .src = 2}), "w1 s>>= w2");
    EXPECT_EQ(text(Op::Smod64Imm, {.dst = 3, .imm = 7}), "r3 s%= 7");
    EXPECT_EQ(text(Op::Neg32, {.dst = 4}), "w4 = -w4");
    EXPECT_EQ(text(Op::Movsx64From8, {.dst = 1, .src = 2}), "r1 = (s8)r2");
    EXPECT_EQ(text(Op::AddrSpaceCast, {.dst = 1, .src = 2, .imm = 1}),
              "r1 = addr_space_cast(r2, 0, 1)");
    EXPECT_EQ(text(Op::Be16, {.dst = 1}), "r1 = be16 r1");
    EXPECT_EQ(text(Op::Bswap32, {.dst = 1}), "r1 = bswap32 r1");
}

TEST(disassemble, jumps) {
    EXPECT_EQ(text(Op::Jsgt64Imm, {.dst = 1, .off = 3, .imm = 5}), "if r1 s> 0x5 goto pc+3");
    EXPECT_EQ(text(Op::Jeq32Imm, {.dst = 1, .off = -3, .imm = -1}),
              "if w1 == 0xffffffff goto pc-3");
    EXPECT_EQ(text(Op::Jset64Reg, {.dst = 1, .src = 2, .off = 0}), "if r1 & r2 goto pc+0");
    EXPECT_EQ(text(Op::Gotol, {.imm = -70000}), "gotol pc-70000");
    EXPECT_EQ(text(Op::MayGoto, {.off = 2}), "may_goto pc+2");
}

TEST(disassemble, calls) {
    EXPECT_EQ(text(Op::CallHelper, {.imm = 1}), "call unknown#1");
    EXPECT_EQ(text(Op::CallLocal, {.imm = 5}), "call pc+5");
    EXPECT_EQ(text(Op::CallKfunc, {.imm = 99}), "call kernel-function#99");
    EXPECT_EQ(text(Op::CallKfunc, {.off = 2, .imm = 99}), "call kernel-function#99 fd:2");
    EXPECT_EQ(text(Op::Callx, {.dst = 3}), "callx r3");
    EXPECT_EQ(text(Op::Exit, {}), "exit");
}

TEST(disassemble, memory) {
    EXPECT_EQ(text(Op::LdxW, {.dst = 1, .src = 2, .off = 4}), "r1 = *(u32 *)(r2 +4)");
    EXPECT_EQ(text(Op::LdsxB, {.dst = 1, .src = 2, .off = -4}), "r1 = *(s8 *)(r2 -4)");
    EXPECT_EQ(text(Op::StH, {.dst = 10, .off = -2, .imm = -1}), "*(u16 *)(r10 -2) = -1");
    EXPECT_EQ(text(Op::LdIndW, {.src = 7, .imm = -14}), "r0 = *(u32 *)skb[r7 + -14]");
    EXPECT_EQ(text(Op::LdAbsB, {.imm = 12}), "r0 = *(u8 *)skb[12]");
}

TEST(disassemble, atomics) {
    EXPECT_EQ(text(Op::AtomicAddDw, {.dst = 1, .src = 2}), "lock *(u64 *)(r1 +0) += r2");
    EXPECT_EQ(text(Op::AtomicFetchAddDw, {.dst = 1, .src = 0}),
              "r0 = atomic64_fetch_add((u64 *)(r1 +0), r0)");
    EXPECT_EQ(text(Op::AtomicXchgW, {.dst = 1, .src = 3, .off = 8}),
              "r3 = atomic_xchg((u32 *)(r1 +8), r3)");
    EXPECT_EQ(text(Op::AtomicCmpxchgDw, {.dst = 1, .src = 3}),
              "r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r3)");
    EXPECT_EQ(text(Op::LoadAcquireDw, {.dst = 0, .src = 1}), "r0 = load_acquire((u64 *)(r1 +0))");
    EXPECT_EQ(text(Op::StoreReleaseB, {.dst = 1, .src = 2}), "store_release((u8 *)(r1 +0), r2)");
}

TEST(disassemble, wide_immediates) {
    EXPECT_EQ(wide(Op::LddwImm, 0x123456789ULL), "r1 = 0x123456789");
    EXPECT_EQ(wide(Op::LddwMapFd, 5), "r1 = map[id:5]");
    EXPECT_EQ(wide(Op::LddwMapValue, 8ULL << 32 | 5), "r1 = map[id:5][0]+8");
    EXPECT_EQ(wide(Op::LddwBtfId, 7), "r1 = btf[id:7]");
    EXPECT_EQ(wide(Op::LddwBtfId, 3ULL << 32 | 7), "r1 = btf[id:7 fd:3]");
    EXPECT_EQ(wide(Op::LddwFunc, 3), "r1 = subprog[+3]");
    EXPECT_EQ(wide(Op::LddwMapIdx, 2), "r1 = map[idx:2]");
    EXPECT_EQ(wide(Op::LddwMapIdxValue, 4ULL << 32 | 2), "r1 = map[idx:2]+4");
}

TEST(disassemble, what_no_kernel_accepts_is_shown_raw) {
    const Insn unknown[] = {{.opcode = 0xff, .dst = 1, .src = 2, .off = -3, .imm = 4}};
    EXPECT_EQ(disassemble(unknown, 0), ".insn 0xff dst 1 src 2 off -3 imm 4");
    const Insn reserved[] = {{.opcode = 0xb7, .dst = 1, .src = 2, .imm = 4}};
    EXPECT_EQ(disassemble(reserved, 0), ".insn 0xb7 dst 1 src 2 off 0 imm 4");
    const Insn r11[] = {{.opcode = 0xb7, .dst = 11, .imm = 4}};
    EXPECT_EQ(disassemble(r11, 0), ".insn 0xb7 dst 11 src 0 off 0 imm 4");
    const Insn split[] = {{.opcode = kLddw, .dst = 1, .imm = 4}};
    EXPECT_EQ(disassemble(split, 0), ".insn 0x18 dst 1 src 0 off 0 imm 4");
}

TEST(slots_at, is_one_for_a_split_lddw) {
    const Insn insns[] = {{.opcode = kLddw}, {.opcode = kLddw}, {.imm = 1}};
    EXPECT_EQ(slots_at(insns, 0), 1U);
    EXPECT_EQ(slots_at(insns, 1), 2U);
}

TEST(listing, numbers_slots_as_bpftool_does) {
    EXPECT_EQ(listing(test::asm_or_die("r1 = 7 ll; r0 = 0; .insn 0 dst 0 src 0 off 0 imm 0; exit")),
              "0: (18) r1 = 0x7\n"
              "2: (b7) r0 = 0\n"
              "3: .insn 0x00 dst 0 src 0 off 0 imm 0\n"
              "4: (95) exit\n");
}

} // namespace
} // namespace skep::isa
