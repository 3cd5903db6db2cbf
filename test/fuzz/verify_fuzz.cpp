// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <span>

#include "fact_watch.hpp"
#include "program_text.hpp"
#include "quiet_host.hpp"

#include "skep/base/check.hpp"
#include "skep/helpers/helpers.hpp"
#include "skep/interp/interp.hpp"
#include "skep/isa/decode.hpp"
#include "skep/verifier/verifier.hpp"

constexpr std::uint64_t kFuel = 5'000; // Following a run takes longer than running.

/// The first byte chooses the program type; the rest is code. Whatever the code is, the verifier
/// answers within its budget; what it accepts runs without a trap and inside its proof.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace skep;
    if (size < 9)
        return 0;
    const auto bytes = std::as_bytes(std::span(data + 1, (size - 1) / 8 * 8));
    auto insns = isa::decode(bytes);
    SKEP_CHECK(insns.has_value());
    const auto type = (data[0] & 1) == 0   ? spec::ProgramType::Xdp
                      : (data[0] & 2) == 0 ? spec::ProgramType::SchedCls
                                           : spec::ProgramType::Kprobe;
    const auto program = test::program_of(*std::move(insns), type);
    spec::MapDef def{
        .kind = spec::MapKind::Array, .key_size = 4, .value_size = 64, .max_entries = 1};
    def.name = "memory";
    const std::array views{verifier::MapView{.def = &def}};
    const verifier::Report report = verifier::verify(*program, views,
                                                     {.max_visits = 20'000,
                                                      .max_states = 5'000,
                                                      .keep_certificate = true,
                                                      .explain = true,
                                                      .facts = true});
    SKEP_CHECK((report.outcome == verifier::Outcome::Accepted) == report.findings.empty());
    SKEP_CHECK(report.findings.empty() || !report.findings[0].message.starts_with("internal"));
    if (report.outcome != verifier::Outcome::Accepted || program->type == spec::ProgramType::Kprobe)
        return 0;
    std::array<std::byte, 64> value{};
    const std::array slots{exec::MapSlot{.def = &def,
                                         .values = value.data(),
                                         .stride = def.value_size,
                                         .direct_size = def.value_size}};
    // Only helpers that do without a real map.
    exec::HelperTable table;
    for (const std::size_t id : {5U, 7U, 8U, 14U, 125U})
        table.functions[id] = helpers::table().functions[id];
    const auto code = interp::Code::compile(
        program, {.maps = slots, .helpers = &table, .zero_uninitialised_stack = true},
        interp::Mode::Traced);
    if (!code)
        return 0;
    test::QuietHost host;
    exec::Context context(*spec::find_context(program->type));
    SKEP_CHECK(context.set_packet(std::span(value).first(20 + data[0] % 40)).has_value());
    const auto follower = report.certificate->follow();
    exec::RunContext run;
    run.host = &host;
    run.context = &context;
    test::FactWatch facts(*program, *report.facts, *follower);
    run.observer = &facts;
    const interp::RunOutcome outcome = (*code)->run(run, kFuel);
    if (outcome.trap)
        std::fprintf(stderr, "insn %d: %s\n", outcome.trap.insn,
                     exec::describe(outcome.trap).c_str());
    SKEP_CHECK(follower->violation().empty());
    SKEP_CHECK(facts.violation().empty());
    SKEP_CHECK(follower->compared() <= report.statistics.worst_case);
    SKEP_CHECK(!outcome.trap || report.statistics.worst_case > kFuel ||
               outcome.trap.kind != exec::TrapKind::OutOfFuel);
    SKEP_CHECK(!outcome.trap || outcome.trap.kind == exec::TrapKind::OutOfFuel);
    return 0;
}
