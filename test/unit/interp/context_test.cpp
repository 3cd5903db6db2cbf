// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "build.hpp"

namespace skep::test {
namespace {

using spec::ProgramType;

TEST(context, data_pointers_in_both_modes) {
    for (const auto mode : {interp::Mode::Checked, interp::Mode::Unchecked})
        EXPECT_EQ(
            outcome("r0 = *(u32 *)(r1 +4); r2 = *(u32 *)(r1 +0); r0 -= r2; exit", {.mode = mode}),
            "r0 = 64");
}

TEST(context, data_pointers_through_a_local_call_and_the_stack) {
    for (const auto mode : {interp::Mode::Checked, interp::Mode::Unchecked})
        EXPECT_EQ(outcome("*(u64 *)(r10 -8) = r1; r1 = 0; r1 = *(u64 *)(r10 -8); call f; exit;"
                          "f: r0 = *(u32 *)(r1 +4); r2 = *(u32 *)(r1 +0); r0 -= r2; exit",
                          {.mode = mode}),
                  "r0 = 64");
}

TEST(context, refuses_parts_of_pointers_and_stores_to_them) {
    EXPECT_EQ(outcome("r0 = *(u16 *)(r1 +0); exit"),
              "insn 0: reads 2 bytes at context+0: the access is narrower than the field allows");
    EXPECT_EQ(run("r0 = 0; *(u32 *)(r1 +0) = r0; exit").trap.kind, exec::TrapKind::BadContext);
}

TEST(context, ends_where_its_type_ends) {
    EXPECT_EQ(outcome("r0 = *(u32 *)(r1 +24); exit"),
              "insn 0: reads 4 bytes at context+24, only 0..23 are there");
}

TEST(context, fields_of_skb_are_written_and_read) {
    EXPECT_EQ(outcome("r2 = 77; *(u32 *)(r1 +8) = r2; r0 = *(u32 *)(r1 +8); exit",
                      {.type = ProgramType::SchedCls}),
              "r0 = 77");
}

TEST(classic_packet_access, reads_network_order_and_ends_outside) {
    std::vector<std::byte> packet(64);
    packet[2] = std::byte{0x12};
    packet[3] = std::byte{0x34};
    const Given setup{.type = ProgramType::SocketFilter, .packet = packet};
    EXPECT_EQ(outcome("r6 = r1; r0 = *(u16 *)skb[2]; exit", setup), "r0 = 4660");
    EXPECT_EQ(outcome("r6 = r1; r7 = 1; r0 = *(u16 *)skb[r7 + 1]; exit", setup), "r0 = 4660");
    EXPECT_EQ(outcome("r6 = r1; r0 = *(u32 *)skb[61]; r0 = 9; exit", setup), "r0 = 0");
}

} // namespace
} // namespace skep::test
