// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <z3++.h>

#include "domain/word.hpp"

namespace skep::verifier::domain {

/// A condition on symbolic words.
struct Claim {
    z3::expr is;
};

/// A symbolic word of 64 bits: the domain's templates build its formula.
struct Term {
    z3::expr bits;

    friend Term operator+(const Term& a, const Term& b) { return {a.bits + b.bits}; }
    friend Term operator-(const Term& a, const Term& b) { return {a.bits - b.bits}; }
    friend Term operator&(const Term& a, const Term& b) { return {a.bits & b.bits}; }
    friend Term operator|(const Term& a, const Term& b) { return {a.bits | b.bits}; }
    friend Term operator^(const Term& a, const Term& b) { return {a.bits ^ b.bits}; }
    Term operator~() const { return {~bits}; }
};

inline unsigned width_of(const Term& a) {
    return a.bits.get_sort().bv_size();
}
inline Term word(const Term& like, std::uint64_t n) {
    return {like.bits.ctx().bv_val(n, width_of(like))};
}
inline Term ones(const Term& like) {
    return ~word(like, 0);
}
inline Term sign_bit(const Term& like) {
    return word(like, std::uint64_t{1} << (width_of(like) - 1));
}
inline Claim below(const Term& a, const Term& b) {
    return {z3::ult(a.bits, b.bits)};
}
inline Claim at_most(const Term& a, const Term& b) {
    return {z3::ule(a.bits, b.bits)};
}
inline Claim same(const Term& a, const Term& b) {
    return {a.bits == b.bits};
}
inline Claim both(const Claim& a, const Claim& b) {
    return {a.is && b.is};
}
inline Claim either(const Claim& a, const Claim& b) {
    return {a.is || b.is};
}
inline Claim negate(const Claim& a) {
    return {!a.is};
}
inline Term pick(const Claim& condition, const Term& a, const Term& b) {
    return {z3::ite(condition.is, a.bits, b.bits)};
}
inline Term shift_left(const Term& a, unsigned n) {
    return {z3::shl(a.bits, static_cast<int>(n))};
}
inline Term shift_right(const Term& a, unsigned n) {
    return {z3::lshr(a.bits, static_cast<int>(n))};
}
inline Term shift_right_signed(const Term& a, unsigned n) {
    return {z3::ashr(a.bits, static_cast<int>(n))};
}

} // namespace skep::verifier::domain

#include "domain/arc.hpp"
#include "domain/tnum.hpp"
