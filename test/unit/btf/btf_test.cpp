// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "skep/btf/build.hpp"

namespace skep::btf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::shared_ptr<const Btf> parsed(const BtfBuilder& builder, bool big_endian = false,
                                  std::shared_ptr<const Btf> base = nullptr) {
    auto btf = Btf::parse(builder.emit(big_endian), std::move(base));
    EXPECT_TRUE(btf) << (btf ? "" : btf.error().message);
    return btf ? *btf : nullptr;
}

std::string refusal(const BtfBuilder& builder) {
    const auto btf = Btf::parse(builder.emit());
    return btf ? "accepted" : btf.error().message;
}

/// One type of every kind; ids 1 to 19 in the order of Kind.
BtfBuilder every_kind() {
    BtfBuilder b;
    b.add_int("int", 4, true);
    b.add_ptr(1);
    b.add_array(1, 1, 3);
    const std::array<Member, 3> fields{
        Member{.name = "a", .type = 1, .bit_offset = 0, .bit_size = 3},
        Member{.name = "b", .type = 2, .bit_offset = 64},
        Member{.name = "c", .type = 3, .bit_offset = 128}};
    b.add_composite(Kind::Struct, "s", 32, fields);
    const std::array<Member, 1> arm{Member{.name = "u", .type = 1}};
    b.add_composite(Kind::Union, "u", 4, arm);
    const std::array<Enumerator, 2> colours{Enumerator{"RED", 0}, Enumerator{"BLUE", -1}};
    b.add_enum(Kind::Enum, "colour", 4, true, colours);
    b.add_fwd("later");
    b.add_typedef("int_t", 1);
    b.add_modifier(Kind::Volatile, 8);
    b.add_modifier(Kind::Const, 9);
    b.add_modifier(Kind::Restrict, 2);
    b.add_func("f", 13, Linkage::Static);
    const std::array<Parameter, 2> parameters{Parameter{"x", 1}, Parameter{"", 0}};
    b.add_func_proto(1, parameters);
    b.add_var("v", 10);
    const std::array<SectionVariable, 1> variables{SectionVariable{14, 0, 4}};
    b.add_datasec(".data", 4, variables);
    b.add_float("double", 8);
    b.add_decl_tag("tagged", 4, 1);
    b.add_modifier(Kind::TypeTag, 1, "user");
    const std::array<Enumerator, 1> big{Enumerator{"BIG", 0x1234567890}};
    b.add_enum(Kind::Enum64, "wide", 8, false, big);
    return b;
}

TEST(btf, every_kind_is_read_back) {
    for (const bool big_endian : {false, true}) {
        const auto btf = parsed(every_kind(), big_endian);
        ASSERT_NE(btf, nullptr);
        ASSERT_EQ(btf->size(), 20);
        for (std::uint32_t id = 1; id < 20; ++id)
            EXPECT_EQ(btf->kind(id), static_cast<Kind>(id));
        EXPECT_EQ(btf->was_swapped(), big_endian);
        EXPECT_TRUE(btf->integer(1).is_signed);
        EXPECT_EQ(btf->target(2), 1);
        EXPECT_EQ(btf->array(3).count, 3);
        EXPECT_EQ(btf->member(4, 0).bit_size, 3);
        EXPECT_EQ(btf->member(4, 2).bit_offset, 128);
        EXPECT_EQ(btf->enumerator(6, 1).value, -1);
        EXPECT_EQ(btf->strip(10), 1);
        EXPECT_EQ(btf->strip(10, false), 8);
        EXPECT_EQ(btf->function_linkage(12), Linkage::Static);
        EXPECT_EQ(btf->parameter(13, 0).name, "x");
        EXPECT_EQ(btf->variable_linkage(14), Linkage::Global);
        EXPECT_EQ(btf->section_variable(15, 0).size, 4);
        EXPECT_THAT(btf->decl_tags(4, 1), ElementsAre("tagged"));
        EXPECT_THAT(btf->decl_tags(4), IsEmpty());
        EXPECT_EQ(btf->enumerator(19, 0).value, 0x1234567890);
    }
}

TEST(btf, copying_every_type_gives_the_same_bytes) {
    const auto bytes = every_kind().emit();
    const auto btf = *Btf::parse(bytes);
    BtfBuilder copy;
    for (std::uint32_t id = 1; id < btf->size(); ++id)
        copy.add_copy(*btf, id);
    EXPECT_EQ(copy.emit(), bytes);
}

TEST(btf, sizes_look_through_modifiers_and_arrays) {
    const auto btf = parsed(every_kind());
    EXPECT_EQ(btf->size_of(3), 12);
    EXPECT_EQ(btf->size_of(10), 4);
    EXPECT_EQ(btf->size_of(14), 4);
    EXPECT_EQ(btf->size_of(2), 8);
    EXPECT_EQ(btf->size_of(7), std::nullopt);
    EXPECT_EQ(btf->size_of(0), std::nullopt);
    EXPECT_EQ(btf->align_of(4), 8);
    EXPECT_EQ(btf->align_of(3), 4);
}

