// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "announce/debug_object.hpp"

#include <cstdint>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <gelf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "sample_code.hpp"

namespace skep::jit {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

constexpr Arch kHost =
#ifdef __aarch64__
    Arch::Arm64;
#else
    Arch::X64;
#endif

/// The file that a debugger gets, read by elfutils. Addresses are shown relative to the code.
class Read {
public:
    explicit Read(std::vector<std::byte> object) : object_(std::move(object)) {
        elf_version(EV_CURRENT);
        elf_ = elf_memory(reinterpret_cast<char*>(object_.data()), object_.size());
        dwarf_ = dwarf_begin_elf(elf_, DWARF_C_READ, nullptr);
        EXPECT_NE(dwarf_, nullptr) << dwarf_errmsg(-1);
    }
    ~Read() {
        dwarf_end(dwarf_);
        elf_end(elf_);
    }
    Read(const Read&) = delete;
    Read& operator=(const Read&) = delete;

    [[nodiscard]] Elf* elf() const { return elf_; }
    [[nodiscard]] Dwarf* dwarf() const { return dwarf_; }

    Dwarf_Die unit() {
        Dwarf_Off next = 0;
        std::size_t header = 0;
        Dwarf_Die die{};
        EXPECT_EQ(dwarf_nextcu(dwarf_, 0, &next, &header, nullptr, nullptr, nullptr), 0);
        EXPECT_NE(dwarf_offdie(dwarf_, header, &die), nullptr);
        return die;
    }

private:
    std::vector<std::byte> object_;
    Elf* elf_ = nullptr;
    Dwarf* dwarf_ = nullptr;
};

struct Sample {
    Program program = sample::program();
    std::vector<NativeFunction> functions = sample::functions();
    std::vector<Unwind> unwind = sample::unwind();
    Described what{.name = program.name,
                   .code = sample::code(),
                   .functions = functions,
                   .unwind = unwind,
                   .lines = source_lines(program, sample::lines())};

