// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/isa/opcodes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "samples.hpp"
#include "skep/isa/encode.hpp"

namespace skep::isa {
namespace {

TEST(op_table, rows_are_in_the_order_of_op) {
    for (std::size_t i = 0; i < kOpCount; ++i)
        EXPECT_EQ(std::to_underlying(all_ops()[i].op), i) << all_ops()[i].name;
}

TEST(op_table, classify_is_the_inverse_of_encode) {
    for (const OpInfo& row : all_ops()) {
        const OpInfo* found = classify(encode(row.op));
        ASSERT_NE(found, nullptr) << row.name;
        EXPECT_EQ(found->name, row.name);
    }
}

TEST(op_table, operands_never_change_what_an_instruction_is) {
    const std::uint64_t seed = test::seed();
    test::Rng rng(seed);
    for (const OpInfo& row : all_ops())
        for (int i = 0; i < 100; ++i) {
            const Insn insn = test::sample(row, rng).front();
            ASSERT_EQ(classify(insn)->name, row.name) << "SKEP_SEED=" << seed;
        }
}

TEST(op_table, rows_of_one_opcode_share_the_field_that_tells_them_apart) {
    std::map<std::uint8_t, Discriminator> field;
    std::set<std::pair<std::uint8_t, std::int32_t>> seen;
    for (const OpInfo& row : all_ops()) {
        EXPECT_EQ(field.emplace(row.opcode, row.discriminator).first->second, row.discriminator)
            << row.name;
        EXPECT_TRUE(seen.emplace(row.opcode, row.value).second) << row.name << " repeats a value";
    }
}

TEST(op_table, texts_are_unique) {
    std::set<std::string_view> texts;
    for (const OpInfo& row : all_ops())
        EXPECT_TRUE(texts.insert(row.text).second) << row.text;
}

TEST(op_table, knows_as_many_opcodes_as_linux_and_callx) {
    // kernel/bpf/core.c, BPF_INSN_MAP with load-acquire and store-release: bytes and half words.
    std::set<std::uint8_t> opcodes;
    for (const OpInfo& row : all_ops())
        opcodes.insert(row.opcode);
    // 24 + 24 arithmetic, 2 neg, 3 end, 22 + 22 conditional, ja, gotol, may_goto, call, exit,
    // callx, lddw, 4 + 3 ldx, 4 st, 4 stx, 4 atomic, 6 packet.
    EXPECT_EQ(opcodes.size(), 24U + 24 + 2 + 3 + 22 + 22 + 6 + 1 + 7 + 4 + 4 + 4 + 6);
}

TEST(op_info, access_size_follows_the_size_bits) {
    EXPECT_EQ(info(Op::LdxB).access_size(), 1U);
    EXPECT_EQ(info(Op::LdsxH).access_size(), 2U);
    EXPECT_EQ(info(Op::AtomicXchgW).access_size(), 4U);
    EXPECT_EQ(info(Op::StDw).access_size(), 8U);
    EXPECT_EQ(info(Op::LdAbsH).access_size(), 2U);
    EXPECT_EQ(info(Op::LddwImm).access_size(), 0U);
    EXPECT_EQ(info(Op::Add64Imm).access_size(), 0U);
}

TEST(op_info, only_lddw_takes_two_slots) {
    for (const OpInfo& row : all_ops())
        EXPECT_EQ(row.slots(), row.name.starts_with("Lddw") ? 2U : 1U) << row.name;
}

TEST(registers, name_the_fields_and_the_fixed_ones) {
    const Insn cmpxchg = encode(Op::AtomicCmpxchgDw, {.dst = 3, .src = 7});
    EXPECT_EQ(registers(info(Op::AtomicCmpxchgDw).reads, cmpxchg), 1U << 3 | 1U << 7 | 1U);
    EXPECT_EQ(registers(info(Op::AtomicCmpxchgDw).writes, cmpxchg), 1U);
    EXPECT_EQ(registers(info(Op::CallHelper).writes, encode(Op::CallHelper)), 0x3fU);
    EXPECT_EQ(registers(info(Op::LdAbsB).reads, encode(Op::LdAbsB)), 1U << 6);
}

} // namespace
} // namespace skep::isa
