// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "samples.hpp"
#include "skep/isa/assemble.hpp"
#include "skep/isa/decode.hpp"
#include "skep/isa/disassemble.hpp"
#include "skep/isa/encode.hpp"

namespace skep::isa {
namespace {

std::vector<Insn> random_slots(test::Rng& rng, std::size_t count) {
    std::vector<Insn> insns(count);
    for (Insn& insn : insns) {
        const std::uint64_t bits = rng();
        insn = load<Insn>(&bits);
        if (bits % 3 == 0) // Often the opcode is known and the rest is not.
            insn.opcode = all_ops()[rng() % kOpCount].opcode;
    }
    return insns;
}

TEST(round_trip, every_row_with_random_operands) {
    const std::uint64_t seed = test::seed();
    test::Rng rng(seed);
    for (const OpInfo& row : all_ops())
        for (int i = 0; i < 200; ++i) {
            const std::vector<Insn> insns = test::sample(row, rng);
            const std::string text = disassemble(insns, 0);
            ASSERT_FALSE(text.starts_with(".insn")) << row.name;
            ASSERT_EQ(test::asm_or_die(text), insns)
                << row.name << ": " << text << " SKEP_SEED=" << seed;
        }
}

TEST(round_trip, any_slots_at_all) {
    const std::uint64_t seed = test::seed();
    test::Rng rng(seed);
    for (int i = 0; i < 2000; ++i) {
        const std::vector<Insn> insns = random_slots(rng, 1 + rng() % 8);
        const std::string text = listing(insns);
        ASSERT_EQ(test::asm_or_die(text), insns) << text << " SKEP_SEED=" << seed;
    }
}

TEST(round_trip, programs_of_every_row_as_a_listing) {
    const std::uint64_t seed = test::seed();
    test::Rng rng(seed);
    std::vector<Insn> program;
    for (const OpInfo& row : all_ops()) {
        const std::vector<Insn> insns = test::sample(row, rng);
        program.insert(program.end(), insns.begin(), insns.end());
    }
    EXPECT_EQ(test::asm_or_die(listing(program)), program) << "SKEP_SEED=" << seed;
}

TEST(round_trip, with_symbols) {
    const Symbol helpers[] = {{"bpf_map_lookup_elem", 1}, {"bpf_redirect", 23}};
    const Symbol kfuncs[] = {{"bpf_rcu_read_lock", 70001}, {"in_module", 70001, 3}};
    const Symbol maps[] = {{"flows", 0}, {"stats.v2", 1}};
    const Symbols symbols{.helpers = helpers, .kfuncs = kfuncs, .maps = maps};
    const std::vector<Insn> program{
        encode(Op::CallHelper, {.imm = 1}),
        encode(Op::CallKfunc, {.imm = 70001}),
        encode(Op::CallKfunc, {.off = 3, .imm = 70001}),
        encode_lddw(Op::LddwMapFd, 1, 0)[0],
        Insn{},
        encode(Op::LddwMapValue, {.dst = 2, .imm = 1}),
        Insn{.imm = 16},
    };
    const std::string text = listing(program, symbols);
    EXPECT_EQ(text, "0: (85) call bpf_map_lookup_elem#1\n"
                    "1: (85) call bpf_rcu_read_lock#70001\n"
                    "2: (85) call in_module#70001\n"
                    "3: (18) r1 = map[name:flows]\n"
                    "5: (18) r2 = map[name:stats.v2][0]+16\n");
    const auto back = assemble(text, {.symbols = symbols});
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, program);
}

TEST(bytes, of_both_byte_orders_decode_to_the_same_instructions) {
    const std::uint64_t seed = test::seed();
    test::Rng rng(seed);
    const std::vector<Insn> insns = random_slots(rng, 100);
    for (const std::endian order : {std::endian::little, std::endian::big})
        EXPECT_EQ(*decode(to_bytes(insns, order), order), insns) << "SKEP_SEED=" << seed;
    EXPECT_NE(to_bytes(insns, std::endian::little), to_bytes(insns, std::endian::big));
}

} // namespace
} // namespace skep::isa
