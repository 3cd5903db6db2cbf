// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "build.hpp"

namespace skep::test {
namespace {

std::string refusal(std::string_view text, const Given& setup = {}) {
    const auto code = compile(text, setup);
    return code ? "compiled" : code.error().to_string();
}

TEST(compile, refuses_a_helper_that_is_not_there) {
    EXPECT_EQ(refusal("r0 = 0; call #5; exit"),
              "instruction 1: helper 5 (bpf_ktime_get_ns) is not available");
}

TEST(compile, refuses_a_map_that_is_not_there) {
    EXPECT_EQ(refusal("r1 = map[id:3]; r0 = 0; exit"),
              "instruction 0: map 3 is used, but the object has 0 maps");
}

TEST(compile, refuses_what_the_kernel_refuses) {
    EXPECT_EQ(refusal("r0 = 0; goto +7; exit").substr(0, 14), "instruction 1:");
}

} // namespace
} // namespace skep::test
