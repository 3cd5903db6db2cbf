// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <asmjit/arm/a64assembler.h>
#include <asmjit/core.h>
#include <vector>

#include "../emitted.hpp"
#include "../strict.hpp"
#include "registers.hpp"

namespace skep::jit::a64 {

/// Writes arm64 code: one function per operation of the intermediate form, found by a table.
///
/// A function's frame, from sp up: slots of values that have no register; the BPF stack; what was
/// saved, the frame pointer and the link register first. Three registers are never allocated: x16
/// holds addresses and second operands, x17 values and first operands, x15 what else there is.
class Emitter final : public Backend {
public:
    Emitter(const Program& program, std::uint32_t functions, const Options& options);
    [[nodiscard]] const Target& target() const noexcept override { return a64::target(); }
    void emit(const ir::Graph& graph, const Allocation& allocation,
              std::uint32_t function) override;
    Image finish() override;
    [[nodiscard]] const std::vector<std::uint32_t>& order() const noexcept override {
        return order_;
    }

private:
    using Gp = asmjit::a64::Gp;
    using Mem = asmjit::a64::Mem;
    using Label = asmjit::Label;
    using InstId = asmjit::InstId;
    using CondCode = asmjit::a64::CondCode;
    using Node = ir::Node;
    using Ref = ir::Ref;
    using Function = void (Emitter::*)(Ref, const Node&);

    // --- functions and blocks ---
    void prologue();
    void epilogue();
    void zero_frame();
    void place_arguments();
    void block(std::uint32_t index);
    void terminator(std::uint32_t index);
    void branch(std::uint32_t index);
    [[nodiscard]] std::uint32_t next_of(std::uint32_t index) const noexcept;
    [[nodiscard]] bool is_empty(std::uint32_t index);
    void find_goals();
    [[nodiscard]] bool is_written(std::uint32_t index) const noexcept {
        return !graph_->blocks[index].dead && goals_[index] == index;
    }
    [[nodiscard]] bool needs_moves(std::uint32_t from, std::uint32_t to);
    void edge(std::uint32_t from, std::uint32_t to);
    void collect_moves(std::uint32_t from, std::uint32_t to);
    void note_line(std::uint32_t insn);
    void stubs();

    // --- distances ---
    // Branches on conditions reach less than a function may be long. Where a block begins is known
    // before it is written, but for code that turns out to be shorter.
    void bound_sizes();
    [[nodiscard]] std::uint64_t distance(std::uint32_t from, std::uint32_t to) const noexcept;
    [[nodiscard]] std::uint64_t distance_to_stubs(std::uint32_t from) const noexcept {
        return starts_.back() - starts_[from];
    }

    /// What a branch on a condition tests.
    struct Test {
        enum class Kind : std::uint8_t { Flags, Zero, Bit } kind = Kind::Flags;
        CondCode code{};
        bool inverted = false; ///< Zero, Bit: goes if the register, or its bit, is not zero
        Gp reg{};
        unsigned bit = 0;
    };
    [[nodiscard]] Test test(ir::Cond cond, unsigned width, Ref a, Ref b, bool near);
    void jump_if(const Test& test, const Label& to, std::uint64_t far);
    void jump_if_one(const Test& test, const Label& to);
    void jump_if(CondCode code, const Label& to, std::uint64_t far);

