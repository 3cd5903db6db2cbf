// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compile.hpp"

namespace skep::tool {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(explain_messages, knows_the_stack_limit) {
    EXPECT_THAT(explain_messages("a.c:3:5: error: Looks like the BPF stack limit is exceeded. ..."),
                ElementsAre(StartsWith("a BPF function may use 512 bytes of stack")));
}

TEST(explain_messages, says_a_note_once) {
    EXPECT_THAT(explain_messages("fatal error: 'asm/types.h' file not found\n"
                                 "fatal error: 'asm/byteorder.h' file not found\n"),
                ElementsAre("the machine's own headers are missing: install linux-libc-dev"));
}

TEST(explain_messages, is_silent_about_ordinary_errors) {
    EXPECT_THAT(explain_messages("a.c:1:1: error: expected ';' after struct"), IsEmpty());
}

TEST(is_source, looks_at_the_suffix) {
    EXPECT_TRUE(is_source("dir/a.bpf.c"));
    EXPECT_FALSE(is_source("dir/a.bpf.o"));
}

} // namespace
} // namespace skep::tool
