// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The placeholders that stand for maps, helpers and kfuncs.
#include "match.hpp"

#include <algorithm>

#include "ranges.hpp"

namespace skep::isa {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

const Symbol* find_symbol(std::span<const Symbol> symbols, std::string_view name) {
    const auto found = std::ranges::find(symbols, name, &Symbol::name);
    return found == symbols.end() ? nullptr : &*found;
}

} // namespace

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

} // namespace skep::isa