    // --- places ---
    [[nodiscard]] std::int16_t place(Ref ref) const noexcept { return allocation_->places[ref]; }
    [[nodiscard]] bool in_register(Ref ref) const noexcept { return place(ref) >= 0; }
    [[nodiscard]] static Gp reg(unsigned number, unsigned width = 8) noexcept;
    [[nodiscard]] static Gp zero(unsigned width) noexcept;
    void load_slot(const Gp& to, std::int16_t place);
    /// Uses x15 for slots that are far away.
    void store_slot(const Gp& from, std::int16_t place);
    /// The register of the result, or x17; keep() brings it to its place.
    [[nodiscard]] Gp result(Ref ref, unsigned width) const noexcept;
    void keep(Ref ref);
    /// The value in a register: its own, or `scratch`.
    Gp value(Ref ref, Register scratch, unsigned width = 8);
    /// The same; constant zero is the zero register.
    Gp value_or_zero(Ref ref, Register scratch, unsigned width = 8);
    void materialise(const Gp& to, Ref ref);
    void move(unsigned to, unsigned from);
    [[nodiscard]] std::int64_t frame_offset(std::int64_t offset) const noexcept;
    [[nodiscard]] const Node& at(Ref ref) const noexcept { return graph_->at(ref); }
    [[nodiscard]] bool is_constant(Ref ref) const noexcept { return at(ref).op == ir::Op::Const; }
    [[nodiscard]] std::uint64_t number(Ref ref, unsigned width) const noexcept;
    [[nodiscard]] bool is_folded(Ref ref) const noexcept { return at(ref).has(ir::kFolded); }
    /// Address of an access. Uses x16 at most.
    [[nodiscard]] Mem address(const Node& node);
    /// A register that holds a + imm; x16 unless it is the value's own.
    [[nodiscard]] Gp cell(const Node& node);

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
    void emit_sum(Ref ref, const Node& node);
    void emit_logical(Ref ref, const Node& node);
    void emit_multiply(Ref ref, const Node& node);
    void emit_multiply_high(Ref ref, const Node& node);
    void emit_divide(Ref ref, const Node& node);
    void emit_shift(Ref ref, const Node& node);
    void emit_negate(Ref ref, const Node& node);
    void emit_swap(Ref ref, const Node& node);
    void emit_extend(Ref ref, const Node& node);
    void emit_lea(Ref ref, const Node& node);
    void emit_select(Ref ref, const Node& node);
    void emit_load(Ref ref, const Node& node);
    void emit_store(Ref ref, const Node& node);
    void emit_load_acquire(Ref ref, const Node& node);
    void emit_store_release(Ref ref, const Node& node);
    void emit_atomic(Ref ref, const Node& node);
    void emit_atomic_loop(Ref ref, const Node& node);
    void emit_compare_exchange(Ref ref, const Node& node);
    void emit_call(Ref ref, const Node& node);
    void emit_tail_call(Ref ref, const Node& node);
    void emit_check(Ref ref, const Node& node);

    /// inst to, a, b where b is folded: a shift or an extension.
    void emit_shifted(InstId inst, Gp to, Gp a, const Node& b);
    [[nodiscard]] Gp shifted_operand(const Node& b, unsigned width, asmjit::Imm& shift);
    bool emit_field(Ref ref, const Node& node);
    void emit_sum_of_product(Ref ref, const Node& node);
    CondCode compare(ir::Cond cond, unsigned width, Ref a, Ref b);
    void compare_number(unsigned width, const Gp& a, std::uint64_t number);
    void pass_arguments(const Node& node);

    const Program& program_;
    Strict strict_;
    asmjit::CodeHolder code_;
    asmjit::a64::Assembler as_;
    std::vector<Label> functions_;
    std::vector<std::uint32_t> order_;
    Image image_;
    bool lse_ = false;

    // The function that is being written.
    std::uint32_t function_ = 0;
    const ir::Graph* graph_ = nullptr;
    const Allocation* allocation_ = nullptr;
    std::vector<Label> blocks_;
    std::vector<std::uint32_t> goals_;  ///< by block: where control really goes
    std::vector<std::uint64_t> starts_; ///< no block begins further from the first; then the stubs
    std::uint32_t block_ = 0;           ///< that is being written
    std::uint32_t slot_bytes_ = 0;
    std::uint32_t stack_bytes_ = 0; ///< of BPF stack
    std::uint32_t frame_size_ = 0;  ///< what sp is lowered by, after registers were saved
    std::vector<std::uint8_t> saved_;
    std::vector<Move> moves_;
    std::uint32_t line_ = 0;

    /// Code that is rarely run stands behind the function.
    struct Stub {
        enum class Kind : std::uint8_t { Edge, Check } kind;
        Label from;
        std::uint32_t block = 0; ///< Edge: from
        std::uint32_t to = 0;
        Ref ref = 0;
    };
    std::vector<Stub> stubs_;

    /// An address of a function that may not be written yet: movz and movk of its distance.
    struct Distance {
        std::uint32_t offset = 0; ///< of the adr that the distance counts from
        std::uint32_t function = 0;
    };
    std::vector<Distance> distances_;
};

} // namespace skep::jit::a64
