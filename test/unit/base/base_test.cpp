// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <gtest/gtest.h>

#include "skep/base/bytes.hpp"
#include "skep/base/file.hpp"
#include "skep/base/suggest.hpp"

namespace skep {
namespace {

TEST(byte_reader, names_the_offset_where_the_input_ends) {
    const std::array<std::byte, 6> data{};
    ByteReader in(data);
    ASSERT_TRUE(in.read<std::uint32_t>());
    const auto bad = in.read<std::uint32_t>();
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().to_string(), "offset 4: ends early: 4 bytes expected, 2 left");
}

TEST(byte_reader, swaps_the_other_byte_order) {
    const std::array data{std::byte{1}, std::byte{2}};
    EXPECT_EQ(ByteReader(data).read<std::uint16_t>(), 0x0201);
    EXPECT_EQ(ByteReader(data, true).read<std::uint16_t>(), 0x0102);
}

TEST(in_range, holds_for_values_near_the_limits) {
    EXPECT_TRUE(in_range(4, 4, 8));
    EXPECT_FALSE(in_range(5, 4, 8));
    EXPECT_FALSE(in_range(~std::uint64_t{0}, 2, 8));
    EXPECT_FALSE(in_range(2, ~std::uint64_t{0}, 8));
}

TEST(suggest, finds_a_near_name_and_no_far_one) {
    const std::vector<std::string> names{"xdp_pass", "xdp_drop", "count"};
    EXPECT_EQ(did_you_mean("xdp_dorp", names), "did you mean \"xdp_drop\"?");
    EXPECT_EQ(did_you_mean("firewall", names), "");
}

TEST(read_file, names_the_missing_file) {
    const auto data = read_file("/nonexistent/file.o");
    ASSERT_FALSE(data);
    EXPECT_EQ(data.error().to_string(),
              "/nonexistent/file.o: cannot open: No such file or directory");
}

TEST(read_file, refuses_more_than_the_limit) {
    const auto path = std::string(SKEP_BINARY_DIR) + "/read_file_limit";
    ASSERT_TRUE(write_file(path, as_bytes("12345678")));
    EXPECT_EQ(read_file(path)->size(), 8u);
    EXPECT_EQ(read_file(path, 7).error().message, "larger than the limit of 7 bytes");
}

} // namespace
} // namespace skep
