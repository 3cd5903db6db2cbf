// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "order.hpp"

#include <gmock/gmock.h>

#include "program_text.hpp"

namespace skep::verifier {
namespace {

struct Given {
    std::shared_ptr<const Program> program;
    ControlFlow flow;
    Order order;

    explicit Given(std::string_view text)
        : program(test::program(text)), flow(ControlFlow::build(program->insns)), order(flow) {}
    [[nodiscard]] std::uint32_t block(std::uint32_t slot) const { return flow.block_of[slot]; }
    [[nodiscard]] std::uint32_t position(std::uint32_t slot) const {
        return order.position(block(slot));
    }
    [[nodiscard]] std::uint32_t depth(std::uint32_t slot) const { return order.depth(block(slot)); }
};

TEST(order, a_join_comes_after_both_branches) {
    const Given given("r0 = 1; if r0 == 1 goto pc+2; r0 = 2; goto pc+1; r0 = 3; exit");
    EXPECT_LT(given.position(2), given.position(5));
    EXPECT_LT(given.position(4), given.position(5));
    EXPECT_EQ(given.depth(5), 0U);
}

TEST(order, a_loop_stands_together_and_its_way_out_behind_it) {
    // Slot 1 is the head; 3 leaves it from the middle.
    const Given given(
        "r0 = 0; r0 += 1; if r0 != 5 goto pc+1; goto pc+2; if r0 < 10 goto pc-4; r0 = 1; exit");
    EXPECT_EQ(given.depth(1), 1U);
    EXPECT_EQ(given.depth(4), 1U);
    EXPECT_EQ(given.depth(3), 0U);
    EXPECT_LT(given.position(4), given.position(3));
    EXPECT_EQ(given.order.loop(given.order.loop_of(given.block(4))).head, given.block(1));
}

TEST(order, loops_nest) {
    const Given given("r6 = 0; r7 = 0; r7 += 1; if r7 < 20 goto pc-2; r6 += 1; if r6 < 20 goto "
                      "pc-5; r0 = 1; exit");
    EXPECT_EQ(given.depth(1), 1U);
    EXPECT_EQ(given.depth(2), 2U);
    EXPECT_EQ(given.depth(4), 1U);
    const auto inner = given.order.loop_of(given.block(2));
    EXPECT_EQ(given.order.loop(inner).around, given.order.loop_of(given.block(1)));
}

TEST(order, an_irreducible_loop_has_a_head_too) {
    const Given given("r0 = 1; if r0 == 1 goto pc+1; r0 += 1; r0 += 2; if r0 < 9 goto pc-3; exit");
    EXPECT_EQ(given.depth(2), given.depth(3));
    EXPECT_GE(given.depth(3), 1U);
}

} // namespace
} // namespace skep::verifier
