// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.hpp"
#include "disassembly.hpp"
#include "input_file.hpp"
#include "skep/runtime/verdict.hpp"

namespace skep::tool {
namespace {

std::string listing(const Console& console, const object::Object& object, const Program& program) {
    std::string out =
        console.styled(fmt::format("{}: {} ({}), {} instructions\n", program.name, program.section,
                                   runtime::type_name(program.type), program.insns.size()),
                       Console::Style::Bold);
    const Disassembly disassembly(object, program);
    const Subprogram* function = nullptr;
    const LineInfo* line = nullptr;
    for (std::uint32_t slot = 0; slot < program.insns.size(); slot += disassembly.slots(slot)) {
        if (const Subprogram* now = program.subprogram_of(slot); now != function) {
            function = now;
            if (function != nullptr)
                out += console.styled(fmt::format("{}:\n", function->name), Console::Style::Bold);
        }
        if (const LineInfo* now = program.line_of(slot); now != line) {
            line = now;
            if (line != nullptr)
                out += fmt::format("; {}  @ {}:{}\n", trimmed(line->text), base_name(line->file),
                                   line->line);
        }
        out += fmt::format("{:5}: ({:02x}) {}\n", slot, program.insns[slot].opcode,
                           disassembly.text(slot));
    }
    return out;
}

Json to_json(const object::Object& object, const Program& program) {
    const Disassembly disassembly(object, program);
    Json insns = Json::array();
    for (std::uint32_t slot = 0; slot < program.insns.size(); slot += disassembly.slots(slot)) {
        Json row{{"pc", slot}, {"disasm", disassembly.text(slot)}};
        if (const Subprogram* function = program.subprogram_of(slot))
            row["function"] = function->name;
        if (const LineInfo* line = program.line_of(slot)) {
            row["src"] = trimmed(line->text);
            row["file_name"] = line->file;
            row["line_num"] = line->line;
            row["line_col"] = line->column;
        }
        insns.push_back(std::move(row));
    }
    return Json{{"name", program.name},
                {"section", program.section},
                {"type", runtime::type_name(program.type)},
                {"insns", std::move(insns)}};
}

} // namespace

void add_disasm(Cli& cli) {
    struct Options {
        InputOptions input;
        std::string program;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& verb = cli.verb("disasm", "Show a program's instructions, with its source lines");
    add_input_options(verb, options->input);
    verb.add_option("-p,--program", options->program, "Only this program (default: all)");
    cli.on(verb, [options](const Console& console) -> Result<Exit> {
        const object::Object object = SKEP_TRY(open_input(console, options->input));
        if (!options->program.empty())
            SKEP_TRY(choose_program(object, options->program));
        Json programs = Json::array();
        std::string text;
        for (const auto& program : object.programs) {
            if (!options->program.empty() && program->name != options->program)
                continue;
            if (console.json)
                programs.push_back(to_json(object, *program));
            else
                text += (text.empty() ? "" : "\n") + listing(console, object, *program);
        }
        for (const auto& failed : object.failed)
            if (options->program.empty())
                console.warn("program \"" + failed.program + "\": " + failed.error.to_string());
        if (console.json)
            console.result(Json{{"programs", std::move(programs)}});
        else
            console.out(text);
        return Exit::Yes;
    });
}

} // namespace skep::tool
