// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backward.hpp"
#include "fact_ops.hpp"

namespace skep::verifier::domain {

/// All words whose low `width` bits are those of the result's members.
template <class W>
Tnum<W> any_above(const Tnum<W>& bits, unsigned width) noexcept {
    const W mask = low_mask(W{}, width);
    return {W(bits.value & mask), W(bits.mask | ~mask)};
}

template <class W>
FactOf<W> before_zero_extend(const FactOf<W>& result, unsigned width,
                             const FactOf<W>& now) noexcept {
    if (at_most(now.umax(), low_mask(W{}, width)))
        return result; // It is x itself.
    FactOf<W> operand;
    if (width == half_width(W{}))
        operand.low = zero_extend(result, width).low;
    operand.bits = any_above(result.bits, width);
    return reduced(operand);
}

template <class W>
FactOf<W> before_sign_extend(const FactOf<W>& result, unsigned width) noexcept {
    FactOf<W> operand;
    if (width == half_width(W{}))
        operand.low = result.low;
    operand.bits = any_above(result.bits, width);
    return reduced(operand);
}

template <class W>
FactOf<W> before_and(const FactOf<W>& result, std::type_identity_t<W> mask) noexcept {
    FactOf<W> operand;
    operand.bits = {W(result.bits.value & mask), W(result.bits.mask | ~mask)};
    return reduced(operand);
}

template <class W>
FactOf<W> before_shift_right(const FactOf<W>& result, unsigned count) noexcept {
    // The fact may allow more than any word gives: that would be shifted out.
    const W most_result = lesser(result.umax(), shift_right(ones(W{}), count));
    FactOf<W> operand;
    operand.arc = arc_between(shift_left(result.umin(), count),
                              W(shift_left(most_result, count) | low_mask(W{}, count)));
    return reduced(operand);
}

template <class W>
FactOf<W> before_shift_left(const FactOf<W>& result, unsigned count,
                            const FactOf<W>& now) noexcept {
    FactOf<W> operand;
    // Exact where nothing was shifted out.
    if (is_zero(shift_right(now.umax(), width_of(W{}) - count)))
        operand.arc =
            arc_between(shift_right(result.umin(), count), shift_right(result.umax(), count));
    return reduced(operand);
}

template <class W>
FactOf<W> before_multiply(const FactOf<W>& result, std::type_identity_t<W> factor,
                          const FactOf<W>& now) noexcept {
    FactOf<W> operand;
    // Exact where nothing overflowed. Rounded down at both ends: a sharper least is not needed.
    if (at_most(now.umax(), quotient(ones(W{}), factor)))
        operand.arc = arc_between(quotient(result.umin(), factor), quotient(result.umax(), factor));
    return reduced(operand);
}

} // namespace skep::verifier::domain
