// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ir.hpp"
#include "skep/isa/opcodes.hpp"
#include "skep/jit/jit.hpp"
#include "skep/program/control_flow.hpp"

/// What becomes of a program before any code is made: which functions are compiled for themselves,
/// which into their callers, and which stack slots are variables.
namespace skep::jit {

inline constexpr std::uint32_t kNone = UINT32_MAX;

/// A part of the stack that is only accessed as a whole and through r10: a variable.
struct PromotedSlot {
    std::int16_t offset = 0; ///< from r10
    std::uint8_t size = 0;
};

/// What is known about one function of the program.
struct FunctionPlan {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t insns = 0;     ///< that are reached
    std::uint32_t arguments = 0; ///< r1 to r<arguments> are read
    std::uint32_t call_sites = 0;
    std::uint32_t frame_bytes = 0; ///< of stack that has to be in memory
    bool reached = false;
    bool zero_frame = false;
    bool inlinable = true;   ///< nothing in it needs a frame of machine code of its own
    bool uses_saved = false; ///< writes r6 to r9
    bool needs_code = false; ///< is compiled for itself
    bool may_goto = false;
    std::vector<PromotedSlot> slots;
};

/// The whole program.
struct ProgramPlan {
    const Program* program = nullptr;
    const Binding* binding = nullptr;
    ControlFlow flow;
    std::vector<FunctionPlan> functions; ///< as flow.functions
    std::vector<std::uint8_t> slot_of;   ///< by insn: 1 + index into FunctionPlan::slots
    std::vector<const isa::OpInfo*> ops; ///< by insn; null for second slots

    [[nodiscard]] const isa::Insn& insn(std::uint32_t i) const noexcept {
        return program->insns[i];
    }
    [[nodiscard]] const InsnFact& fact(std::uint32_t i) const noexcept {
        return binding->facts->insns[i];
    }
    [[nodiscard]] std::uint32_t function_at(std::uint32_t slot) const noexcept {
        return flow.blocks[flow.block_of[slot]].function;
    }
};

/// Requires insns that validate() accepted, and facts about them.
[[nodiscard]] ProgramPlan make_plan(const Program& program, const Binding& binding);

/// A variable of a function that is being compiled: r0 to r5 are 0 to 5.
using Var = std::uint8_t;
inline constexpr Var kNoVar = 0xff;
inline constexpr unsigned kMaxVars = 64;

/// A function within the function that is being compiled: itself, or one that is inlined.
struct Instance {
    std::uint32_t function = 0;
    std::array<Var, 4> saved{};  ///< r6 to r9
    Var first_slot = kNoVar;     ///< of the promoted slots
    Var budget = kNoVar;         ///< of may_goto
    std::int32_t frame_top = 0;  ///< its r10, relative to the root's
    std::uint32_t after = kNone; ///< part that goes on behind it; kNone: it is the root
    // Of callbacks of bpf_loop.
    Var round = kNoVar;
    Var rounds = kNoVar;
    Var context = kNoVar;
};

/// Instructions [begin, end) of an instance, and how they end.
struct Part {
    enum class Kind : std::uint8_t {
        Plain,    ///< ends with its last instruction, or goes on to successor 0
        Inline,   ///< the call behind `end` goes on in successor 0
        Packet,   ///< its last instruction loads from the packet: 1 if it fails, else 0
        Zero,     ///< returns 0
        LoopInit, ///< takes the arguments of bpf_loop; then LoopHead
        LoopHead, ///< 0: one more round; 1: LoopDone
        LoopNext, ///< 0: LoopHead; 1: LoopDone
        LoopDone, ///< the result of bpf_loop
    };
    Kind kind = Kind::Plain;
    std::uint32_t instance = 0;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::array<std::uint32_t, 2> successors{}; ///< as those of ir::Block
    std::uint32_t successor_count = 0;
    std::uint64_t uses = 0; ///< variables that are read before they are written
    std::uint64_t defs = 0; ///< variables that are written
    std::uint64_t live = 0; ///< at its start
    std::uint32_t order = kNone;
};

/// One function of machine code, with everything that is inlined into it.
struct Outline {
    std::vector<Instance> instances; ///< the first is the function itself
    std::vector<Part> parts;
    std::vector<std::uint32_t> order; ///< parts in reverse postorder
    std::vector<ir::Loop> loops;      ///< of positions in `order`
    std::vector<std::uint64_t> loop_defs;
    unsigned vars = 0;
    std::uint32_t frame_bytes = 0;
    bool zero_frame = false;

    [[nodiscard]] Var var_of(const Instance& instance, unsigned reg) const noexcept {
        return reg < 6 ? static_cast<Var>(reg) : instance.saved[reg - 6];
    }
};

/// How many argument registers a helper reads.
[[nodiscard]] unsigned arguments_of(std::uint32_t helper) noexcept;

/// Fills `outline` for a function; marks functions that turn out to need code in `plan`.
void make_outline(ProgramPlan& plan, std::uint32_t function, Outline& outline);

} // namespace skep::jit
