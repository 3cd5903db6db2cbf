// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "skep/program/control_flow.hpp"

namespace skep::verifier {

/// A weak topological order of the blocks (Bourdoncle 1993): every block comes after those that
/// lead to it, but for ways back to the head of a loop; the blocks of a loop are neighbours, its
/// head is the first, and the rest of it is ordered likewise.
class Order {
public:
    explicit Order(const ControlFlow& flow);

    static constexpr std::uint32_t kNone = 0xffffffff;

    struct Loop {
        std::uint32_t head = 0;       ///< block
        std::uint32_t around = kNone; ///< the next outer loop
        std::uint32_t depth = 1;
        bool by_contract = false; ///< may_goto or an iterator bounds it
    };

    [[nodiscard]] std::uint32_t position(std::uint32_t block) const { return position_[block]; }
    /// The innermost loop around a block, or kNone.
    [[nodiscard]] std::uint32_t loop_of(std::uint32_t block) const { return loop_[block]; }
    [[nodiscard]] const Loop& loop(std::uint32_t index) const { return loops_[index]; }
    [[nodiscard]] std::uint32_t depth(std::uint32_t block) const {
        return loop_[block] == kNone ? 0 : loops_[loop_[block]].depth;
    }
    /// Notes that something at this block bounds all loops around it.
    void bound_by_contract(std::uint32_t block);
    [[nodiscard]] bool has_loops() const { return !loops_.empty(); }

private:
    bool straight(const ControlFlow& flow, const std::vector<std::uint32_t>& blocks);
    void arrange(const ControlFlow& flow, const std::vector<std::uint32_t>& blocks,
                 std::uint32_t around, std::uint32_t depth);

    std::vector<std::uint32_t> position_;
    std::vector<std::uint32_t> loop_;
    std::vector<Loop> loops_;
    std::vector<std::uint32_t> region_; ///< which call of arrange() a block belongs to
    std::uint32_t regions_ = 0;
    std::uint32_t next_ = 0;
};

} // namespace skep::verifier
