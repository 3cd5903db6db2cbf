// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// engine_agreement [--programs N] [--seed S] [--runs N] [--seconds N]: verifies generated programs
// and runs the accepted ones on random packets and maps, and on those at the limits of what the
// program compares, in the checked interpreter and compiled, as it is and with each fact tested.
// Results, packet and map must be equal. Exit: 0 all agree, 1 something differs, 2 usage, 77 no
// compiler for this machine.
#include <array>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>

#include "inputs.hpp"
#include "program_generator.hpp"
#include "program_text.hpp"
#include "quiet_host.hpp"

#include "skep/base/check.hpp"
#include "skep/helpers/helpers.hpp"
#include "skep/interp/interp.hpp"
#include "skep/isa/disassemble.hpp"
#include "skep/jit/jit.hpp"
#include "skep/maps/epoch.hpp"
#include "skep/verifier/verifier.hpp"

namespace {

using namespace skep;
using Clock = std::chrono::steady_clock;

struct Settings {
    std::uint64_t programs = 1000;
    std::uint64_t seed = 1;
    std::uint64_t runs = 8;
    std::uint64_t seconds = 0; ///< 0: as many programs as are asked for
};

struct Totals {
    std::uint64_t programs = 0;
    std::uint64_t accepted = 0;
    std::uint64_t runs = 0;
};

struct Result {
    std::uint64_t r0 = 0;
    std::vector<std::byte> value;
    std::vector<std::byte> packet;
    std::string trap;

    friend bool operator==(const Result&, const Result&) = default;
};

/// One program with its map in all engines.
class Bench {
public:
    Bench(std::shared_ptr<const Program> program, const Facts& facts)
        : program_(std::move(program)), value_(test::kValueBytes) {
        def_.name = "memory";
        def_.kind = spec::MapKind::Array;
        def_.key_size = 4;
        def_.value_size = test::kValueBytes;
        def_.max_entries = 1;
        const std::array slots{exec::MapSlot{.def = &def_,
                                             .values = value_.data(),
                                             .stride = def_.value_size,
                                             .direct_size = def_.value_size}};
        auto interp = interp::Code::compile(
            program_,
            {.maps = slots, .helpers = &helpers::table(), .zero_uninitialised_stack = true},
            interp::Mode::Checked);
        SKEP_CHECK(interp.has_value());
        interp_ = *std::move(interp);
        for (const bool test_facts : {false, true}) {
            auto code = jit::Code::compile(
                program_, {.maps = slots, .helpers = &helpers::table(), .facts = &facts},
                {.test_facts = test_facts});
            SKEP_CHECK(code.has_value());
            compiled_.push_back(*std::move(code));
        }
    }

    /// The interpreter's result first.
    std::vector<Result> run(Bytes value, Bytes packet) {
        std::vector<Result> results;
        results.push_back(one(value, packet, [&](exec::RunContext& run) {
            const auto outcome = interp_->run(run, 2'000'000);
            return std::pair(outcome.r0, outcome.trap);
        }));
        for (const auto& code : compiled_)
            results.push_back(one(value, packet, [&](exec::RunContext& run) {
                const maps::EpochGuard guard;
                const auto outcome = code->run(run);
                return std::pair(outcome.r0, outcome.trap);
            }));
        return results;
    }

private:
    Result one(Bytes value, Bytes packet, auto&& engine) {
        std::ranges::copy(value, value_.begin());
        context_.reset();
        SKEP_CHECK(context_.set_packet(packet).has_value());
        exec::RunContext run;
        test::QuietHost host; // Its random numbers begin anew.
        run.host = &host;
        run.context = &context_;
        const auto [r0, trap] = engine(run);
        const exec::Packet& after = context_.packet();
        return {r0,
                value_,
                {after.data, after.end},
                trap ? std::to_string(trap.insn) + ": " + exec::describe(trap) : ""};
    }

