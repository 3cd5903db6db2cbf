// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/isa/assemble.hpp"

#include <algorithm>
#include <cctype>
#include <limits>
#include <map>

#include "match.hpp"
#include "skep/base/suggest.hpp"

namespace skep::isa {
namespace {

constexpr std::size_t kMaxText = std::size_t{1} << 28; // Bounds what hostile input can allocate.

constexpr std::size_t kMostExpected = 8; // A longer list helps nobody.

struct Statement {
    std::string_view text;
    std::size_t line = 0;   // From 1.
    std::size_t column = 0; // From 1: of the first character of `text`.
};

// A distance to fill in when all labels are placed.
struct Fixup {
    std::size_t slot = 0;
    std::string_view label;
    bool in_imm = false;
    Statement statement;
    std::size_t position = 0;
};

std::unexpected<Error> error_at(const Statement& statement, std::size_t position,
                                const std::string& message, std::string hint = {}) {
    return fail(ErrorCode::Malformed,
                "line " + std::to_string(statement.line) + ", column " +
                    std::to_string(statement.column + position) + ": " + message,
                {}, std::move(hint));
}

bool is_space(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0;
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::string_view trim_end(std::string_view text) {
    while (!text.empty() && is_space(text.back()))
        text.remove_suffix(1);
    return text;
}

// '#' starts a comment, except where a call names its number: `call #5`, `call bpf_x#5`.
bool starts_comment(std::string_view line, std::size_t i) {
    if (line[i] == '/')
        return line.substr(i).starts_with("//");
    if (line[i] != '#')
        return false;
    const std::size_t next = i + 1 < line.size() && line[i + 1] == '-' ? i + 2 : i + 1;
    if (next >= line.size() || !is_digit(line[next]))
        return true;
    const std::size_t start = line.rfind(';', i) == std::string_view::npos ? 0 : line.rfind(';', i);
    return !line.substr(start, i - start).contains("call");
}

void split_line(std::string_view line, std::size_t number, std::vector<Statement>& out) {
    std::size_t start = 0;
    const auto flush = [&](std::size_t end) {
        while (start < end && is_space(line[start]))
            ++start;
        const std::string_view text = trim_end(line.substr(start, end - start));
        if (!text.empty())
            out.push_back({.text = text, .line = number, .column = start + 1});
        start = end + 1;
    };
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (starts_comment(line, i)) {
            flush(i);
            return;
        }
        if (line[i] == ';')
            flush(i);
    }
    flush(line.size());
}

std::vector<Statement> split(std::string_view text) {
    std::vector<Statement> statements;
    std::size_t number = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        split_line(text.substr(0, end), ++number, statements);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return statements;
}

// "name:" or "12:" at the front; empty if there is none.
std::string_view prefix(const Statement& statement, std::size_t at) {
    std::size_t end = at;
    while (end < statement.text.size() && is_word(statement.text[end]))
        ++end;
    if (end == at || end == statement.text.size() || statement.text[end] != ':')
        return {};
    return statement.text.substr(at, end - at);
}

std::size_t skip_space(std::string_view text, std::size_t at) {
    while (at < text.size() && is_space(text[at]))
        ++at;
    return at;
}

// "(b7)" in front of the text, as logs show it; moves `at` behind it.
std::optional<std::uint8_t> opcode_prefix(std::string_view text, std::size_t& at) {
    const auto digit = [](char c) -> int {
        constexpr std::string_view kDigits = "0123456789abcdef";
        const std::size_t value = kDigits.find(c);
        return value == std::string_view::npos ? -1 : static_cast<int>(value);
    };
    const std::string_view rest = text.substr(at);
    if (rest.size() < 4 || rest[0] != '(' || rest[3] != ')')
        return std::nullopt;
    const int high = digit(rest[1]);
    const int low = digit(rest[2]);
    if (high < 0 || low < 0)
        return std::nullopt;
    at = skip_space(text, at + 4);
    return static_cast<std::uint8_t>(high * 16 + low);
}

class Assembly {
public:
    explicit Assembly(const AssembleOptions& options) : options_(options) {}

    Result<std::vector<Insn>> run(const std::vector<Statement>& statements);

private:
    Result<void> collect_labels(const std::vector<Statement>& statements);
    Result<void> take(const Statement& statement);
    Result<std::size_t> take_prefixes(const Statement& statement);
    Result<void> resolve(const Fixup& fixup);
    [[nodiscard]] std::unexpected<Error> explain(const Statement& statement, std::size_t start,
                                                 const Mismatch& mismatch) const;

