// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "hex.hpp"

namespace skep::tool {
namespace {

TEST(hex, passes_over_blanks_and_colons) {
    const auto bytes = parse_hex("0x0a 0B:ff\n", "packet");
    ASSERT_TRUE(bytes);
    EXPECT_EQ(to_hex(*bytes), "0a0bff");
}

TEST(hex, of_nothing_is_no_bytes) {
    const auto bytes = parse_hex("", "packet");
    ASSERT_TRUE(bytes);
    EXPECT_TRUE(bytes->empty());
}

TEST(hex, refuses_other_characters) {
    const auto bytes = parse_hex("0g", "packet");
    ASSERT_FALSE(bytes);
    EXPECT_EQ(bytes.error().to_string(), "packet: 'g' is not a hexadecimal digit");
}

TEST(hex, refuses_half_a_byte) {
    const auto bytes = parse_hex("abc", "packet");
    ASSERT_FALSE(bytes);
    EXPECT_EQ(bytes.error().to_string(), "packet: an odd number of hexadecimal digits");
}

TEST(integer, may_be_hexadecimal_or_negative) {
    EXPECT_EQ(parse_integer("0x10", "n"), 16);
    EXPECT_EQ(parse_integer("-1", "n"), -1);
    EXPECT_EQ(parse_integer("18446744073709551615", "n"), -1);
}

TEST(integer, refuses_what_follows_it) {
    const auto number = parse_integer("12ab", "--set limit");
    ASSERT_FALSE(number);
    EXPECT_EQ(number.error().to_string(), "--set limit: \"12ab\" is not an integer");
    EXPECT_FALSE(parse_integer("", "n"));
    EXPECT_FALSE(parse_integer("0x", "n"));
}

} // namespace
} // namespace skep::tool
