// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "word.hpp"

namespace skep::verifier::domain {

/// Tristate numbers (Vishwanathan et al., CGO 2022): every bit is 0, 1 or not known. A word x is a
/// member if it agrees with `value` outside `mask`. Well-formed: value & mask == 0.
template <class W>
struct Tnum {
    W value;
    W mask;

    friend bool operator==(const Tnum&, const Tnum&) = default;
};

template <class W>
constexpr Tnum<W> tnum_of(W x) noexcept {
    return {x, word(x, 0)};
}
template <class W>
constexpr Tnum<W> tnum_unknown(W like) noexcept {
    return {word(like, 0), ones(like)};
}
template <class W>
constexpr auto well_formed(const Tnum<W>& a) noexcept {
    return same(W(a.value & a.mask), word(a.value, 0));
}
template <class W>
constexpr auto has(const Tnum<W>& a, W x) noexcept {
    return same(W(x & ~a.mask), a.value);
}
/// Every member of a is one of b.
template <class W>
constexpr auto within(const Tnum<W>& a, const Tnum<W>& b) noexcept {
    return both(same(W(a.mask & ~b.mask), word(a.value, 0)),
                same(W((a.value ^ b.value) & ~b.mask), word(a.value, 0)));
}
/// The two have no member in common.
template <class W>
constexpr auto disjoint(const Tnum<W>& a, const Tnum<W>& b) noexcept {
    return negate(same(W((a.value ^ b.value) & ~a.mask & ~b.mask), word(a.value, 0)));
}

template <class W>
constexpr Tnum<W> join(const Tnum<W>& a, const Tnum<W>& b) noexcept {
    const W mask = W(a.mask | b.mask | (a.value ^ b.value));
    return {W(a.value & ~mask), mask};
}
/// Requires that they are not disjoint.
template <class W>
constexpr Tnum<W> meet(const Tnum<W>& a, const Tnum<W>& b) noexcept {
    const W mask = W(a.mask & b.mask);
    return {W((a.value | b.value) & ~mask), mask};
}

template <class W>
constexpr Tnum<W> add(const Tnum<W>& a, const Tnum<W>& b) noexcept {
    const W least = W(a.value + b.value);
    const W most = W(least + W(a.mask + b.mask));
    const W mask = W((least ^ most) | a.mask | b.mask); // Where a carry may or may not arrive.
    return {W(least & ~mask), mask};
}
template <class W>
constexpr Tnum<W> subtract(const Tnum<W>& a, const Tnum<W>& b) noexcept {
    const W difference = W(a.value - b.value);
    const W most = W(difference + a.mask);
    const W least = W(difference - b.mask);
    const W mask = W((most ^ least) | a.mask | b.mask);
    return {W(difference & ~mask), mask};
}
template <class W>
constexpr Tnum<W> bit_and(const Tnum<W>& a, const Tnum<W>& b) noexcept {
    const W value = W(a.value & b.value);
    return {value, W((a.value | a.mask) & (b.value | b.mask) & ~value)};
}
template <class W>
constexpr Tnum<W> bit_or(const Tnum<W>& a, const Tnum<W>& b) noexcept {
    const W value = W(a.value | b.value);
    return {value, W((a.mask | b.mask) & ~value)};
}
template <class W>
constexpr Tnum<W> bit_xor(const Tnum<W>& a, const Tnum<W>& b) noexcept {
    const W mask = W(a.mask | b.mask);
    return {W((a.value ^ b.value) & ~mask), mask};
}
template <class W>
constexpr Tnum<W> shift_left(const Tnum<W>& a, unsigned n) noexcept {
    return {shift_left(a.value, n), shift_left(a.mask, n)};
}
template <class W>
constexpr Tnum<W> shift_right(const Tnum<W>& a, unsigned n) noexcept {
    return {shift_right(a.value, n), shift_right(a.mask, n)};
}
template <class W>
constexpr Tnum<W> shift_right_signed(const Tnum<W>& a, unsigned n) noexcept {
    return {shift_right_signed(a.value, n), shift_right_signed(a.mask, n)};
}

/// One step of a multiplication: what bit 0 of a adds to the sum when b is as it is.
template <class W>
constexpr Tnum<W> partial_product(const Tnum<W>& sum, const Tnum<W>& a, const Tnum<W>& b) noexcept {
    const W zero = word(a.value, 0);
    const W one = word(a.value, 1);
    const auto set = same(W(a.value & one), one);
    const auto unknown = same(W(a.mask & one), one);
    const Tnum<W> maybe{zero, W(b.value | b.mask)};
    const Tnum<W> none{zero, zero};
    const Tnum<W> term{pick(set, b.value, pick(unknown, maybe.value, none.value)),
                       pick(set, b.mask, pick(unknown, maybe.mask, none.mask))};
    return add(sum, term);
}
template <class W>
constexpr Tnum<W> multiply(Tnum<W> a, Tnum<W> b) noexcept {
    Tnum<W> sum{word(a.value, 0), word(a.value, 0)};
    for (unsigned i = 0; i < width_of(a.value); ++i) {
        sum = partial_product(sum, a, b);
        a = shift_right(a, 1);
        b = shift_left(b, 1);
    }
    return sum;
}

/// All bits from the highest set bit down.
template <class W>
constexpr W filled_down(W x) noexcept {
    for (unsigned n = 1; n < width_of(x); n *= 2)
        x = W(x | shift_right(x, n));
    return x;
}
/// The first member at or after x, going up and round.
template <class W>
constexpr W next_member(const Tnum<W>& a, W x) noexcept {
    const W zero = word(x, 0);
    const W wrong = W((x ^ a.value) & ~a.mask);
    const W below_wrong = filled_down(wrong);
    const W highest = W(below_wrong ^ shift_right(below_wrong, 1));
    // x lacks a bit: the smallest with it. x has one too many: a free bit above must go up.
    const W with_bit = W((x & ~below_wrong) | (a.value & below_wrong));
    const W free = W(a.mask & ~x & ~below_wrong);
    const W lowest = W(free & (~free + word(x, 1)));
    const W rest = W(lowest - word(x, 1));
    const W carried = W((x & ~rest & ~lowest) | lowest | (a.value & rest));
    const W above = pick(same(free, zero), a.value, carried);
    const auto lacks = negate(same(W(a.value & highest), zero));
    return pick(same(wrong, zero), x, pick(lacks, with_bit, above));
}
/// The first member at or before x, going down and round.
template <class W>
constexpr W previous_member(const Tnum<W>& a, W x) noexcept {
    return W(~next_member(Tnum<W>{W(~a.value & ~a.mask), a.mask}, W(~x)));
}

/// The best tristate number that holds all of least..most, unsigned. Requires least <= most.
template <class W>
constexpr Tnum<W> tnum_of_range(W least, W most) noexcept {
    const W spread = filled_down(W(least ^ most)); // Not known from the highest that differs.
    return {W(least & ~spread), spread};
}

} // namespace skep::verifier::domain