    const AssembleOptions& options_;
    std::set<std::string_view> labels_;
    std::map<std::string_view, std::size_t> slots_;
    std::vector<Fixup> fixups_;
    std::vector<Insn> insns_;
};

Result<std::vector<Insn>> Assembly::run(const std::vector<Statement>& statements) {
    SKEP_TRY(collect_labels(statements));
    for (const Statement& statement : statements)
        SKEP_TRY(take(statement));
    for (const Fixup& fixup : fixups_)
        SKEP_TRY(resolve(fixup));
    return std::move(insns_);
}

Result<void> Assembly::collect_labels(const std::vector<Statement>& statements) {
    for (const Statement& statement : statements) {
        std::size_t at = 0;
        for (std::string_view name; !(name = prefix(statement, at)).empty();) {
            if (!is_digit(name[0]) && !labels_.insert(name).second)
                return error_at(statement, at,
                                "label \"" + std::string(name) + "\" is defined twice");
            at = skip_space(statement.text, at + name.size() + 1);
        }
    }
    return {};
}

// Labels get their slots; a number as in a log must be the slot where we are.
Result<std::size_t> Assembly::take_prefixes(const Statement& statement) {
    std::size_t at = 0;
    for (std::string_view name; !(name = prefix(statement, at)).empty();) {
        if (!is_digit(name[0]))
            slots_[name] = insns_.size();
        else if (name != std::to_string(insns_.size()))
            return error_at(statement, at,
                            "found instruction number " + std::string(name) + ", expected " +
                                std::to_string(insns_.size()));
        at = skip_space(statement.text, at + name.size() + 1);
    }
    return at;
}

Result<void> Assembly::take(const Statement& statement) {
    std::size_t at = SKEP_TRY(take_prefixes(statement));
    if (at == statement.text.size())
        return {};
    const std::optional<std::uint8_t> opcode = opcode_prefix(statement.text, at);
    Matcher matcher(statement.text, options_, labels_);
    const std::optional<Matched> matched = matcher.match(at, opcode);
    if (!matched)
        return explain(statement, at, matcher.mismatch());
    if (!matched->label.empty())
        fixups_.push_back({.slot = insns_.size(),
                           .label = matched->label,
                           .in_imm = matched->label_in_imm,
                           .statement = statement,
                           .position = matched->label_position});
    insns_.push_back(matched->insn);
    if (matched->slots == 2)
        insns_.push_back(matched->second);
    return {};
}

Result<void> Assembly::resolve(const Fixup& fixup) {
    const auto target = static_cast<std::int64_t>(slots_.find(fixup.label)->second);
    const std::int64_t distance = target - static_cast<std::int64_t>(fixup.slot) - 1;
    Insn& insn = insns_[fixup.slot];
    if (fixup.in_imm) {
        insn.imm = static_cast<std::int32_t>(distance);
        return {};
    }
    insn.off = static_cast<std::int16_t>(distance);
    if (insn.off == distance)
        return {};
    return error_at(fixup.statement, fixup.position,
                    "label \"" + std::string(fixup.label) + "\" is " + std::to_string(distance) +
                        " slots away, expected -32768 to 32767",
                    "gotol reaches further");
}

// The word at `at`, or the run of other characters.
std::string found_at(std::string_view text, std::size_t at) {
    std::size_t end = at;
    while (end < text.size() && !is_space(text[end]) && is_word(text[end]) == is_word(text[at]))
        ++end;
    return end == at ? "end of statement" : "\"" + std::string(text.substr(at, end - at)) + "\"";
}

std::string list(const std::vector<std::string>& items) {
    std::string out;
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (i > 0)
            out += i + 1 == items.size() ? " or " : ", ";
        out += items[i];
    }
    return out;
}

// The quoted words among what was expected: mnemonics that may have been meant.
std::vector<std::string> words_of(const std::vector<std::string>& expected) {
    std::vector<std::string> words;
    for (const std::string& item : expected)
        if (item.size() > 4 && item.front() == '"' && is_word(item[1]))
            words.push_back(item.substr(1, item.size() - 2));
    return words;
}

std::unexpected<Error> Assembly::explain(const Statement& statement, std::size_t start,
                                         const Mismatch& mismatch) const {
    if (!mismatch.complaint.empty())
        return error_at(statement, mismatch.position, mismatch.complaint, mismatch.hint);
    if (mismatch.expected.empty())
        return error_at(statement, start, "no instruction has this opcode");
    const std::string found = found_at(statement.text, mismatch.position);
    std::string hint;
    if (found.starts_with('"'))
        hint = did_you_mean(std::string_view(found).substr(1, found.size() - 2),
                            words_of(mismatch.expected));
    std::string why = ", expected ";
    if (mismatch.position == start)
        why += "an instruction";
    else if (mismatch.expected.size() <= kMostExpected)
        why += list(mismatch.expected);
    else
        why = ", which cannot follow \"" +
              std::string(trim_end(statement.text.substr(start, mismatch.position - start))) + "\"";
    return error_at(statement, mismatch.position, "found " + found + why, hint);
}

} // namespace

Result<std::vector<Insn>> assemble(std::string_view text, const AssembleOptions& options) {
    if (text.size() > kMaxText)
        return fail(ErrorCode::Limit, "text is " + std::to_string(text.size()) +
                                          " bytes, expected at most " + std::to_string(kMaxText));
    return Assembly(options).run(split(text));
}

} // namespace skep::isa