    std::shared_ptr<const Program> program_;
    spec::MapDef def_;
    std::vector<std::byte> value_;
    std::unique_ptr<const interp::Code> interp_;
    std::vector<std::shared_ptr<const jit::Code>> compiled_;
    exec::Context context_{*spec::find_context(spec::ProgramType::Xdp)};
};

void report(const Program& program, std::uint64_t seed, const Result& expected, const Result& found,
            std::size_t engine) {
    std::fprintf(stderr,
                 "seed %" PRIu64 ": %s: r0 0x%" PRIx64 " \"%s\", interpreter 0x%" PRIx64
                 " \"%s\"; value %s, packet %s\n",
                 seed, engine == 1 ? "jit" : "jit with facts tested", found.r0, found.trap.c_str(),
                 expected.r0, expected.trap.c_str(),
                 found.value == expected.value ? "equal" : "DIFFERS",
                 found.packet == expected.packet ? "equal" : "DIFFERS");
    for (std::uint32_t i = 0; i < program.insns.size(); ++i) {
        std::fprintf(stderr, "%5u: %s\n", i, isa::disassemble(program.insns, i).c_str());
        if (program.insns[i].opcode == isa::kLddw)
            ++i;
    }
}

bool agree(std::uint64_t seed, std::uint64_t runs, Totals& totals) {
    const auto program = test::program_of(test::make_program(seed));
    ++totals.programs;
    spec::MapDef def;
    def.name = "memory";
    def.kind = spec::MapKind::Array;
    def.key_size = 4;
    def.value_size = test::kValueBytes;
    def.max_entries = 1;
    const std::array views{verifier::MapView{.def = &def}};
    const verifier::Report proof =
        verifier::verify(*program, views, {.max_visits = 50'000, .facts = true});
    if (proof.outcome != verifier::Outcome::Accepted)
        return true;
    ++totals.accepted;
    Bench bench(program, *proof.facts);
    test::Inputs inputs(*program, seed);
    for (std::uint64_t i = 0; i < runs; ++i) {
        const auto value = inputs.bytes(test::kValueBytes);
        const auto packet = inputs.packet();
        const std::vector<Result> results = bench.run(value, packet);
        ++totals.runs;
        for (std::size_t engine = 1; engine < results.size(); ++engine)
            if (results[engine] != results[0]) {
                report(*program, seed, results[0], results[engine], engine);
                return false;
            }
    }
    return true;
}

std::optional<Settings> settings_of(std::span<char*> arguments) {
    Settings settings;
    for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
        const std::string name = arguments[i];
        const std::uint64_t value = std::strtoull(arguments[i + 1], nullptr, 0);
        if (name == "--programs")
            settings.programs = value;
        else if (name == "--seed")
            settings.seed = value;
        else if (name == "--runs")
            settings.runs = value;
        else if (name == "--seconds")
            settings.seconds = value;
        else
            return std::nullopt;
    }
    return arguments.size() % 2 == 0 ? std::optional(settings) : std::nullopt;
}

} // namespace

int main(int argc, char** argv) {
    const auto settings = settings_of(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
    if (!settings) {
        std::fprintf(
            stderr, "usage: engine_agreement [--programs N] [--seed S] [--runs N] [--seconds N]\n");
        return 2;
    }
    if (!jit::available()) {
        std::printf("skipped: there is no compiler for this machine\n");
        return 77;
    }
    const auto end = Clock::now() + std::chrono::seconds(settings->seconds);
    Totals totals;
    bool all = true;
    for (std::uint64_t i = 0; all; ++i) {
        if (settings->seconds == 0 ? i == settings->programs : Clock::now() >= end)
            break;
        all = agree(settings->seed * 1'000'003 + i, settings->runs, totals);
    }
    std::printf("%" PRIu64 " programs, %" PRIu64 " accepted, %" PRIu64 " runs, %s\n",
                totals.programs, totals.accepted, totals.runs,
                all ? "all engines agree" : "ENGINES DIFFER");
    return all && totals.runs != 0 ? 0 : 1;
}
