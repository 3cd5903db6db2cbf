// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>

#include "cli.hpp"
#include "compile.hpp"
#include "diagnostics.hpp"
#include "disassembly.hpp"
#include "input_file.hpp"
#include "show_facts.hpp"
#include "skep/base/file.hpp"
#include "skep/runtime/verdict.hpp"
#include "skep/runtime/verify.hpp"
#include "skep/verifier/verifier.hpp"

namespace skep::tool {
namespace {

using verifier::Outcome;

struct Options {
    InputOptions input;
    std::vector<std::string> files;
    std::string program, baseline, fail_on;
    bool csv = false;
    bool sarif = false;
    bool strict_alignment = false;
    bool facts = false;
    bool summary = false;
    unsigned jobs = 0;
};

const char* name(Outcome outcome) {
    switch (outcome) {
    case Outcome::Accepted:
        return "accept";
    case Outcome::Rejected:
        return "reject";
    case Outcome::Unsupported:
        break;
    }
    return "unsupported";
}

struct Judged {
    std::shared_ptr<const Program> program;
    verifier::Report report;
    double milliseconds = 0;
};

/// What became of one file.
struct Verified {
    std::string file;
    std::optional<Error> error; ///< it could not be opened
    std::optional<object::Object> object;
    std::vector<Judged> programs;
};

/// A program that the object's other parts do not fit.
Judged not_linked(const object::Object::Failed& failed) {
    auto program = std::make_shared<Program>();
    program->name = failed.program;
    const std::int64_t at = failed.error.place.instruction;
    Judged judged{.program = std::move(program)};
    judged.report.outcome =
        failed.error.code == ErrorCode::Malformed ? Outcome::Rejected : Outcome::Unsupported;
    judged.report.findings.push_back({.code = "V701",
                                      .insn = at < 0 ? 0 : static_cast<std::uint32_t>(at),
                                      .message = failed.error.message});
    return judged;
}

/// Opens the object again, with its debugging information: reading that takes longer than most
/// proofs, and only messages need it.
void name_variables(const Console& console, InputOptions input, Verified& verified) {
    if (input.variables)
        return;
    input.variables = true;
    input.say_warnings = false;
    auto object = open_input(console, input);
    if (!object)
        return;
    for (Judged& judged : verified.programs)
        for (const auto& program : object->programs)
            if (program->name == judged.program->name &&
                program->insns.size() == judged.program->insns.size())
                judged.program = program;
    verified.object = *std::move(object);
}

Verified verify_file(const Console& console, const Options& options, const std::string& file) {
    Verified verified{.file = file};
    InputOptions input = options.input;
    input.file = file;
    input.variables = is_source(file); // It is compiled only once.
    auto object = open_input(console, input);
    if (!object) {
        verified.error = std::move(object).error();
        return verified;
    }
    verified.object = *std::move(object);
    for (const auto& failed : verified.object->failed)
        if (options.program.empty() || failed.program == options.program)
            verified.programs.push_back(not_linked(failed));
    const bool found = !options.program.empty() && !verified.programs.empty();
    if (!found && (!options.program.empty() || verified.object->programs.empty()))
        if (auto chosen = choose_program(*verified.object, options.program); !chosen) {
            verified.error = std::move(chosen).error();
            return verified;
        }
    const auto maps = runtime::map_views(*verified.object);
    for (const auto& program : verified.object->programs) {
        if (!options.program.empty() && program->name != options.program)
            continue;
        const auto start = std::chrono::steady_clock::now();
        Judged judged{.program = program,
                      .report = verifier::verify(*program, maps,
                                                 {.strict_alignment = options.strict_alignment,
                                                  .explain = true,
                                                  .facts = options.facts})};
        judged.milliseconds =
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                .count();
        verified.programs.push_back(std::move(judged));
    }
    if (std::ranges::any_of(verified.programs, [](const Judged& judged) {
            return judged.report.outcome != Outcome::Accepted;
        }))
        name_variables(console, input, verified);
    return verified;
}

/// One file after the other for each thread; the results are in the order of the files.
std::vector<Verified> verify_all(const Console& console, const Options& options) {
    std::vector<Verified> all(options.files.size());
    std::atomic<std::size_t> next = 0;
    const auto work = [&] {
        for (std::size_t i = next++; i < all.size(); i = next++)
            all[i] = verify_file(console, options, options.files[i]);
    };
    const unsigned wanted = options.jobs != 0 ? options.jobs : std::thread::hardware_concurrency();
    const std::size_t count = std::min<std::size_t>(std::max(wanted, 1U), all.size());
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < count; ++i)
        threads.emplace_back(work);
    work();
    threads.clear();
    return all;
}

Json to_json(const Console& console, const object::Object& object, const Judged& judged) {
    const Program& program = *judged.program;
    const verifier::Statistics& counts = judged.report.statistics;
    Json row{{"program", program.name},
             {"verdict", name(judged.report.outcome)},
             {"reason", judged.report.findings.empty() ? "" : judged.report.findings[0].message},
             {"findings",
              Diagnostics(console, Disassembly(object, program), program, judged.report).json()},
             {"instructions", program.insns.size()},
             {"visited", counts.visited},
             {"checked", counts.checked},
             {"states", counts.states},
             {"worst_case", counts.worst_case},
             {"duration", judged.milliseconds / 1000}};
    if (judged.report.facts != nullptr)
        row["facts"] = facts_json(*judged.report.facts);
    return row;
}

std::string at_most(std::uint64_t worst_case) {
    if (worst_case == std::numeric_limits<std::uint64_t>::max())
        return ", a run ends, but may take more instructions than can be counted";
    return fmt::format(", a run takes at most {} instructions", worst_case);
}

std::string to_text(const Console& console, const object::Object& object, const Judged& judged) {
    const Program& program = *judged.program;
    const verifier::Statistics& counts = judged.report.statistics;
    std::string text =
        fmt::format("{} ({}): {}\n  {} instructions, {} visited, {} states{}\n", program.name,
                    runtime::type_name(program.type), name(judged.report.outcome),
                    program.insns.size(), counts.visited, counts.states,
                    judged.report.outcome == Outcome::Accepted ? at_most(counts.worst_case) : "");
    const Disassembly disassembly(object, program);
    if (judged.report.facts != nullptr)
        text += facts_text(disassembly, program, *judged.report.facts);
    return text + Diagnostics(console, disassembly, program, judged.report).text();
}

/// As veristat writes it; the duration is in microseconds.
constexpr std::string_view kCsvHeader =
    "file_name,prog_name,verdict,duration,total_insns,total_states,prog_size";

std::string to_csv(const std::vector<Verified>& all) {
    std::string text = fmt::format("{}\n", kCsvHeader);
    for (const Verified& file : all)
        for (const Judged& judged : file.programs)
            text += fmt::format("{},{},{},{:.0f},{},{},{}\n", base_name(file.file),
                                judged.program->name,
                                judged.report.outcome == Outcome::Accepted ? "success" : "failure",
                                judged.milliseconds * 1000, judged.report.statistics.visited,
                                judged.report.statistics.states, judged.program->insns.size());
    return text;
}

/// SARIF 2.1.0, as code hosts read it.
Json to_sarif(const Console& console, const std::vector<Verified>& all) {
    Json results = Json::array();
    for (const Verified& file : all)
        for (const Judged& judged : file.programs)
            for (Json& result : Diagnostics(console, Disassembly(*file.object, *judged.program),
                                            *judged.program, judged.report)
                                    .sarif(file.file))
                results.push_back(std::move(result));
    return {{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
            {"version", "2.1.0"},
            {"runs",
             Json::array({{{"tool", {{"driver", {{"name", "skep"}}}}}, {"results", results}}})}};
}

std::vector<std::string> split(const std::string& line) {
    std::vector<std::string> cells;
    std::istringstream in(line);
    for (std::string cell; std::getline(in, cell, ',');)
        cells.push_back(cell);
    return cells;
}

struct Before {
    bool accepted = false;
    std::uint64_t visited = 0;
};

/// What --csv wrote, by file and program.
Result<std::map<std::pair<std::string, std::string>, Before>>
read_baseline(const std::string& file) {
    const std::vector<std::byte> bytes = SKEP_TRY(read_file(file));
    std::istringstream in{std::string(as_text(bytes))};
    std::string line;
    std::getline(in, line);
    const auto header = split(line);
    std::map<std::string, std::size_t> columns;
    for (std::size_t i = 0; i < header.size(); ++i)
        columns[header[i]] = i;
    for (const char* needed : {"file_name", "prog_name", "verdict", "total_insns"})
        if (!columns.contains(needed))
            return fail(
                ErrorCode::Malformed,
                fmt::format("baseline has no column \"{}\", expected what --csv writes", needed),
                {.file = file});
    std::map<std::pair<std::string, std::string>, Before> all;
    for (std::size_t number = 2; std::getline(in, line); ++number) {
        const auto cells = split(line);
        if (cells.size() < header.size())
            return fail(ErrorCode::Malformed,
                        fmt::format("line {} has {} columns, expected {}", number, cells.size(),
                                    header.size()),
                        {.file = file});
        all[{cells[columns["file_name"]], cells[columns["prog_name"]]}] = {
            cells[columns["verdict"]] == "success",
            std::strtoull(cells[columns["total_insns"]].c_str(), nullptr, 10)};
    }
    return all;
}

/// "+10%" is 10.
Result<double> growth_of(const std::string& text) {
    char* end = nullptr;
    const double percent = std::strtod(text.c_str(), &end);
    if (end == text.c_str() || std::string_view(end) != "%" || percent < 0)
        return fail(ErrorCode::Invalid, "--fail-on: \"" + text + "\" is not of the form +PERCENT%");
    return percent;
}

/// Says what is worse than in the baseline; true if anything is.
Result<bool> compare(const Console& console, const Options& options,
                     const std::vector<Verified>& all) {
    const auto before = SKEP_TRY(read_baseline(options.baseline));
    const double limit = options.fail_on.empty() ? -1 : SKEP_TRY(growth_of(options.fail_on));
    bool worse = false;
    for (const Verified& file : all)
        for (const Judged& judged : file.programs) {
            const auto found =
                before.find({std::string(base_name(file.file)), judged.program->name});
            if (found == before.end())
                continue;
            const auto& [accepted, visited] = found->second;
            const bool now = judged.report.outcome == Outcome::Accepted;
            const auto grown = static_cast<double>(judged.report.statistics.visited) * 100 /
                                   static_cast<double>(std::max<std::uint64_t>(visited, 1)) -
                               100;
            if (accepted && !now)
                console.note(
                    fmt::format("{}: was accepted, is not any more", judged.program->name));
            else if (limit >= 0 && grown > limit)
                console.note(fmt::format("{}: {} instructions visited, were {} ({:+.1f}%)",
                                         judged.program->name, judged.report.statistics.visited,
                                         visited, grown));
            else
                continue;
            worse = true;
        }
    return worse;
}

Exit show(const Console& console, const Options& options, const std::vector<Verified>& all) {
    std::map<Outcome, std::size_t> counts;
    std::size_t errors = 0;
    Json programs = Json::array();
    const bool text = !console.json && !options.csv && !options.sarif && !options.summary;
    std::map<std::string, std::size_t> reasons;
    for (const Verified& file : all) {
        if (file.error) {
            ++errors;
            if (all.size() > 1 || !console.json)
                console.warn(file.error->to_string());
        }
        if (text && all.size() > 1)
            console.out(file.file + "\n");
        for (const Judged& judged : file.programs) {
            ++counts[judged.report.outcome];
            if (judged.report.outcome != Outcome::Accepted)
                ++reasons[fmt::format("{}: {}", name(judged.report.outcome),
                                      judged.report.findings[0].message)];
            if (console.json) {
                Json row = to_json(console, *file.object, judged);
                if (all.size() > 1)
                    row["object"] = file.file;
                programs.push_back(std::move(row));
            } else if (text) {
                console.out(to_text(console, *file.object, judged));
            }
        }
    }
    if (options.csv)
        console.out(to_csv(all));
    else if (options.sarif)
        console.result(to_sarif(console, all));
    else if (console.json)
        console.result(programs.size() == 1 ? programs[0]
                                            : Json{{"programs", std::move(programs)}});
    if (options.summary && !console.json)
        for (const auto& [reason, count] : reasons)
            console.out(fmt::format("{:5}  {}\n", count, reason));
    if (!options.csv && !options.sarif && !console.json && (all.size() > 1 || options.summary))
        console.out(fmt::format(
            "{} programs: {} accepted, {} rejected, {} unsupported\n",
            counts[Outcome::Accepted] + counts[Outcome::Rejected] + counts[Outcome::Unsupported],
            counts[Outcome::Accepted], counts[Outcome::Rejected], counts[Outcome::Unsupported]));
    if (counts[Outcome::Rejected] != 0)
        return Exit::No;
    return errors != 0 || counts[Outcome::Unsupported] != 0 ? Exit::Input : Exit::Yes;
}

} // namespace

void add_verify(Cli& cli) {
    const auto options = std::make_shared<Options>();
    CLI::App& verb = cli.verb("verify", "Prove that programs are safe, or say why not");
    verb.footer(
        "Exit status 1 if a program is rejected or worse than the baseline, 3 if one cannot "
        "be judged.");
    verb.add_option("FILE", options->files, "BPF objects, or .c files")->required();
    add_opening_options(verb, options->input);
    verb.add_option("-p,--program", options->program, "Only this program (default: all)");
    verb.add_flag("--strict-alignment", options->strict_alignment,
                  "Accesses to packets and memory must be aligned");
    verb.add_flag("--summary", options->summary,
                  "Only what is not accepted, by reason, and the counts");
    verb.add_flag("--facts", options->facts, "Show what is proved for engines, by instruction");
    verb.add_flag("--csv", options->csv, "A line for each program, as veristat writes it");
    verb.add_flag("--sarif", options->sarif, "The findings as SARIF 2.1.0");
    auto* baseline = verb.add_option("--baseline", options->baseline,
                                     "Compare with a file that --csv wrote: fail if a program is "
                                     "no longer accepted");
    verb.add_option("--fail-on", options->fail_on,
                    "Fail, too, if a program takes so much more: +10%")
        ->needs(baseline);
    verb.add_option("-j,--jobs", options->jobs, "Files at once (default: one for each CPU)");
    cli.on(verb, [options](const Console& console) -> Result<Exit> {
        const std::vector<Verified> all = verify_all(console, *options);
        if (all.size() == 1 && all[0].error)
            return std::unexpected(*all[0].error);
        bool worse = false;
        if (!options->baseline.empty())
            worse = SKEP_TRY(compare(console, *options, all));
        const Exit exit = show(console, *options, all);
        return worse ? Exit::No : exit;
    });
}

} // namespace skep::tool
