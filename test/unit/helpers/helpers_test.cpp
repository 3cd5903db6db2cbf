// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// What cannot be compared with the kernel: the clock, the process, recorded outcomes. The rest is
// in test/differential.
#include <array>
#include <cerrno>
#include <gmock/gmock.h>

#include "skep/helpers/helpers.hpp"
#include "skep/isa/assemble.hpp"
#include "skep/runtime/input.hpp"
#include "skep/runtime/runtime.hpp"
#include "skep/spec/helper.hpp"

namespace skep::helpers {
namespace {

using runtime::RunResult;
using spec::MapKind;
using spec::ProgramType;
using Redirect = exec::RedirectOutcome::Kind;

/// One program and its maps, loaded.
class Loaded {
public:
    explicit Loaded(std::string_view text, ProgramType type = ProgramType::Xdp,
                    runtime::HostOptions host = {}, std::vector<object::ObjectMap> maps = {}) {
        auto insns = isa::assemble(text);
        EXPECT_TRUE(insns) << (insns ? "" : insns.error().to_string());
        auto program = std::make_shared<Program>();
        program->name = "main";
        program->type = type;
        program->license = "GPL";
        program->insns = *insns;
        program->subprograms = {
            {.name = "main", .start = 0, .end = static_cast<std::uint32_t>(insns->size())}};
        object::Object object;
        object.maps = std::move(maps);
        object.programs = {program};
        auto loaded = runtime::Runtime::load(object, {.cpus = 4, .host = std::move(host)});
        EXPECT_TRUE(loaded) << (loaded ? "" : loaded.error().to_string());
        runtime_ = *std::move(loaded);
    }

    RunResult run(std::vector<std::byte> context_bytes = {}, std::uint32_t cpu = 0) {
        const auto program = *runtime_->program("main");
        exec::Context context(**runtime::context_of(program.program().type),
                              static_cast<std::uint32_t>(context_bytes.size()));
        const std::vector<std::byte> frame(64);
        EXPECT_TRUE(context.set_packet(frame));
        std::ranges::copy(context_bytes, context.bytes().begin());
        RunResult result = program.run(context, cpu);
        EXPECT_FALSE(result.trap) << exec::describe(result.trap);
        return result;
    }

    [[nodiscard]] maps::Map& map(std::size_t index) const { return *runtime_->maps()[index]; }

private:
    std::unique_ptr<runtime::Runtime> runtime_;
};

std::uint64_t r0(std::string_view text, runtime::HostOptions host = {}) {
    return Loaded(text, ProgramType::Kprobe, std::move(host)).run().r0;
}

TEST(clock_helpers, read_the_fixed_clock) {
    for (const char* call : {"call 5; exit", "call 125; exit", "call 208; exit"})
        EXPECT_EQ(r0(call, {.fixed_time_ns = 1234}), 1234U) << call;
}

TEST(process_helpers, read_what_was_fixed) {
    const runtime::HostOptions host{.pid = 7, .tgid = 8, .uid = 9, .gid = 10, .comm = "sshd"};
    EXPECT_EQ(r0("call 14; exit", host), std::uint64_t{8} << 32 | 7);
    EXPECT_EQ(r0("call 15; exit", host), std::uint64_t{10} << 32 | 9);
    EXPECT_EQ(r0("r1 = r10; r1 += -16; r2 = 16; call 16; r0 = *(u32 *)(r10 -16); exit", host),
              0x64687373U); // "sshd"
}

TEST(random_helper, repeats_with_a_seed) {
    const std::string text = "call 7; r6 = r0; call 7; r6 <<= 32; r0 |= r6; exit";
    EXPECT_EQ(r0(text, {.random_seed = 5}), r0(text, {.random_seed = 5}));
    EXPECT_NE(r0(text, {.random_seed = 5}), r0(text, {.random_seed = 6}));
}

TEST(cpu_helper, tells_the_cpu_of_the_run) {
    Loaded program("call 8; exit");
    EXPECT_EQ(program.run({}, 0).r0, 0U);
    EXPECT_EQ(program.run({}, 3).r0, 3U);
}

TEST(redirect_helpers, record_where_to) {
    const RunResult to_device = Loaded("r1 = 7; r2 = 0; call 23; exit").run();
    EXPECT_EQ(to_device.retval, 4U); // XDP_REDIRECT
    EXPECT_EQ(to_device.redirect.kind, Redirect::Ifindex);
    EXPECT_EQ(to_device.redirect.ifindex, 7U);

    const RunResult to_peer = Loaded("r1 = 9; r2 = 0; call 155; exit", ProgramType::SchedCls).run();
    EXPECT_EQ(to_peer.retval, 7U); // TC_ACT_REDIRECT
    EXPECT_EQ(to_peer.redirect.kind, Redirect::Peer);
    EXPECT_EQ(to_peer.redirect.ifindex, 9U);
}

TEST(redirect_helpers, record_the_element_of_a_map) {
    object::ObjectMap devices{.def = {.name = "devices",
                                      .kind = MapKind::Devmap,
                                      .key_size = 4,
                                      .value_size = 4,
                                      .max_entries = 4}};
    Loaded program("r1 = map[id:0]; r2 = 2; r3 = 2; call 51; exit", ProgramType::Xdp, {},
                   {devices});
    const RunResult missing = program.run();
    EXPECT_EQ(missing.retval, 2U); // The verdict that the flags name.
    EXPECT_EQ(missing.redirect.kind, Redirect::None);
    const std::uint32_t key = 2;
    const std::uint32_t interface = 5;
    ASSERT_EQ(program.map(0).write(reinterpret_cast<const std::byte*>(&key),
                                   reinterpret_cast<const std::byte*>(&interface), 0),
              0);
    const RunResult there = program.run();
    EXPECT_EQ(there.retval, 4U); // XDP_REDIRECT
    EXPECT_EQ(there.redirect.kind, Redirect::Map);
    EXPECT_EQ(there.redirect.ifindex, 2U);
}

TEST(function_helpers, read_the_registers_of_a_kprobe) {
    std::vector<std::byte> registers(168);
    registers[128] = std::byte{0x42}; // ip
    EXPECT_EQ(Loaded("call 173; exit", ProgramType::Kprobe).run(registers).r0, 0x42U);
}

TEST(print_helper, hands_its_text_to_the_host) {
    std::string printed;
    const std::string format = "pid %d";
    object::ObjectMap text{.def = {.name = ".rodata",
                                   .kind = MapKind::Array,
                                   .key_size = 4,
                                   .value_size = 8,
                                   .max_entries = 1,
                                   .flags = 0x80},
                           .frozen = true};
    text.contents.assign(8, std::byte{0});
    std::ranges::copy(as_bytes(format), text.contents.begin());
    Loaded program("r1 = map[id:0][0]+0; r2 = 7; r3 = 42; call 6; exit", ProgramType::Kprobe,
                   {.printk = [&](std::string_view line) { printed += line; }}, {text});
    EXPECT_EQ(program.run().r0, 6U); // Characters, without the NUL.
    EXPECT_THAT(printed, testing::HasSubstr("pid 42"));
}

TEST(table, has_no_helper_without_a_prototype) {
    int there = 0;
    for (std::uint32_t id = 0; id < exec::kMaxHelper; ++id) {
        if (table().functions[id] == nullptr)
            continue;
        ++there;
        EXPECT_NE(spec::find_helper(id), nullptr) << id;
    }
    EXPECT_GE(there, 90);
}

} // namespace
} // namespace skep::helpers
