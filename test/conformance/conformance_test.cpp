// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Runs every *.data file of this folder on every engine, and on the kernel where permitted.
//
// A file holds cases, separated by lines of "==== name". In a case, lines that start with '#' are
// comments; sections start with a line "-- kind":
//   -- asm       the program, in the syntax of isa::assemble(); it runs as a socket filter
//   -- packet    hexadecimal bytes, from the network header; 64 zeros if it is left out
//   -- result    r0, as 0x... or decimal: all engines; the kernel gives its low 32 bits
//   -- trap      instead: the instruction, a colon and describe(trap), of the checked interpreter;
//                such a program runs nowhere else
//   -- skip kernel  why the kernel cannot run it (one line of text after it)
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <gmock/gmock.h>

#include "kernel_bpf.hpp"
#include "skep/base/bytes.hpp"
#include "skep/interp/interp.hpp"
#include "skep/isa/assemble.hpp"
#include "skep/isa/decode.hpp"
#include "skep/isa/encode.hpp"
#include "skep/jit/jit.hpp"
#include "skep/maps/epoch.hpp"
#include "skep/verifier/verifier.hpp"

namespace skep::test {
namespace {

struct Case {
    std::string name;
    std::map<std::string, std::string> sections;
};

/// The files, by name without extension.
std::vector<std::string> files() {
    std::vector<std::string> names;
    for (const auto& entry :
         std::filesystem::directory_iterator(SKEP_SOURCE_DIR "/test/conformance"))
        if (entry.path().extension() == ".data")
            names.push_back(entry.path().stem().string());
    std::ranges::sort(names);
    return names;
}

std::vector<Case> read_cases(const std::string& name) {
    std::vector<Case> cases;
    std::ifstream file(SKEP_SOURCE_DIR "/test/conformance/" + name + ".data");
    std::string line;
    std::string section;
    while (std::getline(file, line)) {
        if (line.starts_with("==== ")) {
            cases.push_back({line.substr(5), {}});
        } else if (line.starts_with("-- ")) {
            section = line.substr(3);
            cases.back().sections[section] = "";
        } else if (!line.starts_with("#") && !cases.empty() && !line.empty()) {
            cases.back().sections[section] += line + "\n";
        }
    }
    return cases;
}

std::uint64_t number(std::string text) {
    text.erase(text.find_last_not_of(" \n") + 1);
    const bool hex = text.starts_with("0x");
    std::uint64_t value = 0;
    const char* from = text.data() + (hex ? 2 : 0);
    const auto [end, error] =
        std::from_chars(from, text.data() + text.size(), value, hex ? 16 : 10);
    EXPECT_TRUE(error == std::errc{} && end == text.data() + text.size())
        << "not a number: " << text;
    return value;
}

std::vector<std::byte> packet_of(const Case& test) {
    const auto found = test.sections.find("packet");
    if (found == test.sections.end())
        return std::vector<std::byte>(64);
    std::vector<std::byte> bytes;
    std::istringstream words(found->second);
    for (std::string word; words >> word;)
        bytes.push_back(static_cast<std::byte>(number("0x" + word)));
    return bytes;
}

std::shared_ptr<const Program> program_of(const Case& test) {
    auto insns = isa::assemble(test.sections.at("asm"));
    EXPECT_TRUE(insns.has_value()) << insns.error().to_string();
    auto program = std::make_shared<Program>();
    program->type = spec::ProgramType::SocketFilter;
    program->insns = insns.value_or(std::vector<isa::Insn>{});
    const auto starts = isa::function_starts(program->insns);
    for (const std::uint32_t start : starts)
        program->subprograms.push_back(
            {.start = start, .end = static_cast<std::uint32_t>(program->insns.size())});
    for (std::size_t i = 1; i < starts.size(); ++i)
        program->subprograms[i - 1].end = starts[i];
    return program;
}

interp::RunOutcome interpret(const Case& test, interp::Mode mode) {
    const auto code = interp::Code::compile(program_of(test), {}, mode);
    EXPECT_TRUE(code.has_value()) << code.error().to_string();
    if (!code)
        return {};
    exec::Context context(*spec::find_context(spec::ProgramType::SocketFilter));
    EXPECT_TRUE(context.set_packet(packet_of(test)).has_value());
    exec::RunContext state;
    state.context = &context;
    return (*code)->run(state, 10'000'000);
}

class Conformance : public testing::TestWithParam<std::string> {};

TEST_P(Conformance, checked_interpreter) {
    for (const Case& test : read_cases(GetParam())) {
        SCOPED_TRACE(test.name);
        const interp::RunOutcome outcome = interpret(test, interp::Mode::Checked);
        const std::string trap =
            outcome.trap ? std::to_string(outcome.trap.insn) + ": " + describe(outcome.trap) + "\n"
                         : "";
        if (test.sections.contains("trap")) {
            EXPECT_EQ(trap, test.sections.at("trap"));
            continue;
        }
        EXPECT_EQ(trap, "");
        EXPECT_EQ(outcome.r0, number(test.sections.at("result")));
    }
}

TEST_P(Conformance, unchecked_interpreter) {
    for (const Case& test : read_cases(GetParam())) {
        SCOPED_TRACE(test.name);
        if (test.sections.contains("trap"))
            continue;
        EXPECT_EQ(interpret(test, interp::Mode::Unchecked).r0, number(test.sections.at("result")));
    }
}

/// r0 of the compiled program, or why there is none.
std::string compiled(const Case& test, const jit::Options& options, std::uint64_t& r0) {
    const auto program = program_of(test);
    const verifier::Report report = verifier::verify(*program, {}, {.facts = true});
    if (report.outcome != verifier::Outcome::Accepted)
        return "not accepted: " + report.findings.front().message;
    const auto code = jit::Code::compile(program, {.facts = report.facts.get()}, options);
    if (!code)
        return code.error().to_string();
    exec::Context context(*spec::find_context(spec::ProgramType::SocketFilter));
    EXPECT_TRUE(context.set_packet(packet_of(test)).has_value());
    exec::RunContext state;
    state.context = &context;
    const maps::EpochGuard guard;
    const jit::RunOutcome outcome = (*code)->run(state);
    r0 = outcome.r0;
    return outcome.trap ? describe(outcome.trap) : "";
}

TEST_P(Conformance, jit) {
    if (!jit::available())
        GTEST_SKIP() << "there is no compiler for this machine";
    for (const Case& test : read_cases(GetParam())) {
        SCOPED_TRACE(test.name);
        if (test.sections.contains("trap"))
            continue;
        for (const jit::Options& options : {jit::Options{}, jit::Options{.test_facts = true}}) {
            std::uint64_t r0 = 0;
            EXPECT_EQ(compiled(test, options, r0), "");
            EXPECT_EQ(r0, number(test.sections.at("result")));
        }
    }
}

void run_in_kernel(const Case& test) {
    constexpr std::uint32_t kSocketFilter = 1;
    const auto program = program_of(test);
    std::vector<std::uint64_t> slots;
    for (const isa::Insn& insn : program->insns)
        slots.push_back(load<std::uint64_t>(&insn));
    std::string log;
    const Fd loaded(kernel::prog_load({.type = kSocketFilter, .insns = slots}, &log));
    ASSERT_TRUE(loaded) << log;
    // The kernel takes a frame and shows socket filters what follows its Ethernet header.
    std::vector<std::byte> frame(14);
    const std::vector<std::byte> packet = packet_of(test);
    frame.insert(frame.end(), packet.begin(), packet.end());
    kernel::TestRun run{.data_in = frame};
    ASSERT_EQ(kernel::prog_test_run(loaded.get(), run), 0);
    EXPECT_EQ(run.retval, static_cast<std::uint32_t>(number(test.sections.at("result"))));
}

TEST_P(Conformance, kernel) {
    if (std::string why; !kernel::available(&why))
        GTEST_SKIP() << why;
    for (const Case& test : read_cases(GetParam())) {
        SCOPED_TRACE(test.name);
        if (!test.sections.contains("trap") && !test.sections.contains("skip kernel"))
            run_in_kernel(test);
    }
}

INSTANTIATE_TEST_SUITE_P(data, Conformance, testing::ValuesIn(files()),
                         [](const auto& parameter) { return parameter.param; });

TEST(conformance, files_are_found) {
    EXPECT_GE(files().size(), 20U);
    EXPECT_GE(read_cases("memory").size(), 10U);
}

} // namespace
} // namespace skep::test
