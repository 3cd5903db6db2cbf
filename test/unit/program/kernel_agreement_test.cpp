// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The running kernel as the oracle of control flow: it refuses malformed jumps and unreachable code
// before it logs live registers (Linux 6.15), so that heading tells the one from the other.
#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <random>

#include "kernel_bpf.hpp"
#include "skep/base/file.hpp"
#include "skep/isa/decode.hpp"
#include "skep/isa/disassemble.hpp"
#include "skep/isa/encode.hpp"
#include "skep/program/control_flow.hpp"

namespace skep {
namespace {

using isa::Insn;
using isa::Op;

std::string kernel_log(const std::vector<Insn>& insns) {
    std::vector<std::uint64_t> slots(insns.size());
    for (std::size_t i = 0; i < insns.size(); ++i)
        slots[i] = std::bit_cast<std::uint64_t>(insns[i]);
    std::string log;
    constexpr std::uint32_t kSocketFilter = 1; // BPF_PROG_TYPE_SOCKET_FILTER
    const Fd fd(
        test::kernel::prog_load({.type = kSocketFilter, .insns = slots, .log_level = 2}, &log));
    return log;
}

// Jumps and calls to anywhere near, `lddw` in between, and often an exit.
std::vector<Insn> random_flow(std::mt19937_64& rng) {
    std::vector<Insn> insns;
    const std::size_t length = 4 + rng() % 8;
    while (insns.size() < length) {
        const auto distance = static_cast<std::int16_t>(static_cast<int>(rng() % 8) - 2);
        switch (rng() % 12) {
        case 0:
            insns.push_back(isa::encode(Op::Ja, {.off = distance}));
            break;
        case 1:
            insns.push_back(isa::encode(Op::Gotol, {.imm = distance}));
            break;
        case 2:
            insns.push_back(isa::encode(Op::MayGoto, {.off = distance}));
            break;
        case 3:
        case 4:
            insns.push_back(isa::encode(Op::Jeq32Imm, {.dst = 1, .off = distance}));
            break;
        case 5:
            insns.push_back(isa::encode(Op::CallLocal, {.imm = distance}));
            break;
        case 6:
            insns.push_back(isa::encode(Op::LddwFunc, {.dst = 1, .imm = distance}));
            insns.push_back({});
            break;
        case 7:
            insns.push_back(isa::encode(Op::LddwImm, {.dst = 1}));
            insns.push_back({});
            break;
        case 8:
        case 9:
            insns.push_back(isa::encode(Op::Exit));
            break;
        default:
            insns.push_back(isa::encode(Op::Mov64Imm));
            break;
        }
    }
    insns.push_back(isa::encode(Op::Exit));
    return insns;
}

TEST(KernelAgreement, on_jumps_calls_and_unreachable_code) {
    std::string why;
    if (!test::kernel::available(&why))
        GTEST_SKIP() << why;
    constexpr std::string_view kHeading = "Live regs before insn";
    if (!kernel_log({isa::encode(Op::Mov64Imm), isa::encode(Op::Exit)}).contains(kHeading))
        GTEST_SKIP() << "needs a kernel that logs live registers (6.15)";
    const char* given = std::getenv("SKEP_SEED");
    const std::uint64_t seed =
        given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
    std::mt19937_64 rng(seed);
    int malformed = 0;
    int unreachable = 0;
    int fine = 0;
    for (int round = 0; round < 1000; ++round) {
        const std::vector<Insn> insns = random_flow(rng);
        const std::string log = kernel_log(insns);
        const std::string context =
            isa::listing(insns) + log + " SKEP_SEED=" + std::to_string(seed);
        if (const auto verdict = isa::validate(insns); !verdict) {
            ASSERT_FALSE(log.contains(kHeading)) << verdict.error().to_string() << "\n" << context;
            ++malformed;
            continue;
        }
        const auto missed = ControlFlow::build(insns).first_unreachable();
        if (missed) {
            const std::string expected = "unreachable insn " + std::to_string(*missed) + "\n";
            ASSERT_TRUE(log.contains(expected)) << expected << context;
        } else {
            ASSERT_TRUE(log.contains(kHeading)) << context;
        }
        ++(missed ? unreachable : fine);
    }
    EXPECT_GT(malformed, 50);
    EXPECT_GT(unreachable, 50);
    EXPECT_GT(fine, 10);
}

} // namespace
} // namespace skep
