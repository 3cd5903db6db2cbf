// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <map>
#include <sstream>

#include "skep/base/file.hpp"
#include "skep/helpers/helpers.hpp"
#include "skep/spec/helper.hpp"

namespace skep::helpers {
namespace {

constexpr std::uint32_t kTailCall = 12; // The engines do it themselves.

struct Row {
    std::string name;
    std::string here;
    std::string kernel;
};

/// The rows of docs/helpers.md by id.
std::map<std::uint32_t, Row> documented() {
    std::map<std::uint32_t, Row> rows;
    const auto file = read_file(SKEP_SOURCE_DIR "/docs/helpers.md");
    std::istringstream lines{file ? std::string(as_text(*file)) : std::string()};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream cells(line);
        std::string bar;
        std::uint32_t id = 0;
        if (!(cells >> bar >> id))
            continue;
        Row row;
        cells >> bar >> row.name >> bar >> row.here >> bar >> row.kernel;
        rows[id] = row;
    }
    return rows;
}

TEST(docs, say_of_every_helper_whether_it_is_there) {
    const auto rows = documented();
    ASSERT_THAT(rows, testing::SizeIs(spec::helpers().size()));
    for (const auto& [id, row] : rows) {
        const spec::HelperProto* proto = spec::find_helper(id);
        ASSERT_NE(proto, nullptr) << id;
        EXPECT_EQ(row.name, "`" + std::string(proto->name) + "`");
        const bool there = table().functions[id] != nullptr || id == kTailCall;
        EXPECT_EQ(row.here == "yes" || row.here == "recorded", there) << proto->name;
    }
}

TEST(docs, say_which_helpers_are_compared_with_the_kernel) {
    const auto file = read_file(SKEP_SOURCE_DIR "/test/differential/programs/helpers.bpf.c");
    ASSERT_TRUE(file);
    const std::string text(as_text(*file));
    int compared = 0;
    for (const auto& [id, row] : documented()) {
        const std::string call =
            "bpf_" + row.name.substr(1, row.name.size() - 2) + "("; // without the backquotes
        const bool called = text.find(call) != std::string::npos;
        EXPECT_EQ(row.kernel == "compared", called) << row.name;
        compared += called ? 1 : 0;
    }
    EXPECT_GE(compared, 60);
}

} // namespace
} // namespace skep::helpers
