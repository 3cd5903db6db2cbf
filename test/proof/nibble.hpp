// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>

#include "domain/word.hpp"

namespace skep::verifier::domain {

/// A word of 4 bits, small enough for all pairs of abstract values.
struct Nibble {
    std::uint8_t bits = 0;

    constexpr Nibble() = default;
    constexpr explicit Nibble(unsigned n) : bits(n & 15U) {}
    friend constexpr bool operator==(Nibble, Nibble) = default;
    friend constexpr auto operator<=>(Nibble, Nibble) = default;
    friend constexpr Nibble operator+(Nibble a, Nibble b) { return Nibble(a.bits + 0U + b.bits); }
    friend constexpr Nibble operator-(Nibble a, Nibble b) { return Nibble(a.bits - 0U - b.bits); }
    friend constexpr Nibble operator*(Nibble a, Nibble b) { return Nibble(a.bits * 1U * b.bits); }
    friend constexpr Nibble operator&(Nibble a, Nibble b) { return Nibble(a.bits & b.bits & 15U); }
    friend constexpr Nibble operator|(Nibble a, Nibble b) {
        return Nibble(static_cast<unsigned>(a.bits | b.bits));
    }
    friend constexpr Nibble operator^(Nibble a, Nibble b) {
        return Nibble(static_cast<unsigned>(a.bits ^ b.bits));
    }
    constexpr Nibble operator~() const { return Nibble(~0U ^ bits); }
};

constexpr unsigned width_of(Nibble) {
    return 4;
}
constexpr Nibble word(Nibble, std::uint64_t n) {
    return Nibble(static_cast<unsigned>(n));
}
constexpr Nibble ones(Nibble) {
    return Nibble(15);
}
constexpr Nibble sign_bit(Nibble) {
    return Nibble(8);
}
constexpr bool below(Nibble a, Nibble b) {
    return a.bits < b.bits;
}
constexpr bool at_most(Nibble a, Nibble b) {
    return a.bits <= b.bits;
}
constexpr bool same(Nibble a, Nibble b) {
    return a == b;
}
constexpr Nibble pick(bool condition, Nibble a, Nibble b) {
    return condition ? a : b;
}
constexpr Nibble shift_left(Nibble a, unsigned n) {
    return Nibble(static_cast<unsigned>(a.bits) << n);
}
constexpr Nibble shift_right(Nibble a, unsigned n) {
    return Nibble(static_cast<unsigned>(a.bits) >> n);
}
constexpr int signed_value(Nibble a) {
    return a.bits < 8 ? a.bits : a.bits - 16;
}
constexpr Nibble shift_right_signed(Nibble a, unsigned n) {
    return Nibble(static_cast<unsigned>(signed_value(a) >> n));
}

} // namespace skep::verifier::domain

#include "domain/arc.hpp"
#include "domain/tnum.hpp"
