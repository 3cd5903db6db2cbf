// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "build.hpp"

namespace skep::test {
namespace {

constexpr const char* kPacket = "r2 = *(u32 *)(r1 +0); r3 = *(u32 *)(r1 +4);";

TEST(stack, holds_what_was_stored) {
    EXPECT_EQ(outcome("r1 = 7; *(u64 *)(r10 -8) = r1; r0 = *(u64 *)(r10 -8); exit"), "r0 = 7");
}

TEST(stack, is_read_in_parts) {
    EXPECT_EQ(outcome("*(u32 *)(r10 -12) = 0x01020304; r0 = *(u16 *)(r10 -11); exit"), "r0 = 515");
}

TEST(stack, traps_where_nothing_was_written) {
    EXPECT_EQ(outcome("*(u32 *)(r10 -8) = 1; r0 = *(u64 *)(r10 -8); exit"),
              "insn 1: reads 8 bytes at stack-8, where nothing was written");
    EXPECT_EQ(outcome("r2 = r10; r2 += -16; r0 = *(u8 *)(r2 +0); exit"),
              "insn 2: reads 1 byte at stack-16, where nothing was written");
}

TEST(stack, reads_zero_on_request) {
    EXPECT_EQ(outcome("r0 = *(u64 *)(r10 -8); exit", {.zero_stack = true}), "r0 = 0");
}

TEST(stack, ends_at_r10_and_at_512_bytes) {
    EXPECT_EQ(outcome("r0 = *(u32 *)(r10 -2); exit"),
              "insn 0: reads 4 bytes at stack-2, only -512..-1 are there");
    EXPECT_EQ(outcome("r0 = *(u8 *)(r10 +0); exit"),
              "insn 0: reads 1 byte at stack+0, only -512..-1 are there");
    EXPECT_EQ(outcome("r0 = 0; *(u8 *)(r10 -513) = 1; exit"),
              "insn 1: writes 1 byte at stack-513, only -512..-1 are there");
    EXPECT_EQ(outcome("*(u64 *)(r10 -512) = 9; r0 = *(u64 *)(r10 -512); exit"), "r0 = 9");
}

TEST(stack, spills_keep_pointers) {
    EXPECT_EQ(outcome("*(u64 *)(r10 -8) = r1; r1 = 0; r1 = *(u64 *)(r10 -8);"
                      "r2 = *(u32 *)(r1 +0); r0 = *(u8 *)(r2 +0); exit"),
              "r0 = 0");
    EXPECT_EQ(outcome("r3 = r10; r3 += -8; *(u64 *)(r3 +0) = r1; r1 = *(u64 *)(r3 +0);"
                      "r2 = *(u32 *)(r1 +0); r0 = *(u8 *)(r2 +0); exit"),
              "r0 = 0");
}

TEST(stack, partial_overwrite_makes_a_number_of_a_pointer) {
    const auto trap = [](const char* overwrite) {
        return run(std::string("*(u64 *)(r10 -8) = r10; r3 = r10; r3 += -4;") + overwrite +
                   "r1 = *(u64 *)(r10 -8); r0 = *(u8 *)(r1 -1); exit")
            .trap;
    };
    EXPECT_EQ(trap("*(u8 *)(r10 -8) = 0;").kind, exec::TrapKind::NotAPointer);
    EXPECT_EQ(trap("*(u8 *)(r3 +0) = 0;").kind, exec::TrapKind::NotAPointer);
    EXPECT_EQ(trap("*(u32 *)(r10 -10) = 0;").kind, exec::TrapKind::NotAPointer);
    EXPECT_EQ(
        run("*(u64 *)(r10 -8) = r10; r1 = *(u64 *)(r10 -8); r0 = *(u64 *)(r1 -8); exit").trap.kind,
        exec::TrapKind::None);
}

TEST(registers, trap_if_never_set) {
    EXPECT_EQ(outcome("r0 = r3; exit"), "insn 0: reads r3, which was never set");
    EXPECT_EQ(outcome("exit"), "insn 0: reads r0, which was never set");
    EXPECT_EQ(outcome("r0 = 1; if r1 == 0 goto +1; goto +1; r4 = 1; r0 += r4; exit"),
              "insn 4: reads r4, which was never set");
}

TEST(packet, is_read_inside) {
    EXPECT_EQ(outcome(std::string(kPacket) + "r0 = r3; r0 -= r2; exit"), "r0 = 64");
    EXPECT_EQ(outcome(std::string(kPacket) + "*(u8 *)(r2 +63) = 5; r0 = *(u8 *)(r2 +63); exit"),
              "r0 = 5");
}

TEST(packet, traps_outside) {
    EXPECT_EQ(outcome(std::string(kPacket) + "r0 = *(u32 *)(r2 +61); exit"),
              "insn 2: reads 4 bytes at packet+61, only 0..63 are there");
    EXPECT_EQ(outcome(std::string(kPacket) + "r0 = *(u32 *)(r2 -2); exit"),
              "insn 2: reads 4 bytes at packet-2, only 0..63 are there");
    EXPECT_EQ(outcome(std::string(kPacket) + "r0 = 0; *(u64 *)(r3 +0) = 1; exit"),
              "insn 3: writes 8 bytes at packet+0, nothing is there");
}

TEST(pointer, arithmetic_may_leave_and_come_back) {
    EXPECT_EQ(
        outcome(std::string(kPacket) + "r2 += 100000; r2 -= 99999; r0 = *(u8 *)(r2 +0); exit"),
        "r0 = 0");
    EXPECT_EQ(outcome(std::string(kPacket) + "r4 = 3; r4 += r2; r0 = *(u8 *)(r4 +60); exit"),
              "r0 = 0");
}

TEST(pointer, is_lost_by_other_arithmetic) {
    for (const char* op : {"r2 *= 1", "r2 |= 0", "r2 ^= 0", "r2 <<= 0", "r2 = be64 r2", "w2 = w2",
                           "r2 = -r2", "r4 = r2; r2 += r4"}) {
        const auto result = run(std::string(kPacket) + op + "; r0 = *(u8 *)(r2 +0); exit");
        EXPECT_EQ(result.trap.kind, exec::TrapKind::NotAPointer) << op;
    }
}

TEST(null, is_not_a_pointer) {
    EXPECT_EQ(outcome("r1 = 0; r0 = *(u64 *)(r1 +8); exit"),
              "insn 1: reads 8 bytes at a null pointer (r1 is 0x8)");
}

TEST(atomics, must_be_aligned) {
    const auto result = run("*(u64 *)(r10 -16) = 0; *(u64 *)(r10 -8) = 0; r1 = 1; r0 = 0;"
                            "lock *(u32 *)(r10 -10) += r1; exit");
    EXPECT_EQ(result.trap.kind, exec::TrapKind::Misaligned);
    EXPECT_EQ(result.trap.insn, 4);
}

TEST(atomics, need_written_stack) {
    EXPECT_EQ(outcome("r1 = 1; r0 = 0; lock *(u32 *)(r10 -8) += r1; exit"),
              "insn 2: reads 4 bytes at stack-8, where nothing was written");
}

} // namespace
} // namespace skep::test
