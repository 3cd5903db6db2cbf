// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "elf.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <libelf.h>
#include <memory>

namespace skep::object {
namespace {

constexpr std::uint16_t kMachineBpf = 247; // EM_BPF
constexpr std::size_t kMaxSections = 65536;

struct ElfCloser {
    void operator()(::Elf* elf) const noexcept { elf_end(elf); }
};
using ElfHandle = std::unique_ptr<::Elf, ElfCloser>;

// The checks that give a wrong file its own message, before libelf sees it.
Result<void> check_identity(Bytes bytes) {
    if (bytes.size() < EI_NIDENT || as_text(bytes.first(SELFMAG)) != ELFMAG)
        return malformed("not an ELF file: it does not start with 0x7f \"ELF\"");
    const auto ident = [bytes](int i) {
        return std::to_integer<unsigned>(bytes[static_cast<std::size_t>(i)]);
    };
    if (ident(EI_CLASS) != ELFCLASS64)
        return malformed(fmt::format("ELF class is {}, expected 2 (64 bits)", ident(EI_CLASS)));
    if (ident(EI_DATA) == ELFDATA2MSB)
        return fail(ErrorCode::Unsupported, "the object is big-endian, expected little-endian", {},
                    "compile with --target=bpfel, or --target=bpf on a little-endian machine");
    if (ident(EI_DATA) != ELFDATA2LSB)
        return malformed(
            fmt::format("ELF data encoding is {}, expected 1 (little-endian)", ident(EI_DATA)));
    if (bytes.size() < sizeof(Elf64_Ehdr))
        return malformed(fmt::format("truncated: {} bytes, the ELF header takes {}", bytes.size(),
                                     sizeof(Elf64_Ehdr)));
    return {};
}

Result<void> check_bpf(const Elf64_Ehdr& header) {
    if (header.e_machine != kMachineBpf && header.e_machine != EM_NONE)
        return malformed(
            fmt::format("ELF machine is {}, expected {} (BPF)", header.e_machine, kMachineBpf), {});
    if (header.e_type != ET_REL)
        return malformed(fmt::format("ELF type is {}, expected 1 (relocatable)", header.e_type));
    return {};
}

Result<void> check_section_headers(const Elf64_Ehdr& header, Bytes bytes) {
    if (header.e_shentsize != sizeof(Elf64_Shdr))
        return malformed(fmt::format("ELF section headers take {} bytes each, expected {}",
                                     header.e_shentsize, sizeof(Elf64_Shdr)));
    // libelf hands out section headers in place.
    if (header.e_shoff % alignof(Elf64_Shdr) != 0)
        return malformed(fmt::format("ELF section headers are at {}, expected a multiple of {}",
                                     header.e_shoff, alignof(Elf64_Shdr)));
    if (!in_range(header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr), bytes.size()))
        return malformed(fmt::format("truncated: section headers at {}+{}, the file has {} bytes",
                                     header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr),
                                     bytes.size()));
    return {};
}

class Reader {
public:
    Result<Elf> run(Bytes bytes) {
        SKEP_TRY(check_identity(bytes));
        const auto header = load<Elf64_Ehdr>(bytes.data());
        SKEP_TRY(check_bpf(header));
        SKEP_TRY(check_section_headers(header, bytes));
        elf_.bytes.assign(bytes.begin(), bytes.end());
        elf_version(EV_CURRENT);
        const ElfHandle handle(
            elf_memory(reinterpret_cast<char*>(elf_.bytes.data()), elf_.bytes.size()));
        if (handle == nullptr || elf_kind(handle.get()) != ELF_K_ELF)
            return malformed(fmt::format("not readable as ELF: {}", elf_errmsg(-1)));
        SKEP_TRY(read_sections(handle.get()));
        SKEP_TRY(read_symbols());
        SKEP_TRY(read_relocations());
        return std::move(elf_);
    }

private:
    Result<void> read_sections(::Elf* handle) {
        std::size_t names = 0;
        if (elf_getshdrstrndx(handle, &names) != 0)
            return malformed("the ELF file has no section names");
        elf_.sections.emplace_back();
        for (Elf_Scn* scn = elf_nextscn(handle, nullptr); scn != nullptr;
             scn = elf_nextscn(handle, scn)) {
            const Elf64_Shdr* header = elf64_getshdr(scn);
            if (header == nullptr || elf_.sections.size() >= kMaxSections)
                return malformed(fmt::format("section {}: unreadable header: {}",
                                             elf_.sections.size(), elf_errmsg(-1)));
            const char* name = elf_strptr(handle, names, header->sh_name);
            Section section{.name = name == nullptr ? "" : name,
                            .index = static_cast<std::uint32_t>(elf_.sections.size()),
                            .type = header->sh_type,
                            .flags = header->sh_flags,
                            .size = header->sh_size,
                            .info = header->sh_info};
            if (header->sh_type == SHT_SYMTAB)
                symbol_strings_ = header->sh_link;
            if (header->sh_type != SHT_NOBITS && header->sh_type != SHT_NULL) {
                if (!in_range(header->sh_offset, header->sh_size, elf_.bytes.size()))
                    return malformed(fmt::format("truncated: {} bytes at {}, the file has {}",
                                                 header->sh_size, header->sh_offset,
                                                 elf_.bytes.size()),
                                     {.section = section.name});
                section.data = Bytes(elf_.bytes).subspan(header->sh_offset, header->sh_size);
            }
            elf_.sections.push_back(std::move(section));
        }
        return {};
    }

