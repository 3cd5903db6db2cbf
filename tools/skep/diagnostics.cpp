// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "diagnostics.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "skep/debuginfo/variables.hpp"

namespace skep::tool {
namespace {

using verifier::Finding;
using verifier::Note;
using verifier::Outcome;

/// Decisions to show of a way; the first and the last ones tell most.
constexpr std::size_t kMaxDecisions = 10;

std::string expand_tabs(std::string_view text) {
    std::string out;
    for (const char c : text)
        out += c == '\t' ? ' ' : c;
    return out;
}

} // namespace

/// The C variable that a register holds, or "".
std::string Diagnostics::variable(std::uint32_t insn, int reg) const {
    const Subprogram* function = program_.subprogram_of(insn);
    if (reg < 0 || program_.variables == nullptr || function == nullptr)
        return {};
    const auto live =
        program_.variables->at(function->section, insn - function->start + function->section_slot);
    for (const auto& [variable, location] : live)
        if (location->home == debuginfo::Home::Register && location->number == reg)
            return variable->name;
    return {};
}

std::string Diagnostics::about(const Note& note) const {
    if (note.reg < 0)
        return note.text;
    // What is written here has its name from the next instruction on; where ways meet, nothing is.
    const bool written = note.kind.empty();
    std::string name =
        variable(note.insn + (written ? disassembly_.slots(note.insn) : 0), note.reg);
    if (name.empty())
        name = variable(note.insn, note.reg);
    if (name.empty())
        return fmt::format("r{} {}", note.reg, note.text);
    return fmt::format("`{}` (r{}) {}", name, note.reg, note.text);
}

std::string Diagnostics::way(const Finding& finding) const {
    std::vector<std::string> stops;
    for (const verifier::Decision& decision : finding.path) {
        const LineInfo* line = program_.line_of(decision.insn);
        std::string stop = line != nullptr ? fmt::format("line {}", line->line)
                                           : fmt::format("instruction {}", decision.insn);
        stop += decision.taken ? " (jumps)" : "";
        if (stops.empty() || stops.back() != stop)
            stops.push_back(std::move(stop));
    }
    std::string text;
    for (std::size_t i = 0; i < stops.size(); ++i) {
        const bool left_out = stops.size() > kMaxDecisions && i >= kMaxDecisions / 2 &&
                              i < stops.size() - kMaxDecisions / 2;
        if (!left_out)
            text += (text.empty() ? "" : " -> ") + stops[i];
        else if (i == kMaxDecisions / 2)
            text += fmt::format(" -> ... ({} more)", stops.size() - kMaxDecisions);
    }
    return text;
}

std::string Diagnostics::one(const Finding& finding) const {
    const bool known = report_.outcome == Outcome::Rejected;
    const Subprogram* function = program_.subprogram_of(finding.insn);
    const LineInfo* at = program_.line_of(finding.insn);
    const std::string head = fmt::format("{}[{}]", known ? "error" : "unsupported", finding.code);
    std::string text = fmt::format("{}: {}\n", console_.styled(head, Console::Style::Bad),
                                   verifier::title_of(finding.code));
    std::vector<Span> spans;
    spans.reserve(finding.notes.size() + 1);
    for (const Note& note : finding.notes)
        spans.push_back({note.insn, about(note)});
    std::string what = finding.message;
    if (const std::string name = variable(finding.insn, finding.reg); !name.empty())
        what = fmt::format("`{}` (r{}): {}", name, finding.reg, what);
    spans.push_back({finding.insn, std::move(what), true});
    std::size_t width = 1;
    for (const Span& span : spans) {
        const LineInfo* line = program_.line_of(span.insn);
        width =
            std::max(width, fmt::formatted_size("{}", line != nullptr ? line->line : span.insn));
    }
    const std::string margin(width, ' ');
    if (at != nullptr)
        text += fmt::format("{}--> {}:{}:{}{}\n", margin, base_name(at->file), at->line, at->column,
                            function == nullptr ? "" : fmt::format(" in {}", function->name));
    else
        text += fmt::format("{}--> instruction {}{}\n", margin, finding.insn,
                            function == nullptr ? "" : fmt::format(" in {}", function->name));
    text += fmt::format("{} |\n", margin);
    const LineInfo* shown = nullptr;
    for (const Span& span : spans) {
        const LineInfo* line = program_.line_of(span.insn);
        if (line == nullptr) {
            text += fmt::format("{:>{}} |   {}\n{} |   {} {}\n", span.insn, width,
                                disassembly_.text(span.insn), margin, span.primary ? "^" : "-",
                                span.text);
            continue;
        }
        const std::string source = expand_tabs(line->text);
        const std::size_t indent = std::min(source.find_first_not_of(' '), source.size());
        if (shown == nullptr || line->line != shown->line || line->file != shown->file)
            text += fmt::format("{:>{}} |   {}\n", line->line, width, source.substr(indent));
        shown = line;
        const std::size_t column =
            line->column > indent ? std::min<std::size_t>(line->column - 1 - indent, 120) : 0;
        text += fmt::format("{} |   {}{} {}\n", margin, std::string(column, ' '),
                            span.primary ? "^" : "-", span.text);
    }
    if (finding.insn < program_.insns.size())
        text += fmt::format("{} = instruction {}: {}\n", margin, finding.insn,
                            disassembly_.text(finding.insn));
    if (!finding.path.empty())
        text += fmt::format("{} = way: {}\n", margin, way(finding));
    if (!finding.kernel.empty())
        text += fmt::format("{} = Linux says: {}\n", margin, finding.kernel);
    if (finding.folded != 0)
        text += fmt::format("{} = {} more that follow from what is found here\n", margin,
                            finding.folded);
    return text;
}

std::string Diagnostics::text() const {
    std::string all;
    for (const Finding& finding : report_.findings)
        all += one(finding);
    return all;
}

Json Diagnostics::place(std::uint32_t insn) const {
    Json row{{"insn", insn}};
    if (const LineInfo* line = program_.line_of(insn)) {
        row["file"] = line->file;
        row["line"] = line->line;
        row["column"] = line->column;
    }
    return row;
}

Json Diagnostics::json() const {
    Json findings = Json::array();
    for (const Finding& finding : report_.findings) {
        Json row{{"code", finding.code}, {"title", verifier::title_of(finding.code)}};
        row.update(place(finding.insn));
        row["message"] = finding.message;
        if (finding.reg >= 0)
            row["register"] = finding.reg;
        if (const std::string name = variable(finding.insn, finding.reg); !name.empty())
            row["variable"] = name;
        if (!finding.kernel.empty())
            row["kernel"] = finding.kernel;
        Json notes = Json::array();
        for (const Note& note : finding.notes) {
            Json told = place(note.insn);
            told["text"] = about(note);
            if (!note.kind.empty())
                told["kind"] = note.kind;
            notes.push_back(std::move(told));
        }
        row["notes"] = std::move(notes);
        Json path = Json::array();
        for (const verifier::Decision& decision : finding.path)
            path.push_back({{"insn", decision.insn}, {"taken", decision.taken}});
        row["path"] = std::move(path);
        row["folded"] = finding.folded;
        findings.push_back(std::move(row));
    }
    return findings;
}

Json Diagnostics::sarif(const std::string& uri) const {
    const auto location = [&](std::uint32_t insn, const std::string& message) {
        Json physical{{"artifactLocation", {{"uri", uri}}}};
        if (const LineInfo* line = program_.line_of(insn)) {
            physical["artifactLocation"]["uri"] = line->file;
            physical["region"] = {{"startLine", line->line},
                                  {"startColumn", std::max(line->column, 1U)}};
        }
        Json whole{{"physicalLocation", std::move(physical)}};
        if (!message.empty())
            whole["message"] = {{"text", message}};
        return whole;
    };
    Json results = Json::array();
    for (const Finding& finding : report_.findings) {
        Json related = Json::array();
        for (const Note& note : finding.notes) {
            Json told = location(note.insn, about(note));
            if (!note.kind.empty())
                told["properties"] = {{"kind", note.kind}};
            related.push_back(std::move(told));
        }
        Json result{{"ruleId", finding.code},
                    {"level", report_.outcome == Outcome::Rejected ? "error" : "note"},
                    {"message",
                     {{"text", fmt::format("{}, instruction {}: {}", program_.name, finding.insn,
                                           finding.message)}}},
                    {"locations", Json::array({location(finding.insn, "")})}};
        if (!related.empty())
            result["relatedLocations"] = std::move(related);
        Json properties = Json::object();
        if (const std::string name = variable(finding.insn, finding.reg); !name.empty())
            properties["variable"] = name;
        if (!finding.kernel.empty())
            properties["kernel"] = finding.kernel;
        if (!finding.path.empty())
            properties["way"] = way(finding);
        if (!properties.empty())
            result["properties"] = std::move(properties);
        results.push_back(std::move(result));
    }
    return results;
}

} // namespace skep::tool
