// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "ir.hpp"

namespace skep::jit {

/// Makes nodes, in the simplest form that computes the same.
class Maker {
public:
    explicit Maker(ir::Graph& graph) : graph_(graph) {}

    /// What the nodes from now on come from.
    void set_origin(std::uint32_t insn) noexcept { insn_ = insn; }
    [[nodiscard]] ir::Graph& graph() noexcept { return graph_; }

    ir::Ref constant(std::uint64_t value);
    ir::Ref binary(ir::Op op, unsigned width, ir::Ref a, ir::Ref b);
    /// With the number b.
    ir::Ref by(ir::Op op, unsigned width, ir::Ref a, std::uint64_t b) {
        return binary(op, width, a, constant(b));
    }
    /// Neg, swaps and extensions.
    ir::Ref unary(ir::Op op, unsigned width, ir::Ref a);
    ir::Ref select(ir::Cond cond, unsigned width, ir::Ref a, ir::Ref b, ir::Ref yes, ir::Ref no);
    ir::Ref load(unsigned size, bool is_signed, ir::Ref base, std::int64_t offset);
    void store(unsigned size, ir::Ref base, std::int64_t offset, ir::Ref value);
    ir::Ref call(const void* function, std::span<const ir::Ref> arguments, bool pass_run);
    /// A node as it is. Effects on memory count as a new epoch.
    ir::Ref add(const ir::Node& node);

    /// How often memory may have changed so far.
    [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_; }
    void new_epoch() noexcept { ++epoch_; }

private:
    [[nodiscard]] const ir::Node& at(ir::Ref ref) const noexcept { return graph_.at(ref); }
    [[nodiscard]] bool is_constant(ir::Ref ref) const noexcept {
        return at(ref).op == ir::Op::Const;
    }
    [[nodiscard]] std::uint64_t value(ir::Ref ref) const noexcept {
        return static_cast<std::uint64_t>(at(ref).imm);
    }
    ir::Ref with_constant(ir::Op op, unsigned width, ir::Ref a, std::uint64_t b);
    ir::Ref divide(ir::Op op, unsigned width, ir::Ref a, std::uint64_t b);
    ir::Ref merge(unsigned width, ir::Ref a, ir::Ref b);
    ir::Ref rotate(unsigned width, ir::Ref a, ir::Ref b);
    ir::Ref merge_loads(ir::Ref low, ir::Ref high, unsigned shift);
    [[nodiscard]] bool adjacent(const ir::Node& first, const ir::Node& second) const noexcept;
    ir::Ref fit(unsigned width, ir::Ref a);

    ir::Graph& graph_;
    std::uint32_t insn_ = 0;
    std::uint32_t epoch_ = 1;
};

/// What two numbers give (RFC 9669, 4.1); width 4 or 8. Requires an Op of Add to Smod, but MulHigh.
[[nodiscard]] std::uint64_t evaluate(ir::Op op, unsigned width, std::uint64_t a,
                                     std::uint64_t b) noexcept;
[[nodiscard]] bool holds(ir::Cond cond, unsigned width, std::uint64_t a, std::uint64_t b) noexcept;

} // namespace skep::jit
