// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <string>

#include "fields.hpp"
#include "skep/isa/decode.hpp"
#include "skep/isa/opcodes.hpp"

namespace skep::isa {
namespace {

constexpr std::uint32_t kMaxMapValueOffset = 1U << 29; // Linux: BPF_MAX_VAR_OFF, exclusive.

using Fault = std::string; // Empty: none.

Result<void> fault_at(std::size_t index, Fault fault) {
    return malformed(std::move(fault), {.instruction = static_cast<std::int64_t>(index)});
}

std::string hex(std::uint32_t value) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    do {
        out.insert(out.begin(), kDigits[value & 0xf]);
        value >>= 4;
    } while (value != 0);
    return "0x" + out;
}

// The opcode is known, but not with this value of the discriminating field.
Fault wrong_discriminator(const Insn& insn) {
    std::vector<const OpInfo*> rows;
    for (const OpInfo& row : all_ops())
        if (row.opcode == insn.opcode)
            rows.push_back(&row);
    if (rows.empty())
        return "unknown opcode " + hex(insn.opcode);
    constexpr std::array<std::string_view, 4> kNames{"", "off", "imm", "src"};
    const Discriminator field = rows.front()->discriminator;
    const bool atomic = rows.front()->insn_class() == kStx;
    const auto show = [atomic](std::int32_t value) {
        return atomic ? hex(static_cast<std::uint32_t>(value)) : std::to_string(value);
    };
    std::string expected;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (i > 0)
            expected += i + 1 == rows.size() ? " or " : ", ";
        expected += show(rows[i]->value);
    }
    return "opcode " + hex(insn.opcode) + ": " + std::string(kNames[std::to_underlying(field)]) +
           " is " + show(detail::discriminating_field(field, insn)) + ", expected " + expected;
}

Fault reserved(const OpInfo& row, std::string_view field, std::int32_t value) {
    return std::string(row.name) + ": " + std::string(field) + " is " + std::to_string(value) +
           ", expected 0";
}

Fault check_reserved(const OpInfo& row, const Insn& insn) {
    const Fields used = fields_of(row.format);
    if (!used.dst && insn.dst != 0)
        return reserved(row, "dst", insn.dst);
    if (!used.src && row.discriminator != Discriminator::Src && insn.src != 0)
        return reserved(row, "src", insn.src);
    if (!used.off && row.discriminator != Discriminator::Off && insn.off != 0)
        return reserved(row, "off", insn.off);
    if (!used.imm && row.discriminator != Discriminator::Imm && insn.imm != 0)
        return reserved(row, "imm", insn.imm);
    return {};
}

Fault check_registers(const OpInfo& row, const Insn& insn) {
    const auto past_the_last = [&row](std::string_view field, unsigned number) {
        return std::string(row.name) + ": " + std::string(field) + " is r" +
               std::to_string(number) + ", expected r0 to r10";
    };
    const Fields used = fields_of(row.format);
    if (used.dst && insn.dst >= kRegisters)
        return past_the_last("dst", insn.dst);
    if (used.src && insn.src >= kRegisters)
        return past_the_last("src", insn.src);
    return {};
}

Fault check_immediate(const OpInfo& row, const Insn& insn) {
    switch (row.op) {
    case Op::Lsh64Imm:
    case Op::Rsh64Imm:
    case Op::Arsh64Imm:
    case Op::Lsh32Imm:
    case Op::Rsh32Imm:
    case Op::Arsh32Imm: {
        const int width = row.insn_class() == kAlu64 ? 64 : 32;
        if (insn.imm >= 0 && insn.imm < width)
            return {};
        return std::string(row.name) + ": shift by " + std::to_string(insn.imm) +
               ", expected 0 to " + std::to_string(width - 1);
    }
    case Op::Div64Imm:
    case Op::Div32Imm:
    case Op::Sdiv64Imm:
    case Op::Sdiv32Imm:
    case Op::Mod64Imm:
    case Op::Mod32Imm:
    case Op::Smod64Imm:
    case Op::Smod32Imm:
        return insn.imm != 0 ? Fault{}
                             : std::string(row.name) + ": divisor is 0, expected another value";
    case Op::AddrSpaceCast:
        if (insn.imm == 1 || insn.imm == 1 << 16)
            return {};
        return "AddrSpaceCast: imm is " + hex(static_cast<std::uint32_t>(insn.imm)) +
               ", expected 0x1 (from 1 to 0) or 0x10000 (from 0 to 1)";
    default:
        return {};
    }
}

Fault check_second_slot(const OpInfo& row, const Insn& second) {
    const std::string name = std::string(row.name) + ": second slot has ";
    if (second.opcode != 0)
        return name + "opcode " + hex(second.opcode) + ", expected 0x0";
    if (second.dst != 0)
        return name + "dst " + std::to_string(second.dst) + ", expected 0";
    if (second.src != 0)
        return name + "src " + std::to_string(second.src) + ", expected 0";
    if (second.off != 0)
        return name + "off " + std::to_string(second.off) + ", expected 0";
    if (!fields_of(row.format).imm2 && second.imm != 0)
        return name + "imm " + std::to_string(second.imm) + ", expected 0";
    const auto offset = static_cast<std::uint32_t>(second.imm);
    if (row.format == Format::LddwMapValue && offset >= kMaxMapValueOffset)
        return std::string(row.name) + ": offset into the map value is " + std::to_string(offset) +
               ", expected less than " + std::to_string(kMaxMapValueOffset);
    return {};
}

