// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

#include "skep/isa/assemble.hpp"
#include "skep/runtime/input.hpp"
#include "skep/runtime/runtime.hpp"

namespace skep::runtime {
namespace {

using spec::MapKind;

std::shared_ptr<const Program> program(const std::string& name, std::string_view text) {
    auto insns = isa::assemble(text);
    EXPECT_TRUE(insns) << (insns ? "" : insns.error().to_string());
    auto made = std::make_shared<Program>();
    made->name = name;
    made->section = "xdp";
    made->type = spec::ProgramType::Xdp;
    made->license = "GPL";
    made->insns = *insns;
    made->subprograms = {
        {.name = name, .start = 0, .end = static_cast<std::uint32_t>(insns->size())}};
    return made;
}

const LoadOptions kChecked{.engine = Engine::Checked};

object::ObjectMap array(const std::string& name, std::uint32_t value_size,
                        std::uint32_t max_entries, MapKind kind = MapKind::Array) {
    return {.def = {.name = name,
                    .kind = kind,
                    .key_size = 4,
                    .value_size = value_size,
                    .max_entries = max_entries}};
}

std::vector<std::byte> bytes(std::initializer_list<int> values) {
    std::vector<std::byte> out;
    for (const int value : values)
        out.push_back(static_cast<std::byte>(value));
    return out;
}

RunResult run(const Runtime& runtime, const std::string& name) {
    const auto loaded = runtime.program(name);
    EXPECT_TRUE(loaded);
    exec::Context context(**context_of(spec::ProgramType::Xdp));
    return loaded->run(context);
}

TEST(runtime, returns_what_the_program_returns) {
    object::Object object;
    object.programs = {program("main", "r0 = 7\nexit\n")};
    const auto runtime = Runtime::load(object, kChecked);
    ASSERT_TRUE(runtime) << runtime.error().to_string();
    const RunResult result = run(**runtime, "main");
    EXPECT_FALSE(result.trap);
    EXPECT_EQ(result.retval, 7U);
    EXPECT_EQ(result.instructions, 2U);
}

TEST(runtime, internal_maps_hold_the_objects_contents) {
    object::Object object;
    auto data = array(".data", 4, 1);
    data.contents = bytes({1, 2, 3, 4});
    object.maps = {data};
    object.programs = {program("main", "r1 = map[id:0][0]+0\nr0 = *(u32 *)(r1 +0)\nexit\n")};
    const auto runtime = Runtime::load(object);
    ASSERT_TRUE(runtime) << runtime.error().to_string();
    EXPECT_EQ(run(**runtime, "main").retval, 0x04030201U);
}

TEST(runtime, loads_only_what_is_proved_safe) {
    object::Object object;
    object.programs = {program("main", "r0 = *(u32 *)(r1 +0)\nr0 = *(u8 *)(r0 +0)\nexit\n")};
    const auto runtime = Runtime::load(object);
    ASSERT_FALSE(runtime);
    EXPECT_EQ(runtime.error().code, ErrorCode::Rejected);
    EXPECT_EQ(runtime.error().place.instruction, 1);
    object.programs = {program("main", "r0 = 2\nexit\n")};
    const auto safe = Runtime::load(object);
    ASSERT_TRUE(safe);
    EXPECT_EQ(run(**safe, "main").retval, 2U);
    EXPECT_EQ(run(**safe, "main").instructions, 0U); // Nothing is checked, so nothing is counted.
}

TEST(runtime, a_frozen_map_is_read_only) {
    object::Object object;
    auto data = array(".rodata", 4, 1);
    data.contents = bytes({1, 2, 3, 4});
    data.frozen = true;
    object.maps = {data};
    object.programs = {
        program("main", "r1 = map[id:0][0]+0\nr2 = 5\n*(u32 *)(r1 +0) = r2\nr0 = 0\nexit\n")};
    const auto runtime = Runtime::load(object, kChecked);
    ASSERT_TRUE(runtime) << runtime.error().to_string();
    EXPECT_EQ(run(**runtime, "main").trap.kind, exec::TrapKind::ReadOnly);
    const std::uint32_t key = 0;
    EXPECT_EQ((*runtime)->maps()[0]->write(reinterpret_cast<const std::byte*>(&key),
                                           data.contents.data(), 0),
              -EPERM);
}

TEST(runtime, prog_array_slots_are_filled) {
    object::Object object;
    auto table = array("table", 4, 4, MapKind::ProgArray);
    table.slots = {{2, "target"}};
    object.maps = {table};
    object.programs = {program("main", "r2 = map[id:0]\nr3 = 2\ncall 12\nr0 = 1\nexit\n"),
                       program("target", "r0 = 9\nexit\n")};
    const std::vector<std::string> names{"main"};
    const auto runtime = Runtime::load(object, {}, names);
    ASSERT_TRUE(runtime) << runtime.error().to_string();
    EXPECT_EQ(run(**runtime, "main").retval, 9U);
}

TEST(runtime, a_tail_call_stays_within_the_program_type) {
    object::Object object;
    auto table = array("table", 4, 4, MapKind::ProgArray);
    table.slots = {{2, "target"}};
    object.maps = {table};
    const auto other = std::make_shared<Program>(*program("target", "r0 = 9\nexit\n"));
    other->type = spec::ProgramType::SchedCls;
    object.programs = {program("main", "r2 = map[id:0]\nr3 = 2\ncall 12\nr0 = 1\nexit\n"), other};
    const auto runtime = Runtime::load(object);
    ASSERT_TRUE(runtime) << runtime.error().to_string();
    const RunResult result = run(**runtime, "main");
    EXPECT_EQ(result.trap.kind, exec::TrapKind::BadCall);
    EXPECT_STREQ(result.trap.detail, "the program in the slot is of another type");
}

TEST(runtime, the_context_must_fit_the_program) {
    object::Object object;
    object.programs = {program("main", "r0 = *(u32 *)(r1 +150)\nexit\n")};
    const auto runtime = Runtime::load(object, kChecked);
    ASSERT_TRUE(runtime) << runtime.error().to_string();
    exec::Context context(**context_of(spec::ProgramType::SchedCls));
    const RunResult result = (*runtime)->program("main")->run(context);
    EXPECT_EQ(result.trap.kind, exec::TrapKind::BadContext);
    EXPECT_STREQ(result.trap.detail, "the context is of another program type");
}

TEST(runtime, maps_of_maps_are_filled) {
    object::Object object;
    auto outer = array("outer", 4, 2, MapKind::ArrayOfMaps);
    outer.def.inner = std::make_shared<spec::MapDef>(array("inner", 8, 1).def);
    outer.slots = {{1, "inner"}};
    object.maps = {outer, array("inner", 8, 1)};
    object.programs = {program("main",
                               "*(u32 *)(r10 -4) = 1\nr2 = r10\nr2 += -4\nr1 = map[id:0]\n"
                               "call 1\nr6 = r0\nr0 = 0\nif r6 == 0 goto pc+1\nr0 = 1\nexit\n")};
    const auto runtime = Runtime::load(object, kChecked);
    ASSERT_TRUE(runtime) << runtime.error().to_string();
    EXPECT_EQ(run(**runtime, "main").retval, 1U);
}

TEST(runtime, names_the_map_that_cannot_be_made) {
    object::Object object;
    object.maps = {array("huge", 0, 1)};
    const auto runtime = Runtime::load(object);
    ASSERT_FALSE(runtime);
    EXPECT_EQ(runtime.error().to_string(),
              "map \"huge\" (array): value_size is 0, expected at least 1");
}

TEST(runtime, names_the_program_that_calls_a_helper_that_is_not_there) {
    object::Object object;
    object.programs = {program("main", "call 499\nr0 = 0\nexit\n")};
    const auto runtime = Runtime::load(object, kChecked);
    ASSERT_FALSE(runtime);
    EXPECT_THAT(runtime.error().to_string(), ::testing::HasSubstr("program \"main\": "));
}

TEST(runtime, a_program_that_was_not_asked_for_is_not_there) {
    object::Object object;
    auto optional = std::make_shared<Program>(*program("optional", "r0 = 1\nexit\n"));
    optional->autoload = false;
    object.programs = {program("main", "r0 = 7\nexit\n"), optional};
    const auto runtime = Runtime::load(object);
    ASSERT_TRUE(runtime);
    EXPECT_EQ((*runtime)->programs().size(), 1U);
    const auto loaded = (*runtime)->program("optional");
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().to_string(), "program \"optional\" was not loaded");
}

TEST(runtime, suggests_the_program_that_was_meant) {
    object::Object object;
    object.programs = {program("filter", "r0 = 7\nexit\n")};
    const auto runtime = Runtime::load(object);
    ASSERT_TRUE(runtime);
    const auto loaded = (*runtime)->program("fitler");
    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().message + loaded.error().hint, ::testing::HasSubstr("filter"));
}

