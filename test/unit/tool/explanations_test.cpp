// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "explanations.hpp"

#include "skep/verifier/verifier.hpp"

namespace skep::tool {
namespace {

using testing::EndsWith;
using testing::IsEmpty;
using testing::Not;

TEST(explanations, exist_for_each_code) {
    ASSERT_THAT(verifier::catalogue(), Not(IsEmpty()));
    for (const verifier::Title& title : verifier::catalogue()) {
        const Explanation* about = explanation_of(title.code);
        ASSERT_NE(about, nullptr) << title.code;
        EXPECT_EQ(about->code, title.code);
        EXPECT_THAT(about->meaning, EndsWith("\n"));
        EXPECT_THAT(about->help, EndsWith("\n"));
        EXPECT_THAT(about->example, EndsWith("\n"));
    }
    EXPECT_EQ(explanation_of("V109"), nullptr);
    EXPECT_EQ(explanation_of(""), nullptr);
}

} // namespace
} // namespace skep::tool
