// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <fmt/format.h>

#include "cli.hpp"
#include "disassembly.hpp"
#include "input_file.hpp"
#include "skep/runtime/verdict.hpp"
#include "skep/runtime/verify.hpp"
#include "skep/verifier/verifier.hpp"

namespace skep::tool {
namespace {

using verifier::Outcome;

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
    verifier::Report report;
    double milliseconds = 0;
};

Judged judge(const object::Object& object, const Program& program) {
    const auto maps = runtime::map_views(object);
    const auto start = std::chrono::steady_clock::now();
    Judged judged{.report = verifier::verify(program, maps)};
    judged.milliseconds =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    return judged;
}

Json to_json(const Program& program, const Judged& judged) {
    Json findings = Json::array();
    for (const verifier::Finding& finding : judged.report.findings) {
        Json row{{"code", finding.code}, {"insn", finding.insn}, {"message", finding.message}};
        if (const LineInfo* line = program.line_of(finding.insn)) {
            row["file"] = line->file;
            row["line"] = line->line;
            row["column"] = line->column;
        }
        findings.push_back(std::move(row));
    }
    const verifier::Statistics& counts = judged.report.statistics;
    return Json{{"program", program.name},
                {"verdict", name(judged.report.outcome)},
                {"reason", findings.empty() ? "" : judged.report.findings[0].message},
                {"findings", std::move(findings)},
                {"instructions", program.insns.size()},
                {"visited", counts.visited},
                {"checked", counts.checked},
                {"states", counts.states},
                {"duration", judged.milliseconds / 1000}};
}

std::string to_text(const object::Object& object, const Program& program, const Judged& judged) {
    const verifier::Statistics& counts = judged.report.statistics;
    std::string text =
        fmt::format("{} ({}): {}\n  {} instructions, {} visited, {} states\n", program.name,
                    runtime::type_name(program.type), name(judged.report.outcome),
                    program.insns.size(), counts.visited, counts.states);
    const Disassembly disassembly(object, program);
    for (const verifier::Finding& finding : judged.report.findings) {
        text += fmt::format("  {}: {}\n", finding.code, finding.message);
        if (const LineInfo* line = program.line_of(finding.insn))
            text += fmt::format("    at {}:{}:{}: {}\n", base_name(line->file), line->line,
                                line->column, trimmed(line->text));
        if (finding.insn < program.insns.size())
            text += fmt::format("    instruction {}: {}\n", finding.insn,
                                disassembly.text(finding.insn));
    }
    return text;
}

} // namespace

void add_verify(Cli& cli) {
    struct Options {
        InputOptions input;
        std::string program;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& verb =
        cli.verb("verify", "Prove that programs are safe (being built: see docs/plan.md)");
    add_input_options(verb, options->input);
    verb.add_option("-p,--program", options->program, "Only this program (default: all)");
    cli.on(verb, [options](const Console& console) -> Result<Exit> {
        const object::Object object = SKEP_TRY(open_input(console, options->input));
        if (!options->program.empty())
            SKEP_TRY(choose_program(object, options->program));
        Json programs = Json::array();
        bool rejected = false;
        bool unsupported = false;
        for (const auto& program : object.programs) {
            if (!options->program.empty() && program->name != options->program)
                continue;
            const Judged judged = judge(object, *program);
            rejected |= judged.report.outcome == Outcome::Rejected;
            unsupported |= judged.report.outcome == Outcome::Unsupported;
            if (console.json)
                programs.push_back(to_json(*program, judged));
            else
                console.out(to_text(object, *program, judged));
        }
        if (console.json)
            console.result(programs.size() == 1 ? programs[0]
                                                : Json{{"programs", std::move(programs)}});
        return rejected ? Exit::No : unsupported ? Exit::Input : Exit::Yes;
    });
}

} // namespace skep::tool
