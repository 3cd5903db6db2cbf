// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/debuginfo/variables.hpp"

#include <algorithm>
#include <gmock/gmock.h>

#include "skep/base/file.hpp"

namespace skep::debuginfo {
namespace {

std::vector<std::byte> object(const std::string& name) {
    auto bytes = read_file(std::string(SKEP_OBJECTS) + "/" + name);
    EXPECT_TRUE(bytes);
    return bytes.value_or(std::vector<std::byte>());
}

std::shared_ptr<const Variables> variables(const std::string& name) {
    auto parsed = Variables::parse(object(name));
    EXPECT_TRUE(parsed) << parsed.error().to_string();
    return parsed ? *parsed : std::make_shared<const Variables>();
}

const Variable* find(const Variables& all, const std::string& function, const std::string& name) {
    const auto found = std::ranges::find_if(
        all.all(), [&](const Variable& v) { return v.function == function && v.name == name; });
    return found == all.all().end() ? nullptr : &*found;
}

class VariablesOf : public testing::TestWithParam<std::string> {};

TEST_P(VariablesOf, parameter_starts_in_its_register) {
    const auto all = variables(GetParam());
    const Variable* ctx = find(*all, "entry", "ctx");
    ASSERT_NE(ctx, nullptr);
    EXPECT_EQ(ctx->type, "struct context *");
    EXPECT_EQ(ctx->section, "xdp");
    EXPECT_EQ(ctx->line, 22U);
    EXPECT_TRUE(ctx->parameter);
    ASSERT_FALSE(ctx->locations.empty());
    EXPECT_EQ(ctx->locations[0].begin, 0U);
    EXPECT_EQ(ctx->locations[0].home, Home::Register);
    EXPECT_EQ(ctx->locations[0].number, 1);
}

TEST_P(VariablesOf, array_lives_in_the_frame) {
    const auto all = variables(GetParam());
    const Variable* table = find(*all, "entry", "table");
    ASSERT_NE(table, nullptr);
    EXPECT_EQ(table->type, "unsigned long[2]");
    ASSERT_FALSE(table->locations.empty());
    EXPECT_EQ(table->locations[0].home, Home::Frame);
    EXPECT_EQ(table->locations[0].value, 0);
}

TEST_P(VariablesOf, constant_needs_no_place) {
    const auto all = variables(GetParam());
    const Variable* always = find(*all, "entry", "always");
    ASSERT_NE(always, nullptr);
    ASSERT_FALSE(always->locations.empty());
    EXPECT_EQ(always->locations[0].home, Home::Constant);
    EXPECT_EQ(always->locations[0].value, 42);
}

TEST_P(VariablesOf, inlined_function_keeps_its_name) {
    const auto all = variables(GetParam());
    const Variable* input = find(*all, "entry", "input");
    ASSERT_NE(input, nullptr);
    EXPECT_EQ(input->inlined, "doubled");
    EXPECT_TRUE(input->parameter);
}

TEST_P(VariablesOf, sections_do_not_mix) {
    const auto all = variables(GetParam());
    std::vector<std::string> functions;
    for (const Variables::Live& live : all->at("tc", 0))
        functions.push_back(live.variable->function);
    EXPECT_THAT(functions, testing::ElementsAre("other"));
    EXPECT_NE(find(*all, "helper", "level"), nullptr);
    EXPECT_EQ(find(*all, "helper", "level")->section, ".text");
}

INSTANTIATE_TEST_SUITE_P(dwarf, VariablesOf, testing::Values("scopes.o", "scopes_4.o"));

TEST(variables, object_without_dwarf_has_none) {
    EXPECT_TRUE(variables("none.o")->all().empty());
}

TEST(variables, text_is_refused) {
    const auto parsed = Variables::parse(as_bytes("int main(void) { return 0; }"));
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().message, "not an ELF file");
}

TEST(variables, every_prefix_is_harmless) {
    const auto bytes = object("scopes.o");
    for (std::size_t size = 0; size < bytes.size(); size += 13)
        EXPECT_FALSE(Variables::parse(Bytes(bytes).first(size))) << size;
}

} // namespace
} // namespace skep::debuginfo
