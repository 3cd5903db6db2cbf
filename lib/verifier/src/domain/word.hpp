// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

/// What the abstract operators need of a word. They are templates over it: in production W is an
/// unsigned integer and a condition a bool; in test/proof W is a bit-vector term of Z3 and a
/// condition a boolean term, so that what is proved is what runs. Hence no signed type in an
/// operator, and the comparisons have names. pick() chooses a value; an `if` on a condition makes
/// the proof follow both ways. Of a term, && and || evaluate both sides.
namespace skep::verifier::domain {

template <std::unsigned_integral W>
constexpr unsigned width_of(W) noexcept {
    return std::numeric_limits<W>::digits;
}
/// The word with the value n, as wide as `like`.
template <std::unsigned_integral W>
constexpr W word(W, std::uint64_t n) noexcept {
    return static_cast<W>(n);
}
template <std::unsigned_integral W>
constexpr W ones(W) noexcept {
    return static_cast<W>(~W{0});
}
/// The lowest negative number: only the highest bit is set.
template <std::unsigned_integral W>
constexpr W sign_bit(W) noexcept {
    return static_cast<W>(W{1} << (std::numeric_limits<W>::digits - 1));
}
template <std::unsigned_integral W>
constexpr bool below(W a, W b) noexcept {
    return a < b;
}
template <std::unsigned_integral W>
constexpr bool at_most(W a, W b) noexcept {
    return a <= b;
}
template <std::unsigned_integral W>
constexpr bool same(W a, W b) noexcept {
    return a == b;
}
template <std::unsigned_integral W>
constexpr bool below_signed(W a, W b) noexcept {
    return static_cast<std::make_signed_t<W>>(a) < static_cast<std::make_signed_t<W>>(b);
}
constexpr bool both(bool a, bool b) noexcept {
    return a && b;
}
constexpr bool either(bool a, bool b) noexcept {
    return a || b;
}
constexpr bool negate(bool a) noexcept {
    return !a;
}
template <class T>
    requires std::unsigned_integral<T>
constexpr T pick(bool condition, T a, T b) noexcept {
    return condition ? a : b;
}
template <std::unsigned_integral W>
constexpr W shift_left(W a, unsigned n) noexcept {
    return static_cast<W>(a << n);
}
template <std::unsigned_integral W>
constexpr W shift_right(W a, unsigned n) noexcept {
    return static_cast<W>(a >> n);
}
template <std::unsigned_integral W>
constexpr W shift_right_signed(W a, unsigned n) noexcept {
    return static_cast<W>(static_cast<std::make_signed_t<W>>(a) >> n);
}

// --- by another word, which is less than the width ---

template <std::unsigned_integral W>
constexpr W shift_left_by(W a, W n) noexcept {
    return static_cast<W>(a << n);
}
template <std::unsigned_integral W>
constexpr W shift_right_by(W a, W n) noexcept {
    return static_cast<W>(a >> n);
}
template <std::unsigned_integral W>
constexpr W shift_right_signed_by(W a, W n) noexcept {
    return static_cast<W>(static_cast<std::make_signed_t<W>>(a) >> n);
}

// --- products and quotients ---

template <std::unsigned_integral W>
constexpr W product(W a, W b) noexcept {
    return static_cast<W>(std::uint64_t{a} * b);
}
template <std::unsigned_integral W>
constexpr bool product_wraps(W a, W b) noexcept {
    W wrapped{};
    return __builtin_mul_overflow(a, b, &wrapped);
}
template <std::unsigned_integral W>
constexpr bool product_wraps_signed(W a, W b) noexcept {
    std::make_signed_t<W> wrapped{};
    return __builtin_mul_overflow(static_cast<std::make_signed_t<W>>(a),
                                  static_cast<std::make_signed_t<W>>(b), &wrapped);
}
/// Requires b != 0.
template <std::unsigned_integral W>
constexpr W quotient(W a, W b) noexcept {
    return static_cast<W>(a / b);
}
/// Requires that b is neither 0 nor -1.
template <std::unsigned_integral W>
constexpr W quotient_signed(W a, W b) noexcept {
    return static_cast<W>(static_cast<std::make_signed_t<W>>(a) /
                          static_cast<std::make_signed_t<W>>(b));
}

// --- the low half of a word, a word of its own ---

template <class W>
struct HalfOf;
template <>
struct HalfOf<std::uint64_t> {
    using type = std::uint32_t;
};
template <class W>
using Half = typename HalfOf<W>::type;

constexpr std::uint32_t low_half(std::uint64_t a) noexcept {
    return static_cast<std::uint32_t>(a);
}
constexpr std::uint64_t widened(std::uint32_t a) noexcept {
    return a;
}
constexpr std::uint64_t widened_signed(std::uint32_t a) noexcept {
    return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(a)});
}
/// The low `width` bits, a whole number of bytes, in the opposite order of bytes.
constexpr std::uint64_t swapped_bytes(std::uint64_t a, unsigned width) noexcept {
    return __builtin_bswap64(a) >> (64 - width);
}

/// A word as a number of the usual signed type, where there is one.
template <std::unsigned_integral W>
constexpr auto as_signed(W a) noexcept {
    return static_cast<std::make_signed_t<W>>(a);
}

// --- what follows from these ---

/// bool, or what stands for it.
template <class W>
using Condition = decltype(same(std::declval<W>(), std::declval<W>()));

template <class W>
constexpr auto is_zero(const W& a) noexcept {
    return same(a, W{});
}
template <class W>
constexpr W lesser(const W& a, const W& b) noexcept {
    return pick(below(b, a), b, a);
}
template <class W>
constexpr W greater(const W& a, const W& b) noexcept {
    return pick(below(a, b), b, a);
}
template <class W>
constexpr W lesser_signed(const W& a, const W& b) noexcept {
    return pick(below_signed(b, a), b, a);
}
template <class W>
constexpr W greater_signed(const W& a, const W& b) noexcept {
    return pick(below_signed(a, b), b, a);
}
template <class W>
constexpr auto is_negative(const W& a) noexcept {
    return below_signed(a, W{});
}
template <class W>
constexpr auto is_power_of_two(const W& a) noexcept {
    return both(negate(is_zero(a)), is_zero(W(a & (a - word(a, 1)))));
}
/// Only the lowest `bits` bits are set: not all of them.
template <class W>
constexpr W low_mask(const W& like, unsigned bits) noexcept {
    return W(shift_left(word(like, 1), bits) - word(like, 1));
}
/// A shift to the left loses a 1.
template <class W>
constexpr auto loses_bits(const W& a, const W& n) noexcept {
    return negate(same(shift_right_by(shift_left_by(a, n), n), a));
}

} // namespace skep::verifier::domain
