// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <gmock/gmock.h>

#include "objects.hpp"
#include "skep/btf/btf.hpp"
#include "skep/debuginfo/variables.hpp"

namespace skep::object {
namespace {

using testing::ElementsAre;
using testing::Pair;

Object whole() {
    OpenOptions options;
    options.kconfig = {{"CONFIG_PRESENT", "y"}, {"CONFIG_NAME", "\"skep\""}};
    options.kernel_version = 0x060c01;
    return open_object("whole.o", options);
}

const ObjectMap& map_of(const Object& object, const std::string& name) {
    const auto index = object.map_index(name);
    EXPECT_TRUE(index) << name;
    return object.maps[index.value_or(0)];
}

TEST(maps, attributes_come_from_the_type) {
    const Object object = whole();
    const spec::MapDef& def = map_of(object, "table").def;
    EXPECT_EQ(def.kind, spec::MapKind::Hash);
    EXPECT_EQ(def.key_size, 4U);
    EXPECT_EQ(def.value_size, 8U);
    EXPECT_EQ(def.max_entries, 64U);
    EXPECT_EQ(def.flags, 1U);
    EXPECT_EQ(def.pinning, spec::Pinning::ByName);
    EXPECT_EQ(object.btf->name(def.value_type), "pair");
}

TEST(maps, maps_of_maps_name_their_first_entries) {
    const Object object = whole();
    const ObjectMap& outer = map_of(object, "outer");
    EXPECT_THAT(outer.slots, ElementsAre(Pair(1, "first"), Pair(3, "second")));
    ASSERT_NE(outer.def.inner, nullptr);
    EXPECT_EQ(outer.def.inner->value_size, 8U);
    EXPECT_EQ(outer.def.inner->max_entries, 2U);
}

TEST(maps, prog_arrays_name_their_programs) {
    EXPECT_THAT(map_of(whole(), "jumps").slots, ElementsAre(Pair(2, "last")));
}

TEST(maps, ring_buffers_take_whole_pages) {
    const std::uint32_t entries = map_of(whole(), "events").def.max_entries;
    EXPECT_GE(entries, 5000U);
    EXPECT_EQ(entries & (entries - 1), 0U);
}

TEST(maps, data_sections_keep_their_suffix) {
    const Object object = whole();
    EXPECT_EQ(map_of(object, ".data.other").contents.size(), 2U);
    EXPECT_TRUE(map_of(object, ".rodata").frozen);
    EXPECT_FALSE(map_of(object, ".bss").frozen);
}

TEST(maps, old_definitions_work_with_a_warning) {
    for (const std::string cpu : {"v1", "v2", "v3", "v4"}) {
        const Object object = open_object("legacy_" + cpu + ".o");
        ASSERT_EQ(object.maps.size(), 1U);
        EXPECT_EQ(object.maps[0].def.value_size, 8U);
        EXPECT_EQ(object.maps[0].def.max_entries, 16U);
        EXPECT_THAT(object.warnings,
                    ElementsAre("section \"maps\" defines 1 maps in the old way, which libbpf 1.0 "
                                "refuses: use SEC(\".maps\")"));
        EXPECT_EQ(program_of(object, "reader")->section, "socket");
    }
}

TEST(kconfig, values_are_written_as_their_types) {
    const Object object = whole();
    const ObjectMap& config = map_of(object, ".kconfig");
    // Most aligned first, then smallest: int, bool, char[8].
    ASSERT_EQ(config.contents.size(), 13U);
    EXPECT_EQ(load<std::uint32_t>(config.contents.data()), 0x060c01U);
    EXPECT_EQ(std::to_integer<int>(config.contents[4]), 1);
    EXPECT_EQ(as_text(Bytes(config.contents).subspan(5, 4)), "skep");
}

TEST(kconfig, weak_and_unknown_is_zero) {
    const Object object = open_object("whole.o");
    EXPECT_EQ(std::to_integer<int>(map_of(object, ".kconfig").contents[4]), 0);
}

TEST(kconfig, value_that_does_not_fit_fails_only_its_programs) {
    OpenOptions options;
    options.kconfig = {{"CONFIG_PRESENT", "m"}};
    const Object object = open_object("whole.o", options);
    ASSERT_EQ(object.failed.size(), 1U);
    EXPECT_EQ(object.failed[0].program, "main_program");
    EXPECT_EQ(object.failed[0].error.message,
              "extern \"CONFIG_PRESENT\": m does not fit in a bool");
    EXPECT_TRUE(object.program("last"));
}

TEST(link, license_and_version_are_the_objects) {
    const auto program = program_of(whole(), "last");
    EXPECT_EQ(program->license, "Dual MIT/GPL");
    EXPECT_EQ(program->kernel_version, 0x060c00U);
}

TEST(link, subprograms_follow_in_the_order_of_a_walk) {
    std::vector<std::pair<std::string, bool>> names;
    const auto program = program_of(whole(), "main_program");
    for (const Subprogram& sub : program->subprograms)
        names.emplace_back(sub.name, sub.global);
    EXPECT_THAT(names, ElementsAre(Pair("main_program", true), Pair("each", false),
                                   Pair("inner_most", false), Pair("checked", true)));
}

TEST(link, every_local_call_and_callback_lands_on_a_function) {
    const auto program = program_of(whole(), "main_program");
    int calls = 0;
    int callbacks = 0;
    for (std::size_t i = 0; i < program->insns.size(); ++i) {
        const isa::Insn& insn = program->insns[i];
        const bool call = insn.opcode == isa::kCall && insn.src == isa::kCallLocal;
        const bool callback = insn.opcode == isa::kLddw && insn.src == isa::kLddwFunc;
        calls += call ? 1 : 0;
        callbacks += callback ? 1 : 0;
        const auto target = static_cast<std::uint32_t>(static_cast<std::int64_t>(i) + insn.imm + 1);
        if (call || callback) {
            EXPECT_TRUE(std::ranges::any_of(program->subprograms, [target](const Subprogram& sub) {
                return sub.start == target;
            })) << i;
        }
    }
    EXPECT_EQ(calls, 3);
    EXPECT_EQ(callbacks, 1);
}

TEST(link, variables_are_a_map_and_an_offset) {
    const Object object = whole();
    const auto program = program_of(object, "main_program");
    bool found = false;
    for (std::size_t i = 0; i + 1 < program->insns.size(); ++i)
        if (program->insns[i].opcode == isa::kLddw && program->insns[i].src == isa::kLddwMapValue &&
            object.maps[static_cast<std::size_t>(program->insns[i].imm)].def.name == ".rodata")
            found = program->insns[i + 1].imm == 0;
    EXPECT_TRUE(found);
}

TEST(link, section_name_says_type_and_flags) {
    const Object object = whole();
    const auto main_program = program_of(object, "main_program");
    EXPECT_EQ(main_program->type, spec::ProgramType::Xdp);
    EXPECT_TRUE(main_program->xdp_frags);
    EXPECT_TRUE(main_program->autoload);
    const auto optional = program_of(object, "optional");
    EXPECT_EQ(optional->type, spec::ProgramType::Lsm);
    EXPECT_EQ(optional->section, "lsm.s/file_open");
    EXPECT_EQ(optional->attach_target, "file_open");
    EXPECT_FALSE(optional->autoload);
    EXPECT_TRUE(optional->sleepable);
}

TEST(link, unknown_section_has_a_suggestion) {
    const Object object = whole();
    EXPECT_THAT(object.warnings,
                ElementsAre("program \"misspelt\": section \"sokcet\" names no program type: did "
                            "you mean \"socket\"?"));
}

TEST(link, lines_belong_to_their_instructions) {
    const auto program = program_of(whole(), "last");
    ASSERT_FALSE(program->lines.empty());
    EXPECT_EQ(program->lines[0].insn, 0U);
    EXPECT_THAT(std::string(program->lines[0].file), testing::EndsWith("whole.bpf.c"));
    EXPECT_EQ(program->lines[0].text, "    return XDP_PASS;");
    EXPECT_EQ(program->lines[0].column, 5U);
}

TEST(link, weak_kernel_function_is_an_extern_or_null) {
    const auto unresolved = program_of(whole(), "main_program");
    ASSERT_EQ(unresolved->externs.size(), 1U);
    EXPECT_EQ(unresolved->externs[0].name, "bpf_absent");
    EXPECT_TRUE(unresolved->externs[0].weak);
    EXPECT_TRUE(unresolved->externs[0].function);
}

TEST(object, variables_are_read_when_asked_for) {
    EXPECT_EQ(program_of(whole(), "last")->variables, nullptr);
    OpenOptions options;
    options.variables = true;
    const auto program = program_of(open_object("whole.o", options), "main_program");
    ASSERT_NE(program->variables, nullptr);
    const auto live = program->variables->at("xdp.frags", 0);
    ASSERT_EQ(live.size(), 1U);
    EXPECT_EQ(live[0].variable->name, "ctx");
    EXPECT_EQ(live[0].variable->type, "struct xdp_md *");
}

TEST(object, unknown_program_has_a_suggestion) {
    const auto program = whole().program("main_progarm");
    ASSERT_FALSE(program);
    EXPECT_EQ(program.error().message, "no program \"main_progarm\"");
    EXPECT_EQ(program.error().hint, "did you mean \"main_program\"?");
}

TEST(object, constants_are_set_before_the_run) {
    Object object = whole();
    ASSERT_TRUE(object.set_global_integer("limit", 1234));
    EXPECT_EQ(load<std::uint32_t>(map_of(object, ".rodata").contents.data()), 1234U);
    const auto large = object.set_global_integer("limit", std::int64_t{1} << 40);
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().message,
              "1099511627776 does not fit in the 4 bytes of variable \"limit\"");
    const auto absent = object.set_global_integer("limt", 1);
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().hint, "did you mean \"limit\"?");
}

} // namespace
} // namespace skep::object