TEST(btf, misplaced_member_makes_alignment_one) {
    BtfBuilder b;
    b.add_int("int", 4, true);
    const std::array<Member, 1> fields{Member{.name = "a", .type = 1, .bit_offset = 8}};
    b.add_composite(Kind::Struct, "packed", 5, fields);
    EXPECT_EQ(parsed(b)->align_of(2), 1);
}

TEST(btf, types_are_found_by_kind_and_name) {
    const auto btf = parsed(every_kind());
    EXPECT_EQ(btf->find(Kind::Struct, "s"), 4);
    EXPECT_EQ(btf->find(Kind::Union, "s"), std::nullopt);
    EXPECT_EQ(btf->find(Kind::Struct, "none"), std::nullopt);
}

TEST(btf, flavours_share_an_essential_name) {
    EXPECT_EQ(essential_name("task___old"), "task");
    EXPECT_EQ(essential_name("a___b___c"), "a___b");
    EXPECT_EQ(essential_name("a___b"), "a");
    EXPECT_EQ(essential_name("task____old"), "task____old");
    EXPECT_EQ(essential_name("___old"), "___old");
    EXPECT_EQ(essential_name("task___"), "task___");
    BtfBuilder b;
    b.add_int("x", 4);
    b.add_composite(Kind::Struct, "s___one", 0, {});
    b.add_composite(Kind::Struct, "s", 0, {});
    EXPECT_THAT(parsed(b)->with_essential_name("s"), ElementsAre(2, 3));
}

TEST(btf, split_btf_continues_ids_and_strings_of_its_base) {
    const auto base = parsed(every_kind());
    BtfBuilder b(base.get());
    const std::array<Member, 1> fields{Member{.name = "inner", .type = 4}};
    const std::uint32_t id = b.add_composite(Kind::Struct, "outer", 32, fields);
    EXPECT_EQ(id, 20);
    const auto btf = parsed(b, false, base);
    ASSERT_NE(btf, nullptr);
    EXPECT_EQ(btf->name(20), "outer");
    EXPECT_EQ(btf->name(4), "s");
    EXPECT_EQ(btf->member(20, 0).name, "inner");
    EXPECT_EQ(btf->align_of(20), 8);
    EXPECT_EQ(btf->find(Kind::Struct, "s"), 4);
    EXPECT_EQ(btf->find(Kind::Struct, "outer"), 20);
    EXPECT_THAT(btf->decl_tags(4, 1), ElementsAre("tagged"));
}

TEST(btf_refusal, a_typedef_of_itself) {
    BtfBuilder b;
    b.add_typedef("loop", 1);
    EXPECT_EQ(refusal(b), "BTF type 1 (typedef): it contains itself");
}

TEST(btf_refusal, a_pointer_to_itself_without_a_struct) {
    BtfBuilder b;
    b.add_ptr(2);
    b.add_ptr(1);
    EXPECT_EQ(refusal(b), "BTF type 1 (ptr): it refers to itself");
}

TEST(btf_refusal, a_struct_that_holds_itself_by_value) {
    BtfBuilder b;
    const std::array<Member, 1> fields{Member{.name = "self", .type = 2}};
    b.add_composite(Kind::Struct, "s", 8, fields);
    b.add_modifier(Kind::Const, 1);
    EXPECT_EQ(refusal(b), "BTF type 1 (struct): it contains itself");
}

TEST(btf_refusal, an_array_of_itself) {
    BtfBuilder b;
    b.add_int("int", 4);
    b.add_array(2, 1, 1);
    EXPECT_EQ(refusal(b), "BTF type 2 (array): it contains itself");
}

TEST(btf_refusal, a_type_that_does_not_exist) {
    BtfBuilder b;
    b.add_ptr(7);
    EXPECT_EQ(refusal(b), "BTF type 1 (ptr): it refers to type 7, the last one is 1");
}

TEST(btf_refusal, every_truncation) {
    const auto bytes = every_kind().emit();
    for (std::size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(Btf::parse(Bytes(bytes).first(size))) << size;
}

TEST(btf_refusal, wrong_magic) {
    auto bytes = every_kind().emit();
    bytes[0] = std::byte{0x7f};
    EXPECT_EQ(Btf::parse(bytes).error().message, "BTF magic is 0xeb7f, expected 0xeb9f");
}

TEST(btf_refusal, a_chain_of_modifiers_that_is_too_long) {
    BtfBuilder b;
    b.add_int("int", 4);
    for (std::uint32_t i = 1; i < 40; ++i)
        b.add_modifier(Kind::Const, i);
    EXPECT_EQ(refusal(b), "BTF type 34 (const): more than 32 modifiers in a row");
}

} // namespace
} // namespace skep::btf
