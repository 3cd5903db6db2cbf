// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "relocated.hpp"

#include <elf.h>
#include <string_view>

namespace skep::debuginfo {
namespace {

constexpr std::uint32_t kAbs64 = 2;     // R_BPF_64_ABS64
constexpr std::uint32_t kAbs32 = 3;     // R_BPF_64_ABS32
constexpr std::uint32_t kOldAbs32 = 10; // R_BPF_64_32, which clang 12 and older wrote for data
constexpr std::uint32_t kOldAbs64 = 1;  // R_BPF_64_64, likewise
constexpr std::uint16_t kMachineBpf = 247;

class Relocator {
public:
    Result<Relocated> run(Bytes elf) {
        out_.bytes.assign(elf.begin(), elf.end());
        SKEP_TRY(read_headers());
        for (const Elf64_Shdr& section : headers_)
            if (section.sh_type == SHT_REL && is_debug(section.sh_info))
                apply(section);
        return std::move(out_);
    }

private:
    Result<void> read_headers() {
        const std::vector<std::byte>& bytes = out_.bytes;
        if (bytes.size() < sizeof(Elf64_Ehdr) || as_text(Bytes(bytes).first(SELFMAG)) != ELFMAG)
            return malformed("not an ELF file");
        const auto header = load<Elf64_Ehdr>(bytes.data());
        if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
            header.e_machine != kMachineBpf || header.e_shentsize != sizeof(Elf64_Shdr) ||
            !in_range(header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr),
                      bytes.size()))
            return malformed("not a little-endian ELF file for BPF");
        for (std::size_t i = 0; i < header.e_shnum; ++i)
            headers_.push_back(
                load<Elf64_Shdr>(bytes.data() + header.e_shoff + i * sizeof(Elf64_Shdr)));
        const std::string_view names =
            header.e_shstrndx < headers_.size() ? as_text(contents(header.e_shstrndx)) : "";
        for (const Elf64_Shdr& section : headers_) {
            const std::string_view name =
                section.sh_name < names.size() ? names.substr(section.sh_name) : "";
            out_.sections.emplace_back(name.substr(0, name.find('\0')));
        }
        return {};
    }

    // Empty if the file does not hold the section.
    [[nodiscard]] Bytes contents(std::size_t index) const {
        const Elf64_Shdr& section = headers_[index];
        if (section.sh_type == SHT_NOBITS ||
            !in_range(section.sh_offset, section.sh_size, out_.bytes.size()))
            return {};
        return Bytes(out_.bytes).subspan(section.sh_offset, section.sh_size);
    }

    [[nodiscard]] bool is_debug(std::size_t index) const {
        return index < headers_.size() && out_.sections[index].starts_with(".debug");
    }

    void apply(const Elf64_Shdr& section) {
        const Elf64_Shdr& target = headers_[section.sh_info];
        if (!in_range(section.sh_offset, section.sh_size, out_.bytes.size()) ||
            section.sh_link >= headers_.size() || contents(section.sh_info).empty())
            return;
        for (std::size_t at = 0; at + sizeof(Elf64_Rel) <= section.sh_size;
             at += sizeof(Elf64_Rel)) {
            const auto relocation = load<Elf64_Rel>(out_.bytes.data() + section.sh_offset + at);
            const auto type = static_cast<std::uint32_t>(ELF64_R_TYPE(relocation.r_info));
            const bool wide = type == kAbs64 || type == kOldAbs64;
            if ((!wide && type != kAbs32 && type != kOldAbs32) ||
                !in_range(relocation.r_offset, wide ? 8 : 4, target.sh_size))
                continue;
            std::byte* place = out_.bytes.data() + target.sh_offset + relocation.r_offset;
            const std::uint64_t value =
                symbol_value(section.sh_link, ELF64_R_SYM(relocation.r_info), wide);
            if (wide)
                store(place, load<std::uint64_t>(place) + value);
            else
                store(place, load<std::uint32_t>(place) + static_cast<std::uint32_t>(value));
        }
    }

    [[nodiscard]] std::uint64_t symbol_value(std::size_t table, std::uint64_t index,
                                             bool wide) const {
        const Bytes symbols = contents(table);
        if (index >= symbols.size() / sizeof(Elf64_Sym))
            return 0;
        const auto symbol = load<Elf64_Sym>(symbols.data() + index * sizeof(Elf64_Sym));
        const bool code = symbol.st_shndx < headers_.size() &&
                          (headers_[symbol.st_shndx].sh_flags & SHF_EXECINSTR) != 0;
        return symbol.st_value + (wide && code ? std::uint64_t{symbol.st_shndx} << 32 : 0);
    }

    Relocated out_;
    std::vector<Elf64_Shdr> headers_;
};

} // namespace

Result<Relocated> relocate(Bytes elf) {
    return Relocator().run(elf);
}

} // namespace skep::debuginfo
