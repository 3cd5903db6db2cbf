// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "run_report.hpp"

#include <fmt/format.h>

#include "disassembly.hpp"
#include "skep/runtime/verdict.hpp"

namespace skep::tool {
namespace {

/// The program that trapped: another one after a tail call.
const Program* program_of(const object::Object& object, const exec::Trap& trap) {
    for (const auto& program : object.programs)
        if (program.get() == trap.program)
            return program.get();
    return nullptr;
}

bool has_insn(const Program* program, const exec::Trap& trap) {
    return program != nullptr && trap.insn >= 0 &&
           static_cast<std::size_t>(trap.insn) < program->insns.size();
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? "-"
                      : fmt::format("{:.1f}%",
                                    100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

} // namespace

Json trap_to_json(const object::Object& object, const exec::Trap& trap) {
    Json json{{"reason", exec::describe(trap)}, {"insn", trap.insn}};
    const Program* program = program_of(object, trap);
    if (!has_insn(program, trap))
        return json;
    const auto slot = static_cast<std::uint32_t>(trap.insn);
    json["program"] = program->name;
    json["disasm"] = Disassembly(object, *program).text(slot);
    if (const Subprogram* function = program->subprogram_of(slot))
        json["function"] = function->name;
    if (const LineInfo* line = program->line_of(slot)) {
        json["file"] = line->file;
        json["line"] = line->line;
        json["column"] = line->column;
        json["text"] = trimmed(line->text);
    }
    json["write"] = trap.write;
    json["size"] = trap.size;
    json["offset"] = trap.offset;
    return json;
}

std::string trap_to_text(const object::Object& object, const exec::Trap& trap) {
    std::string out = exec::describe(trap) + "\n";
    const Program* program = program_of(object, trap);
    if (!has_insn(program, trap))
        return out;
    const auto slot = static_cast<std::uint32_t>(trap.insn);
    if (const LineInfo* line = program->line_of(slot))
        out += fmt::format("  at {}:{}:{}: {}\n", base_name(line->file), line->line, line->column,
                           trimmed(line->text));
    const Subprogram* function = program->subprogram_of(slot);
    return out + fmt::format("  in {}, instruction {}: {}\n",
                             function != nullptr ? function->name : program->name, slot,
                             Disassembly(object, *program).text(slot));
}

Json capture_to_json(const object::Object& object, const Program& program,
                     const CaptureReport& report) {
    Json verdicts = Json::object();
    for (const auto& [retval, packets] : report.verdicts)
        verdicts[runtime::verdict_name(program.type, retval)] = packets;
    Json json{{"packets", report.packets},
              {"bytes", report.bytes},
              {"verdicts", std::move(verdicts)},
              {"traps", report.traps},
              {"skipped", report.skipped},
              {"seconds", report.seconds},
              {"packets_per_second",
               report.seconds > 0 ? static_cast<double>(report.packets) / report.seconds : 0}};
    if (report.traps != 0) {
        json["trap"] = trap_to_json(object, report.first_trap);
        json["trap"]["packet"] = report.first_trap_packet;
    }
    if (report.skipped != 0)
        json["skipped_reason"] = report.first_skipped;
    return json;
}

std::string capture_to_text(const Console& console, const object::Object& object,
                            const Program& program, const CaptureReport& report) {
    std::string out = fmt::format("{} ({}): {} packets, {} bytes\n", program.name,
                                  runtime::type_name(program.type), report.packets, report.bytes);
    out += fmt::format("  {:20} {:>12} {:>8}\n", "verdict", "packets", "share");
    for (const auto& [retval, packets] : report.verdicts)
        out += fmt::format("  {:20} {:12} {:>8}\n", runtime::verdict_name(program.type, retval),
                           packets, percent(packets, report.packets));
    if (report.traps != 0) {
        out += fmt::format("  {:20} {:12} {:>8}\n", "trap", report.traps,
                           percent(report.traps, report.packets));
        out += console.styled(fmt::format("trap on packet {}: ", report.first_trap_packet),
                              Console::Style::Bad) +
               trap_to_text(object, report.first_trap);
    }
    if (report.skipped != 0)
        out += fmt::format("not run: {} packets; the first: {}\n", report.skipped,
                           report.first_skipped);
    return out;
}

} // namespace skep::tool
