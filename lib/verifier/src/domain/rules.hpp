// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fact.hpp"

/// When numbers are the same although their operations differ (O10), and which bytes lie where
/// (O8): the side conditions, on which the names of numbers and the bounds of memory rest.
namespace skep::verifier::domain {

/// Every member is its own extension from `width` bits, fewer than it has.
template <class W>
[[nodiscard]] Condition<W> extends_to_itself(const FactOf<W>& fact, unsigned width,
                                             bool is_signed) noexcept {
    const W one = word(W{}, 1);
    const W sign = shift_left(one, width - 1);
    return is_signed ? negate(below_signed(least_signed(fact.arc), W(W{} - sign))) &&
                           below_signed(most_signed(fact.arc), sign)
                     : at_most(fact.umax(), low_mask(W{}, width));
}
/// x & mask is x.
template <class W>
[[nodiscard]] Condition<W> clears_nothing(const FactOf<W>& fact,
                                          std::type_identity_t<W> mask) noexcept {
    return is_zero(W((fact.bits.mask | fact.bits.value) & ~mask));
}
/// x << count is the low half of it, and x its own low half.
template <class W>
[[nodiscard]] Condition<W> shifts_within_half(const FactOf<W>& fact, unsigned count) noexcept {
    const unsigned half = width_of(W{}) / 2;
    return at_most(fact.umax(), shift_right(low_mask(W{}, half), count));
}

// --- memory: offsets and sizes are signed numbers ---

/// Farther than any memory reaches, so near that sums of a few such numbers do not wrap.
constexpr std::uint64_t kFarAway = std::uint64_t{1} << 40;

/// The first byte that an access touches, and the one behind the last.
template <class W>
struct Extent {
    W low;
    W high;
};
/// Of `size` bytes at x + off, for all members x. Offsets that are farther away than kFarAway are
/// taken for that: they are outside of everything. Requires off and size to be less.
template <class W>
[[nodiscard]] Extent<W> extent_of(const FactOf<W>& fact, std::type_identity_t<W> off,
                                  std::type_identity_t<W> size) noexcept {
    const W far = word(W{}, kFarAway);
    const auto near = [&far](const W& x) {
        return lesser_signed(greater_signed(x, W(W{} - far)), far);
    };
    return {W(near(least_signed(fact.arc)) + off), W(near(most_signed(fact.arc)) + off + size)};
}

/// Distances that bounds of packets are told by: so small that none of their sums wraps. A bound
/// (x, c) says of signed numbers that x + c <= length, and that -2^62 <= x.
constexpr std::uint64_t kMaxBound = std::uint64_t{1} << 31;

template <class W>
[[nodiscard]] Condition<W> may_bound(std::type_identity_t<W> c) noexcept {
    const W most_bound = word(W{}, kMaxBound);
    return negate(below_signed(most_bound, c)) && negate(below_signed(c, W(W{} - most_bound)));
}
/// How many bytes there are at least if (x, c) is a bound, for all members x. Requires
/// may_bound(c).
template <class W>
[[nodiscard]] W bytes_below(const FactOf<W>& fact, std::type_identity_t<W> c) noexcept {
    return W(greater_signed(least_signed(fact.arc), W(W{} - word(W{}, kFarAway))) + c);
}
/// If (x, c) is a bound, so is (x, end).
template <class W>
[[nodiscard]] Condition<W> implies_bound(const W& c, const W& end) noexcept {
    return may_bound<W>(end) && negate(below_signed(c, end));
}

} // namespace skep::verifier::domain
