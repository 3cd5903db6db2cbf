// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <gtest/gtest.h>

#include "skep/btf/build.hpp"
#include "skep/btf/compat.hpp"

namespace skep::btf {
namespace {

struct Two {
    BtfBuilder local;
    BtfBuilder target;
    Two() {
        local.add_int("int", 4, true);
        target.add_int("long", 8, true);
    }
    std::pair<std::shared_ptr<const Btf>, std::shared_ptr<const Btf>> parse() const {
        return {*Btf::parse(local.emit()), *Btf::parse(target.emit())};
    }
};

std::string verdict(const Result<bool>& result) {
    return result ? (*result ? "yes" : "no") : result.error().message;
}

TEST(compat, integers_of_any_size_are_compatible_but_do_not_match) {
    const auto [a, b] = Two().parse();
    EXPECT_EQ(verdict(types_are_compatible(*a, 1, *b, 1)), "yes");
    EXPECT_TRUE(fields_are_compatible(*a, 1, *b, 1));
    EXPECT_EQ(verdict(types_match(*a, 1, *b, 1)), "no");
}

TEST(compat, both_kinds_of_enum_are_one) {
    Two two;
    const std::array<Enumerator, 1> one{Enumerator{"A", 1}};
    const std::array<Enumerator, 2> more{Enumerator{"B", 2}, Enumerator{"A", 7}};
    two.local.add_enum(Kind::Enum, "e", 8, false, one);
    two.target.add_enum(Kind::Enum64, "e", 8, false, more);
    const auto [a, b] = two.parse();
    EXPECT_EQ(verdict(types_are_compatible(*a, 2, *b, 2)), "yes");
    EXPECT_EQ(verdict(types_match(*a, 2, *b, 2)), "yes");
    EXPECT_EQ(verdict(types_match(*b, 2, *a, 2)), "no");
}

TEST(compat, match_wants_every_local_member) {
    Two two;
    two.target.add_int("int", 4, true);
    const std::array<Member, 1> few{Member{.name = "x", .type = 1}};
    const std::array<Member, 2> many{Member{.name = "y", .type = 1},
                                     Member{.name = "x", .type = 2, .bit_offset = 64}};
    two.local.add_composite(Kind::Struct, "s___mine", 4, few);
    two.target.add_composite(Kind::Struct, "s", 16, many);
    const auto [a, b] = two.parse();
    EXPECT_EQ(verdict(types_match(*a, 2, *b, 3)), "yes");
    EXPECT_EQ(verdict(types_match(*b, 3, *a, 2)), "no");
}

TEST(compat, struct_matches_its_forward_declaration_behind_a_pointer) {
    Two two;
    two.local.add_composite(Kind::Struct, "s", 4, {});
    two.local.add_ptr(2);
    two.target.add_fwd("s");
    two.target.add_ptr(2);
    const auto [a, b] = two.parse();
    EXPECT_EQ(verdict(types_match(*a, 3, *b, 3)), "yes");
    EXPECT_EQ(verdict(types_match(*a, 2, *b, 2)), "no");
}

TEST(compat, prototypes_compare_their_parameters) {
    Two two;
    const std::array<Parameter, 1> number{Parameter{"a", 1}};
    const std::array<Parameter, 1> pointer{Parameter{"a", 2}};
    two.local.add_func_proto(0, number);
    two.target.add_ptr(1);
    two.target.add_func_proto(0, pointer);
    two.target.add_func_proto(0, number);
    const auto [a, b] = two.parse();
    EXPECT_EQ(verdict(types_are_compatible(*a, 2, *b, 3)), "no");
    EXPECT_EQ(verdict(types_are_compatible(*a, 2, *b, 4)), "yes");
}

TEST(compat, a_graph_with_exponential_paths_ends_with_an_error) {
    BtfBuilder b;
    b.add_int("int", 4);
    std::uint32_t last = 1;
    for (int i = 0; i < 30; ++i) {
        const std::array<Parameter, 2> both{Parameter{"a", last}, Parameter{"b", last}};
        last = b.add_ptr(b.add_func_proto(0, both));
    }
    const auto btf = *Btf::parse(b.emit());
    EXPECT_EQ(verdict(types_are_compatible(*btf, last, *btf, last)),
              "comparing the types takes more than 1000000 steps");
}

TEST(compat, names_of_enums_and_forwards_decide_for_fields) {
    Two two;
    two.local.add_fwd("a___x");
    two.target.add_fwd("a");
    two.target.add_fwd("b");
    const auto [a, b] = two.parse();
    EXPECT_TRUE(fields_are_compatible(*a, 2, *b, 2));
    EXPECT_FALSE(fields_are_compatible(*a, 2, *b, 3));
}

} // namespace
} // namespace skep::btf
