// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "described.hpp"
#include "skep/jit/jit.hpp"

/// Sections of DWARF 4. All addresses are where the code is, so that nothing is relocated.
namespace skep::jit {

[[nodiscard]] std::vector<std::byte> debug_abbrev();
/// One compilation unit, and a function for each of the program's. Its lines are at 0 of
/// .debug_line.
[[nodiscard]] std::vector<std::byte> debug_info(const Described& what);
[[nodiscard]] std::vector<std::byte> debug_line(const Described& what);
[[nodiscard]] std::vector<std::byte> debug_frame(const Described& what, Arch arch);

} // namespace skep::jit
