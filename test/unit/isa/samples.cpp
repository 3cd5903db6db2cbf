// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "samples.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ostream>

#include "fields.hpp"
#include "skep/isa/assemble.hpp"
#include "skep/isa/encode.hpp"

namespace skep::isa::test {

std::uint64_t seed() {
    const char* given = std::getenv("SKEP_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
}

std::vector<Insn> sample(const OpInfo& row, Rng& rng) {
    const Fields used = fields_of(row.format);
    // Small and extreme values are likelier than a uniform choice makes them.
    const auto number = [&rng] {
        const std::uint64_t bits = rng();
        switch (bits >> 62) {
        case 0:
            return static_cast<std::int32_t>(bits % 9) - 4;
        case 1:
            return static_cast<std::int32_t>(INT32_MIN + static_cast<int>(bits % 3));
        default:
            return static_cast<std::int32_t>(bits);
        }
    };
    Operands operands;
    if (used.dst)
        operands.dst = static_cast<std::uint8_t>(rng() % 10);
    if (used.src)
        operands.src = static_cast<std::uint8_t>(rng() % 10);
    if (used.off)
        operands.off = static_cast<std::int16_t>(number());
    if (used.imm)
        operands.imm = number();
    std::vector<Insn> insns{encode(row.op, operands)};
    if (row.is_lddw())
        insns.push_back(Insn{.imm = used.imm2 ? number() : 0});
    return insns;
}

std::vector<Insn> asm_or_die(std::string_view text) {
    const auto insns = assemble(text);
    if (!insns) {
        ADD_FAILURE() << text << "\n" << insns.error().message << " " << insns.error().hint;
        return {};
    }
    return *insns;
}

std::string raw(const std::vector<Insn>& insns) {
    std::string out;
    for (const Insn& insn : insns)
        out += ::testing::PrintToString(insn) + "\n";
    return out;
}

} // namespace skep::isa::test

namespace skep::isa {
void PrintTo(const Insn& insn, std::ostream* out) {
    *out << "{opcode " << std::hex << unsigned{insn.opcode} << std::dec << " dst "
         << unsigned{insn.dst} << " src " << unsigned{insn.src} << " off " << insn.off << " imm "
         << insn.imm << "}";
}
} // namespace skep::isa
