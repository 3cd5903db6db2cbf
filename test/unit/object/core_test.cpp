// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "core.hpp"
#include "objects.hpp"
#include "skep/btf/build.hpp"

namespace skep::object {
namespace {

using btf::Kind;

// Another kernel's "node": a new first field, a wider count, port gone from the anonymous struct if
// asked, the bit-fields moved.
std::shared_ptr<const btf::Btf> target(bool with_port = true, bool with_count = true) {
    btf::BtfBuilder b;
    const std::uint32_t u16 = b.add_int("unsigned short", 2);
    const std::uint32_t u32 = b.add_int("unsigned int", 4);
    const std::uint32_t u64 = b.add_int("unsigned long", 8);
    const std::uint32_t s32 = b.add_int("int", 4, true);
    const std::vector<btf::Member> nested = {{.name = "port", .type = u16, .bit_offset = 32}};
    const std::uint32_t anonymous = b.add_composite(Kind::Struct, "", 8, nested);
    std::vector<btf::Member> members = {
        {.name = "fresh", .type = u64, .bit_offset = 0},
        {.name = "head", .type = s32, .bit_offset = 64},
        {.name = "low", .type = u32, .bit_offset = 96, .bit_size = 3},
        {.name = "high", .type = u32, .bit_offset = 104, .bit_size = 5}};
    if (with_count)
        members.push_back({.name = "count", .type = u64, .bit_offset = 128});
    if (with_port)
        members.push_back({.name = "", .type = anonymous, .bit_offset = 192});
    b.add_composite(Kind::Struct, "node", 32, members);
    const std::vector<btf::Enumerator> colors = {{.name = "RED", .value = 10},
                                                 {.name = "BLUE", .value = 20}};
    b.add_enum(Kind::Enum, "color", 4, false, colors);
    auto parsed = btf::Btf::parse(b.emit());
    EXPECT_TRUE(parsed) << parsed.error().to_string();
    return *parsed;
}

Object against(std::shared_ptr<const btf::Btf> types, const std::string& file = "core.o") {
    OpenOptions options;
    options.target_btf = std::move(types);
    options.target_name = "the test's target";
    return open_object(file, options);
}

// The immediates, offsets and sizes that a program came out with, as one line.
std::string code(const Object& object, const std::string& name) {
    std::string text;
    for (const isa::Insn& insn : program_of(object, name)->insns)
        text += std::to_string(insn.opcode) + ":" + std::to_string(insn.off) + ":" +
                std::to_string(insn.imm) + " ";
    return text;
}

bool holds_imm(const Object& object, const std::string& name, std::int32_t imm) {
    return std::ranges::any_of(program_of(object, name)->insns,
                               [imm](const isa::Insn& insn) { return insn.imm == imm; });
}

TEST(core, offset_is_the_targets) {
    for (const std::string file : {"core_v1.o", "core_v2.o", "core_v3.o", "core_v4.o"}) {
        const Object object = against(target(), file);
        EXPECT_TRUE(holds_imm(object, "offset", 16)) << code(object, "offset");
    }
}

TEST(core, target_is_looked_for_only_if_it_is_needed) {
    OpenOptions options;
    int asked = 0;
    options.find_target_btf = [&asked]() -> Result<std::shared_ptr<const btf::Btf>> {
        ++asked;
        return target();
    };
    EXPECT_TRUE(open_object("legacy_v3.o", options).failed.empty());
    EXPECT_EQ(asked, 0);
    EXPECT_TRUE(holds_imm(open_object("core_v3.o", options), "offset", 16));
    EXPECT_EQ(asked, 1);
}

TEST(core, load_takes_the_targets_offset_and_width) {
    const Object object = against(target());
    const isa::Insn& load = program_of(object, "load")->insns[0];
    EXPECT_EQ(load.opcode, isa::kLdx | isa::kMem | isa::kDw);
    EXPECT_EQ(load.off, 16);
}

TEST(core, anonymous_members_are_searched) {
    const Object object = against(target());
    EXPECT_EQ(program_of(object, "anonymous")->insns[0].off, 28);
}

TEST(core, size_and_sign_are_the_targets) {
    const Object object = against(target());
    EXPECT_TRUE(holds_imm(object, "size", 8)) << code(object, "size");
    EXPECT_TRUE(holds_imm(object, "sign", 1)) << code(object, "sign");
}

TEST(core, absent_field_does_not_exist) {
    EXPECT_TRUE(against(target()).failed.empty());
    const Object object = against(target(false));
    // port is 0, head is 1; clang multiplies by 2 with a shift.
    EXPECT_FALSE(code(object, "exists") == code(against(target()), "exists"));
}

TEST(core, bit_fields_have_shifts) {
    const Object object = against(target());
    // Bits 8 to 12 of the word at byte 12: 64 - 13 and 64 - 5.
    EXPECT_TRUE(holds_imm(object, "bits", 51)) << code(object, "bits");
    EXPECT_TRUE(holds_imm(object, "bits", 59)) << code(object, "bits");
}

TEST(core, types_exist_with_a_size) {
    const Object object = against(target());
    EXPECT_TRUE(holds_imm(object, "types", 1)) << code(object, "types");
    EXPECT_TRUE(holds_imm(object, "types", 32)) << code(object, "types");
}

TEST(core, type_that_lost_a_member_does_not_match) {
    EXPECT_TRUE(holds_imm(against(target()), "matches", 0)); // count is wider there
    const auto own = open_object("core.o").btf;
    EXPECT_TRUE(holds_imm(against(own), "matches", 1)) << code(against(own), "matches");
}

TEST(core, id_is_the_targets) {
    const auto types = target();
    const auto id = types->find(Kind::Struct, "node");
    ASSERT_TRUE(id);
    EXPECT_TRUE(holds_imm(against(types), "ids", static_cast<std::int32_t>(*id)));
}

TEST(core, enumerators_have_the_targets_values) {
    EXPECT_TRUE(holds_imm(against(target()), "enums", 20));
}

TEST(core, absent_field_is_poison_that_names_it) {
    const Object object = against(target(true, false));
    const auto program = program_of(object, "load");
    EXPECT_EQ(program->insns[0].opcode, isa::kCall);
    EXPECT_EQ(program->insns[0].imm, kPoisonedCall);
    ASSERT_EQ(program->poisoned.size(), 1U);
    EXPECT_EQ(program->poisoned[0].insn, 0U);
    EXPECT_EQ(program->poisoned[0].what, "struct node___local, field count");
}

TEST(core, without_target_the_program_fails_with_a_reason) {
    const Object object = open_object("core.o");
    const auto load = object.program("load");
    ASSERT_FALSE(load);
    EXPECT_EQ(load.error().to_string(),
              "section \"raw_tp/load\": instruction 0: CO-RE access to struct node___local, field "
              "count needs the types of a kernel, and there are none");
}

} // namespace
} // namespace skep::object