    Result<void> read_symbols() {
        const auto table = std::ranges::find(elf_.sections, SHT_SYMTAB, &Section::type);
        if (table == elf_.sections.end())
            return malformed("the object has no symbol table");
        if (symbol_strings_ >= elf_.sections.size())
            return malformed(fmt::format("the symbol table's strings are section {}, there are {}",
                                         symbol_strings_, elf_.sections.size()));
        const std::string_view strings = as_text(elf_.sections[symbol_strings_].data);
        const std::size_t count = table->data.size() / sizeof(Elf64_Sym);
        elf_.symbols.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            const auto raw = load<Elf64_Sym>(table->data.data() + i * sizeof(Elf64_Sym));
            if (raw.st_name >= strings.size() && raw.st_name != 0)
                return malformed(fmt::format("symbol {}: name offset {} is outside the strings", i,
                                             raw.st_name));
            if (raw.st_shndx < SHN_LORESERVE && raw.st_shndx >= elf_.sections.size())
                return malformed(fmt::format("symbol {}: section {}, there are {}", i, raw.st_shndx,
                                             elf_.sections.size()));
            std::string_view name =
                strings.substr(std::min<std::size_t>(raw.st_name, strings.size()));
            name = name.substr(0, name.find('\0'));
            elf_.symbols.push_back({name, raw.st_value, raw.st_size, raw.st_shndx,
                                    static_cast<std::uint8_t>(ELF64_ST_TYPE(raw.st_info)),
                                    static_cast<std::uint8_t>(ELF64_ST_BIND(raw.st_info)),
                                    ELF64_ST_VISIBILITY(raw.st_other) == STV_HIDDEN ||
                                        ELF64_ST_VISIBILITY(raw.st_other) == STV_INTERNAL});
        }
        return {};
    }

    Result<void> read_relocations() {
        for (const Section& section : elf_.sections) {
            if (section.type != SHT_REL)
                continue;
            if (section.info == 0 || section.info >= elf_.sections.size())
                return malformed(fmt::format("relocations for section {}, there are {}",
                                             section.info, elf_.sections.size()),
                                 {.section = section.name});
            const Section& target = elf_.sections[section.info];
            const bool debug =
                target.name.starts_with(".debug") || target.name.starts_with(".eh_frame");
            auto& list = elf_.relocations[section.info];
            for (std::size_t at = 0; !debug && at + sizeof(Elf64_Rel) <= section.data.size();
                 at += sizeof(Elf64_Rel)) {
                const auto raw = load<Elf64_Rel>(section.data.data() + at);
                const Relocation relocation{raw.r_offset,
                                            static_cast<std::uint32_t>(ELF64_R_SYM(raw.r_info)),
                                            static_cast<std::uint32_t>(ELF64_R_TYPE(raw.r_info))};
                if (relocation.symbol >= elf_.symbols.size())
                    return malformed(fmt::format("relocation {}: symbol {}, there are {}",
                                                 at / sizeof(Elf64_Rel), relocation.symbol,
                                                 elf_.symbols.size()),
                                     {.section = section.name});
                if (relocation.offset >= target.size)
                    return malformed(
                        fmt::format(
                            "relocation {}: offset {} is outside section \"{}\" of {} bytes",
                            at / sizeof(Elf64_Rel), relocation.offset, target.name, target.size),
                        {.section = section.name});
                list.push_back(relocation);
            }
            std::ranges::sort(list, {}, &Relocation::offset);
        }
        return {};
    }

    Elf elf_;
    std::uint32_t symbol_strings_ = 0;
};

} // namespace

const Section* Elf::find(std::string_view name) const noexcept {
    const auto found = std::ranges::find(sections, name, &Section::name);
    return found == sections.end() ? nullptr : &*found;
}

const std::vector<Relocation>& Elf::relocations_of(std::uint32_t section) const {
    static const std::vector<Relocation> none;
    const auto found = relocations.find(section);
    return found == relocations.end() ? none : found->second;
}

Result<Elf> read_elf(Bytes bytes) {
    return Reader().run(bytes);
}

Result<Bytes> btf_section(Bytes bytes) {
    SKEP_TRY(check_identity(bytes));
    const auto header = load<Elf64_Ehdr>(bytes.data());
    SKEP_TRY(check_section_headers(header, bytes));
    const auto section = [&](std::uint32_t index) {
        return load<Elf64_Shdr>(bytes.data() + header.e_shoff + index * sizeof(Elf64_Shdr));
    };
    const auto contents = [&](const Elf64_Shdr& found) {
        const bool there =
            found.sh_type != SHT_NOBITS && in_range(found.sh_offset, found.sh_size, bytes.size());
        return there ? bytes.subspan(found.sh_offset, found.sh_size) : Bytes{};
    };
    if (header.e_shstrndx >= header.e_shnum)
        return malformed("the ELF file has no section names");
    const std::string_view names = as_text(contents(section(header.e_shstrndx)));
    for (std::uint32_t i = 0; i < header.e_shnum; ++i) {
        const Elf64_Shdr found = section(i);
        const std::string_view name =
            names.substr(std::min<std::size_t>(found.sh_name, names.size()));
        if (name.substr(0, name.find('\0')) == ".BTF" && found.sh_type == SHT_PROGBITS)
            return contents(found);
    }
    return fail(ErrorCode::NotFound, "the ELF file has no section .BTF", {},
                "compile with -g (skep compile does), or a kernel with CONFIG_DEBUG_INFO_BTF");
}

} // namespace skep::object
