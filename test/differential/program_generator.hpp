// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "skep/isa/insn.hpp"

namespace skep::test {

/// Bytes of the value of map 0, which generated programs use.
inline constexpr std::uint32_t kValueBytes = 64;

/// An XDP program with branches, loops, calls, spills, and accesses to map value, packet and stack
/// at computed offsets: structurally valid, about half of them safe. The same for the same seed.
[[nodiscard]] std::vector<isa::Insn> make_program(std::uint64_t seed);

} // namespace skep::test
