// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// A statement is compared with the text column of every row; the same column makes the
// disassembler, so the two cannot disagree. Of all attempts that fail, those that got furthest
// explain the error.
#include "match.hpp"

#include <algorithm>
#include <cctype>

#include "ranges.hpp"
#include "skep/base/suggest.hpp"
#include "skep/isa/encode.hpp"

namespace skep::isa {
namespace {

bool is_single(char c) {
    return std::string_view("()[],#").contains(c);
}
// The literal at the start of a row's text: one bracket, or all up to a space, bracket or
// placeholder. "%%" stands for '%'.
std::string take_token(std::string_view text, std::size_t& i) {
    std::string token;
    while (i < text.size()) {
        const char c = text[i];
        if (c == '%' && text.substr(i, 2) != "%%")
            break;
        if (c == ' ' || (is_single(c) && !token.empty()))
            break;
        token += c;
        i += c == '%' ? 2 : 1;
        if (is_single(c))
            break;
    }
    return token;
}

} // namespace

bool is_word(char c) noexcept {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '$';
}

std::optional<Matched> Matcher::match(std::size_t start, std::optional<std::uint8_t> opcode) {
    // Explanations cost more than the matching; most statements need none.
    for (const bool explain : {false, true}) {
        explain_ = explain;
        if (attempt(start, opcode))
            return matched_;
    }
    return std::nullopt;
}

bool Matcher::attempt(std::size_t start, std::optional<std::uint8_t> opcode) {
    at_ = start;
    if (peek() == '.')
        return match_raw(start);
    for (const OpInfo& row : all_ops()) {
        if (opcode && row.opcode != *opcode)
            continue;
        at_ = start;
        dst_known_ = src_known_ = false;
        matched_ = Matched{.insn = encode(row.op), .slots = row.slots()};
        if (match_text(row.text, row.op))
            return true;
    }
    return false;
}

bool Matcher::match_text(std::string_view text, Op op) {
    for (std::size_t i = 0; i < text.size();) {
        if (text[i] == ' ') {
            ++i;
        } else if (text[i] == '%' && text.substr(i, 2) != "%%") {
            if (!placeholder(text[i + 1], op))
                return false;
            i += 2;
        } else if (!literal(take_token(text, i))) {
            return false;
        }
    }
    skip_space();
    return at_ == statement_.size() || expected("end of statement");
}

// .insn 0xff dst 0 src 0 off 0 imm 0
bool Matcher::match_raw(std::size_t start) {
    at_ = start;
    matched_ = Matched{};
    const auto field = [this](std::string_view name, std::int64_t low, std::int64_t high,
                              std::int64_t& value) {
        return literal(name) && signed_number(value, low, high);
    };
    std::int64_t opcode = 0;
    std::int64_t dst = 0;
    std::int64_t src = 0;
    std::int64_t off = 0;
    std::int64_t imm = 0;
    if (!field(".insn", 0, 255, opcode) || !field("dst", 0, 15, dst) || !field("src", 0, 15, src) ||
        !field("off", kInt16Min, kInt16Max, off) || !field("imm", kInt32Min, kInt32Max, imm))
        return false;
    matched_.insn.opcode = static_cast<std::uint8_t>(opcode);
    matched_.insn.dst = static_cast<unsigned>(dst) & 0xfU;
    matched_.insn.src = static_cast<unsigned>(src) & 0xfU;
    matched_.insn.off = static_cast<std::int16_t>(off);
    matched_.insn.imm = static_cast<std::int32_t>(imm);
    skip_space();
    return at_ == statement_.size() || expected("end of statement");
}

bool Matcher::literal(std::string_view token) {
    skip_space();
    const std::string_view rest = statement_.substr(at_);
    if (!rest.starts_with(token))
        return expected_token(token);
    const char last = token.back();
    const char next = rest.size() > token.size() ? rest[token.size()] : '\0';
    const bool word_goes_on = is_word(last) && is_word(next);
    const bool operator_goes_on = std::string_view("=<>&|^+-/%!").contains(last) && next != '\0' &&
                                  std::string_view("=<>&|^").contains(next);
    if (word_goes_on || operator_goes_on)
        return expected_token(token);
    at_ += token.size();
    return true;
}

bool Matcher::placeholder(char which, Op op) {
    std::int64_t off = 0;
    switch (which) {
    case 'd':
        return operand_register('r', true);
    case 's':
        return operand_register('r', false);
    case 'D':
        return operand_register('w', true);
    case 'S':
        return operand_register('w', false);
    case 'i':
        return immediate(op, false, false);
    case 'I':
        return immediate(op, true, true);
    case 'x':
        return immediate(op, false, true);
    case 'u':
        return unsigned32(matched_.insn.imm);
    case 'n':
        return unsigned32(matched_.second.imm);
    case 'o':
        if (peek() == ')') // "(r1)" is "(r1 +0)".
            return true;
        if (!offset(off, kInt16Min, kInt16Max))
            return false;
        matched_.insn.off = static_cast<std::int16_t>(off);
        return true;
    case 'j':
        return jump(false);
    case 'J':
        return jump(true);
    case 'p':
        return function_distance();
    case 'a':
        return address_spaces();
    case 'q':
        return wide_immediate();
    case 'N':
        return optional_tail("+", matched_.second.imm);
    case 'f':
        return optional_tail("fd:", matched_.second.imm);
    case 'm':
        return map_name();
    case 'h':
        return helper();
    case 'k':
        return kfunc();
    default:
        return false;
    }
}

void Matcher::skip_space() noexcept {
    while (at_ < statement_.size() &&
           std::isspace(static_cast<unsigned char>(statement_[at_])) != 0)
        ++at_;
}

char Matcher::peek() noexcept {
    skip_space();
    return at_ < statement_.size() ? statement_[at_] : '\0';
}

std::string_view Matcher::word_here() noexcept {
    skip_space();
    std::size_t end = at_;
    while (end < statement_.size() && is_word(statement_[end]))
        ++end;
    return statement_.substr(at_, end - at_);
}

std::string Matcher::hint_for(std::string_view word,
                              std::initializer_list<std::span<const Symbol>> tables,
                              bool labels_too) const {
    if (!explain_)
        return {};
    std::vector<std::string> names;
    if (labels_too)
        names.assign(labels_.begin(), labels_.end());
    for (const std::span<const Symbol> table : tables)
        for (const Symbol& symbol : table)
            names.emplace_back(symbol.name);
    return did_you_mean(word, names);
}

bool Matcher::expected_token(std::string_view token) {
    return explain_ && expected("\"" + std::string(token) + "\"");
}

bool Matcher::expected(std::string_view what) {
    if (!explain_)
        return false;
    skip_space();
    if (at_ > mismatch_.position || (mismatch_.expected.empty() && mismatch_.complaint.empty()))
        mismatch_ = {.position = at_};
    if (at_ == mismatch_.position &&
        std::ranges::find(mismatch_.expected, what) == mismatch_.expected.end())
        mismatch_.expected.emplace_back(what);
    return false;
}

bool Matcher::complain(std::size_t position, std::string complaint, std::string hint) {
    if (!explain_)
        return false;
    const bool further = position > mismatch_.position || mismatch_.complaint.empty();
    if (position >= mismatch_.position && further)
        mismatch_ = {.position = position,
                     .expected = {},
                     .complaint = std::move(complaint),
                     .hint = std::move(hint)};
    return false;
}

} // namespace skep::isa
