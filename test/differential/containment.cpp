// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// containment [--programs N] [--seed S] [--runs N] [OBJECT...]: verifies generated programs, or
// those of the objects, and runs the accepted ones in the checked interpreter on packets and maps,
// random ones and at the limits of what the program compares. At each instruction the registers and
// the stack must lie in the proof, and no run may trap. Exit: 0 all inside, 1 something outside, 2
// usage.
#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "fact_watch.hpp"
#include "inputs.hpp"
#include "program_generator.hpp"
#include "program_text.hpp"
#include "quiet_host.hpp"

#include "skep/base/check.hpp"
#include "skep/base/file.hpp"
#include "skep/helpers/helpers.hpp"
#include "skep/interp/interp.hpp"
#include "skep/isa/disassemble.hpp"
#include "skep/object/object.hpp"
#include "skep/runtime/runtime.hpp"
#include "skep/verifier/verifier.hpp"

namespace {

using namespace skep;
using test::Inputs;

struct Settings {
    std::uint64_t programs = 300;
    std::uint64_t seed = 1;
    std::uint64_t runs = 10;
    std::vector<std::string> objects;
};

struct Totals {
    std::uint64_t programs = 0;
    std::uint64_t accepted = 0;
    std::uint64_t summarised = 0; ///< of those, where functions were proved on their own
    std::uint64_t compared = 0;
    std::uint64_t facts = 0;
    std::uint64_t checker_disagrees = 0;
};

void print(const Program& program) {
    for (std::uint32_t i = 0; i < program.insns.size(); ++i) {
        std::fprintf(stderr, "%5u: %s\n", i, isa::disassemble(program.insns, i).c_str());
        if (program.insns[i].opcode == isa::kLddw)
            ++i;
    }
}

/// The same program with other registers in place of r6 to r9: it must be judged alike.
Program renamed(const Program& program) {
    Program other = program;
    const auto rename = [](std::uint8_t reg) {
        return reg < 6 || reg > 9 ? reg : static_cast<std::uint8_t>(15 - reg);
    };
    for (std::size_t i = 0; i < other.insns.size(); ++i) {
        isa::Insn& insn = other.insns[i];
        insn.dst = rename(insn.dst);
        if (insn.opcode == isa::kLddw) {
            ++i; // What src says is no register.
        } else if (insn.opcode != isa::kCall) {
            insn.src = rename(insn.src);
        }
    }
    return other;
}

/// False, with a report, if a run left the proof.
bool inside(const Program& program, const verifier::Report& report,
            const verifier::Follower& follower, const test::FactWatch& facts,
            const exec::Trap& trap, Totals& totals, std::uint64_t seed) {
    totals.compared += follower.compared();
    totals.facts += facts.compared();
    std::string what = follower.violation();
    if (what.empty())
        what = facts.violation();
    if (what.empty() && trap && trap.kind != exec::TrapKind::OutOfFuel)
        what = "instruction " + std::to_string(trap.insn) + ": " + exec::describe(trap);
    if (what.empty() && follower.compared() > report.statistics.worst_case)
        what = std::to_string(follower.compared()) + " instructions, at most " +
               std::to_string(report.statistics.worst_case) + " were proved";
    if (what.empty())
        return true;
    std::fprintf(stderr, "%s, seed %" PRIu64 ": %s\n", program.name.c_str(), seed, what.c_str());
    print(program);
    return false;
}

bool run_generated(std::uint64_t seed, std::uint64_t runs, Totals& totals) {
    const auto program = test::program_of(test::make_program(seed));
    ++totals.programs;
    spec::MapDef def;
    def.name = "memory";
    def.kind = spec::MapKind::Array;
    def.key_size = 4;
    def.value_size = test::kValueBytes;
    def.max_entries = 1;
    const std::array maps{verifier::MapView{.def = &def}};
    verifier::Options options{.max_visits = 50'000, .keep_certificate = true, .facts = true};
    if (seed % 2 != 0)
        options.least_summary = 0;
    const verifier::Report report = verifier::verify(*program, maps, options);
    const verifier::Report other = verifier::verify(renamed(*program), maps, options);
    if (other.outcome != report.outcome) {
        std::fprintf(stderr, "seed %" PRIu64 ": other registers, another verdict\n", seed);
        print(*program);
        return false;
    }
    if (report.outcome != verifier::Outcome::Accepted) {
        if (!report.findings.empty() && report.findings[0].code == "V900") {
            ++totals.checker_disagrees;
            std::fprintf(stderr, "seed %" PRIu64 ": %s\n", seed,
                         report.findings[0].message.c_str());
        }
        return true;
    }
    ++totals.accepted;
    totals.summarised += report.statistics.summaries != 0 ? 1 : 0;
    Inputs inputs(*program, seed);
    std::vector<std::byte> value(def.value_size);
    exec::MapSlot slot{.def = &def,
                       .values = value.data(),
                       .stride = def.value_size,
                       .direct_size = def.value_size};
    const std::array slots{slot};
    const auto code = interp::Code::compile(
        program, {.maps = slots, .helpers = &helpers::table(), .zero_uninitialised_stack = true},
        interp::Mode::Traced);
    SKEP_CHECK(code.has_value());
    test::QuietHost host;
    exec::Context context(*spec::find_context(spec::ProgramType::Xdp));
    for (std::uint64_t i = 0; i < runs; ++i) {
        std::ranges::copy(inputs.bytes(value.size()), value.begin());
        context.reset();
        SKEP_CHECK(context.set_packet(inputs.packet()).has_value());
        exec::RunContext run;
        run.host = &host;
        run.context = &context;
        const auto follower = report.certificate->follow();
        test::FactWatch facts(*program, *report.facts, *follower);
        run.observer = &facts;
        const interp::RunOutcome outcome = (*code)->run(run, 1'000'000);
        if (!inside(*program, report, *follower, facts, outcome.trap, totals, seed))
            return false;
    }
    return true;
}

bool run_object(const std::string& path, const Settings& settings, Totals& totals) {
    const auto bytes = read_file(path);
    if (!bytes) {
        std::fprintf(stderr, "%s\n", bytes.error().to_string().c_str());
        return false;
    }
    const auto object = object::open(*bytes, {});
    if (!object) {
        std::fprintf(stderr, "%s: %s\n", path.c_str(), object.error().to_string().c_str());
        return true;
    }
    std::vector<verifier::MapView> maps;
    for (const object::ObjectMap& map : object->maps)
        maps.push_back({.def = &map.def, .constants = map.frozen ? Bytes(map.contents) : Bytes{}});
    bool all = true;
    for (const auto& program : object->programs) {
        ++totals.programs;
        const auto report =
            verifier::verify(*program, maps, {.keep_certificate = true, .facts = true});
        if (report.outcome != verifier::Outcome::Accepted)
            continue;
        ++totals.accepted;
        totals.summarised += report.statistics.summaries != 0 ? 1 : 0;
        runtime::LoadOptions options{
            .engine = runtime::Engine::Traced, .fuel = 2'000'000, .zero_uninitialised_stack = true};
        options.host.fixed_time_ns = 1'000'000'000;
        options.host.random_seed = settings.seed;
        const std::array names{program->name};
        const auto loaded = runtime::Runtime::load(*object, options, names);
        if (!loaded)
            continue;
        const auto ready = (*loaded)->program(program->name);
        const auto* layout = spec::find_context(program->type);
        if (!ready || layout == nullptr)
            continue;
        Inputs inputs(*program, settings.seed);
        exec::Context context(*layout, layout->size == 0 ? 256U : 0U);
        for (std::uint64_t i = 0; i < settings.runs; ++i) {
            context.reset();
            std::ranges::copy(inputs.bytes(context.bytes().size()), context.bytes().begin());
            (void)context.set_packet(inputs.packet());
            const auto follower = report.certificate->follow();
            test::FactWatch facts(*program, *report.facts, *follower);
            const auto outcome = ready->run(context, 0, &facts);
            if (!inside(*program, report, *follower, facts, outcome.trap, totals, settings.seed)) {
                std::fprintf(stderr, "in %s\n", path.c_str());
                all = false;
                break;
            }
        }
    }
    return all;
}

std::optional<Settings> settings_of(std::span<char*> arguments) {
    Settings settings;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string name = arguments[i];
        if (!name.starts_with("--")) {
            settings.objects.push_back(name);
            continue;
        }
        if (++i == arguments.size())
            return std::nullopt;
        const std::uint64_t value = std::strtoull(arguments[i], nullptr, 0);
        if (name == "--programs")
            settings.programs = value;
        else if (name == "--seed")
            settings.seed = value;
        else if (name == "--runs")
            settings.runs = value;
        else
            return std::nullopt;
    }
    return settings;
}

} // namespace

int main(int argc, char** argv) {
    const auto settings = settings_of(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
    if (!settings) {
        std::fprintf(stderr,
                     "usage: containment [--programs N] [--seed S] [--runs N] [OBJECT...]\n");
        return 2;
    }
    Totals totals;
    bool all = true;
    for (const std::string& path : settings->objects)
        all = run_object(path, *settings, totals) && all;
    for (std::uint64_t i = 0; settings->objects.empty() && i < settings->programs && all; ++i)
        all = run_generated(settings->seed * 1'000'003 + i, settings->runs, totals);
    std::printf("%" PRIu64 " programs, %" PRIu64 " accepted, %" PRIu64 " with summaries, %" PRIu64
                " instructions and %" PRIu64 " facts compared, %s; the checker disagreed %" PRIu64
                " times\n",
                totals.programs, totals.accepted, totals.summarised, totals.compared, totals.facts,
                all ? "none outside the proof" : "SOMETHING OUTSIDE THE PROOF",
                totals.checker_disagrees);
    return all && totals.checker_disagrees == 0 ? 0 : 1;
}
