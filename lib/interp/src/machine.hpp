// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "code.hpp"
#include "skep/exec/run_context.hpp"
#include "skep/isa/insn.hpp"

namespace skep::interp {

using exec::Capability;
using exec::RegionKind;
using exec::TrapKind;

inline constexpr std::uint32_t kStackSlots = isa::kMaxStackDepth / 8;

/// Registers: values, and in checked mode beside each the capability.
struct RegFile {
    std::array<std::uint64_t, 12> values;
    std::array<Capability, 12> caps;
    RegFile* below = nullptr; ///< of the execution that called the helper that called back

    /// By scaled register number. One index serves both arrays: a capability is twice a value.
    [[nodiscard]] std::uint64_t& value(std::uint8_t reg) noexcept {
        return *reinterpret_cast<std::uint64_t*>(reinterpret_cast<char*>(values.data()) + reg);
    }
    [[nodiscard]] Capability& cap(std::uint8_t reg) noexcept {
        return *reinterpret_cast<Capability*>(reinterpret_cast<char*>(caps.data()) + 2 * reg);
    }
};
static_assert(sizeof(Capability) == 2 * sizeof(std::uint64_t));

[[nodiscard]] constexpr std::uint8_t write_flag(bool read_only) noexcept {
    return read_only ? std::uint8_t{exec::kReadOnly} : std::uint8_t{0};
}

inline constexpr Capability kUnset{.kind = RegionKind::Unset};

/// The stack of one function call and what its return restores. A Frame begins its life in
/// Machine::memory with nothing initialised; open_frame() says what is written.
struct alignas(16) Frame {
    std::array<std::byte, isa::kMaxStackDepth> stack;
    std::array<std::uint8_t, kStackSlots> written; ///< a bit per byte
    std::array<Capability, kStackSlots> spilled;   ///< of slots with a written byte
    std::array<std::uint64_t, 5> saved_values;     ///< r6 to r10 of the caller
    std::array<Capability, 5> saved_caps;          ///< valid if return_to is set
    const Slot* return_to;                         ///< nullptr: leaves execute()
    const CodeImpl* return_code;                   ///< valid if return_to is set
    std::int64_t return_count;                     ///< instructions of the caller before return_to
    std::uint64_t may_goto;                        ///< iterations left
    std::uint32_t first; ///< frame in which the program of this one began: not 0 after tail calls

    [[nodiscard]] std::uint64_t base() const noexcept {
        return reinterpret_cast<std::uint64_t>(stack.data());
    }
    template <class Visit>
    void for_each_spilled(const Visit& visit) noexcept {
        for (std::size_t i = 0; i < spilled.size(); ++i)
            if (written[i] != 0)
                visit(spilled[i]);
    }
    [[nodiscard]] Capability capability(std::uint32_t number) const noexcept {
        return {
            .base = base(), .kind = RegionKind::Stack, .id = static_cast<std::uint16_t>(number)};
    }
};

/// The state of one run. The sizes of Stack and Context capabilities are 0 in registers: so the one
/// comparison of the fast path fails for them, and the slow path knows their extent.
struct Machine {
    exec::RunContext* run = nullptr;
    const CodeImpl* code = nullptr;
    RegFile* regs = nullptr; ///< of the innermost execution
    std::int64_t fuel = 0;
    /// Instructions left, at a moment when control is outside execute().
    std::int64_t left = 0;
    std::uint32_t depth = 0; ///< index of the current frame
    std::uint32_t tail_calls = 0;
    bool foreign_spill = false; ///< a stack pointer was stored outside its own frame
    std::uint64_t context_address = 0;
    std::uint64_t result = 0;
    /// Of all frames. Bytes, because defaults in Frame's members would initialise 13 KB in every
    /// run, which costs more than most programs do.
    alignas(Frame) std::array<std::byte, isa::kMaxCallFrames * sizeof(Frame)> memory;
    /// Those of programs that were tail-called from functions, beyond the first 8.
    std::unique_ptr<Frame[]> more;

    /// A tail call replaces a frame, and its program may call 7 deep again.
    static constexpr std::uint32_t kMaxDepth =
        isa::kMaxCallFrames + isa::kMaxTailCalls * (isa::kMaxCallFrames - 1);

    [[nodiscard]] Frame& frame(std::uint32_t number) noexcept {
        return number < isa::kMaxCallFrames ? reinterpret_cast<Frame*>(memory.data())[number]
                                            : more[number - isa::kMaxCallFrames];
    }
    [[nodiscard]] Frame& frame() noexcept { return frame(depth); }
    [[nodiscard]] exec::Trap& trap() noexcept { return run->trap; }

    void open_frame(bool checked) noexcept;
    /// Opens the next frame. False, with a trap: the program is 8 calls deep, or memory is out.
    bool push(bool checked) noexcept;
    /// After a return: pointers into the frame that ended become numbers.
    void forget_frame(std::uint32_t number) noexcept;
    /// Handles RunContext::pending.
    void revoke() noexcept;
};

// --- memory.cpp: what the fast path does not decide. On failure the trap is set. ---

/// An access of a program or of a helper for it.
struct Access {
    std::uint64_t address = 0;
    std::uint32_t size = 0;
    std::uint8_t reg = 0; ///< register number
    bool write = false;
    std::uint32_t helper = 0;
};

/// The bytes of an access, or nullptr after a trap. A write to the stack marks bytes as written
/// and drops the capabilities that it overwrites.
std::byte* reach(Machine& machine, const Capability& cap, const Access& access) noexcept;

enum class Extend : std::uint8_t { Zero, Sign };
/// dst = *(src + off) with everything checked.
bool slow_load(Machine& machine, RegFile& regs, const Slot& slot, std::uint32_t size,
               Extend extend) noexcept;
/// *(dst + off) = value; `cap` of a register that is stored whole, else empty.
bool slow_store(Machine& machine, RegFile& regs, const Slot& slot, std::uint32_t size,
                std::uint64_t value, const Capability& cap) noexcept;
/// The aligned bytes of an atomic access.
std::byte* reach_atomic(Machine& machine, RegFile& regs, const Slot& slot, std::uint8_t reg,
                        std::uint32_t size, bool write) noexcept;
void set_trap(Machine& machine, TrapKind kind, const Capability& cap, const Access& access,
              const char* detail = "") noexcept;

// --- argument.cpp and call.cpp ---

/// Checks r1 to r5 against the prototype. On failure the trap is set.
bool check_arguments(Machine& machine, RegFile& regs, const CallSite& site) noexcept;
/// Sets r0's capability, drops r1 to r5, carries out revocations.
void finish_call(Machine& machine, RegFile& regs, const CallSite& site,
                 const void* map_def) noexcept;
/// bpf_map_lookup_elem of an array in checked mode.
bool lookup_array_checked(Machine& machine, RegFile& regs, const CallSite& site) noexcept;
/// The program to go on with; nullptr: the call fails and falls through, or a trap is set.
const CodeImpl* tail_target(Machine& machine, RegFile& regs, bool checked) noexcept;

/// Runs from `pc` in the current frame until it returns. True: machine.result is r0.
template <Mode M>
bool execute(Machine& machine, RegFile& regs, const Slot* pc, std::int64_t left) noexcept;
// With pc == nullptr it only leaves the address of its table of labels in machine.result.

} // namespace skep::interp
