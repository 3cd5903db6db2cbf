// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "arc.hpp"
#include "tnum.hpp"

namespace skep::verifier::domain {

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i64 = std::int64_t;

/// What is known of a 64-bit word: a tristate number, an arc of the word, an arc of its low half,
/// and single values that it does not have. A member satisfies all of them.
struct Fact {
    Tnum<u64> bits = tnum_unknown(u64{});
    Arc<u64> arc = arc_all(u64{});
    Arc<u32> low = arc_all(u32{});
    std::array<u64, 4> holes{};
    std::uint8_t hole_count = 0;

    static Fact constant(u64 x) noexcept;
    /// least <= x <= most, unsigned.
    static Fact between(u64 least, u64 most) noexcept;
    /// A word of `width` bits, zero-extended: 8, 16, 32 or 64.
    static Fact of_width(unsigned width) noexcept;

    [[nodiscard]] u64 umin() const noexcept { return least(arc); }
    [[nodiscard]] u64 umax() const noexcept { return most(arc); }
    [[nodiscard]] i64 smin() const noexcept { return static_cast<i64>(least_signed(arc)); }
    [[nodiscard]] i64 smax() const noexcept { return static_cast<i64>(most_signed(arc)); }
    [[nodiscard]] bool is_constant() const noexcept { return bits.mask == 0; }
    [[nodiscard]] bool contains(u64 x) const noexcept;

    friend bool operator==(const Fact& a, const Fact& b) noexcept;
};

/// Lets the parts sharpen each other. False: there is no member.
[[nodiscard]] bool reduce(Fact& fact) noexcept;
/// Every member of a is one of b. May say no although it is so.
[[nodiscard]] bool within(const Fact& a, const Fact& b) noexcept;
[[nodiscard]] Fact join(const Fact& a, const Fact& b) noexcept;
/// How far a bound that moved is moved on.
struct Widening {
    std::vector<i64> thresholds; ///< ascending; where bounds may stop
    bool all = false;            ///< give up whatever changed
};
/// A fact with all members of `to`, which has all of `from`. Any series of them is finite.
[[nodiscard]] Fact widen(const Fact& from, const Fact& to, const Widening& widening) noexcept;
/// The members of both; nothing if it sees that there is none.
[[nodiscard]] std::optional<Fact> meet(const Fact& a, const Fact& b) noexcept;
/// x does not have this value. False: there is no member left.
[[nodiscard]] bool exclude(Fact& fact, u64 value) noexcept;

// --- transfer: the result of an operation on any members of the operands ---

[[nodiscard]] Fact moved(const Fact& a, u64 distance) noexcept; ///< x + distance
[[nodiscard]] Fact add(const Fact& a, const Fact& b) noexcept;
[[nodiscard]] Fact subtract(const Fact& a, const Fact& b) noexcept;
[[nodiscard]] Fact multiply(const Fact& a, const Fact& b) noexcept;
[[nodiscard]] Fact divide(const Fact& a, const Fact& b) noexcept;    ///< unsigned; x / 0 = 0
[[nodiscard]] Fact remainder(const Fact& a, const Fact& b) noexcept; ///< unsigned; x % 0 = x
[[nodiscard]] Fact divide_signed(const Fact& a, const Fact& b) noexcept;
[[nodiscard]] Fact remainder_signed(const Fact& a, const Fact& b) noexcept;
[[nodiscard]] Fact bit_and(const Fact& a, const Fact& b) noexcept;
[[nodiscard]] Fact bit_or(const Fact& a, const Fact& b) noexcept;
[[nodiscard]] Fact bit_xor(const Fact& a, const Fact& b) noexcept;
/// Shift counts are taken modulo `width` (32 or 64); operands and results are 64-bit words.
[[nodiscard]] Fact shift_left(const Fact& a, const Fact& count, unsigned width) noexcept;
[[nodiscard]] Fact shift_right(const Fact& a, const Fact& count, unsigned width) noexcept;
[[nodiscard]] Fact shift_right_signed(const Fact& a, const Fact& count, unsigned width) noexcept;
[[nodiscard]] Fact zero_extend(const Fact& a, unsigned width) noexcept; ///< the low 8, 16, 32 bits
[[nodiscard]] Fact sign_extend(const Fact& a, unsigned width) noexcept;
[[nodiscard]] Fact swap_bytes(const Fact& a, unsigned width) noexcept; ///< of the low 16, 32, 64

// --- comparisons ---

enum class Compare : std::uint8_t { Eq, Ne, Gt, Ge, Lt, Le, Sgt, Sge, Slt, Sle, Set, NotSet };
[[nodiscard]] Compare opposite(Compare compare) noexcept;
/// Whether x ? y for all members, for none, or for some.
[[nodiscard]] std::optional<bool> decide(Compare compare, const Fact& a, const Fact& b) noexcept;
/// Keeps of both what x ? y leaves. False: no pair of members satisfies it.
[[nodiscard]] bool assume(Compare compare, Fact& a, Fact& b) noexcept;
/// The same for the low halves.
[[nodiscard]] bool assume_low(Compare compare, Fact& a, Fact& b) noexcept;

} // namespace skep::verifier::domain
