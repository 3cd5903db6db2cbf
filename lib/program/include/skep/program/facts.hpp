// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace skep {

/// A number, in all states of the proof at one place.
struct NumberFact {
    bool known = false; ///< it is a number there; else nothing below means anything
    std::uint64_t umin = 0, umax = UINT64_MAX;
    std::int64_t smin = INT64_MIN, smax = INT64_MAX;
    std::uint64_t bits = 0;             ///< those that are known...
    std::uint64_t unknown = UINT64_MAX; ///< ...are where this has zeros

    [[nodiscard]] bool is_constant() const noexcept { return known && unknown == 0; }
    [[nodiscard]] bool contains(std::uint64_t x) const noexcept {
        const auto s = static_cast<std::int64_t>(x);
        return known && x >= umin && x <= umax && s >= smin && s <= smax && (x & ~unknown) == bits;
    }
    /// The upper half is zero: a 32-bit operation need not clear it.
    [[nodiscard]] bool upper_zero() const noexcept { return known && umax <= UINT32_MAX; }
    [[nodiscard]] bool non_zero() const noexcept { return known && (umin > 0 || bits != 0); }
};

/// What an address points into, in all states. Mixed: not the same in all.
enum class Memory : std::uint8_t { None, Mixed, Context, Stack, Packet, Metadata, MapValue, Other };

/// A pointer, in all states of the proof at one place.
struct PointerFact {
    Memory memory = Memory::None; ///< None: not a pointer in all states
    bool non_null = false;
    std::int32_t map = -1; ///< of MapValue: the only map that it can be; -1: several
    std::int64_t low = 0;  ///< least and...
    std::int64_t high = 0; ///< ...greatest distance from the start of the memory, bytes; of the
                           ///< stack from its end, so negative
    std::uint8_t alignment = 1; ///< power of two up to 64 that divides the distance
};

/// What is proved about one instruction. Engines may rely on it without testing again.
struct InsnFact {
    bool reached = false;
    bool jumps = false;         ///< of conditional jumps: some state jumps
    bool falls_through = false; ///< of conditional jumps: some state does not
    NumberFact dst, src;        ///< the operands before, if they are numbers
    NumberFact result;          ///< what is written to dst, of calls to r0
    PointerFact access;         ///< the address of loads, stores and atomics, with the offset
    PointerFact result_pointer; ///< what is written, if it is a pointer
    bool upper_unread = false;  ///< nobody reads the upper half of what is written
};

/// What is proved about a call of a helper.
struct CallFact {
    std::uint32_t insn = 0;
    std::array<NumberFact, 5> arguments;
    std::int32_t map = -1; ///< the only map that can be in r1; -1: none, or several
    /// Of map helpers: the key, if it is a constant on the stack of at most 8 bytes.
    std::optional<std::uint64_t> key;
};

struct FunctionFact {
    std::uint32_t begin = 0; ///< first slot
    bool reached = false;
    std::uint32_t stack_bytes = 0;
    /// A bit for each 8 bytes of stack, the lowest for fp-8: accessed by more than r10 plus a
    /// constant. The others can be kept in registers.
    std::uint64_t address_taken = 0;
    /// Reads stack that the function did not write: it must be zeroed before.
    bool reads_unwritten = false;
};

/// All that is proved about a program, for engines. Holds for exactly its instructions and maps.
struct Facts {
    std::vector<InsnFact> insns;         ///< by slot
    std::vector<CallFact> calls;         ///< by insn
    std::vector<FunctionFact> functions; ///< by begin
    /// Of the call at a slot, or nullptr.
    [[nodiscard]] const CallFact* call_at(std::uint32_t insn) const noexcept;
};

} // namespace skep
