// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "described.hpp"
#include "skep/jit/jit.hpp"

namespace skep::jit {

/// A linked ELF file that describes code in memory and does not contain it: symbols, DWARF lines
/// and functions, and call frames of the functions whose Unwind is known.
[[nodiscard]] std::vector<std::byte> debug_object(const Described& what, Arch arch);

} // namespace skep::jit
