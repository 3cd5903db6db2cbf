// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <limits>

/// What the abstract operators need of a word. They are templates over it: in production W is an
/// unsigned integer and a condition a bool; in test/proof W is a bit-vector term of Z3 and a
/// condition a boolean term, so that what is proved is what runs. Hence no `if` and no signed type
/// in an operator: pick() chooses, and the comparisons have names.
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

} // namespace skep::verifier::domain
