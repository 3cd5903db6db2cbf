// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/isa/disassemble.hpp"

#include <algorithm>
#include <charconv>

#include "fields.hpp"
#include "skep/isa/encode.hpp"

namespace skep::isa {
namespace {

std::string hex(std::uint64_t value, int digits = 1) {
    char buffer[16];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, 16).ptr;
    std::string out(buffer, end);
    if (std::ssize(out) < digits)
        out.insert(0, static_cast<std::size_t>(digits) - out.size(), '0');
    return out;
}

std::string with_sign(std::int64_t value) {
    return (value < 0 ? "" : "+") + std::to_string(value);
}

std::string_view name_of(std::span<const Symbol> symbols, std::int32_t imm, std::int16_t off) {
    const auto found = std::ranges::find_if(
        symbols, [=](const Symbol& symbol) { return symbol.imm == imm && symbol.off == off; });
    return found == symbols.end() ? std::string_view{} : found->name;
}

// The values that one instruction's placeholders show.
struct Shown {
    const Insn& insn;
    const Insn& second; // All zero unless the instruction is a lddw.
    const Symbols& symbols;

    [[nodiscard]] std::string placeholder(char which) const;
    [[nodiscard]] std::string helper() const;
    [[nodiscard]] std::string kfunc() const;
    [[nodiscard]] std::string map() const;
};

std::string Shown::helper() const {
    const std::string_view name = name_of(symbols.helpers, insn.imm, 0);
    return std::string(name.empty() ? "unknown" : name) + "#" + std::to_string(insn.imm);
}

std::string Shown::kfunc() const {
    const std::string_view name = name_of(symbols.kfuncs, insn.imm, insn.off);
    if (!name.empty())
        return std::string(name) + "#" + std::to_string(insn.imm);
    std::string out = "kernel-function#" + std::to_string(insn.imm);
    if (insn.off != 0)
        out += " fd:" + std::to_string(insn.off);
    return out;
}

std::string Shown::map() const {
    const std::string_view name = name_of(symbols.maps, insn.imm, 0);
    if (!name.empty())
        return "name:" + std::string(name);
    return "id:" + std::to_string(static_cast<std::uint32_t>(insn.imm));
}

std::string Shown::placeholder(char which) const {
    const auto imm = static_cast<std::uint32_t>(insn.imm);
    const auto imm2 = static_cast<std::uint32_t>(second.imm);
    switch (which) {
    case 'd':
        return "r" + std::to_string(insn.dst);
    case 's':
        return "r" + std::to_string(insn.src);
    case 'D':
        return "w" + std::to_string(insn.dst);
    case 'S':
        return "w" + std::to_string(insn.src);
    case 'i':
    case 'I':
        return std::to_string(insn.imm);
    case 'x':
        return "0x" + hex(imm);
    case 'u':
        return std::to_string(imm);
    case 'o':
        return with_sign(insn.off);
    case 'j':
        return "pc" + with_sign(insn.off);
    case 'J':
        return "pc" + with_sign(insn.imm);
    case 'p':
        return with_sign(insn.imm);
    case 'a':
        return std::to_string(imm >> 16) + ", " + std::to_string(imm & 0xffff);
    case 'q':
        return "0x" + hex(lddw_value(insn, second));
    case 'n':
        return std::to_string(imm2);
    case 'N':
        return imm2 == 0 ? "" : "+" + std::to_string(imm2);
    case 'f':
        return imm2 == 0 ? "" : " fd:" + std::to_string(imm2);
    case 'm':
        return map();
    case 'h':
        return helper();
    case 'k':
        return kfunc();
    default:
        return "%";
    }
}

std::string raw(const Insn& insn) {
    return ".insn 0x" + hex(insn.opcode, 2) + " dst " + std::to_string(insn.dst) + " src " +
           std::to_string(insn.src) + " off " + std::to_string(insn.off) + " imm " +
           std::to_string(insn.imm);
}

// The row whose text says everything about the instruction; nullptr if only .insn can.
const OpInfo* faithful_row(std::span<const Insn> insns, std::size_t index) noexcept {
    const Insn& insn = insns[index];
    const OpInfo* row = classify(insn);
    if (row == nullptr || !reserved_fields_are_zero(*row, insn) ||
        !registers_are_in_range(*row, insn))
        return nullptr;
    if (row->is_lddw() && (index + 1 >= insns.size() || !is_second_slot_of(*row, insns[index + 1])))
        return nullptr;
    return row;
}

} // namespace

std::size_t slots_at(std::span<const Insn> insns, std::size_t index) noexcept {
    const OpInfo* row = faithful_row(insns, index);
    return row == nullptr ? 1 : row->slots();
}

std::string disassemble(std::span<const Insn> insns, std::size_t index, const Symbols& symbols) {
    const OpInfo* row = faithful_row(insns, index);
    if (row == nullptr)
        return raw(insns[index]);
    const Insn second = row->is_lddw() ? insns[index + 1] : Insn{};
    const Shown shown{insns[index], second, symbols};
    std::string out;
    for (std::size_t i = 0; i < row->text.size(); ++i) {
        if (row->text[i] == '%')
            out += shown.placeholder(row->text[++i]);
        else
            out += row->text[i];
    }
    return out;
}

std::string listing(std::span<const Insn> insns, const Symbols& symbols) {
    std::string out;
    for (std::size_t i = 0; i < insns.size(); i += slots_at(insns, i)) {
        out += std::to_string(i) + ": ";
        const std::string text = disassemble(insns, i, symbols);
        if (!text.starts_with('.')) // .insn shows the opcode itself.
            out += "(" + hex(insns[i].opcode, 2) + ") ";
        out += text + "\n";
    }
    return out;
}

} // namespace skep::isa
