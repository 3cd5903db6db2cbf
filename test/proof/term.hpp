// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "domain/word.hpp"
#include "paths.hpp"

namespace skep::verifier::domain {

/// A symbolic word: the domain's templates build its formula. Part 1 is as wide as the words of
/// the proof that is being made, part 2 half as wide.
template <unsigned Part>
struct Symbol {
    z3::expr bits = Paths::current().number(0, Part);

    friend Symbol operator+(const Symbol& a, const Symbol& b) { return {a.bits + b.bits}; }
    friend Symbol operator-(const Symbol& a, const Symbol& b) { return {a.bits - b.bits}; }
    friend Symbol operator&(const Symbol& a, const Symbol& b) { return {a.bits & b.bits}; }
    friend Symbol operator|(const Symbol& a, const Symbol& b) { return {a.bits | b.bits}; }
    friend Symbol operator^(const Symbol& a, const Symbol& b) { return {a.bits ^ b.bits}; }
    Symbol operator~() const { return {~bits}; }
};
using Term = Symbol<1>;
using HalfTerm = Symbol<2>;
template <unsigned P>
struct HalfOf<Symbol<P>> {
    using type = Symbol<2 * P>;
};

template <unsigned P>
unsigned width_of(const Symbol<P>& a) {
    return a.bits.get_sort().bv_size();
}
template <unsigned P>
Symbol<P> word(const Symbol<P>&, std::uint64_t n) {
    return {Paths::current().number(n, P)};
}
template <unsigned P>
Symbol<P> ones(const Symbol<P>& like) {
    return ~word(like, 0);
}
template <unsigned P>
Symbol<P> sign_bit(const Symbol<P>& like) {
    return word(like, std::uint64_t{1} << (width_of(like) - 1));
}
template <unsigned P>
Claim below(const Symbol<P>& a, const Symbol<P>& b) {
    return {z3::ult(a.bits, b.bits)};
}
template <unsigned P>
Claim at_most(const Symbol<P>& a, const Symbol<P>& b) {
    return {z3::ule(a.bits, b.bits)};
}
template <unsigned P>
Claim below_signed(const Symbol<P>& a, const Symbol<P>& b) {
    return {z3::slt(a.bits, b.bits)};
}
template <unsigned P>
Claim same(const Symbol<P>& a, const Symbol<P>& b) {
    return {a.bits == b.bits};
}
template <unsigned P>
Symbol<P> pick(const Claim& condition, const Symbol<P>& a, const Symbol<P>& b) {
    return {z3::ite(condition.is, a.bits, b.bits)};
}

template <unsigned P>
Symbol<P> shift_left(const Symbol<P>& a, unsigned n) {
    return {z3::shl(a.bits, static_cast<int>(n))};
}
template <unsigned P>
Symbol<P> shift_right(const Symbol<P>& a, unsigned n) {
    return {z3::lshr(a.bits, static_cast<int>(n))};
}
template <unsigned P>
Symbol<P> shift_right_signed(const Symbol<P>& a, unsigned n) {
    return {z3::ashr(a.bits, static_cast<int>(n))};
}
inline Term shift_left_by(const Term& a, const Term& n) {
    return {z3::shl(a.bits, n.bits)};
}
inline Term shift_right_by(const Term& a, const Term& n) {
    return {z3::lshr(a.bits, n.bits)};
}
inline Term shift_right_signed_by(const Term& a, const Term& n) {
    return {z3::ashr(a.bits, n.bits)};
}

inline Term product(const Term& a, const Term& b) {
    return {a.bits * b.bits};
}
inline Claim product_wraps(const Term& a, const Term& b) {
    return {!z3::bvmul_no_overflow(a.bits, b.bits, false)};
}
inline Claim product_wraps_signed(const Term& a, const Term& b) {
    return {
        !(z3::bvmul_no_overflow(a.bits, b.bits, true) && z3::bvmul_no_underflow(a.bits, b.bits))};
}
inline Term quotient(const Term& a, const Term& b) {
    return {z3::udiv(a.bits, b.bits)};
}
inline Term quotient_signed(const Term& a, const Term& b) {
    return {a.bits / b.bits};
}

inline HalfTerm low_half(const Term& a) {
    return {a.bits.extract(width_of(a) / 2 - 1, 0)};
}
inline Term widened(const HalfTerm& a) {
    return {z3::zext(a.bits, width_of(a))};
}
inline Term widened_signed(const HalfTerm& a) {
    return {z3::sext(a.bits, width_of(a))};
}
inline Term swapped_bytes(const Term& a, unsigned width) {
    z3::expr swapped = a.bits.extract(7, 0);
    for (unsigned low = 8; low < width; low += 8)
        swapped = z3::concat(swapped, a.bits.extract(low + 7, low));
    return {width == width_of(a) ? swapped : z3::zext(swapped, width_of(a) - width)};
}
inline Term as_signed(const Term& a) {
    return a;
}

} // namespace skep::verifier::domain

#include "domain/arc.hpp"
#include "domain/tnum.hpp"
