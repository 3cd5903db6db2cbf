// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "ir.hpp"
#include "target.hpp"

namespace skep::jit {

/// Where values are. Every value has one place for its whole life.
struct Allocation {
    static constexpr std::int16_t kNowhere = INT16_MIN;
    /// By node: a register, or -1 - n for slot n of the frame, or kNowhere: made where it is used
    /// (constants, addresses of the frame, folded nodes).
    std::vector<std::int16_t> places;
    RegisterSet used = 0;
    std::uint32_t slots = 0; ///< of 8 bytes

    [[nodiscard]] static bool in_register(std::int16_t place) noexcept { return place >= 0; }
};

/// True for values that have no place: they are made again wherever they are used.
[[nodiscard]] constexpr bool is_remade(ir::Op op) noexcept {
    return op == ir::Op::Const || op == ir::Op::Frame || op == ir::Op::FunctionAddress;
}

/// Linear scan over lifetimes without holes (Poletto and Sarkar, 1999), with the registers that BPF
/// itself chose as first choice. Requires select().
void allocate(const ir::Graph& graph, const Target& target, Allocation& allocation);

} // namespace skep::jit
