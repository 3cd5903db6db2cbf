// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "ir.hpp"

namespace skep::jit {

/// A set of machine registers, by number.
using RegisterSet = std::uint32_t;

/// What the passes that all architectures share need to know of one.
struct Target {
    // Addresses: base + (index << scale) + offset.
    bool any_scale = false;        ///< 0 to 3; else 0 or what the access is wide
    bool index_and_offset = false; ///< both at once
    std::int64_t least_offset = 0; ///< of base + offset
    std::int64_t greatest_offset = 0;
    bool memory_operands = false; ///< arithmetic and comparisons with memory
    bool updates = false;         ///< arithmetic on memory
    bool lea = false;             ///< a + (b << scale) + offset in one instruction

    // Registers.
    RegisterSet allocatable = 0;
    RegisterSet caller_saved = 0;
    /// In the order in which they are taken for values that have no home.
    std::array<std::uint8_t, 32> order{};
    std::uint32_t order_count = 0;
    std::array<std::uint8_t, 11> home{};     ///< of r0 to r10; kNoRegister: none
    std::array<std::uint8_t, 6> arguments{}; ///< of the C calling convention
    std::uint8_t result = 0;
    /// What a node destroys beside its result. Calls: caller_saved.
    RegisterSet (*destroys)(const ir::Graph& graph, const ir::Node& node) = nullptr;
    /// Operands of a node, by bits 0 to 2 for a to c, that are still needed when it writes its
    /// result.
    unsigned (*late_operands)(const ir::Graph& graph, const ir::Node& node) = nullptr;
    /// What select() does not know of the architecture's instructions; null: nothing.
    void (*combine)(ir::Graph& graph) = nullptr;
};

inline constexpr std::uint8_t kNoRegister = 0xff;

} // namespace skep::jit
