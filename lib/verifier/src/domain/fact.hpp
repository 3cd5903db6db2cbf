// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "arc.hpp"
#include "tnum.hpp"

namespace skep::verifier::domain {

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i64 = std::int64_t;

/// What is known of a word: a tristate number, an arc of the word, an arc of its low half, and
/// single values that it does not have. A member satisfies all of them. The operations are
/// templates over the word (word.hpp), defined in fact_ops.hpp; fact.cpp has them for 64 bits.
template <class W>
struct FactOf {
    static constexpr unsigned kHoles = 4;

    Tnum<W> bits = tnum_unknown(W{});
    Arc<W> arc = arc_all(W{});
    Arc<Half<W>> low = arc_all(Half<W>{});
    std::array<W, kHoles> holes{};
    std::uint8_t hole_count = 0;

    static FactOf constant(const W& x) noexcept;
    /// least <= x <= most, unsigned.
    static FactOf between(const W& least, const W& most) noexcept;
    /// A word of `width` bits, zero-extended: 8, 16, 32 or 64.
    static FactOf of_width(unsigned width) noexcept;

    [[nodiscard]] W umin() const noexcept { return least(arc); }
    [[nodiscard]] W umax() const noexcept { return most(arc); }
    [[nodiscard]] auto smin() const noexcept { return as_signed(least_signed(arc)); }
    [[nodiscard]] auto smax() const noexcept { return as_signed(most_signed(arc)); }
    [[nodiscard]] auto is_constant() const noexcept { return is_zero(bits.mask); }
    /// Whether x is a member.
    [[nodiscard]] Condition<W> contains(const W& x) const noexcept;
};

using Fact = FactOf<u64>;

[[nodiscard]] bool operator==(const Fact& a, const Fact& b) noexcept;

/// Lets the parts sharpen each other. False: there is no member.
template <class W>
[[nodiscard]] bool reduce(FactOf<W>& fact) noexcept;
/// Every member of a is one of b. May say no although it is so.
template <class W>
[[nodiscard]] bool within(const FactOf<W>& a, const FactOf<W>& b) noexcept;
template <class W>
[[nodiscard]] FactOf<W> join(const FactOf<W>& a, const FactOf<W>& b) noexcept;
/// How far a bound that moved is moved on.
struct Widening {
    std::vector<i64> thresholds; ///< ascending; where bounds may stop
    bool all = false;            ///< give up whatever changed

    /// The nearest threshold at or below a signed number, else the least number.
    [[nodiscard]] u64 below(u64 bound) const noexcept;
    [[nodiscard]] u64 above(u64 bound) const noexcept;
};
/// A fact with all members of `to`, which has all of `from`. Any series of them is finite.
template <class W, class Stops = Widening>
[[nodiscard]] FactOf<W> widen(const FactOf<W>& from, const FactOf<W>& to,
                              const Stops& widening) noexcept;
/// The members of both; nothing if it sees that there is none.
template <class W>
[[nodiscard]] std::optional<FactOf<W>> meet(const FactOf<W>& a, const FactOf<W>& b) noexcept;
/// x does not have this value. False: there is no member left.
template <class W>
[[nodiscard]] bool exclude(FactOf<W>& fact, std::type_identity_t<W> value) noexcept;

// --- transfer: the result of an operation on any members of the operands ---

/// X + distance.
template <class W>
[[nodiscard]] FactOf<W> moved(const FactOf<W>& a, std::type_identity_t<W> distance) noexcept;
template <class W>
[[nodiscard]] FactOf<W> add(const FactOf<W>& a, const FactOf<W>& b) noexcept;
template <class W>
[[nodiscard]] FactOf<W> subtract(const FactOf<W>& a, const FactOf<W>& b) noexcept;
template <class W>
[[nodiscard]] FactOf<W> multiply(const FactOf<W>& a, const FactOf<W>& b) noexcept;
/// Unsigned; x / 0 = 0.
template <class W>
[[nodiscard]] FactOf<W> divide(const FactOf<W>& a, const FactOf<W>& b) noexcept;
/// Unsigned; x % 0 = x.
template <class W>
[[nodiscard]] FactOf<W> remainder(const FactOf<W>& a, const FactOf<W>& b) noexcept;
template <class W>
[[nodiscard]] FactOf<W> divide_signed(const FactOf<W>& a, const FactOf<W>& b) noexcept;
template <class W>
[[nodiscard]] FactOf<W> remainder_signed(const FactOf<W>& a, const FactOf<W>& b) noexcept;
template <class W>
[[nodiscard]] FactOf<W> bit_and(const FactOf<W>& a, const FactOf<W>& b) noexcept;
template <class W>
[[nodiscard]] FactOf<W> bit_or(const FactOf<W>& a, const FactOf<W>& b) noexcept;
template <class W>
[[nodiscard]] FactOf<W> bit_xor(const FactOf<W>& a, const FactOf<W>& b) noexcept;
/// Shift counts are taken modulo `width` (32 or 64); operands and results are 64-bit words.
template <class W>
[[nodiscard]] FactOf<W> shift_left(const FactOf<W>& a, const FactOf<W>& count,
                                   unsigned width) noexcept;
template <class W>
[[nodiscard]] FactOf<W> shift_right(const FactOf<W>& a, const FactOf<W>& count,
                                    unsigned width) noexcept;
template <class W>
[[nodiscard]] FactOf<W> shift_right_signed(const FactOf<W>& a, const FactOf<W>& count,
                                           unsigned width) noexcept;
/// The low 8, 16, 32 bits.
template <class W>
[[nodiscard]] FactOf<W> zero_extend(const FactOf<W>& a, unsigned width) noexcept;
template <class W>
[[nodiscard]] FactOf<W> sign_extend(const FactOf<W>& a, unsigned width) noexcept;
/// Of the low 16, 32, 64.
template <class W>
[[nodiscard]] FactOf<W> swap_bytes(const FactOf<W>& a, unsigned width) noexcept;

// --- comparisons ---

enum class Compare : std::uint8_t { Eq, Ne, Gt, Ge, Lt, Le, Sgt, Sge, Slt, Sle, Set, NotSet };
[[nodiscard]] Compare opposite(Compare compare) noexcept;
/// Whether x ? y for all members, for none, or for some.
template <class W>
[[nodiscard]] std::optional<bool> decide(Compare compare, const FactOf<W>& a,
                                         const FactOf<W>& b) noexcept;
/// Keeps of both what x ? y leaves. False: no pair of members satisfies it.
template <class W>
[[nodiscard]] bool assume(Compare compare, FactOf<W>& a, FactOf<W>& b) noexcept;
/// The same for the low halves.
template <class W>
[[nodiscard]] bool assume_low(Compare compare, FactOf<W>& a, FactOf<W>& b) noexcept;

} // namespace skep::verifier::domain