Fault check_insn(const OpInfo& row, const Insn& insn, const ValidateOptions& options) {
    if (row.op == Op::Callx && !options.callx)
        return "Callx: Linux has no indirect calls, expected a call of a helper, function or kfunc";
    if (Fault fault = check_reserved(row, insn); !fault.empty())
        return fault;
    return check_registers(row, insn);
}

Fault check_values(const OpInfo& row, const Insn& insn) {
    if ((registers(row.writes, insn) & 1U << kFramePointer) != 0)
        return std::string(row.name) + ": writes r10, which is read-only";
    return check_immediate(row, insn);
}

// Pass 1: every instruction by itself. Marks the second slots of lddw.
Result<void> check_each(std::span<const Insn> insns, const ValidateOptions& options,
                        std::vector<bool>& second_slot) {
    for (std::size_t i = 0; i < insns.size(); ++i) {
        const OpInfo* row = classify(insns[i]);
        if (row == nullptr)
            return fault_at(i, wrong_discriminator(insns[i]));
        if (Fault fault = check_insn(*row, insns[i], options); !fault.empty())
            return fault_at(i, std::move(fault));
        if (Fault fault = check_values(*row, insns[i]); !fault.empty()) {
            if (options.when_reached == nullptr)
                return fault_at(i, std::move(fault));
            options.when_reached->push_back({static_cast<std::uint32_t>(i), std::move(fault)});
        }
        if (!row->is_lddw())
            continue;
        if (i + 1 == insns.size())
            return fault_at(i,
                            std::string(row->name) + ": second slot is missing, the program ends");
        if (Fault fault = check_second_slot(*row, insns[i + 1]); !fault.empty())
            return fault_at(i, std::move(fault));
        second_slot[++i] = true;
    }
    return {};
}

// Where a jump or call may land. Functions are [starts[k], starts[k + 1]).
struct Layout {
    std::span<const Insn> insns;
    std::vector<bool> second_slot;
    std::vector<std::uint32_t> starts;

    [[nodiscard]] Fault check_jump(std::int64_t target, std::size_t begin, std::size_t end) const {
        const std::string to = "jumps to instruction " + std::to_string(target);
        if (target < static_cast<std::int64_t>(begin) || target >= static_cast<std::int64_t>(end))
            return to + ", expected " + std::to_string(begin) + " to " + std::to_string(end - 1) +
                   " (its function)";
        return into_lddw(to, target);
    }
    [[nodiscard]] Fault check_call(std::string_view verb, std::int64_t target) const {
        const std::string to = std::string(verb) + " instruction " + std::to_string(target);
        if (target < 0 || target >= std::ssize(insns))
            return to + ", expected 0 to " + std::to_string(insns.size() - 1);
        return into_lddw(to, target);
    }
    [[nodiscard]] Fault into_lddw(const std::string& to, std::int64_t target) const {
        if (second_slot[static_cast<std::size_t>(target)])
            return to + ", the second slot of a lddw";
        return {};
    }
};

// Pass 2: local calls and function addresses; they decide where functions begin.
Result<void> check_calls(const Layout& layout) {
    for (std::size_t i = 0; i < layout.insns.size(); ++i) {
        if (layout.second_slot[i])
            continue;
        const OpInfo& row = *classify(layout.insns[i]);
        if (row.op != Op::CallLocal && row.op != Op::LddwFunc)
            continue;
        Fault fault = layout.check_call(row.op == Op::CallLocal ? "calls" : "takes the address of",
                                        target_of(layout.insns[i], i));
        if (!fault.empty())
            return fault_at(i, std::move(fault));
    }
    return {};
}

bool ends_function(Op op) {
    return op == Op::Exit || op == Op::Ja || op == Op::Gotol;
}

// Pass 3: jumps within [begin, end), which must end with a jump or exit.
Result<void> check_function(const Layout& layout, std::size_t begin, std::size_t end) {
    std::size_t last = begin;
    for (std::size_t i = begin; i < end; ++i) {
        if (layout.second_slot[i])
            continue;
        last = i;
        const OpInfo& row = *classify(layout.insns[i]);
        if (!row.is_conditional_jump() && row.op != Op::Ja && row.op != Op::Gotol)
            continue;
        Fault fault = layout.check_jump(target_of(layout.insns[i], i), begin, end);
        if (!fault.empty())
            return fault_at(i, std::move(fault));
    }
    const OpInfo& row = *classify(layout.insns[last]);
    if (!ends_function(row.op))
        return fault_at(last, std::string(row.name) +
                                  ": last instruction of its function, expected exit or goto");
    return {};
}

} // namespace

Result<void> validate(std::span<const Insn> insns, const ValidateOptions& options) {
    if (insns.empty())
        return malformed("program has no instructions, expected 1 to " + std::to_string(kMaxInsns));
    if (insns.size() > kMaxInsns)
        return fail(ErrorCode::Limit, "program has " + std::to_string(insns.size()) +
                                          " instructions, expected 1 to " +
                                          std::to_string(kMaxInsns));
    Layout layout{.insns = insns, .second_slot = std::vector<bool>(insns.size()), .starts = {}};
    SKEP_TRY(check_each(insns, options, layout.second_slot));
    SKEP_TRY(check_calls(layout));
    layout.starts = function_starts(insns);
    if (layout.starts.size() > kMaxFunctions)
        return fail(ErrorCode::Limit, "program has " + std::to_string(layout.starts.size()) +
                                          " functions, expected at most " +
                                          std::to_string(kMaxFunctions));
    for (std::size_t i = 0; i < layout.starts.size(); ++i) {
        const std::size_t end = i + 1 < layout.starts.size() ? layout.starts[i + 1] : insns.size();
        SKEP_TRY(check_function(layout, layout.starts[i], end));
    }
    return {};
}

} // namespace skep::isa
