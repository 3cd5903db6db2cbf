// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <asmjit/x86.h>
#include <span>
#include <vector>

#include "../emitted.hpp"
#include "../strict.hpp"
#include "registers.hpp"

namespace skep::jit::x64 {

/// Writes x86-64 code: one function per operation of the intermediate form, found by a table.
///
/// A function's frame, from rsp up: slots of values that have no register; the BPF stack; what was
/// pushed. Two registers are never allocated: r10 holds addresses, r11 values.
class Emitter final : public Backend {
public:
    Emitter(const Program& program, std::uint32_t functions, const Options& options);
    [[nodiscard]] const Target& target() const noexcept override { return x64::target(); }
    void emit(const ir::Graph& graph, const Allocation& allocation,
              std::uint32_t function) override;
    Image finish() override;
    [[nodiscard]] const std::vector<std::uint32_t>& order() const noexcept override {
        return order_;
    }

private:
    using Gp = asmjit::x86::Gp;
    using Mem = asmjit::x86::Mem;
    using Label = asmjit::Label;
    using InstId = asmjit::InstId;
    using Node = ir::Node;
    using Ref = ir::Ref;
    using Function = void (Emitter::*)(Ref, const Node&);

    // --- functions and blocks ---
    void prologue();
    void epilogue();
    void block(std::uint32_t index);
    void terminator(std::uint32_t index);
    void branch(std::uint32_t index);
    [[nodiscard]] std::uint32_t next_of(std::uint32_t index) const noexcept;
    [[nodiscard]] std::uint32_t through(std::uint32_t index);
    [[nodiscard]] bool needs_moves(std::uint32_t from, std::uint32_t to);
    void edge(std::uint32_t from, std::uint32_t to);
    void collect_moves(std::uint32_t from, std::uint32_t to);
    void note_line(std::uint32_t insn);
    void stubs();

    // --- places ---
    [[nodiscard]] std::int16_t place(Ref ref) const noexcept { return allocation_->places[ref]; }
    [[nodiscard]] bool in_register(Ref ref) const noexcept { return place(ref) >= 0; }
    [[nodiscard]] static Gp reg(unsigned number, unsigned width = 8) noexcept;
    [[nodiscard]] Mem slot(std::int16_t place, unsigned width = 8) const noexcept;
    /// The register of the result, or the scratch register; keep() brings it to its place.
    [[nodiscard]] Gp result(Ref ref, unsigned width) const noexcept;
    void keep(Ref ref);
    /// The value in a register: its own, or `scratch`.
    Gp value(Ref ref, Register scratch, unsigned width = 8);
    void materialise(const Gp& to, Ref ref);
    void move(unsigned to, unsigned from);
    [[nodiscard]] Mem address(const Node& node, unsigned width);
    [[nodiscard]] std::int64_t frame_offset(std::int64_t offset) const noexcept;
    [[nodiscard]] const Node& at(Ref ref) const noexcept { return graph_->at(ref); }
    [[nodiscard]] bool is_constant(Ref ref) const noexcept { return at(ref).op == ir::Op::Const; }
    /// True if an operation of that width can take the constant as it is.
    [[nodiscard]] bool immediate(Ref ref, unsigned width, std::int32_t& out) const noexcept;
    void load_number(const Gp& to, std::uint64_t number);

    // --- moves that happen at once ---
    struct Move {
        std::int16_t to = 0;   ///< place
        std::int16_t from = 0; ///< place, or kNowhere: `value` is made
        Ref value = 0;
    };
    void move_all(std::vector<Move>& moves);
    void one_move(const Move& move);

    // --- operations ---
    static const Function* table() noexcept;
    void emit_nothing(Ref ref, const Node& node);
    void emit_binary(Ref ref, const Node& node);
    void emit_add(Ref ref, const Node& node);
    void emit_multiply(Ref ref, const Node& node);
    void emit_shift(Ref ref, const Node& node);
    void emit_multiply_high(Ref ref, const Node& node);
    void emit_divide(Ref ref, const Node& node);
    void emit_lea(Ref ref, const Node& node);
    void emit_negate(Ref ref, const Node& node);
    void emit_swap(Ref ref, const Node& node);
    void emit_extend(Ref ref, const Node& node);
    void emit_select(Ref ref, const Node& node);
    void emit_load(Ref ref, const Node& node);
    void emit_store(Ref ref, const Node& node);
    void emit_update(Ref ref, const Node& node);
    void emit_atomic(Ref ref, const Node& node);
    void emit_exchange(Ref ref, const Node& node);
    void emit_compare_exchange(Ref ref, const Node& node);
    void emit_call(Ref ref, const Node& node);
    void emit_tail_call(Ref ref, const Node& node);
    void emit_check(Ref ref, const Node& node);
    void two_operands(InstId inst, const Gp& to, Ref b, unsigned width);
    void compare(ir::Cond& cond, unsigned width, Ref a, Ref b);
    void pass_arguments(const Node& node);

    const Program& program_;
    Strict strict_;
    asmjit::CodeHolder code_;
    asmjit::x86::Assembler as_;
    std::vector<Label> functions_;
    std::vector<std::uint32_t> order_;
    Image image_;
    bool bmi2_ = false;

    // The function that is being written.
    const ir::Graph* graph_ = nullptr;
    const Allocation* allocation_ = nullptr;
    std::vector<Label> blocks_;
    std::uint32_t function_ = 0;
    std::uint32_t slot_bytes_ = 0;
    std::uint32_t frame_size_ = 0; ///< what rsp is lowered by
    std::vector<std::uint8_t> pushed_;
    Label leave_; ///< returns what is in rax
    bool leave_used_ = false;
    std::vector<Move> moves_;
    std::uint32_t line_ = 0;

    /// Code that is rarely run stands behind the function.
    struct Stub {
        enum class Kind : std::uint8_t { Edge, Divide, Check } kind;
        Label from;
        Label back;
        std::uint32_t block = 0; ///< Edge: from
        std::uint32_t to = 0;
        Ref ref = 0;
        std::uint8_t divisor = 0; ///< register
    };
    std::vector<Stub> stubs_;
};

} // namespace skep::jit::x64