    [[nodiscard]] std::vector<std::byte> object() const { return debug_object(what, kHost); }
};

using Row = std::tuple<std::uint64_t, int, int, std::string>; ///< offset, line, column, file

std::vector<Row> rows(const Described& what) {
    Read read(debug_object(what, kHost));
    Dwarf_Die unit = read.unit();
    Dwarf_Lines* lines = nullptr;
    std::size_t count = 0;
    EXPECT_EQ(dwarf_getsrclines(&unit, &lines, &count), 0) << dwarf_errmsg(-1);
    std::vector<Row> all;
    for (std::size_t i = 0; i != count; ++i) {
        Dwarf_Line* line = dwarf_onesrcline(lines, i);
        Dwarf_Addr address = 0;
        int number = 0;
        int column = 0;
        bool end = false;
        dwarf_lineaddr(line, &address);
        dwarf_lineno(line, &number);
        dwarf_linecol(line, &column);
        dwarf_lineendsequence(line, &end);
        all.emplace_back(address - what.address(), end ? -1 : number, end ? 0 : column,
                         end ? "" : dwarf_linesrc(line, nullptr, nullptr));
    }
    return all;
}

TEST(debug_object, names_the_machine) {
    const Sample sample;
    for (const auto& [arch, machine] :
         {std::pair(Arch::X64, EM_X86_64), std::pair(Arch::Arm64, EM_AARCH64)}) {
        const Read read(debug_object(sample.what, arch));
        GElf_Ehdr header;
        ASSERT_NE(gelf_getehdr(read.elf(), &header), nullptr);
        EXPECT_EQ(header.e_machine, machine);
        EXPECT_EQ(header.e_type, ET_EXEC);
    }
}

TEST(debug_object, has_symbols_where_the_code_is) {
    const Sample sample;
    const Read read(sample.object());
    std::vector<std::tuple<std::string, std::uint64_t, std::uint64_t>> symbols;
    for (Elf_Scn* section = nullptr; (section = elf_nextscn(read.elf(), section)) != nullptr;) {
        GElf_Shdr header;
        gelf_getshdr(section, &header);
        if (header.sh_type != SHT_SYMTAB)
            continue;
        for (std::size_t i = 1; i != header.sh_size / header.sh_entsize; ++i) {
            GElf_Sym symbol;
            ASSERT_NE(gelf_getsym(elf_getdata(section, nullptr), static_cast<int>(i), &symbol),
                      nullptr);
            EXPECT_EQ(GELF_ST_TYPE(symbol.st_info), STT_FUNC);
            GElf_Shdr text;
            gelf_getshdr(elf_getscn(read.elf(), symbol.st_shndx), &text);
            EXPECT_EQ(text.sh_addr, sample.what.address());
            EXPECT_EQ(text.sh_size, sample.what.code.size());
            symbols.emplace_back(elf_strptr(read.elf(), header.sh_link, symbol.st_name),
                                 symbol.st_value - text.sh_addr, symbol.st_size);
        }
    }
    EXPECT_THAT(symbols,
                ElementsAre(std::tuple("count_packets", 0, sample::kMainSize),
                            std::tuple("count_packets.hash", sample::kHash, sample::kHashSize),
                            std::tuple("count_packets.spin", sample::kSpin, sample::kSpinSize)));
}

TEST(debug_object, has_a_function_for_each) {
    const Sample sample;
    Read read(sample.object());
    Dwarf_Die unit = read.unit();
    EXPECT_EQ(dwarf_diename(&unit), sample::kFile);
    std::vector<std::tuple<std::string, std::uint64_t, std::uint64_t>> functions;
    Dwarf_Die die{};
    ASSERT_EQ(dwarf_child(&unit, &die), 0);
    do {
        Dwarf_Addr low = 0;
        Dwarf_Addr high = 0;
        EXPECT_EQ(dwarf_tag(&die), DW_TAG_subprogram);
        EXPECT_EQ(dwarf_lowpc(&die, &low), 0);
        EXPECT_EQ(dwarf_highpc(&die, &high), 0);
        functions.emplace_back(dwarf_diename(&die), low - sample.what.address(), high - low);
    } while (dwarf_siblingof(&die, &die) == 0);
    EXPECT_THAT(functions,
                ElementsAre(std::tuple("count_packets", 0, sample::kMainSize),
                            std::tuple("count_packets.hash", sample::kHash, sample::kHashSize),
                            std::tuple("count_packets.spin", sample::kSpin, sample::kSpinSize)));
}

TEST(debug_object, has_the_lines_of_the_source) {
    const Sample sample;
    const std::string file(sample::kFile);
    EXPECT_THAT(rows(sample.what),
                ElementsAre(Row(0, 15, 9, file), Row(sample::kCall, 16, 20, file),
                            Row(sample::kHash, 5, 5, file), Row(sample::kSpin, 9, 5, file),
                            Row(sample::kSpinEnd, 11, 5, file),
                            Row(sample.what.code.size(), -1, 0, "")));
}

TEST(debug_object, has_lines_of_several_files) {
    Sample sample;
    sample.what.lines = {
        {0, 100'000, 300, "a.c"}, {1, 7, 1, "b/b.h"}, {2, 0, 0, ""}, {70, 4'000'000'000, 0, "a.c"}};
    const std::vector<Row> got = rows(sample.what);
    ASSERT_THAT(got, SizeIs(5));
    EXPECT_EQ(got[0], Row(0, 100'000, 300, "a.c"));
    EXPECT_EQ(got[1], Row(1, 7, 1, "b/b.h"));
    EXPECT_EQ(std::get<1>(got[2]), 0);
    EXPECT_EQ(std::get<0>(got[3]), 70U);
    EXPECT_EQ(static_cast<std::uint32_t>(std::get<1>(got[3])), 4'000'000'000U);
    EXPECT_EQ(std::get<3>(got[3]), "a.c");
}

TEST(debug_object, does_without_lines) {
    Sample sample;
    sample.what.lines.clear();
    EXPECT_THAT(rows(sample.what), ElementsAre(Row(sample.what.code.size(), -1, 0, "")));
    Read read(sample.object());
    Dwarf_Die unit = read.unit();
    EXPECT_STREQ(dwarf_diename(&unit), "count_packets");
}

TEST(source_lines, are_those_of_instructions_and_differ) {
    const Program program = sample::program();
    const std::vector<NativeLine> native{{0, 0}, {4, 10}, {4, 1}, {6, 2}, {8, 20}};
    const auto lines = source_lines(program, native);
    ASSERT_THAT(lines, SizeIs(3));
    EXPECT_EQ(lines[1].offset, 4U);
    EXPECT_EQ(lines[1].line, 16U);
    EXPECT_EQ(lines[2].line, 9U);
    EXPECT_EQ(lines[2].file, sample::kFile);
}

TEST(source_lines, are_zero_where_nothing_is_known) {
    Program program;
    const std::vector<NativeLine> native{{0, 0}, {4, 1}};
    const auto lines = source_lines(program, native);
    ASSERT_THAT(lines, SizeIs(1));
    EXPECT_EQ(lines[0].line, 0U);
    EXPECT_EQ(lines[0].file, "");
}

// --- Call frames ---

/// What holds at a place: CFA minus stack pointer, and how far below the CFA registers are.
struct Frame {
    std::int64_t depth = -1;
    std::map<int, std::int64_t> saved;
};

Frame frame_at(Dwarf_CFI* cfi, std::uint64_t address, std::initializer_list<int> regs, int sp) {
    Dwarf_Frame* frame = nullptr;
    Frame got;
    if (dwarf_cfi_addrframe(cfi, address, &frame) != 0)
        return got;
    const std::unique_ptr<Dwarf_Frame, decltype(&free)> owner(frame, free);
    Dwarf_Op* ops = nullptr;
    std::size_t count = 0;
    EXPECT_EQ(dwarf_frame_cfa(frame, &ops, &count), 0);
    EXPECT_EQ(count, 1U);
    EXPECT_EQ(ops[0].atom, DW_OP_bregx);
    EXPECT_EQ(ops[0].number, static_cast<Dwarf_Word>(sp));
    got.depth = static_cast<std::int64_t>(ops[0].number2);
    for (const int reg : regs) {
        Dwarf_Op memory[3];
        EXPECT_EQ(dwarf_frame_register(frame, reg, memory, &ops, &count), 0);
        if (count >= 1 && ops[0].atom == DW_OP_call_frame_cfa)
            got.saved[reg] = count == 1 ? 0 : -static_cast<std::int64_t>(ops[1].number);
    }
    return got;
}

TEST(debug_object, says_how_x64_frames_are_left) {
    Sample sample;
    sample.unwind[0] = {.saved = {{3, 16}, {12, 24}},
                        .rows = {{0, 8, 0},
                                 {1, 16, 1},
                                 {3, 24, 2},
                                 {7, 1024, 2},
                                 {20, 24, 2},
                                 {21, 16, 1},
                                 {22, 8, 0},
                                 {23, 1024, 2}}};
    sample.functions[0].size = 30;
    sample.unwind[1] = {};
    const Read read(debug_object(sample.what, Arch::X64));
    Dwarf_CFI* cfi = dwarf_getcfi(read.dwarf());
    ASSERT_NE(cfi, nullptr) << dwarf_errmsg(-1);
    const auto at = [&](std::uint64_t offset) {
        return frame_at(cfi, sample.what.address() + offset, {3, 12, 16}, 7);
    };
    EXPECT_EQ(at(0).depth, 8);
    EXPECT_THAT(at(0).saved, ElementsAre(Pair(16, 8)));
    EXPECT_EQ(at(1).depth, 16);
    EXPECT_EQ(at(2).depth, 16);
    EXPECT_THAT(at(2).saved, ElementsAre(Pair(3, 16), Pair(16, 8)));
    EXPECT_EQ(at(19).depth, 1024);
    EXPECT_THAT(at(19).saved, ElementsAre(Pair(3, 16), Pair(12, 24), Pair(16, 8)));
    EXPECT_THAT(at(21).saved, ElementsAre(Pair(3, 16), Pair(16, 8)));
    EXPECT_EQ(at(22).depth, 8);
    EXPECT_THAT(at(22).saved, ElementsAre(Pair(16, 8)));
    EXPECT_EQ(at(29).depth, 1024); // Behind the return: another branch.
    EXPECT_THAT(at(29).saved, SizeIs(3));
    EXPECT_EQ(at(sample::kHash).depth, -1); // Nothing is known of this function.
    EXPECT_EQ(at(sample::kSpin).depth, 8);
}

TEST(debug_object, says_how_arm64_frames_are_left) {
    Sample sample;
    sample.unwind[0] = {.saved = {{19, 32}, {30, 24}}, .rows = {{0, 0, 0}, {4, 32, 2}, {20, 0, 0}}};
    sample.unwind[1] = {.saved = {}, .rows = {{0, 0, 0}, {4, 16, 0}}};
    sample.unwind[2] = {};
    const Read read(debug_object(sample.what, Arch::Arm64));
    Dwarf_CFI* cfi = dwarf_getcfi(read.dwarf());
    ASSERT_NE(cfi, nullptr) << dwarf_errmsg(-1);
    const auto at = [&](std::uint64_t offset) {
        return frame_at(cfi, sample.what.address() + offset, {19, 30}, 31);
    };
    EXPECT_EQ(at(0).depth, 0);
    EXPECT_THAT(at(0).saved, IsEmpty());
    EXPECT_EQ(at(4).depth, 32);
    EXPECT_THAT(at(4).saved, ElementsAre(Pair(19, 32), Pair(30, 24)));
    EXPECT_EQ(at(20).depth, 0);
    EXPECT_THAT(at(20).saved, IsEmpty());
    EXPECT_EQ(at(sample::kHash + 8).depth, 16);
}

} // namespace
} // namespace skep::jit
