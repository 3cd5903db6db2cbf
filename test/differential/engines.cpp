// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "engines.hpp"

#include <array>
#include <cstring>
#include <linux/bpf.h>
#include <unistd.h>

#include "generator.hpp"
#include "kernel_bpf.hpp"
#include "program_text.hpp"
#include "quiet_host.hpp"

#include "skep/base/check.hpp"
#include "skep/exec/trap.hpp"
#include "skep/maps/epoch.hpp"
#include "skep/spec/context.hpp"
#include "skep/spec/map_def.hpp"
#include "skep/verifier/verifier.hpp"

namespace skep::test {
namespace {

constexpr std::size_t kFrame = 64;

spec::MapDef map_def(std::size_t size) {
    spec::MapDef def;
    def.name = "memory";
    def.kind = static_cast<spec::MapKind>(BPF_MAP_TYPE_ARRAY);
    def.key_size = 4;
    def.value_size = static_cast<std::uint32_t>(size);
    def.max_entries = 1;
    return def;
}

Outcome refused(std::string why) {
    Outcome outcome;
    outcome.error = std::move(why);
    return outcome;
}

/// Closes a descriptor of the raw bpf(2) wrapper.
struct Owned {
    explicit Owned(int descriptor) : fd(descriptor) {}
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
    ~Owned() {
        if (fd >= 0)
            close(fd);
    }
    int fd;
};

} // namespace

Outcome run_interp(const std::vector<isa::Insn>& code, const std::vector<std::byte>& memory,
                   interp::Mode mode) {
    Outcome outcome;
    outcome.memory = memory;
    const spec::MapDef def = map_def(memory.size());
    exec::MapSlot slot;
    slot.def = &def;
    slot.values = outcome.memory.data();
    slot.stride = def.value_size;
    slot.direct_size = def.value_size;
    const std::array slots{slot};
    const exec::HelperTable helpers{};
    const auto compiled =
        interp::Code::compile(program_of(code), {.maps = slots, .helpers = &helpers}, mode);
    if (!compiled)
        return refused(compiled.error().to_string());

    QuietHost host;
    exec::Context context(*spec::find_context(spec::ProgramType::Xdp));
    const std::array<std::byte, kFrame> frame{};
    SKEP_CHECK(context.set_packet(frame).has_value());
    exec::RunContext state;
    state.host = &host;
    state.context = &context;
    const interp::RunOutcome result = (*compiled)->run(state, 10'000'000);
    if (result.trap)
        return refused("insn " + std::to_string(result.trap.insn) + ": " +
                       exec::describe(result.trap));
    outcome.r0 = static_cast<std::uint32_t>(result.r0);
    return outcome;
}

Outcome run_jit(const std::vector<isa::Insn>& code, const std::vector<std::byte>& memory,
                const jit::Options& options) {
    Outcome outcome;
    outcome.memory = memory;
    const spec::MapDef def = map_def(memory.size());
    const std::array views{verifier::MapView{.def = &def}};
    const auto program = program_of(code);
    const verifier::Report report = verifier::verify(*program, views, {.facts = true});
    if (report.outcome != verifier::Outcome::Accepted)
        return refused("insn " + std::to_string(report.findings.front().insn) + ": " +
                       report.findings.front().message);
    const std::array slots{exec::MapSlot{.def = &def,
                                         .values = outcome.memory.data(),
                                         .stride = def.value_size,
                                         .direct_size = def.value_size}};
    const exec::HelperTable helpers{};
    const auto compiled = jit::Code::compile(
        program, {.maps = slots, .helpers = &helpers, .facts = report.facts.get()}, options);
    if (!compiled)
        return refused(compiled.error().to_string());
    QuietHost host;
    exec::Context context(*spec::find_context(spec::ProgramType::Xdp));
    const std::array<std::byte, kFrame> frame{};
    SKEP_CHECK(context.set_packet(frame).has_value());
    exec::RunContext state;
    state.host = &host;
    state.context = &context;
    const maps::EpochGuard guard;
    const jit::RunOutcome result = (*compiled)->run(state);
    if (result.trap)
        return refused("insn " + std::to_string(result.trap.insn) + ": " +
                       exec::describe(result.trap));
    outcome.r0 = static_cast<std::uint32_t>(result.r0);
    return outcome;
}

Outcome run_kernel(const std::vector<isa::Insn>& code, const std::vector<std::byte>& memory) {
    const Owned map(kernel::map_create({.type = BPF_MAP_TYPE_ARRAY,
                                        .key_size = 4,
                                        .value_size = static_cast<std::uint32_t>(memory.size()),
                                        .max_entries = 1}));
    const std::uint32_t key = 0;
    if (map.fd < 0 || kernel::map_update(map.fd, &key, memory.data()) != 0)
        return refused("cannot make the map");

    std::vector<std::uint64_t> slots(code.size());
    std::memcpy(slots.data(), code.data(), code.size() * sizeof(isa::Insn));
    for (std::size_t i = 0; i < code.size(); ++i) {
        isa::Insn one = code[i];
        if (one.opcode != isa::kLddw || one.src != isa::kLddwMapValue)
            continue;
        one.imm = map.fd;
        std::memcpy(&slots[i], &one, sizeof one);
    }
    const Owned program(
        kernel::prog_load({.type = BPF_PROG_TYPE_XDP, .insns = slots, .log_level = 0}));
    if (program.fd < 0)
        return refused(std::string("not loaded: ") + std::strerror(-program.fd));

    const std::array<std::byte, kFrame> frame{};
    kernel::TestRun run{.data_in = frame, .data_room = 0};
    const int status = kernel::prog_test_run(program.fd, run);
    if (status != 0)
        return refused(std::string("not run: ") + std::strerror(-status));
    Outcome outcome;
    outcome.r0 = run.retval;
    outcome.memory.resize(memory.size());
    if (kernel::map_lookup(map.fd, &key, outcome.memory.data()) != 0)
        return refused("cannot read the map");
    return outcome;
}

std::uint64_t digest(const Outcome& outcome) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325U;
    const auto add = [&hash](std::uint8_t byte) { hash = (hash ^ byte) * 0x100000001b3U; };
    for (unsigned shift = 0; shift < 32; shift += 8)
        add(static_cast<std::uint8_t>(outcome.r0 >> shift));
    for (const std::byte byte : outcome.memory)
        add(std::to_integer<std::uint8_t>(byte));
    return hash;
}

std::vector<std::byte> random_memory(std::uint64_t seed, std::size_t size) {
    Random random(seed);
    std::vector<std::byte> made(size);
    for (std::byte& byte : made)
        byte = static_cast<std::byte>(random.next());
    return made;
}

} // namespace skep::test
