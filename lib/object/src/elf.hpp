// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/base/result.hpp"

namespace skep::object {

struct Section {
    std::string name;
    std::uint32_t index = 0;
    std::uint32_t type = 0;  ///< SHT_*
    std::uint64_t flags = 0; ///< SHF_*
    std::uint64_t size = 0;  ///< of SHT_NOBITS too
    std::uint32_t info = 0;  ///< of a relocation section: what it applies to
    Bytes data;              ///< empty for SHT_NOBITS
};

struct Symbol {
    std::string_view name;
    std::uint64_t value = 0;
    std::uint64_t size = 0;
    std::uint32_t section = 0; ///< 0: undefined (extern); 0xfff1: absolute...
    std::uint8_t type = 0;     ///< STT_*
    std::uint8_t bind = 0;     ///< STB_*
    bool hidden = false;       ///< of the object alone, though not static in its file
};

struct Relocation {
    std::uint64_t offset = 0; ///< bytes into the section it applies to
    std::uint32_t symbol = 0; ///< index; checked
    std::uint32_t type = 0;   ///< R_BPF_*
};

/// The parts of an ELF object that BPF needs, checked and copied out of libelf's hands.
/// Everything points into `bytes`, which the Elf owns.
struct Elf {
    std::vector<std::byte> bytes;
    std::vector<Section> sections; ///< by index; [0] is the null section
    std::vector<Symbol> symbols;   ///< by index
    std::map<std::uint32_t, std::vector<Relocation>> relocations; ///< by section, by offset

    [[nodiscard]] const Section* find(std::string_view name) const noexcept;
    [[nodiscard]] const std::vector<Relocation>& relocations_of(std::uint32_t section) const;
};

/// Reads a little-endian 64-bit EM_BPF (or, as old clang wrote, EM_NONE) relocatable file.
Result<Elf> read_elf(Bytes bytes);

} // namespace skep::object
