// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Programs and what the kernel made of them, recorded by kernel_agreement --record.
#include <bit>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>

#include "engines.hpp"
#include "generator.hpp"

namespace skep::test {
namespace {

struct Golden {
    std::uint64_t memory_seed = 0;
    std::size_t sequences = 0;
    std::uint64_t digest = 0;
    std::vector<isa::Insn> code;
};

std::vector<Golden> read_goldens() {
    std::vector<Golden> made;
    std::ifstream file(SKEP_SOURCE_DIR "/test/golden/kernel/sequences.txt");
    for (std::string line; std::getline(file, line);) {
        std::istringstream in(line);
        Golden golden;
        in >> golden.memory_seed >> golden.sequences >> std::hex >> golden.digest;
        char comma = 0;
        for (std::uint64_t slot = 0; in >> slot >> comma;) {
            isa::Insn one;
            one = std::bit_cast<isa::Insn>(slot);
            golden.code.push_back(one);
        }
        made.push_back(std::move(golden));
    }
    return made;
}

void expect_recorded_results(interp::Mode mode) {
    const auto goldens = read_goldens();
    ASSERT_THAT(goldens, testing::SizeIs(testing::Ge(10U)));
    for (const Golden& golden : goldens) {
        const auto memory = random_memory(golden.memory_seed, golden.sequences * kRegionBytes);
        const Outcome outcome = run_interp(golden.code, memory, mode);
        ASSERT_EQ(outcome.error, "") << "memory seed " << golden.memory_seed;
        EXPECT_EQ(digest(outcome), golden.digest) << "memory seed " << golden.memory_seed;
    }
}

TEST(recorded_sequences, end_as_in_the_kernel_when_checked) {
    expect_recorded_results(interp::Mode::Checked);
}

TEST(recorded_sequences, end_as_in_the_kernel_when_unchecked) {
    expect_recorded_results(interp::Mode::Unchecked);
}

} // namespace
} // namespace skep::test
