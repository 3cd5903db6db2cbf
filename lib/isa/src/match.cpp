// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// A statement is compared with the text column of every row; the same column makes the
// disassembler, so the two cannot disagree. Of all attempts that fail, those that got furthest
// explain the error.
#include "match.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>

#include "skep/base/suggest.hpp"
#include "skep/isa/encode.hpp"

namespace skep::isa {
namespace {

constexpr std::int64_t kInt16Min = std::numeric_limits<std::int16_t>::min();
constexpr std::int64_t kInt16Max = std::numeric_limits<std::int16_t>::max();
constexpr std::int64_t kInt32Min = std::numeric_limits<std::int32_t>::min();
constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kUint32Max = std::numeric_limits<std::uint32_t>::max();

bool is_single(char c) {
    return std::string_view("()[],#").contains(c);
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
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

const Symbol* find_symbol(std::span<const Symbol> symbols, std::string_view name) {
    const auto found = std::ranges::find(symbols, name, &Symbol::name);
    return found == symbols.end() ? nullptr : &*found;
}

std::string range_text(std::int64_t low, std::int64_t high) {
    return std::to_string(low) + " to " + std::to_string(high);
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

bool Matcher::reg(char letter, unsigned& number) {
    const std::string_view word = word_here();
    const std::string_view wanted = letter == 'r' ? "r0 to r10" : "w0 to w10";
    unsigned value = 0;
    if (word.size() < 2 || word[0] != letter || !is_digit(word[1]))
        return expected(wanted);
    const auto [end, error] = std::from_chars(word.data() + 1, word.data() + word.size(), value);
    if (end != word.data() + word.size())
        return expected(wanted);
    const bool padded = word.size() > 2 && word[1] == '0';
    if (error != std::errc{} || value >= kRegisters || padded)
        return complain(at_,
                        "found \"" + std::string(word) + "\", expected " + std::string(wanted));
    at_ += word.size();
    number = value;
    return true;
}

// A register that the text shows twice must be the same both times.
bool Matcher::operand_register(char letter, bool is_dst) {
    skip_space();
    const std::size_t start = at_;
    unsigned number = 0;
    if (!reg(letter, number))
        return false;
    bool& known = is_dst ? dst_known_ : src_known_;
    const unsigned before = is_dst ? matched_.insn.dst : matched_.insn.src;
    if (known && number != before) {
        at_ = start;
        return expected_token(std::string(1, letter) + std::to_string(before));
    }
    known = true;
    if (is_dst)
        matched_.insn.dst = number & 0xfU;
    else
        matched_.insn.src = number & 0xfU;
    return true;
}

bool Matcher::number(Number& out) {
    skip_space();
    out = {.position = at_};
    std::size_t i = at_;
    if (i < statement_.size() && (statement_[i] == '-' || statement_[i] == '+'))
        out.negative = statement_[i++] == '-';
    while (i < statement_.size() && statement_[i] == ' ')
        ++i;
    if (i >= statement_.size() || !is_digit(statement_[i]))
        return expected("a number");
    out.hex = statement_.substr(i).starts_with("0x") || statement_.substr(i).starts_with("0X");
    const char* const begin = statement_.data() + i + (out.hex ? 2 : 0);
    const char* const stop = statement_.data() + statement_.size();
    const auto [end, error] = std::from_chars(begin, stop, out.magnitude, out.hex ? 16 : 10);
    if (error == std::errc::result_out_of_range)
        return complain(at_, "found a number of more than 64 bits");
    const bool long_suffix = std::string_view(end, stop).starts_with("ll");
    if (error != std::errc{} || (end != stop && is_word(*end) && !long_suffix))
        return expected("a number");
    at_ = static_cast<std::size_t>(end - statement_.data());
    return true;
}

bool Matcher::signed_number(std::int64_t& out, std::int64_t low, std::int64_t high) {
    Number n;
    if (!number(n))
        return false;
    const bool fits_at_all = n.magnitude <= std::uint64_t{1} << 62;
    const auto value = static_cast<std::int64_t>(fits_at_all ? n.magnitude : 0);
    out = n.negative ? -value : value;
    if (!fits_at_all || out < low || out > high)
        return complain(n.position, "found " + std::string(n.negative ? "-" : "") +
                                        std::to_string(n.magnitude) + ", expected " +
                                        range_text(low, high));
    return true;
}

// `unsigned_too`: 2^31 to 2^32-1 mean the same 32 bits. `hex_wraps`: they do in hexadecimal only.
bool Matcher::immediate(Op op, bool unsigned_too, bool hex_wraps) {
    skip_space();
    const std::size_t start = at_;
    Number n;
    if (!number(n))
        return false;
    if (op == Op::Mov64Imm && options_.hex_move_is_lddw && n.hex && !n.negative) {
        at_ = start;
        return expected("a decimal number");
    }
    const bool wide = unsigned_too || (hex_wraps && n.hex);
    at_ = start;
    std::int64_t value = 0;
    if (!signed_number(value, kInt32Min, wide ? kUint32Max : kInt32Max))
        return false;
    matched_.insn.imm = static_cast<std::int32_t>(value);
    return true;
}

bool Matcher::unsigned32(std::int32_t& out) {
    std::int64_t value = 0;
    if (!signed_number(value, 0, kUint32Max))
        return false;
    out = static_cast<std::int32_t>(value);
    return true;
}

// lddw: hexadecimal as in a log, or any number that ends in "ll".
bool Matcher::wide_immediate() {
    Number n;
    if (!number(n))
        return false;
    bool marked = false;
    if (word_here() == "ll") {
        at_ += 2;
        marked = true;
    }
    if (!marked && (!n.hex || n.negative || !options_.hex_move_is_lddw)) {
        at_ = n.position;
        return expected("a number with \"ll\"");
    }
    if (n.negative && n.magnitude > std::uint64_t{1} << 63)
        return complain(n.position, "found -" + std::to_string(n.magnitude) +
                                        ", expected at least -9223372036854775808");
    const std::uint64_t value = n.negative ? ~n.magnitude + 1 : n.magnitude;
    matched_.insn.imm = static_cast<std::int32_t>(value);
    matched_.second.imm = static_cast<std::int32_t>(value >> 32);
    return true;
}

// A distance always shows its sign.
bool Matcher::offset(std::int64_t& out, std::int64_t low, std::int64_t high) {
    const char sign = peek();
    if (sign != '+' && sign != '-')
        return expected("an offset with its sign");
    return signed_number(out, low, high);
}

bool Matcher::jump(bool in_imm) {
    skip_space();
    const std::size_t start = at_;
    std::int64_t distance = 0;
    if (word_here() == "pc") {
        at_ += 2;
        if (peek() != '+' && peek() != '-' && labels_.contains("pc"))
            at_ = start;
    }
    if (at_ == start && peek() != '+' && peek() != '-')
        return label(in_imm);
    if (!offset(distance, in_imm ? kInt32Min : kInt16Min, in_imm ? kInt32Max : kInt16Max))
        return false;
    if (in_imm)
        matched_.insn.imm = static_cast<std::int32_t>(distance);
    else
        matched_.insn.off = static_cast<std::int16_t>(distance);
    return true;
}

bool Matcher::function_distance() {
    if (peek() != '+' && peek() != '-')
        return label(true);
    std::int64_t distance = 0;
    if (!offset(distance, kInt32Min, kInt32Max))
        return false;
    matched_.insn.imm = static_cast<std::int32_t>(distance);
    return true;
}

bool Matcher::label(bool in_imm) {
    const std::string_view word = word_here();
    if (word.empty() || is_digit(word[0]))
        return expected("a label or a distance");
    if (!labels_.contains(word))
        return complain(at_, "label \"" + std::string(word) + "\" is not defined",
                        hint_for(word, {}));
    matched_.label = word;
    matched_.label_position = at_;
    matched_.label_in_imm = in_imm;
    at_ += word.size();
    return true;
}

bool Matcher::address_spaces() {
    std::int64_t to = 0;
    std::int64_t from = 0;
    if (!signed_number(to, 0, 0xffff) || !literal(",") || !signed_number(from, 0, 0xffff))
        return false;
    matched_.insn.imm = static_cast<std::int32_t>(static_cast<std::uint32_t>(to) << 16 |
                                                  static_cast<std::uint32_t>(from));
    return true;
}

bool Matcher::optional_tail(std::string_view intro, std::int32_t& out) {
    skip_space();
    if (!statement_.substr(at_).starts_with(intro))
        return true;
    at_ += intro.size();
    return unsigned32(out);
}

bool Matcher::map_name() {
    const std::string_view word = word_here();
    if (word == "id") {
        at_ += word.size();
        return literal(":") && unsigned32(matched_.insn.imm);
    }
    if (word != "name")
        return expected_token("id:") || expected_token("name:");
    at_ += word.size();
    if (!literal(":"))
        return false;
    const std::string_view name = word_here();
    const Symbol* symbol = find_symbol(options_.symbols.maps, name);
    if (symbol == nullptr)
        return complain(at_, "map \"" + std::string(name) + "\" is not known",
                        hint_for(name, {options_.symbols.maps}, false));
    matched_.insn.imm = symbol->imm;
    at_ += name.size();
    return true;
}

// name#1, #1, 1, or a name from the symbols.
bool Matcher::helper() {
    if (peek() == '#')
        ++at_;
    if (is_digit(peek()) || peek() == '-') {
        std::int64_t value = 0;
        if (!signed_number(value, kInt32Min, kInt32Max))
            return false;
        matched_.insn.imm = static_cast<std::int32_t>(value);
        return true;
    }
    return callee(options_.symbols.helpers, "helper");
}

bool Matcher::kfunc() {
    constexpr std::string_view kUnnamed = "kernel-function#";
    skip_space();
    if (!statement_.substr(at_).starts_with(kUnnamed))
        return callee(options_.symbols.kfuncs, "kfunc");
    at_ += kUnnamed.size();
    std::int64_t imm = 0;
    if (!signed_number(imm, kInt32Min, kInt32Max))
        return false;
    matched_.insn.imm = static_cast<std::int32_t>(imm);
    skip_space();
    std::int64_t off = 0;
    if (statement_.substr(at_).starts_with("fd:")) {
        at_ += 3;
        if (!signed_number(off, kInt16Min, kInt16Max))
            return false;
    }
    matched_.insn.off = static_cast<std::int16_t>(off);
    return true;
}

bool Matcher::callee(std::span<const Symbol> symbols, std::string_view what) {
    const std::string_view word = word_here();
    const std::size_t start = at_;
    if (word.empty())
        return expected("a function");
    const bool numbered = statement_.substr(at_ + word.size()).starts_with('#');
    const Symbol* symbol = find_symbol(symbols, word);
    if (!numbered && (labels_.contains(word) || word == "pc"))
        return false; // A local call, which is a row of its own.
    if (symbol == nullptr && what == "helper" &&
        find_symbol(options_.symbols.kfuncs, word) != nullptr)
        return false; // So is a call of a kfunc; logs do not tell them apart.
    if (symbol == nullptr && (!numbered || what == "kfunc"))
        return complain(start, "function \"" + std::string(word) + "\" is not known",
                        hint_for(word, {options_.symbols.helpers, options_.symbols.kfuncs}));
    at_ += word.size();
    if (!numbered) {
        matched_.insn.imm = symbol->imm;
        matched_.insn.off = symbol->off;
        return true;
    }
    ++at_;
    std::int64_t imm = 0;
    if (!signed_number(imm, kInt32Min, kInt32Max))
        return false;
    if (symbol != nullptr && symbol->imm != imm)
        return complain(start, std::string(word) + " is " + std::string(what) + " " +
                                   std::to_string(symbol->imm) + ", found " + std::to_string(imm));
    matched_.insn.imm = static_cast<std::int32_t>(imm);
    matched_.insn.off = symbol != nullptr ? symbol->off : std::int16_t{0};
    return true;
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
