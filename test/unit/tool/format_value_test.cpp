// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "format_value.hpp"
#include "skep/base/file.hpp"
#include "skep/btf/btf.hpp"

namespace skep::tool {
namespace {

using btf::Kind;

/// Types by hand: header, then what the calls append.
class TypeBuilder {
public:
    std::uint32_t name(std::string_view text) {
        const auto offset = static_cast<std::uint32_t>(strings_.size());
        strings_.append(text);
        strings_.push_back('\0');
        return offset;
    }
    std::uint32_t type(std::string_view text, Kind kind, std::uint32_t vlen, std::uint32_t size,
                       std::initializer_list<std::uint32_t> rest, bool flag = false) {
        words_.insert(words_.end(),
                      {text.empty() ? 0 : name(text),
                       (flag ? 1U << 31 : 0) | static_cast<std::uint32_t>(kind) << 24 | vlen,
                       size});
        words_.insert(words_.end(), rest);
        return ++count_;
    }
    std::uint32_t integer(std::string_view text, std::uint32_t size, std::uint32_t encoding = 0) {
        return type(text, Kind::Int, 0, size, {encoding << 24 | size * 8});
    }
    std::shared_ptr<const btf::Btf> build() {
        const auto types = static_cast<std::uint32_t>(words_.size() * 4);
        std::vector<std::uint32_t> all{
            0x0001eb9f, 24, 0, types, types, static_cast<std::uint32_t>(strings_.size())};
        all.insert(all.end(), words_.begin(), words_.end());
        std::string blob(as_text(std::as_bytes(std::span(all))));
        blob += strings_;
        auto parsed = btf::Btf::parse(as_bytes(blob));
        EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().to_string());
        return *parsed;
    }

private:
    std::string strings_ = std::string(1, '\0');
    std::vector<std::uint32_t> words_;
    std::uint32_t count_ = 0;
};

std::vector<std::byte> bytes(std::initializer_list<int> values) {
    std::vector<std::byte> out;
    for (const int value : values)
        out.push_back(static_cast<std::byte>(value));
    return out;
}

TEST(format_value, shows_a_struct_by_member) {
    TypeBuilder types;
    const auto u32 = types.integer("unsigned int", 4);
    const auto s16 = types.integer("short", 2, 1);
    const auto chars = types.integer("char", 1, 1);
    const auto text = types.type("", Kind::Array, 0, 0, {chars, u32, 6});
    const auto pair = types.type(
        "pair", Kind::Struct, 3, 12,
        {types.name("hits"), u32, 0, types.name("delta"), s16, 32, types.name("why"), text, 48});
    const auto btf = types.build();
    const auto value = bytes({5, 0, 0, 0, 0xff, 0xff, 'n', 'o', 0, 0, 0, 0});
    EXPECT_EQ(value_to_json(btf.get(), pair, value).dump(), R"({"hits":5,"delta":-1,"why":"no"})");
    EXPECT_EQ(value_to_text(btf.get(), pair, value), R"({.hits = 5, .delta = -1, .why = "no"})");
}

TEST(format_value, shows_enumerators_by_name_and_others_by_number) {
    TypeBuilder types;
    const auto color =
        types.type("color", Kind::Enum, 2, 4, {types.name("RED"), 0, types.name("BLUE"), 7});
    const auto btf = types.build();
    EXPECT_EQ(value_to_json(btf.get(), color, bytes({7, 0, 0, 0})).dump(), "\"BLUE\"");
    EXPECT_EQ(value_to_json(btf.get(), color, bytes({3, 0, 0, 0})).dump(), "3");
}

TEST(format_value, takes_bit_fields_apart) {
    TypeBuilder types;
    const auto u32 = types.integer("unsigned int", 4);
    const auto flags =
        types.type("flags", Kind::Struct, 2, 4,
                   {types.name("low"), u32, 3U << 24, types.name("high"), u32, 5U << 24 | 3}, true);
    const auto btf = types.build();
    EXPECT_EQ(value_to_json(btf.get(), flags, bytes({0xad, 0, 0, 0})).dump(),
              R"({"low":5,"high":21})");
}

TEST(format_value, shows_members_of_an_anonymous_union_as_the_structs_own) {
    TypeBuilder types;
    const auto u32 = types.integer("unsigned int", 4);
    const auto either =
        types.type("", Kind::Union, 2, 4, {types.name("hash"), u32, 0, types.name("mark"), u32, 0});
    const auto outer =
        types.type("outer", Kind::Struct, 3, 12,
                   {types.name("first"), u32, 0, 0, either, 32, types.name("named"), either, 64});
    const auto btf = types.build();
    EXPECT_EQ(value_to_json(btf.get(), outer, bytes({1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0})).dump(),
              R"({"first":1,"hash":2,"mark":2,"named":{"hash":3,"mark":3}})");
}

TEST(format_value, shows_bytes_without_a_type) {
    EXPECT_EQ(value_to_text(nullptr, 0, bytes({1, 0xff})), "0x01ff");
}

TEST(format_value, shows_bytes_that_are_too_few_for_the_type) {
    TypeBuilder types;
    const auto u32 = types.integer("unsigned int", 4);
    const auto btf = types.build();
    EXPECT_EQ(value_to_text(btf.get(), u32, bytes({1, 2})), "0x0102");
}

} // namespace
} // namespace skep::tool
