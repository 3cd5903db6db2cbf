// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/isa/decode.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "samples.hpp"
#include "skep/isa/encode.hpp"

namespace skep::isa {
namespace {

using ::testing::ElementsAre;

constexpr Insn kAddLike{.opcode = 0x07, .dst = 1, .src = 2, .off = 0x0304, .imm = 0x05060708};

TEST(decode, little_endian_has_dst_in_the_low_nibble) {
    constexpr std::array<std::uint8_t, 8> kCode{0x07, 0x21, 0x04, 0x03, 0x08, 0x07, 0x06, 0x05};
    EXPECT_THAT(*decode(std::as_bytes(std::span(kCode))), ElementsAre(kAddLike));
}

TEST(decode, big_endian_has_dst_in_the_high_nibble) {
    constexpr std::array<std::uint8_t, 8> kCode{0x07, 0x12, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};
    EXPECT_THAT(*decode(std::as_bytes(std::span(kCode)), std::endian::big), ElementsAre(kAddLike));
}

TEST(decode, refuses_a_torn_slot) {
    constexpr std::array<std::uint8_t, 9> kCode{};
    const auto insns = decode(std::as_bytes(std::span(kCode)));
    ASSERT_FALSE(insns);
    EXPECT_EQ(insns.error().message, "code is 9 bytes, expected a multiple of 8");
}

TEST(function_starts, are_the_targets_of_calls_and_addresses) {
    const auto insns = test::asm_or_die(R"(
        r1 = subprog[callback]
        call twice
        call twice
        exit
      twice: exit
      callback: r0 = 0
        exit
    )");
    EXPECT_THAT(function_starts(insns), ElementsAre(0, 5, 6));
}

TEST(function_starts, leave_out_what_is_outside_the_program) {
    EXPECT_THAT(function_starts(test::asm_or_die("call pc+7; call pc-9; exit")), ElementsAre(0));
}

TEST(target_of, counts_from_the_next_slot) {
    EXPECT_EQ(target_of(encode(Op::Ja, {.off = 3}), 5), 9);
    EXPECT_EQ(target_of(encode(Op::Gotol, {.imm = -2}), 5), 4);
    EXPECT_EQ(target_of(encode(Op::MayGoto, {.off = 1}), 0), 2);
    EXPECT_EQ(target_of(encode(Op::Jeq64Imm, {.off = -1}), 7), 7);
    EXPECT_EQ(target_of(encode(Op::CallLocal, {.imm = 10}), 0), 11);
    EXPECT_EQ(target_of(encode(Op::CallHelper, {.imm = 10}), 0), -1);
}

} // namespace
} // namespace skep::isa
