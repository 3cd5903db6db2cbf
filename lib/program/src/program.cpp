// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/program/program.hpp"

#include <algorithm>
#include <array>

namespace skep {

const LineInfo* Program::line_of(std::uint32_t insn) const noexcept {
    const auto after = std::ranges::upper_bound(lines, insn, {}, &LineInfo::insn);
    return after == lines.begin() ? nullptr : &*std::prev(after);
}

const Subprogram* Program::subprogram_of(std::uint32_t insn) const noexcept {
    const auto after = std::ranges::upper_bound(subprograms, insn, {}, &Subprogram::start);
    if (after == subprograms.begin() || insn >= std::prev(after)->end)
        return nullptr;
    return &*std::prev(after);
}

bool Program::gpl_compatible() const noexcept {
    // include/linux/license.h lists exactly these.
    constexpr std::array<std::string_view, 6> kCompatible{
        "GPL",          "GPL v2",       "GPL and additional rights",
        "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"};
    return std::ranges::find(kCompatible, license) != kCompatible.end();
}

} // namespace skep
