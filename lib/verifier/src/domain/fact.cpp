// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "backward_ops.hpp"
#include "fact_ops.hpp"

namespace skep::verifier::domain {

bool operator==(const Fact& a, const Fact& b) noexcept {
    return same(a, b);
}

u64 Widening::below(u64 bound) const noexcept {
    const auto after = std::ranges::upper_bound(thresholds, static_cast<i64>(bound));
    return static_cast<u64>(after == thresholds.begin() ? std::numeric_limits<i64>::min()
                                                        : *std::prev(after));
}
u64 Widening::above(u64 bound) const noexcept {
    const auto at = std::ranges::lower_bound(thresholds, static_cast<i64>(bound));
    return static_cast<u64>(at == thresholds.end() ? std::numeric_limits<i64>::max() : *at);
}

Compare opposite(Compare compare) noexcept {
    switch (compare) {
    case Compare::Eq:
        return Compare::Ne;
    case Compare::Ne:
        return Compare::Eq;
    case Compare::Gt:
        return Compare::Le;
    case Compare::Ge:
        return Compare::Lt;
    case Compare::Lt:
        return Compare::Ge;
    case Compare::Le:
        return Compare::Gt;
    case Compare::Sgt:
        return Compare::Sle;
    case Compare::Sge:
        return Compare::Slt;
    case Compare::Slt:
        return Compare::Sge;
    case Compare::Sle:
        return Compare::Sgt;
    case Compare::Set:
        return Compare::NotSet;
    case Compare::NotSet:
        break;
    }
    return Compare::Set;
}

template struct FactOf<u64>;
template bool reduce(Fact&) noexcept;
template bool within(const Fact&, const Fact&) noexcept;
template Fact join(const Fact&, const Fact&) noexcept;
template Fact widen(const Fact&, const Fact&, const Widening&) noexcept;
template std::optional<Fact> meet(const Fact&, const Fact&) noexcept;
template bool exclude(Fact&, u64) noexcept;
template Fact moved(const Fact&, u64) noexcept;
template Fact add(const Fact&, const Fact&) noexcept;
template Fact subtract(const Fact&, const Fact&) noexcept;
template Fact multiply(const Fact&, const Fact&) noexcept;
template Fact divide(const Fact&, const Fact&) noexcept;
template Fact remainder(const Fact&, const Fact&) noexcept;
template Fact divide_signed(const Fact&, const Fact&) noexcept;
template Fact remainder_signed(const Fact&, const Fact&) noexcept;
template Fact bit_and(const Fact&, const Fact&) noexcept;
template Fact bit_or(const Fact&, const Fact&) noexcept;
template Fact bit_xor(const Fact&, const Fact&) noexcept;
template Fact shift_left(const Fact&, const Fact&, unsigned) noexcept;
template Fact shift_right(const Fact&, const Fact&, unsigned) noexcept;
template Fact shift_right_signed(const Fact&, const Fact&, unsigned) noexcept;
template Fact zero_extend(const Fact&, unsigned) noexcept;
template Fact sign_extend(const Fact&, unsigned) noexcept;
template Fact swap_bytes(const Fact&, unsigned) noexcept;
template std::optional<bool> decide(Compare, const Fact&, const Fact&) noexcept;
template bool assume(Compare, Fact&, Fact&) noexcept;
template bool assume_low(Compare, Fact&, Fact&) noexcept;
template Fact before_zero_extend(const Fact&, unsigned, const Fact&) noexcept;
template Fact before_sign_extend(const Fact&, unsigned) noexcept;
template Fact before_and(const Fact&, u64) noexcept;
template Fact before_shift_right(const Fact&, unsigned) noexcept;
template Fact before_shift_left(const Fact&, unsigned, const Fact&) noexcept;
template Fact before_multiply(const Fact&, u64, const Fact&) noexcept;

} // namespace skep::verifier::domain
