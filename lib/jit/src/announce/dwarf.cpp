// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "dwarf.hpp"

// DWARF 4, sections 7.5 (.debug_info, .debug_abbrev), 6.2 (.debug_line) and 6.4 (.debug_frame).

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "skep/base/check.hpp"
#include "writer.hpp"

namespace skep::jit {
namespace {

constexpr std::uint16_t kVersion = 4;
constexpr std::uint8_t kAddressBytes = 8;

enum Abbreviation : std::uint8_t { End, Unit, Function };

// NOLINTBEGIN(readability-identifier-naming): as DWARF spells and numbers them
enum : std::uint8_t {
    DW_TAG_compile_unit = 0x11,
    DW_TAG_subprogram = 0x2e,
    DW_CHILDREN_no = 0,
    DW_CHILDREN_yes = 1,
    DW_AT_name = 0x03,
    DW_AT_stmt_list = 0x10,
    DW_AT_low_pc = 0x11,
    DW_AT_high_pc = 0x12,
    DW_AT_language = 0x13,
    DW_AT_producer = 0x25,
    DW_AT_external = 0x3f,
    DW_FORM_addr = 0x01,
    DW_FORM_data2 = 0x05,
    DW_FORM_data8 = 0x07,
    DW_FORM_string = 0x08,
    DW_FORM_sec_offset = 0x17,
    DW_FORM_flag_present = 0x19,
    DW_LANG_C99 = 0x0c,
    DW_LNS_copy = 1,
    DW_LNS_advance_pc = 2,
    DW_LNS_advance_line = 3,
    DW_LNS_set_file = 4,
    DW_LNS_set_column = 5,
    DW_LNE_end_sequence = 1,
    DW_LNE_set_address = 2,
    DW_CFA_nop = 0,
    DW_CFA_advance_loc4 = 0x04,
    DW_CFA_restore_extended = 0x06,
    DW_CFA_def_cfa = 0x0c,
    DW_CFA_def_cfa_offset = 0x0e,
    DW_CFA_offset = 0x80, // with the register in the lower six bits
};
// NOLINTEND(readability-identifier-naming)

} // namespace

std::vector<std::byte> debug_abbrev() {
    Writer out;
    const auto entry = [&out](Abbreviation code, std::uint8_t tag, std::uint8_t children,
                              std::initializer_list<std::uint8_t> attributes) {
        for (const std::uint8_t value : {std::uint8_t{code}, tag, children})
            out.put(value);
        for (const std::uint8_t value : attributes) // Pairs of name and form.
            out.put(value);
        out.put<std::uint16_t>(0);
    };
    entry(Unit, DW_TAG_compile_unit, DW_CHILDREN_yes,
          {DW_AT_producer, DW_FORM_string, DW_AT_language, DW_FORM_data2, DW_AT_name,
           DW_FORM_string, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc, DW_FORM_data8,
           DW_AT_stmt_list, DW_FORM_sec_offset});
    entry(Function, DW_TAG_subprogram, DW_CHILDREN_no,
          {DW_AT_external, DW_FORM_flag_present, DW_AT_name, DW_FORM_string, DW_AT_low_pc,
           DW_FORM_addr, DW_AT_high_pc, DW_FORM_data8});
    out.put<std::uint8_t>(End);
    return out.take();
}

std::vector<std::byte> debug_info(const Described& what) {
    const auto line =
        std::ranges::find_if(what.lines, [](const SourceLine& each) { return !each.file.empty(); });
    Writer out;
    const std::size_t length = out.begin_length();
    out.put(kVersion);
    out.put<std::uint32_t>(0); // .debug_abbrev
    out.put(kAddressBytes);
    out.put<std::uint8_t>(Unit);
    out.text("skep");
    out.put<std::uint16_t>(DW_LANG_C99);
    out.text(line != what.lines.end() ? line->file : what.name);
    out.put(what.address());
    out.put<std::uint64_t>(what.code.size());
    out.put<std::uint32_t>(0); // .debug_line
    for (const NativeFunction& function : what.functions) {
        out.put<std::uint8_t>(Function);
        out.text(function.name);
        out.put(what.address() + function.offset);
        out.put<std::uint64_t>(function.size);
    }
    out.put<std::uint8_t>(End);
    out.end_length(length);
    return out.take();
}

namespace {

/// The file names of the lines, in order of appearance; numbered from 1.
std::vector<std::string_view> file_names(const Described& what) {
    std::vector<std::string_view> names;
    for (const SourceLine& line : what.lines) {
        if (line.line != 0 && std::ranges::find(names, line.file) == names.end())
            names.push_back(line.file);
    }
    return names;
}

void put_line_header(Writer& out, std::span<const std::string_view> files) {
    const std::size_t length = out.begin_length();
    out.put<std::uint8_t>(1);  // Addresses are counted in bytes,
    out.put<std::uint8_t>(1);  // instructions are not bundled,
    out.put<std::uint8_t>(1);  // and each row is where a statement begins.
    out.put<std::int8_t>(0);   // Special opcodes are not used.
    out.put<std::uint8_t>(1);  // (But nobody divides by 0.)
    out.put<std::uint8_t>(10); // The first of them: behind the nine of DWARF 2.
    for (const std::uint8_t operands : {0, 1, 1, 1, 1, 0, 0, 0, 1})
        out.put(operands);
    out.put<std::uint8_t>(0); // No directories: names are as the program has them.
    for (const std::string_view file : files) {
        out.text(file);
        for (int i = 0; i != 3; ++i)
            out.put<std::uint8_t>(0); // directory, time, size
    }
    out.put<std::uint8_t>(0);
    out.end_length(length);
}

void put_extended(Writer& out, std::uint8_t opcode, Bytes operands) {
    out.put<std::uint8_t>(0);
    out.uleb(1 + operands.size());
    out.put(opcode);
    out.bytes(operands);
}

void put_rows(Writer& out, const Described& what, std::span<const std::string_view> files) {
    std::uint32_t offset = 0;
    std::uint64_t file = 1;
    std::int64_t line = 1;
    std::uint64_t column = 0;
    for (const SourceLine& row : what.lines) {
        out.put<std::uint8_t>(DW_LNS_advance_pc);
        out.uleb(row.offset - offset);
        offset = row.offset;
        const auto found = std::ranges::find(files, row.file);
        const auto number = static_cast<std::uint64_t>(found - files.begin()) + 1;
        if (row.line != 0 && number != file) {
            out.put<std::uint8_t>(DW_LNS_set_file);
            out.uleb(file = number);
        }
        if (row.column != column) {
            out.put<std::uint8_t>(DW_LNS_set_column);
            out.uleb(column = row.column);
        }
        if (row.line != line) {
            out.put<std::uint8_t>(DW_LNS_advance_line);
            out.sleb(row.line - line);
            line = row.line;
        }
        out.put<std::uint8_t>(DW_LNS_copy);
    }
    out.put<std::uint8_t>(DW_LNS_advance_pc);
    out.uleb(what.code.size() - offset);
}

} // namespace

std::vector<std::byte> debug_line(const Described& what) {
    const std::vector<std::string_view> files = file_names(what);
    Writer out;
    const std::size_t length = out.begin_length();
    out.put(kVersion);
    put_line_header(out, files);
    const std::uint64_t address = what.address();
    put_extended(out, DW_LNE_set_address, std::as_bytes(std::span(&address, 1)));
    put_rows(out, what, files);
    put_extended(out, DW_LNE_end_sequence, {});
    out.end_length(length);
    return out.take();
}

// --- Call frames ---

namespace {

struct FrameRules {
    std::uint8_t stack_pointer;
    std::uint8_t return_address;
    std::uint8_t depth; ///< at a function's first instruction
};
constexpr FrameRules kX64{.stack_pointer = 7, .return_address = 16, .depth = 8};
constexpr FrameRules kArm64{.stack_pointer = 31, .return_address = 30, .depth = 0};
constexpr std::uint32_t kSlot = 8; ///< in which offsets from the CFA are counted, downwards

void put_saved(Writer& out, std::uint8_t reg, std::uint32_t below_cfa) {
    SKEP_CHECK(reg < 64 && below_cfa % kSlot == 0);
    out.put(static_cast<std::uint8_t>(DW_CFA_offset | reg));
    out.uleb(below_cfa / kSlot);
}

void put_common_entry(Writer& out, const FrameRules& rules) {
    const std::size_t length = out.begin_length();
    out.put<std::uint32_t>(UINT32_MAX); // what it is
    out.put<std::uint8_t>(kVersion);
    out.put<std::uint8_t>(0); // no augmentation
    out.put(kAddressBytes);
    out.put<std::uint8_t>(0); // no segments
    out.uleb(1);              // Code is counted in bytes.
    out.sleb(-static_cast<std::int64_t>(kSlot));
    out.uleb(rules.return_address);
    out.put<std::uint8_t>(DW_CFA_def_cfa);
    out.uleb(rules.stack_pointer);
    out.uleb(rules.depth);
    if (rules.depth != 0) // The call put the return address there.
        put_saved(out, rules.return_address, rules.depth);
    out.align(kAddressBytes, DW_CFA_nop);
    out.end_length(length);
}

void put_frame_rows(Writer& out, const Unwind& unwind, std::uint32_t depth) {
    std::uint32_t offset = 0;
    std::uint32_t saved = 0;
    for (const Unwind::Row& row : unwind.rows) {
        SKEP_CHECK(row.offset >= offset && row.saved <= unwind.saved.size());
        if (row.offset != offset) {
            out.put<std::uint8_t>(DW_CFA_advance_loc4);
            out.put(row.offset - offset);
            offset = row.offset;
        }
        if (row.depth != depth) {
            out.put<std::uint8_t>(DW_CFA_def_cfa_offset);
            out.uleb(depth = row.depth);
        }
        for (; saved < row.saved; ++saved)
            put_saved(out, unwind.saved[saved].reg, unwind.saved[saved].below_cfa);
        for (; saved > row.saved; --saved) {
            out.put<std::uint8_t>(DW_CFA_restore_extended);
            out.uleb(unwind.saved[saved - 1].reg);
        }
    }
}

} // namespace

std::vector<std::byte> debug_frame(const Described& what, Arch arch) {
    const FrameRules& rules = arch == Arch::X64 ? kX64 : kArm64;
    SKEP_CHECK(what.unwind.empty() || what.unwind.size() == what.functions.size());
    Writer out;
    put_common_entry(out, rules);
    for (std::size_t i = 0; i != what.unwind.size(); ++i) {
        if (what.unwind[i].rows.empty())
            continue;
        const std::size_t length = out.begin_length();
        out.put<std::uint32_t>(0); // the entry above
        out.put(what.address() + what.functions[i].offset);
        out.put<std::uint64_t>(what.functions[i].size);
        put_frame_rows(out, what.unwind[i], rules.depth);
        out.align(kAddressBytes, DW_CFA_nop);
        out.end_length(length);
    }
    return out.take();
}

} // namespace skep::jit
