// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fact.hpp"

/// What a fact of a result says of an operand (O6): each function holds every member x of the
/// operand whose result is a member of `result`. Of a sum, the difference of the facts; and so on.
namespace skep::verifier::domain {

/// Of the low `width` bits; x is also a member of `now`.
template <class W>
[[nodiscard]] FactOf<W> before_zero_extend(const FactOf<W>& result, unsigned width,
                                           const FactOf<W>& now) noexcept;
template <class W>
[[nodiscard]] FactOf<W> before_sign_extend(const FactOf<W>& result, unsigned width) noexcept;
/// Of x & mask.
template <class W>
[[nodiscard]] FactOf<W> before_and(const FactOf<W>& result, std::type_identity_t<W> mask) noexcept;
/// Of x >> count, 0 < count < width.
template <class W>
[[nodiscard]] FactOf<W> before_shift_right(const FactOf<W>& result, unsigned count) noexcept;
/// Of x << count, 0 < count < width; x is also a member of `now`.
template <class W>
[[nodiscard]] FactOf<W> before_shift_left(const FactOf<W>& result, unsigned count,
                                          const FactOf<W>& now) noexcept;

/// Of x * factor, factor > 0; x is also a member of `now`.
template <class W>
[[nodiscard]] FactOf<W> before_multiply(const FactOf<W>& result, std::type_identity_t<W> factor,
                                        const FactOf<W>& now) noexcept;

} // namespace skep::verifier::domain
