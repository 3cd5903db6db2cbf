// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "skep/isa/decode.hpp"
#include "skep/isa/opcodes.hpp"
#include "skep/program/program.hpp"

/// What the translation knows about registers before each instruction: a forward may-analysis.
/// Its claims decide which run-time checks and capability updates are left out, so they must hold
/// for every execution of a program that nobody verified.
namespace skep::interp {

/// What a register or a stack slot may hold, as bits.
enum Kinds : std::uint8_t {
    kMayBeUnset = 1,
    kMayBeNumber = 2, ///< no capability
    kMayBeContext = 4,
    kMayBeStack = 8,
    kMayBeOther = 16, ///< any other capability
    kAnyPointer = kMayBeContext | kMayBeStack | kMayBeOther,
    kAnything = kMayBeNumber | kAnyPointer,
};

struct Fact {
    std::uint8_t kinds = 0;
    std::uint32_t map = 0; ///< 1 + index of the map that it certainly is; 0: not known

    [[nodiscard]] bool is_number() const noexcept { return kinds == kMayBeNumber; }
    [[nodiscard]] bool may_be(std::uint8_t kind) const noexcept { return (kinds & kind) != 0; }
    friend bool operator==(const Fact&, const Fact&) = default;
};

struct State {
    std::array<Fact, isa::kRegisters> regs{};
    std::array<std::uint8_t, isa::kMaxStackDepth / 8> slots{}; ///< of the own frame, 8 bytes each
    bool reached = false;

    /// Takes in another state; true if that changed anything.
    bool join(const State& other) noexcept;
};

class Flow {
public:
    /// Requires insns that validate() accepted.
    Flow(const Program& program, bool zero_stack);

    /// The state before an instruction, to be asked for in ascending order.
    const State& before(std::uint32_t insn);
    /// True if control can come to an instruction from elsewhere than the one before it.
    [[nodiscard]] bool is_leader(std::uint32_t insn) const noexcept { return leaders_[insn] >= 0; }

private:
    void find_leaders();
    void solve();
    void enter(std::uint32_t insn, const State& state);
    void apply(std::uint32_t insn, State& state);
    void apply_call(const isa::OpInfo& op, std::uint32_t insn, State& state);
    void apply_load(const isa::OpInfo& op, const isa::Insn& insn, State& state) const;
    static void apply_store(const isa::OpInfo& op, const isa::Insn& insn, State& state);
    [[nodiscard]] State entry() const;

    const Program& program_;
    bool zero_stack_;
    std::vector<std::int32_t> leaders_; ///< by slot: index in states_, or -1
    std::vector<State> states_;
    std::vector<std::uint32_t> work_;
    State current_;
    std::uint32_t next_ = 0;
};

/// The place of an access through r10 in its frame, or -1 if it is not inside.
[[nodiscard]] inline std::int32_t stack_place(std::int32_t off, unsigned size) noexcept {
    const std::int32_t place = off + static_cast<std::int32_t>(isa::kMaxStackDepth);
    return place >= 0 && off + static_cast<std::int32_t>(size) <= 0 ? place : -1;
}

} // namespace skep::interp
