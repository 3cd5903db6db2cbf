// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "debug_object.hpp"

#include <cstdint>
#include <elf.h>
#include <string_view>
#include <utility>

#include "dwarf.hpp"
#include "writer.hpp"

namespace skep::jit {
namespace {

struct Section {
    std::string_view name;
    Elf64_Shdr header;
    std::vector<std::byte> contents;
};

Section section(std::string_view name, std::uint32_t type, std::vector<std::byte> contents) {
    Section made{.name = name, .header = {}, .contents = std::move(contents)};
    made.header.sh_type = type;
    made.header.sh_size = made.contents.size();
    made.header.sh_addralign = 1;
    return made;
}

constexpr std::uint16_t kTextIndex = 1;

/// Where the code is. Its bytes are read from memory.
Section text_section(const Described& what) {
    Section text = section(".text", SHT_NOBITS, {});
    text.header.sh_flags = SHF_ALLOC | SHF_EXECINSTR;
    text.header.sh_addr = what.address();
    text.header.sh_size = what.code.size();
    text.header.sh_addralign = 16;
    return text;
}

/// .symtab and the .strtab at `strings_index`.
std::pair<Section, Section> symbol_sections(const Described& what, std::uint32_t strings_index) {
    Writer symbols;
    Writer strings;
    strings.put<std::uint8_t>(0);
    const auto put = [&symbols](const Elf64_Sym& symbol) {
        symbols.bytes(std::as_bytes(std::span(&symbol, 1)));
    };
    put({});
    for (const NativeFunction& function : what.functions) {
        Elf64_Sym symbol{};
        symbol.st_name = static_cast<Elf64_Word>(strings.size());
        symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
        symbol.st_shndx = kTextIndex;
        symbol.st_value = what.address() + function.offset;
        symbol.st_size = function.size;
        put(symbol);
        strings.text(function.name);
    }
    Section table = section(".symtab", SHT_SYMTAB, symbols.take());
    table.header.sh_link = strings_index;
    table.header.sh_info = 1; // One symbol is local: the empty one.
    table.header.sh_entsize = sizeof(Elf64_Sym);
    table.header.sh_addralign = alignof(Elf64_Sym);
    return {std::move(table), section(".strtab", SHT_STRTAB, strings.take())};
}

Elf64_Ehdr file_header(Arch arch, std::size_t sections, std::uint64_t section_table) {
    Elf64_Ehdr header{};
    const char magic[] = {ELFMAG0,    ELFMAG1,     ELFMAG2,    ELFMAG3,
                          ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE};
    std::memcpy(header.e_ident, magic, sizeof magic);
    header.e_type = ET_EXEC; // Its addresses are final.
    header.e_machine = arch == Arch::X64 ? EM_X86_64 : EM_AARCH64;
    header.e_version = EV_CURRENT;
    header.e_shoff = section_table;
    header.e_ehsize = sizeof(Elf64_Ehdr);
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = static_cast<Elf64_Half>(sections);
    header.e_shstrndx = static_cast<Elf64_Half>(sections - 1);
    return header;
}

/// The contents one after the other, then the table of sections.
std::vector<std::byte> assemble(std::vector<Section> sections, Arch arch) {
    Writer names;
    for (Section& each : sections) {
        each.header.sh_name = static_cast<Elf64_Word>(names.size());
        names.text(each.name);
    }
    const auto own_name = static_cast<Elf64_Word>(names.size());
    names.text(".shstrtab");
    sections.push_back(section(".shstrtab", SHT_STRTAB, names.take()));
    sections.back().header.sh_name = own_name;

    Writer body;
    for (Section& each : sections) {
        body.align(8);
        each.header.sh_offset =
            each.header.sh_type == SHT_NULL ? 0 : sizeof(Elf64_Ehdr) + body.size();
        body.bytes(each.contents);
    }
    body.align(8);
    const Elf64_Ehdr header = file_header(arch, sections.size(), sizeof(Elf64_Ehdr) + body.size());
    Writer file;
    file.bytes(std::as_bytes(std::span(&header, 1)));
    file.bytes(body.view());
    for (const Section& each : sections)
        file.bytes(std::as_bytes(std::span(&each.header, 1)));
    return file.take();
}

} // namespace

std::vector<std::byte> debug_object(const Described& what, Arch arch) {
    std::vector<Section> all(1); // The first is empty.
    all.push_back(text_section(what));
    auto [symbols, strings] = symbol_sections(what, 3);
    all.push_back(std::move(symbols));
    all.push_back(std::move(strings));
    all.push_back(section(".debug_abbrev", SHT_PROGBITS, debug_abbrev()));
    all.push_back(section(".debug_info", SHT_PROGBITS, debug_info(what)));
    all.push_back(section(".debug_line", SHT_PROGBITS, debug_line(what)));
    // Not .eh_frame: GDB takes that from loaded sections only, and this file is not loaded.
    all.push_back(section(".debug_frame", SHT_PROGBITS, debug_frame(what, arch)));
    return assemble(std::move(all), arch);
}

} // namespace skep::jit
