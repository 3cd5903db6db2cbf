// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// What is proved for engines, instruction by instruction. That it holds is what the containment
// test checks.
#include <gmock/gmock.h>

#include "judge.hpp"

namespace skep::verifier {
namespace {

std::shared_ptr<const Facts> facts(std::string_view text,
                                   spec::ProgramType type = spec::ProgramType::Xdp) {
    const Report report = test::report_of(text, type, {.facts = true});
    EXPECT_EQ(report.outcome, Outcome::Accepted) << text;
    return report.facts != nullptr ? report.facts : std::make_shared<Facts>();
}

TEST(facts, are_given_on_request) {
    EXPECT_EQ(test::report_of("r0 = 0; exit").facts, nullptr);
    EXPECT_EQ(test::report_of("exit", spec::ProgramType::Xdp, {.facts = true}).facts, nullptr);
}

TEST(facts, say_what_is_reached_and_where_jumps_go) {
    const auto all = facts("r1 = 5; if r1 > 3 goto pc+1; r1 = 0; r0 = r1; exit");
    EXPECT_TRUE(all->insns[1].jumps);
    EXPECT_FALSE(all->insns[1].falls_through);
    EXPECT_FALSE(all->insns[2].reached);
    EXPECT_TRUE(all->insns[3].result.is_constant());
    EXPECT_EQ(all->insns[3].result.bits, 5);
    const auto both = facts("call 7; if r0 > 3 goto pc+1; r0 = 0; exit");
    EXPECT_TRUE(both->insns[1].jumps && both->insns[1].falls_through);
}

TEST(facts, join_the_ranges_of_all_ways) {
    const auto all = facts("call 7; r1 = 1; if r0 > 9 goto pc+1; r1 = 4; r2 = 100; r2 /= r1; "
                           "w3 = w0; r0 = 0; exit");
    const NumberFact divisor = all->insns[5].src;
    EXPECT_TRUE(divisor.non_zero());
    EXPECT_EQ(divisor.umin, 1);
    EXPECT_EQ(divisor.umax, 4);
    EXPECT_TRUE(all->insns[6].result.upper_zero());
    EXPECT_FALSE(all->insns[6].src.upper_zero() && all->insns[6].src.is_constant());
}

TEST(facts, describe_accesses) {
    const auto packet = facts("r2 = *(u32 *)(r1 +0); r3 = *(u32 *)(r1 +4); r4 = r2; r4 += 8;"
                              "if r4 > r3 goto pc+1; r0 = *(u16 *)(r2 +6); r0 = 1; exit");
    const PointerFact load = packet->insns[5].access;
    EXPECT_EQ(load.memory, Memory::Packet);
    EXPECT_TRUE(load.non_null);
    EXPECT_EQ(load.low, 6);
    EXPECT_EQ(load.high, 6);
    EXPECT_EQ(load.alignment, 2);
    EXPECT_EQ(packet->insns[0].result_pointer.memory, Memory::Packet);
    EXPECT_EQ(packet->insns[0].access.memory, Memory::Context);
}

TEST(facts, know_maps_keys_and_results_of_calls) {
    const auto all = facts("*(u32 *)(r10 -4) = 3; r2 = r10; r2 += -4; r1 = map[id:0]; call 1;"
                           "if r0 == 0 goto pc+1; r0 = *(u64 *)(r0 +8); r0 = 1; exit");
    const CallFact* lookup = all->call_at(5);
    ASSERT_NE(lookup, nullptr);
    EXPECT_EQ(lookup->map, 0);
    EXPECT_EQ(lookup->key, 3U);
    EXPECT_EQ(all->call_at(4), nullptr);
    EXPECT_EQ(all->insns[5].result_pointer.memory, Memory::MapValue);
    EXPECT_FALSE(all->insns[5].result_pointer.non_null);
    EXPECT_EQ(all->insns[7].access.map, 0);
    EXPECT_TRUE(all->insns[7].access.non_null);
    EXPECT_EQ(all->insns[7].access.alignment, 8);
    const auto random = facts("call 7; *(u32 *)(r10 -4) = r0; r2 = r10; r2 += -4; r1 = map[id:0];"
                              "call 1; r0 = 1; exit");
    EXPECT_EQ(random->call_at(6)->key, std::nullopt);
}

TEST(facts, tell_stack_slots_that_can_be_registers) {
    const auto all = facts("*(u64 *)(r10 -8) = 1; *(u64 *)(r10 -16) = 2; r2 = r10; r2 += -24;"
                           "*(u64 *)(r2 +0) = 3; r0 = *(u64 *)(r10 -16); exit");
    ASSERT_EQ(all->functions.size(), 1);
    EXPECT_EQ(all->functions[0].stack_bytes, 24);
    EXPECT_EQ(all->functions[0].address_taken, 0b100);
    EXPECT_FALSE(all->functions[0].reads_unwritten);
    EXPECT_TRUE(facts("r0 = *(u64 *)(r10 -16); r0 = 0; exit")->functions[0].reads_unwritten);
    // A helper's buffer is taken, and a function's stack is its own.
    const auto called = facts("*(u64 *)(r10 -8) = 1; call pc+1; exit; r1 = r10; r1 += -16; r2 = 16;"
                              "call 16; r0 = 0; exit");
    EXPECT_EQ(called->functions[0].address_taken, 0);
    EXPECT_EQ(called->functions[1].address_taken, 0b11);
    // bpf_probe_read_kernel() may read all that lies at its third argument.
    const auto read = facts("*(u64 *)(r10 -8) = 1; *(u64 *)(r10 -16) = 2; r3 = r10; r3 += -16;"
                            "r1 = r10; r1 += -24; r2 = 8; call 113; r0 = 0; exit");
    EXPECT_EQ(read->functions[0].address_taken, 0b111);
}

TEST(facts, tell_results_whose_upper_half_nobody_reads) {
    const auto all = facts("w2 = 7; w3 = w2; *(u32 *)(r10 -4) = r3; w4 = 1; r0 = r4; exit");
    EXPECT_TRUE(all->insns[0].upper_unread);
    EXPECT_TRUE(all->insns[1].upper_unread);
    EXPECT_FALSE(all->insns[3].upper_unread);
    EXPECT_FALSE(all->insns[4].upper_unread);
}

} // namespace
} // namespace skep::verifier
