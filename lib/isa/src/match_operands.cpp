// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The placeholders that stand for registers, numbers and distances.
#include "match.hpp"

#include <charconv>

#include "ranges.hpp"

namespace skep::isa {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::string range_text(std::int64_t low, std::int64_t high) {
    return std::to_string(low) + " to " + std::to_string(high);
}

} // namespace

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

} // namespace skep::isa
