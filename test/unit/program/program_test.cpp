// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/program/program.hpp"

#include <gtest/gtest.h>

namespace skep {
namespace {

Program two_functions() {
    Program program;
    program.insns.resize(6);
    program.subprograms = {{.name = "entry", .start = 0, .end = 4},
                           {.name = "helper", .start = 4, .end = 6}};
    program.lines = {{.insn = 0, .line = 10}, {.insn = 3, .line = 12}, {.insn = 4, .line = 20}};
    return program;
}

TEST(line_of, holds_until_the_next_entry) {
    const Program program = two_functions();
    EXPECT_EQ(program.line_of(0)->line, 10U);
    EXPECT_EQ(program.line_of(2)->line, 10U);
    EXPECT_EQ(program.line_of(3)->line, 12U);
    EXPECT_EQ(program.line_of(5)->line, 20U);
}

TEST(line_of, is_unknown_in_front_of_the_first_entry) {
    Program program = two_functions();
    program.lines.erase(program.lines.begin());
    EXPECT_EQ(program.line_of(2), nullptr);
}

TEST(subprogram_of, finds_the_function_by_slot) {
    const Program program = two_functions();
    EXPECT_EQ(program.subprogram_of(3)->name, "entry");
    EXPECT_EQ(program.subprogram_of(4)->name, "helper");
    EXPECT_EQ(program.subprogram_of(6), nullptr);
}

TEST(gpl_compatible, is_what_the_kernel_lists) {
    Program program;
    program.license = "Dual BSD/GPL";
    EXPECT_TRUE(program.gpl_compatible());
    program.license = "Apache-2.0";
    EXPECT_FALSE(program.gpl_compatible());
}

} // namespace
} // namespace skep
