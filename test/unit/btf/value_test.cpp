// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <gtest/gtest.h>

#include "skep/btf/build.hpp"
#include "skep/btf/value.hpp"

namespace skep::btf {
namespace {

/// Writes down every call in one line.
class Recorder final : public ValueVisitor {
public:
    std::string text;

    void begin_struct() override { text += "{"; }
    void member(std::string_view name) override { text += std::string(name) + ":"; }
    void end_struct() override { text += "}"; }
    void begin_array() override { text += "["; }
    void end_array() override { text += "]"; }
    void integer(std::int64_t value) override { text += "i" + std::to_string(value) + " "; }
    void natural(std::uint64_t value) override { text += "n" + std::to_string(value) + " "; }
    void bits(std::uint64_t high, std::uint64_t low) override {
        text += "b" + std::to_string(high) + "." + std::to_string(low) + " ";
    }
    void boolean(bool value) override { text += value ? "true " : "false "; }
    void character(char value) override { text += "c" + std::to_string(value) + " "; }
    void string(std::string_view value) override { text += "\"" + std::string(value) + "\" "; }
    void floating(double value) override { text += "f" + std::to_string(value) + " "; }
    void pointer(std::uint64_t value) override { text += "p" + std::to_string(value) + " "; }
    void enumerator(std::string_view name, std::int64_t value) override {
        text += "e" + std::string(name) + "=" + std::to_string(value) + " ";
    }
    void opaque(Bytes bytes) override { text += "?" + std::to_string(bytes.size()) + " "; }
};

std::string shown(const BtfBuilder& builder, std::uint32_t id, std::vector<unsigned char> bytes) {
    const auto btf = Btf::parse(builder.emit());
    if (!btf)
        return btf.error().message;
    Recorder recorder;
    const auto done = visit_value(**btf, id, std::as_bytes(std::span(bytes)), recorder);
    return done ? recorder.text : done.error().message;
}

TEST(value, struct_with_array_enum_pointer_and_bit_field) {
    BtfBuilder b;
    b.add_int("int", 4, true);
    b.add_array(1, 1, 2);
    const std::array<Enumerator, 1> names{Enumerator{"ON", 1}};
    b.add_enum(Kind::Enum, "state", 4, false, names);
    b.add_ptr(0);
    const std::array<Member, 5> fields{
        Member{.name = "a", .type = 2}, Member{.name = "on", .type = 3, .bit_offset = 64},
        Member{.name = "low", .type = 1, .bit_offset = 96, .bit_size = 4},
        Member{.name = "high", .type = 1, .bit_offset = 100, .bit_size = 4},
        Member{.name = "p", .type = 4, .bit_offset = 128}};
    b.add_composite(Kind::Struct, "s", 24, fields);
    EXPECT_EQ(shown(b, 5, {0xff, 0xff, 0xff, 0xff, 2,    0,    0, 0, 1, 0, 0, 0,
                           0x5a, 0,    0,    0,    0xef, 0xbe, 0, 0, 0, 0, 0, 0}),
              "{a:[i-1 i2 ]on:eON=1 low:i-6 high:i5 p:p48879 }");
}

TEST(value, chars_with_a_nul_are_text) {
    BtfBuilder b;
    b.add_int("char", 1, true);
    b.add_int("int", 4);
    b.add_array(1, 2, 4);
    EXPECT_EQ(shown(b, 3, {'a', '"', 0, 7}), "\"a\"\" ");
    EXPECT_EQ(shown(b, 3, {'a', 'b', 'c', 'd'}), "[i97 i98 i99 i100 ]");
}

TEST(value, booleans_characters_floats_and_wide_integers) {
    BtfBuilder b;
    b.add_int("_Bool", 1, false, false, true);
    b.add_int("c", 1, false, true);
    b.add_float("float", 4);
    b.add_int("__int128", 16, true);
    EXPECT_EQ(shown(b, 1, {1}), "true ");
    EXPECT_EQ(shown(b, 2, {'x'}), "c120 ");
    EXPECT_EQ(shown(b, 2, {7}), "c7 ");
    EXPECT_EQ(shown(b, 3, {0, 0, 0xc0, 0x3f}), "f1.500000 ");
    EXPECT_EQ(shown(b, 4, {1, 0, 0, 0, 0, 0, 0, 0, 2}), "9 bytes given, BTF type 4 (int) takes 16");
    EXPECT_EQ(shown(b, 4, {1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0}), "b2.1 ");
}

TEST(value, types_without_a_size_are_refused) {
    BtfBuilder b;
    b.add_fwd("later");
    EXPECT_EQ(shown(b, 0, {}), "BTF type 0 (void) has no size");
    EXPECT_EQ(shown(b, 1, {}), "BTF type 1 (fwd) has no size");
    EXPECT_EQ(shown(b, 9, {}), "BTF type 9, the last one is 1");
}

TEST(value, unions_that_double_end_with_an_error) {
    BtfBuilder b;
    b.add_int("int", 4);
    std::uint32_t last = 1;
    for (int i = 0; i < 60; ++i) {
        const std::array<Member, 2> both{Member{.name = "a", .type = last},
                                         Member{.name = "b", .type = last}};
        last = b.add_composite(Kind::Union, "u" + std::to_string(i), 4, both);
    }
    EXPECT_EQ(shown(b, last, {0, 0, 0, 0}), "the type has too many parts to be shown");
}

} // namespace
} // namespace skep::btf
