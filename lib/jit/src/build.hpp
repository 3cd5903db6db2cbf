// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "ir.hpp"
#include "maker.hpp"
#include "outline.hpp"

namespace skep::jit {

/// Puts one outlined function into intermediate form: static single assignment as the parts are
/// walked, with phis only where a variable is live and its values differ (after Braun et al.,
/// "Simple and Efficient Construction of Static Single Assignment Form", 2013).
class Builder {
public:
    Builder(ProgramPlan& plan, const Options& options, ir::Graph& graph)
        : plan_(plan), options_(options), graph_(graph), make_(graph) {}

    /// Error: an instruction that cannot be compiled.
    Result<void> build(const Outline& outline);

private:
    struct Lift; ///< a row of the table of instructions

    // --- blocks ---
    void lay_out();
    void open_entry();
    void open_block(std::uint32_t block, const Part& part);
    void join(std::uint32_t block, Var var);
    void refine(std::uint32_t block);
    Result<void> fill(std::uint32_t block, const Part& part);
    void end_block(std::uint32_t block, const Part& part);
    void end_branch(ir::Block& block, std::uint32_t insn);
    void prefer_next(ir::Block& block);
    void close_phis();
    void loop_part(std::uint32_t block, const Part& part);

    // --- variables ---
    [[nodiscard]] Var var(unsigned reg) const noexcept { return outline_->var_of(*instance_, reg); }
    ir::Ref read_var(Var var);
    ir::Ref read(unsigned reg);
    void write(unsigned reg, ir::Ref value);
    ir::Ref frame(std::int64_t offset);

    // --- instructions ---
    static const Lift& lift_of(isa::Op op) noexcept;
    Result<void> lift(std::uint32_t insn);
    using Member = Result<void> (Builder::*)(const Lift&);
    Result<void> lift_alu(const Lift& row);
    Result<void> lift_mov(const Lift& row);
    Result<void> lift_unary(const Lift& row);
    Result<void> lift_load(const Lift& row);
    Result<void> lift_store(const Lift& row);
    Result<void> lift_atomic(const Lift& row);
    Result<void> lift_ordered(const Lift& row);
    Result<void> lift_lddw(const Lift& row);
    Result<void> lift_packet(const Lift& row);
    Result<void> lift_jump(const Lift& row);
    Result<void> lift_call_helper(const Lift& row);
    Result<void> lift_call_local(const Lift& row);
    Result<void> lift_unsupported(const Lift& row);
    void finish(unsigned reg, ir::Ref value);
    ir::Ref operand(const Lift& row);
    bool load_context_pointer(unsigned size);

    // --- helpers ---
    void end_call(ir::Ref result);
    bool call_map(std::uint32_t helper, const CallFact& call);
    bool lookup_array(const exec::MapSlot& map, const CallFact& call);
    ir::Ref key_of(const CallFact& call);
    bool call_trivial(std::uint32_t helper);
    void tail_call();

    // --- what the frame is known to hold ---
    struct Held {
        std::int64_t offset = 0;
        unsigned size = 0;
        ir::Ref value = 0;
    };
    void remember(std::int64_t offset, unsigned size, ir::Ref value);
    ir::Ref recall(std::int64_t offset, unsigned size) const;
    void forget(std::int64_t offset, unsigned size);
    void forget_all() { held_.clear(); }

    void check(ir::Ref value, const NumberFact& fact);

    ProgramPlan& plan_;
    const Options& options_;
    ir::Graph& graph_;
    Maker make_;
    const Outline* outline_ = nullptr;
    const Instance* instance_ = nullptr;
    std::array<ir::Ref, kMaxVars> vars_{};
    std::vector<ir::Ref> outs_; ///< values at the end of blocks, `outline_->vars` each
    std::vector<Held> held_;
    ir::Ref run_ = 0;

    // The instruction that is being lifted.
    std::uint32_t at_ = 0;
    isa::Insn insn_{};
    const isa::OpInfo* op_ = nullptr;
    const InsnFact* fact_ = nullptr;
    ir::Ref packet_ = 0; ///< result of a packet load, tested at the end of its block
};

} // namespace skep::jit
