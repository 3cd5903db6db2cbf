// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/program/control_flow.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "skep/isa/assemble.hpp"
#include "skep/isa/decode.hpp"

namespace skep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<isa::Insn> code(std::string_view text) {
    const auto insns = isa::assemble(text);
    if (!insns) {
        ADD_FAILURE() << insns.error().message;
        return {};
    }
    const auto verdict = isa::validate(*insns);
    EXPECT_TRUE(verdict) << verdict.error().to_string();
    return *insns;
}

std::vector<std::uint32_t> after(std::string_view text, std::uint32_t slot) {
    const Successors found = successors(code(text), slot);
    return {found.begin(), found.end()};
}

TEST(successors, follow_the_kind_of_instruction) {
    EXPECT_THAT(after("r0 = 0; exit", 0), ElementsAre(1));
    EXPECT_THAT(after("r0 = 5 ll; exit", 0), ElementsAre(2));
    EXPECT_THAT(after("r0 = 0; exit", 1), IsEmpty());
    EXPECT_THAT(after("goto pc+1; exit; exit", 0), ElementsAre(2));
    EXPECT_THAT(after("r0 = 0; gotol pc-2", 1), ElementsAre(0));
    EXPECT_THAT(after("if r1 == 0x0 goto pc+1; exit; exit", 0), ElementsAre(1, 2));
    EXPECT_THAT(after("may_goto pc+1; exit; exit", 0), ElementsAre(1, 2));
    EXPECT_THAT(after("call f; exit; f: exit", 0), ElementsAre(1));
}

TEST(successors, a_jump_to_the_next_instruction_has_one) {
    EXPECT_THAT(after("if r1 == 0x0 goto pc+0; exit", 0), ElementsAre(1));
}

constexpr std::string_view kLoop = R"(
        r0 = 0
        r1 = 10
  top:  if r1 == 0x0 goto out     // 2
        r0 += r1                  // 3
        if r0 > 0x64 goto out     // 4
        r1 += -1                  // 5
        goto top                  // 6
  out:  exit                      // 7
)";

TEST(control_flow, blocks_begin_at_targets_and_behind_jumps) {
    const ControlFlow flow = ControlFlow::build(code(kLoop));
    std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;
    ranges.reserve(flow.blocks.size());
    for (const BasicBlock& block : flow.blocks)
        ranges.emplace_back(block.begin, block.end);
    using Pair = std::pair<std::uint32_t, std::uint32_t>;
    EXPECT_THAT(ranges, ElementsAre(Pair(0, 2), Pair(2, 3), Pair(3, 5), Pair(5, 7), Pair(7, 8)));
    EXPECT_THAT(flow.block_of, ElementsAre(0, 0, 1, 2, 2, 3, 3, 4));
}

TEST(control_flow, edges_go_both_ways) {
    const ControlFlow flow = ControlFlow::build(code(kLoop));
    EXPECT_THAT(flow.blocks[0].successors, ElementsAre(1));
    EXPECT_THAT(flow.blocks[1].successors, ElementsAre(2, 4));
    EXPECT_THAT(flow.blocks[3].successors, ElementsAre(1));
    EXPECT_THAT(flow.blocks[4].successors, IsEmpty());
    EXPECT_EQ(flow.blocks[1].predecessors, 2U);
    EXPECT_EQ(flow.blocks[4].predecessors, 2U);
}

TEST(control_flow, reverse_postorder_puts_a_join_behind_both_branches) {
    const ControlFlow flow = ControlFlow::build(
        code("if r1 == 0x0 goto other; r0 = 1; goto join; other: r0 = 2; join: exit"));
    EXPECT_THAT(flow.reverse_postorder(0), ElementsAre(0, 2, 1, 3));
}

TEST(control_flow, reverse_postorder_ignores_back_edges) {
    const ControlFlow flow = ControlFlow::build(code(kLoop));
    EXPECT_THAT(flow.reverse_postorder(0), ElementsAre(0, 1, 2, 4, 3));
}

constexpr std::string_view kFunctions = R"(
        call first              // 0
        r1 = subprog[callback]  // 1, 2
        call 5                  // 3
        exit                    // 4
 first: call second             // 5
        exit                    // 6
second: exit                    // 7
callback: r0 = 5 ll             // 8, 9
        exit                    // 10
)";

TEST(control_flow, functions_and_who_uses_them) {
    const ControlFlow flow = ControlFlow::build(code(kFunctions));
    ASSERT_EQ(flow.functions.size(), 4U);
    EXPECT_EQ(flow.functions[1].begin, 5U);
    EXPECT_EQ(flow.functions[1].end, 7U);
    EXPECT_EQ(flow.functions[3].begin, 8U);
    EXPECT_EQ(flow.functions[3].end, 11U);
    EXPECT_EQ(flow.blocks[flow.functions[3].first_block].begin, 8U);
    std::vector<std::vector<std::uint32_t>> uses;
    uses.reserve(flow.uses.size());
    for (const FunctionUse& use : flow.uses)
        uses.push_back({use.slot, use.caller, use.callee, use.address ? 1U : 0U});
    EXPECT_THAT(uses, ElementsAre(ElementsAre(0, 0, 1, 0), ElementsAre(1, 0, 3, 1),
                                  ElementsAre(5, 1, 2, 0)));
}

TEST(first_unreachable, is_nothing_when_calls_and_callbacks_reach_all) {
    EXPECT_EQ(ControlFlow::build(code(kFunctions)).first_unreachable(), std::nullopt);
    EXPECT_EQ(ControlFlow::build(code(kLoop)).first_unreachable(), std::nullopt);
}

TEST(first_unreachable, finds_code_behind_a_jump) {
    EXPECT_EQ(ControlFlow::build(code("goto pc+1; r0 = 1; exit")).first_unreachable(), 1U);
}

TEST(first_unreachable, finds_a_function_that_only_dead_code_calls) {
    EXPECT_EQ(ControlFlow::build(code("goto pc+1; call f; exit; f: exit")).first_unreachable(), 1U);
    EXPECT_EQ(ControlFlow::build(code("exit; f: call f; exit")).first_unreachable(), 1U);
}

TEST(control_flow, a_million_blocks_in_a_row) {
    std::vector<isa::Insn> insns(isa::kMaxInsns, isa::Insn{.opcode = 0x15});
    insns.back() = isa::Insn{.opcode = isa::kExit};
    const ControlFlow flow = ControlFlow::build(insns);
    EXPECT_EQ(flow.blocks.size(), isa::kMaxInsns);
    EXPECT_EQ(flow.reverse_postorder(0).size(), isa::kMaxInsns);
}

} // namespace
} // namespace skep
