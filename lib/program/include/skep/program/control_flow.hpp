// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "skep/isa/insn.hpp"

namespace skep {

/// Where execution may go after one instruction or block, within its function: none after `exit`,
/// one or two slots or blocks else. A local call continues behind the call. The fall-through comes
/// first.
struct Successors {
    using value_type = std::uint32_t;
    using const_iterator = const std::uint32_t*;

    std::array<std::uint32_t, 2> slots{};
    std::uint32_t count = 0;

    [[nodiscard]] const std::uint32_t* begin() const noexcept { return slots.data(); }
    [[nodiscard]] const std::uint32_t* end() const noexcept { return slots.data() + count; }
    [[nodiscard]] std::size_t size() const noexcept { return count; }
    [[nodiscard]] bool empty() const noexcept { return count == 0; }
    /// Requires i < size().
    std::uint32_t operator[](std::size_t i) const noexcept { return slots[i]; }
};

/// The successors of the instruction whose first slot is `index`. Requires code that
/// isa::validate() accepted.
[[nodiscard]] Successors successors(std::span<const isa::Insn> insns, std::uint32_t index) noexcept;

/// Instructions that always run one after the other: slots [begin, end).
struct BasicBlock {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t function = 0;     ///< index in ControlFlow::functions
    std::uint32_t predecessors = 0; ///< how many blocks lead to it
    Successors successors;          ///< block indices
};

/// A function of the program: slots [begin, end), blocks [first_block, first_block + block_count).
/// Its entry is its first block.
struct FunctionRange {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t first_block = 0;
    std::uint32_t block_count = 0;
};

/// One function refers to another.
struct FunctionUse {
    std::uint32_t slot = 0;   ///< of the call, or of the `lddw`
    std::uint32_t caller = 0; ///< function indices
    std::uint32_t callee = 0;
    bool address = false; ///< its address is taken (a callback), it is not called here
};

/// The control-flow graph of a whole program. A value: it keeps nothing of the instructions.
struct ControlFlow {
    std::vector<BasicBlock> blocks;       ///< by begin
    std::vector<FunctionRange> functions; ///< by begin; the first is the program itself
    std::vector<FunctionUse> uses;        ///< by slot
    std::vector<std::uint32_t> block_of;  ///< block index by slot

    /// Requires code that isa::validate() accepted.
    static ControlFlow build(std::span<const isa::Insn> insns);

    /// The blocks of a function that its entry reaches, each before its successors except along
    /// back edges.
    [[nodiscard]] std::vector<std::uint32_t> reverse_postorder(std::uint32_t function) const;

    /// The first slot that no path from slot 0 reaches, over jumps, calls and callbacks, if there
    /// is one. Linux refuses such programs ("unreachable insn").
    [[nodiscard]] std::optional<std::uint32_t> first_unreachable() const;
};

} // namespace skep
