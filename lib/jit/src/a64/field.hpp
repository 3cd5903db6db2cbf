// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "../ir.hpp"

namespace skep::jit::a64 {

/// Bits that an instruction takes out of a register or puts into one (ubfx, sbfx, ubfiz, sbfiz).
struct Field {
    unsigned at = 0;
    unsigned bits = 0; ///< 0: there is none
    bool is_signed = false;
    unsigned width = 8; ///< of the instruction's registers
};

/// What a mask or an extension (outer) of a shift to the right (inner) takes out, or what a shift
/// to the left of a mask or an extension puts in.
[[nodiscard]] Field field_of(const ir::Graph& graph, const ir::Node& outer,
                             const ir::Node& inner) noexcept;

} // namespace skep::jit::a64
