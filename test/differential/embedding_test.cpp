// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Self-embedding: what the verifier claims about a program is written into the program as tests
// that do harm where they fail. It must accept the result, for it proved the claims; and a claim
// that is made a little too strong must be refused.
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <map>

#include "program_generator.hpp"
#include "program_text.hpp"

#include "skep/isa/decode.hpp"
#include "skep/verifier/verifier.hpp"

namespace skep::verifier {
namespace {

using isa::Insn;

constexpr std::uint8_t kJgt = 0x25;
constexpr std::uint8_t kJslt = 0xc5;
constexpr std::uint8_t kJsgt = 0x65;
constexpr std::uint8_t kLoadByte = 0x71;

Report judge(const Program& program, const spec::MapDef& def) {
    const std::array maps{MapView{.def = &def}};
    return verify(program, maps, {.facts = true});
}

bool fits(std::int64_t x) {
    return x >= INT32_MIN && x <= INT32_MAX;
}

/// Jumps to what does harm where the number in a register is not as claimed. `slack` is taken from
/// the claim.
void add_tests(std::vector<Insn>& code, std::vector<std::size_t>& harmful, unsigned reg,
               const NumberFact& fact, std::int64_t slack) {
    const auto test = [&](std::uint8_t opcode, std::int64_t limit) {
        harmful.push_back(code.size());
        code.push_back({.opcode = opcode,
                        .dst = static_cast<std::uint8_t>(reg & 15U),
                        .imm = static_cast<std::int32_t>(limit)});
    };
    if (!fact.known)
        return;
    if (fact.umax <= INT32_MAX)
        test(kJgt, static_cast<std::int64_t>(fact.umax) - slack);
    if (fits(fact.smin) && fact.smin > INT32_MIN && slack == 0)
        test(kJslt, fact.smin);
    if (fits(fact.smax) && fact.smax > fact.smin && slack == 0)
        test(kJsgt, fact.smax);
}

/// The program with the tests that `claims` adds in front of each instruction.
std::shared_ptr<Program> embed(const Program& program,
                               const std::function<void(std::uint32_t, std::vector<Insn>&,
                                                        std::vector<std::size_t>&)>& claims) {
    std::vector<Insn> code;
    std::vector<std::size_t> harmful;
    std::map<std::uint32_t, std::uint32_t> place;
    std::vector<std::pair<std::size_t, std::uint32_t>> relative; // Where, and the old slot.
    for (std::uint32_t i = 0; i < program.insns.size(); ++i) {
        place[i] = static_cast<std::uint32_t>(code.size());
        claims(i, code, harmful);
        relative.emplace_back(code.size(), i);
        code.push_back(program.insns[i]);
        if (program.insns[i].opcode == isa::kLddw)
            code.push_back(program.insns[++i]);
    }
    for (const auto& [at, old] : relative) {
        Insn& insn = code[at];
        const unsigned cls = insn.opcode & isa::kClassMask;
        const bool call = insn.opcode == isa::kCall && insn.src == isa::kCallLocal;
        if (call)
            insn.imm =
                static_cast<std::int32_t>(place.at(old + 1 + static_cast<unsigned>(insn.imm))) -
                static_cast<std::int32_t>(at) - 1;
        else if ((cls == isa::kJmp || cls == isa::kJmp32) && insn.opcode != isa::kExit &&
                 insn.opcode != isa::kCall)
            insn.off = static_cast<std::int16_t>(
                static_cast<std::int32_t>(place.at(
                    static_cast<std::uint32_t>(static_cast<std::int32_t>(old) + 1 + insn.off))) -
                static_cast<std::int32_t>(at) - 1);
    }
    // Each function must end in itself: harm is done beside it only in the first one.
    const auto harm = static_cast<std::int64_t>(code.size());
    code.push_back({.opcode = kLoadByte, .dst = 0, .src = 10, .off = 8});
    code.push_back({.opcode = isa::kExit});
    for (const std::size_t at : harmful)
        code[at].off = static_cast<std::int16_t>(harm - static_cast<std::int64_t>(at) - 1);
    return test::program_of(std::move(code), program.type);
}

class Embedding : public testing::Test {
protected:
    void SetUp() override {
        def.name = "memory";
        def.kind = spec::MapKind::Array;
        def.key_size = 4;
        def.value_size = test::kValueBytes;
        def.max_entries = 1;
    }

    /// Accepted programs of one function, whose claims can be tested by a jump to its end.
    void each(int wanted, const std::function<void(const Program&, const Facts&)>& visit) {
        int found = 0;
        for (std::uint64_t seed = 1; found < wanted && seed < 100'000; ++seed) {
            const auto program = test::program_of(test::make_program(seed));
            if (program->subprograms.size() != 1)
                continue;
            const Report report = judge(*program, def);
            if (report.outcome != Outcome::Accepted)
                continue;
            ++found;
            SCOPED_TRACE("seed " + std::to_string(seed));
            visit(*program, *report.facts);
        }
        EXPECT_EQ(found, wanted);
    }

    spec::MapDef def;
};

/// The registers that a claim is about: those that the instruction reads as numbers.
void claim(const Program& program, const Facts& facts, std::uint32_t i, std::vector<Insn>& code,
           std::vector<std::size_t>& harmful, std::int64_t slack) {
    const Insn& insn = program.insns[i];
    const InsnFact& fact = facts.insns[i];
    if (insn.opcode == isa::kExit)
        return add_tests(code, harmful, 0, fact.dst, slack);
    add_tests(code, harmful, insn.dst, fact.dst, slack);
    if (insn.src != insn.dst)
        add_tests(code, harmful, insn.src, fact.src, slack);
}

TEST_F(Embedding, claims_are_provable) {
    std::size_t tests = 0;
    each(150, [&](const Program& program, const Facts& facts) {
        std::size_t here = 0;
        const auto embedded = embed(program, [&](std::uint32_t i, auto& code, auto& harmful) {
            claim(program, facts, i, code, harmful, 0);
            here = harmful.size();
        });
        tests += here;
        if (here == 0)
            return;
        const Report report = judge(*embedded, def);
        ASSERT_EQ(report.outcome, Outcome::Accepted)
            << report.findings[0].code << " at " << report.findings[0].insn << ": "
            << report.findings[0].message;
    });
    EXPECT_GT(tests, 1000U);
}

TEST_F(Embedding, stronger_claims_are_not) {
    int asked = 0;
    int refused = 0;
    each(60, [&](const Program& program, const Facts& facts) {
        bool one = false;
        const auto embedded = embed(program, [&](std::uint32_t i, auto& code, auto& harmful) {
            const NumberFact& fact = facts.insns[i].dst;
            if (one || !facts.insns[i].reached || !fact.known || fact.is_constant() ||
                fact.umax > INT32_MAX)
                return;
            add_tests(code, harmful, program.insns[i].dst, fact, 1);
            one = true;
        });
        if (!one)
            return;
        ++asked;
        refused += judge(*embedded, def).outcome == Outcome::Rejected ? 1 : 0;
    });
    EXPECT_GT(asked, 20);
    // Where states were joined, the paths may show more than the claim says.
    EXPECT_GT(refused * 10, asked * 8);
}

} // namespace
} // namespace skep::verifier
