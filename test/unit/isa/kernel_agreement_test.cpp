// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The running kernel as the oracle. Since 6.15 its log shows, before it verifies, every instruction
// as text and the registers that are live in front of it: the text column and the read and write
// columns of the table can be compared with it. Nothing here is attached or run.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <sstream>

#include "kernel_bpf.hpp"
#include "samples.hpp"
#include "skep/base/file.hpp"
#include "skep/isa/decode.hpp"
#include "skep/isa/disassemble.hpp"
#include "skep/isa/encode.hpp"

namespace skep::isa {
namespace {

namespace kernel = skep::test::kernel;

constexpr std::uint32_t kSocketFilter = 1; // BPF_PROG_TYPE_SOCKET_FILTER

// True if the kernel took the program.
bool load(const std::vector<Insn>& insns, std::string& log) {
    std::vector<std::uint64_t> slots(insns.size());
    for (std::size_t i = 0; i < insns.size(); ++i)
        slots[i] = std::bit_cast<std::uint64_t>(insns[i]);
    const int fd = kernel::prog_load({.type = kSocketFilter, .insns = slots, .log_level = 2}, &log);
    const Fd owned(fd < 0 ? -1 : fd);
    return fd >= 0;
}

struct KernelLine {
    std::string live; // "01......9.": r0 to r9
    std::string text; // "(b7) r0 = 0"
};

// The part of the log after "Live regs before insn:", by slot.
std::map<std::size_t, KernelLine> live_lines(const std::string& log) {
    std::map<std::size_t, KernelLine> lines;
    std::istringstream in(log);
    std::string line;
    while (std::getline(in, line) && line != "Live regs before insn:") {
    }
    while (std::getline(in, line) && line.starts_with(' ')) {
        const std::size_t colon = line.find(": ");
        const std::size_t slot = std::stoul(line);
        lines[slot] = {line.substr(colon + 2, 10), line.substr(colon + 13)};
    }
    return lines;
}

// Kinds whose text holds addresses or names that only the kernel knows, or that end a path.
bool unfit(const OpInfo& row) {
    return (row.is_lddw() && row.op != Op::LddwImm) || row.op == Op::CallKfunc ||
           row.op == Op::CallHelper || row.op == Op::Callx || row.op == Op::Exit ||
           row.op == Op::CallLocal;
}

// Straight-line code of `count` samples in which all jumps lead to the final exit or fall through.
std::vector<Insn> connected_program(test::Rng& rng, int count) {
    std::vector<Insn> insns;
    while (count > 0) {
        const OpInfo& row = all_ops()[rng() % kOpCount];
        if (unfit(row))
            continue;
        --count;
        for (const Insn& insn : test::sample(row, rng))
            insns.push_back(insn);
    }
    const std::size_t end = insns.size();
    for (std::size_t i = 0; i < end; i += slots_at(insns, i)) {
        const OpInfo& row = *classify(insns[i]);
        if (row.is_conditional_jump())
            insns[i].off = static_cast<std::int16_t>(rng() % 2 == 0 ? 0 : end - i - 1);
        if (row.op == Op::Ja)
            insns[i].off = 0;
        if (row.op == Op::Gotol)
            insns[i].imm = 0;
    }
    insns.push_back(encode(Op::Mov64Imm));
    insns.push_back(encode(Op::Exit));
    return insns;
}

// "01......9." before each instruction, from the read and write columns alone.
std::map<std::size_t, std::string> live_registers(const std::vector<Insn>& insns) {
    std::vector<unsigned> live(insns.size() + 1);
    for (bool changed = true; changed;) {
        changed = false;
        for (std::size_t i = insns.size(); i-- > 0;) {
            const OpInfo* row = classify(insns[i]);
            if (row == nullptr) // The second slot of a lddw.
                continue;
            unsigned after = row->op == Op::Exit || row->op == Op::Ja || row->op == Op::Gotol
                                 ? 0
                                 : live[i + row->slots()];
            if (const std::int64_t target = target_of(insns[i], i); target >= 0)
                after |= live[static_cast<std::size_t>(target)];
            const unsigned before = (after & ~unsigned{registers(row->writes, insns[i])}) |
                                    registers(row->reads, insns[i]);
            changed |= before != live[i];
            live[i] = before;
        }
    }
    std::map<std::size_t, std::string> out;
    for (std::size_t i = 0; i < insns.size(); ++i)
        for (int r = 0; r < kFramePointer; ++r)
            out[i] += (live[i] >> r & 1U) != 0 ? static_cast<char>('0' + r) : '.';
    return out;
}

class KernelAgreement : public ::testing::Test {
protected:
    void SetUp() override {
        std::string why;
        if (!kernel::available(&why))
            GTEST_SKIP() << why;
        std::string log;
        load(test::asm_or_die("r0 = 0; exit"), log);
        if (live_lines(log).size() != 2)
            GTEST_SKIP() << "needs a kernel that logs live registers (6.15)";
    }
};

TEST_F(KernelAgreement, text_of_random_programs) {
    const std::uint64_t seed = test::seed();
    test::Rng rng(seed);
    std::map<std::string_view, int> compared;
    for (int round = 0; round < 40; ++round) {
        const std::vector<Insn> insns = connected_program(rng, 100);
        std::string log;
        load(insns, log);
        const auto lines = live_lines(log);
        ASSERT_FALSE(lines.empty()) << log << " SKEP_SEED=" << seed;
        for (const auto& [slot, line] : lines) {
            const OpInfo& row = *classify(insns[slot]);
            ASSERT_EQ(disassemble(insns, slot), line.text.substr(5)) << "SKEP_SEED=" << seed;
            ++compared[row.name];
        }
    }
    for (const OpInfo& row : all_ops())
        EXPECT_TRUE(unfit(row) || compared[row.name] > 0)
            << row.name << " was never compared, SKEP_SEED=" << seed;
}

TEST_F(KernelAgreement, registers_read_and_written) {
    const std::uint64_t seed = test::seed();
    test::Rng rng(seed);
    int compared = 0;
    for (int round = 0; round < 400; ++round) {
        const std::vector<Insn> insns = connected_program(rng, 20);
        std::string log;
        load(insns, log);
        // The kernel takes all registers for live in front of packet instructions, to be careful.
        if (std::ranges::any_of(insns, [](const Insn& insn) {
                const OpInfo* row = classify(insn);
                return row != nullptr && row->group == Group::Packet;
            }))
            continue;
        ++compared;
        const auto ours = live_registers(insns);
        for (const auto& [slot, line] : live_lines(log))
            ASSERT_EQ(ours.at(slot), line.live) << slot << ": " << disassemble(insns, slot) << "\n"
                                                << log.substr(0, 4000) << " SKEP_SEED=" << seed;
    }
    EXPECT_GT(compared, 100);
}

TEST_F(KernelAgreement, text_of_calls) {
    const auto insns = test::asm_or_die("r1 = r10; call 5; call f; exit; f: r0 = 0; exit");
    std::string log;
    ASSERT_TRUE(load(insns, log)) << log;
    const Symbol helpers[] = {{"bpf_ktime_get_ns", 5}};
    const Symbols symbols{.helpers = helpers};
    for (const auto& [slot, line] : live_lines(log))
        EXPECT_EQ(disassemble(insns, slot, symbols), line.text.substr(5));
}

TEST_F(KernelAgreement, number_of_functions) {
    const auto program = [](std::size_t functions) {
        std::vector<Insn> insns;
        for (std::size_t i = 1; i < functions; ++i)
            insns.push_back(
                encode(Op::CallLocal, {.imm = static_cast<std::int32_t>(functions + i - 1)}));
        insns.push_back(encode(Op::Mov64Imm));
        insns.push_back(encode(Op::Exit));
        for (std::size_t i = 1; i < functions; ++i) {
            insns.push_back(encode(Op::Mov64Imm));
            insns.push_back(encode(Op::Exit));
        }
        return insns;
    };
    std::string log;
    EXPECT_TRUE(validate(program(kMaxFunctions)));
    EXPECT_TRUE(load(program(kMaxFunctions), log)) << log;
    EXPECT_FALSE(validate(program(kMaxFunctions + 1)));
    EXPECT_FALSE(load(program(kMaxFunctions + 1), log));
    EXPECT_TRUE(log.starts_with("too many subprograms")) << log;
}

// What the kernel says of a fault that lies in the form of the code, whatever its values.
bool structural(const std::string& log) {
    for (const std::string_view message : {"uses reserved fields",
                                           "unknown opcode",
                                           "invalid bpf_ld_imm64 insn",
                                           "unrecognized bpf_ld_imm64 insn",
                                           "jump out of range",
                                           "jump into the middle",
                                           "invalid shift",
                                           "div by zero",
                                           "R11 is invalid",
                                           "R12 is invalid",
                                           "R13 is invalid",
                                           "R14 is invalid",
                                           "R15 is invalid",
                                           "frame pointer is read only",
                                           "invalid atomic opcode",
                                           "invalid atomic operand size",
                                           "can only convert between address",
                                           "call to invalid destination",
                                           "invalid may_goto imm",
                                           "last insn is not an exit",
                                           "direct value offset of"})
        if (log.contains(message))
            return true;
    return false;
}

Insn mutated(Insn insn, test::Rng& rng) {
    constexpr std::array<int, 14> kTelling{0, 1, 2, 3, 8, 16, 31, 32, 63, 64, -1, 256, 272, 65536};
    const auto number = [&] { return kTelling[rng() % kTelling.size()]; };
    switch (rng() % 8) {
    case 0:
        insn.opcode = static_cast<std::uint8_t>(rng());
        break;
    case 1:
        insn.dst = rng() & 0xfU;
        break;
    case 2:
        insn.src = rng() & 0xfU;
        break;
    case 3:
        insn.off = static_cast<std::int16_t>(number());
        break;
    case 4:
    case 5:
        insn.imm = number();
        break;
    default:
        break;
    }
    return insn;
}

// All registers readable: scalars, or for memory accesses pointers to a written stack slot, so that
// the kernel's complaints about values do not hide those about form.
std::vector<Insn> prologue(bool memory) {
    std::vector<Insn> insns = test::asm_or_die("r6 = r1; *(u64 *)(r10 -8) = 0");
    for (const std::uint8_t r : {0, 1, 2, 3, 4, 5, 7, 8, 9})
        insns.push_back(memory ? encode(Op::Mov64Reg, {.dst = r, .src = 10})
                               : encode(Op::Mov64Imm, {.dst = r, .imm = 1}));
    return insns;
}

TEST_F(KernelAgreement, on_what_is_malformed) {
    const std::uint64_t seed = test::seed();
    test::Rng rng(seed);
    int accepted = 0;
    int refused = 0;
    for (const OpInfo& row : all_ops())
        for (int round = 0; round < 12; ++round) {
            std::vector<Insn> insns = prologue(row.insn_class() == kStx ||
                                               row.insn_class() == kLdx || row.insn_class() == kSt);
            std::vector<Insn> sample = test::sample(row, rng);
            if (row.access_size() != 0 && row.format != Format::LdAbs &&
                row.format != Format::LdInd)
                sample[0].off = -8;
            sample[rng() % sample.size()] = mutated(sample[rng() % sample.size()], rng);
            insns.insert(insns.end(), sample.begin(), sample.end());
            insns.push_back(encode(Op::Mov64Imm));
            insns.push_back(encode(Op::Exit));
            std::string log;
            const bool kernel_took_it = load(insns, log);
            const auto ours = validate(insns);
            const std::string context = listing(insns) + log + " SKEP_SEED=" + std::to_string(seed);
            if (ours)
                ASSERT_TRUE(kernel_took_it || !structural(log)) << context;
            else
                ASSERT_FALSE(kernel_took_it) << ours.error().to_string() << "\n" << context;
            ++(ours ? accepted : refused);
        }
    EXPECT_GT(accepted, 200);
    EXPECT_GT(refused, 200);
}

} // namespace
} // namespace skep::isa