TEST(runtime, an_endless_program_runs_out_of_fuel) {
    object::Object object;
    object.programs = {program("main", "r0 = 0\ngoto pc-2\nexit\n")};
    const auto runtime = Runtime::load(object, {.engine = Engine::Checked, .fuel = 1000});
    ASSERT_TRUE(runtime) << runtime.error().to_string();
    EXPECT_EQ(run(**runtime, "main").trap.kind, exec::TrapKind::OutOfFuel);
}

TEST(runtime, threads_count_in_their_own_slots) {
    constexpr std::uint32_t kThreads = 4;
    constexpr int kRuns = 1000;
    object::Object object;
    object.maps = {array("counters", 8, 1, MapKind::PercpuArray)};
    object.programs = {program("main", "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[id:0]\n"
                                       "call 1\nif r0 == 0 goto pc+3\nr1 = *(u64 *)(r0 +0)\n"
                                       "r1 += 1\n*(u64 *)(r0 +0) = r1\nr0 = 0\nexit\n")};
    const auto runtime = Runtime::load(object, {.cpus = kThreads});
    ASSERT_TRUE(runtime) << runtime.error().to_string();
    const auto loaded = (*runtime)->program("main");
    ASSERT_TRUE(loaded);
    std::vector<std::thread> threads;
    for (std::uint32_t cpu = 0; cpu < kThreads; ++cpu)
        threads.emplace_back([&, cpu] {
            exec::Context context(**context_of(spec::ProgramType::Xdp));
            for (int i = 0; i < kRuns; ++i)
                static_cast<void>(loaded->run(context, cpu));
        });
    for (std::thread& thread : threads)
        thread.join();
    std::array<std::uint64_t, kThreads> counts{};
    const std::uint32_t key = 0;
    ASSERT_EQ((*runtime)->maps()[0]->read(reinterpret_cast<const std::byte*>(&key),
                                          reinterpret_cast<std::byte*>(counts.data())),
              0);
    EXPECT_THAT(counts, ::testing::Each(kRuns));
}

} // namespace
} // namespace skep::runtime
