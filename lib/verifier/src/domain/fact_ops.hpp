// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The operations on facts. Each is sound by itself: a member of the operands is, or has its result,
// in the result (O1 to O7 and O9 of the proofs in test/proof). Precision comes from reduce(), in
// which the parts of a fact sharpen each other.
#pragma once

#include "fact.hpp"

namespace skep::verifier::domain {

// --- the parts of a fact: false means that there is no member left ---

template <class W>
bool meet_bits(FactOf<W>& fact, const Tnum<W>& bits) noexcept {
    if (disjoint(fact.bits, bits))
        return false;
    fact.bits = meet(fact.bits, bits);
    return true;
}
template <class W>
bool meet_arc(FactOf<W>& fact, const Arc<W>& arc) noexcept {
    if (disjoint(fact.arc, arc))
        return false;
    fact.arc = meet(fact.arc, arc);
    return true;
}
template <class W>
bool meet_low(FactOf<W>& fact, const Arc<Half<W>>& low) noexcept {
    if (disjoint(fact.low, low))
        return false;
    fact.low = meet(fact.low, low);
    return true;
}

template <class W>
constexpr unsigned half_width(const W& like) noexcept {
    return width_of(like) / 2;
}
template <class W>
Tnum<Half<W>> low_half(const Tnum<W>& bits) noexcept {
    return {low_half(bits.value), low_half(bits.mask)};
}
/// All words whose low half is a member.
template <class W>
Tnum<W> any_upper_half(const Tnum<Half<W>>& low) noexcept {
    return {widened(low.value), W(widened(low.mask) | ~low_mask(W{}, half_width(W{})))};
}

template <class W>
Condition<W> is_hole(const FactOf<W>& fact, const W& x) noexcept {
    Condition<W> found = negate(same(x, x));
    for (unsigned i = 0; i < fact.hole_count; ++i)
        found = either(found, same(fact.holes[i], x));
    return found;
}
template <class W>
void add_hole(FactOf<W>& fact, const W& value) noexcept {
    if (is_hole(fact, value))
        return;
    if (fact.hole_count < fact.kHoles)
        fact.holes[fact.hole_count++] = value;
}

template <class W>
FactOf<W> reduced(FactOf<W> fact) noexcept {
    (void)reduce(fact); // Of a result of members: never empty.
    return fact;
}
template <class W>
FactOf<W> of_bits(const Tnum<W>& bits) noexcept {
    FactOf<W> fact;
    fact.bits = bits;
    return reduced(fact);
}
template <class W>
FactOf<W> of_arc(const Arc<W>& arc) noexcept {
    FactOf<W> fact;
    fact.arc = arc;
    return reduced(fact);
}

template <class W>
FactOf<W> FactOf<W>::constant(const W& x) noexcept {
    FactOf fact;
    fact.bits = tnum_of(x);
    fact.arc = arc_of(x);
    fact.low = arc_of(low_half(x));
    return fact;
}

template <class W>
FactOf<W> FactOf<W>::between(const W& least_word, const W& most_word) noexcept {
    FactOf fact;
    fact.arc = arc_between(least_word, most_word);
    // All words below a power of two: nothing is left to find.
    if (is_zero(least_word) && is_zero(W(most_word & (most_word + word(most_word, 1))))) {
        fact.bits = {W{}, most_word};
        fact.low = arc_between(Half<W>{}, low_half(most_word));
        return fact;
    }
    return reduced(fact);
}

template <class W>
FactOf<W> FactOf<W>::of_width(unsigned width) noexcept {
    return width == width_of(W{}) ? FactOf{} : between(W{}, low_mask(W{}, width));
}

template <class W>
Condition<W> FactOf<W>::contains(const W& x) const noexcept {
    return has(bits, x) && has(arc, x) && has(low, low_half(x)) && !is_hole(*this, x);
}

template <class W>
Condition<W> same(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    Condition<W> equal = a.hole_count == b.hole_count ? same(W{}, W{}) : negate(same(W{}, W{}));
    for (unsigned i = 0; i < a.hole_count && i < b.hole_count; ++i)
        equal = equal && same(a.holes[i], b.holes[i]);
    return equal && same(a.bits.value, b.bits.value) && same(a.bits.mask, b.bits.mask) &&
           same(a.arc.base, b.arc.base) && same(a.arc.size, b.arc.size) &&
           same(a.low.base, b.low.base) && same(a.low.size, b.low.size);
}

// --- reduction ---

/// Moves the ends of an arc inwards to members of the bits.
template <class W>
bool step_ends(Arc<W>& arc, const Tnum<W>& bits) noexcept {
    if (is_all(arc))
        return true;
    const W base = has(bits, arc.base) ? arc.base : next_member(bits, arc.base);
    const W skipped = W(base - arc.base);
    if (below(arc.size, skipped))
        return false;
    const W end = last(arc);
    const W back = has(bits, end) ? end : previous_member(bits, end);
    arc = {base, W(back - base)};
    return true;
}

/// From the least to the greatest member, unsigned.
template <class W>
Arc<W> range_of(const Tnum<W>& bits) noexcept {
    return arc_between(bits.value, W(bits.value | bits.mask));
}

/// Moves the ends of the arcs inwards to words that agree with the bits.
template <class W>
bool step_to_bits(FactOf<W>& fact) noexcept {
    const Tnum<Half<W>> low = low_half(fact.bits);
    if (!step_ends(fact.arc, fact.bits) || !step_ends(fact.low, low))
        return false;
    // The bits' own range holds every member.
    return meet_arc(fact, range_of(fact.bits)) && meet_low(fact, range_of(low));
}

template <class W>
bool bits_from_arcs(FactOf<W>& fact) noexcept {
    return meet_bits(fact, tnum_of_range(least(fact.arc), most(fact.arc))) &&
           meet_bits(fact, any_upper_half<W>(tnum_of_range(least(fact.low), most(fact.low))));
}

template <class W>
bool halves_meet(FactOf<W>& fact) noexcept {
    const W lows = low_mask(W{}, half_width(W{}));
    // An arc shorter than the low half's circle shows its low halves exactly.
    if (at_most(fact.arc.size, lows))
        if (!meet_low(fact, arc_between(low_half(fact.arc.base), low_half(last(fact.arc)))))
            return false;
    // With one upper half for all members the low half's bounds are the word's.
    const W upper = W(fact.umin() & ~lows);
    if (same(upper, W(fact.umax() & ~lows)))
        return meet_arc(fact, arc_between(W(upper | widened(least(fact.low))),
                                          W(upper | widened(most(fact.low)))));
    return true;
}

/// Drops the hole i if the other parts exclude it, too; else moves an end of the arc off it and
/// goes on to the next.
template <class W>
bool trim_hole(FactOf<W>& fact, unsigned& i, bool& changed) noexcept {
    const W hole = fact.holes[i];
    if (!(has(fact.arc, hole) && has(fact.bits, hole))) {
        fact.holes[i] = fact.holes[--fact.hole_count];
        return true;
    }
    ++i;
    if (is_all(fact.arc))
        return true;
    const auto first = same(hole, fact.arc.base);
    const auto end = same(hole, last(fact.arc));
    if (first && end)
        return false;
    if (first || end) {
        const W one = word(hole, 1);
        fact.arc = {W(fact.arc.base + pick(first, one, W{})), W(fact.arc.size - one)};
        changed = true;
    }
    return true;
}
template <class W>
bool trim_holes(FactOf<W>& fact) noexcept {
    bool changed = fact.hole_count != 0;
    for (int round = 0; round < 4 && changed; ++round) {
        changed = false;
        for (unsigned i = 0; i < fact.hole_count;)
            if (!trim_hole(fact, i, changed))
                return false;
    }
    return true;
}

template <class W>
bool sharpen(FactOf<W>& fact) noexcept {
    return step_to_bits(fact) && halves_meet(fact) && bits_from_arcs(fact) && trim_holes(fact);
}

template <class W>
bool reduce(FactOf<W>& fact) noexcept {
    if (fact.is_constant()) {
        if (!fact.contains(fact.bits.value))
            return false;
        fact = FactOf<W>::constant(fact.bits.value);
        return true;
    }
    if (same(fact.bits.mask, ones(W{})) && is_all(fact.arc) && is_all(fact.low) &&
        fact.hole_count == 0)
        return true;
    for (int round = 0; round < 4; ++round) {
        const FactOf<W> before = fact;
        if (!sharpen(fact))
            return false;
        if (same(fact, before))
            break;
    }
    return true;
}

// --- order, join and meet ---

template <class W>
bool within(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    if (!(within(a.bits, b.bits) && within(a.arc, b.arc) && within(a.low, b.low)))
        return false;
    for (unsigned i = 0; i < b.hole_count; ++i)
        if (a.contains(b.holes[i]))
            return false;
    return true;
}

template <class W>
FactOf<W> join(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    FactOf<W> fact;
    fact.bits = join(a.bits, b.bits);
    fact.arc = join(a.arc, b.arc);
    fact.low = join(a.low, b.low);
    for (unsigned i = 0; i < a.hole_count; ++i)
        if (!b.contains(a.holes[i]))
            add_hole(fact, a.holes[i]);
    for (unsigned i = 0; i < b.hole_count; ++i)
        if (!a.contains(b.holes[i]))
            add_hole(fact, b.holes[i]);
    // Where an operand could be reduced further, so could the result: then it would not seem to
    // hold the operand.
    const FactOf<W> best = reduced(fact);
    return within(a, best) && within(b, best) ? best : fact;
}

template <class W, class Stops>
FactOf<W> widen(const FactOf<W>& from, const FactOf<W>& to, const Stops& widening) noexcept {
    if (within(to, from))
        return from;
    if (widening.all)
        return {};
    FactOf<W> fact = to;
    // A counter's steps keep their low bits; above the lowest bit that changed nothing is certain.
    const W one = word(W{}, 1);
    const W changed = W(to.bits.mask & ~from.bits.mask);
    if (!is_zero(changed)) {
        fact.bits.mask = W(fact.bits.mask | ~(W(changed & (~changed + one)) - one));
        fact.bits.value = W(fact.bits.value & ~fact.bits.mask);
    }
    W low = least_signed(to.arc);
    W high = most_signed(to.arc);
    if (below_signed(low, least_signed(from.arc)))
        low = widening.below(low);
    if (below_signed(most_signed(from.arc), high))
        high = widening.above(high);
    // An arc that is not one of signed numbers keeps its ends while they do not move.
    if (!(same(to.arc.base, from.arc.base) && same(to.arc.size, from.arc.size)))
        fact.arc = arc_between(low, high);
    if (!(same(to.low.base, from.low.base) && same(to.low.size, from.low.size)))
        fact.low = arc_all(Half<W>{});
    const FactOf<W> best = reduced(fact); // As in join().
    return within(to, best) ? best : fact;
}

template <class W>
std::optional<FactOf<W>> meet(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    FactOf<W> fact = a;
    if (!meet_bits(fact, b.bits) || !meet_arc(fact, b.arc) || !meet_low(fact, b.low))
        return std::nullopt;
    for (unsigned i = 0; i < b.hole_count; ++i)
        add_hole(fact, b.holes[i]);
    if (!reduce(fact))
        return std::nullopt;
    return fact;
}

template <class W>
bool exclude(FactOf<W>& fact, std::type_identity_t<W> value) noexcept {
    if (!fact.contains(value))
        return true;
    if (fact.is_constant())
        return false;
    add_hole(fact, value);
    return reduce(fact);
}

// --- transfer ---

template <class W>
FactOf<W> moved(const FactOf<W>& a, std::type_identity_t<W> distance) noexcept {
    if (is_zero(distance))
        return a;
    if (a.is_constant())
        return FactOf<W>::constant(W(a.bits.value + distance));
    FactOf<W> fact;
    fact.bits = add(a.bits, tnum_of(distance));
    fact.arc = moved(a.arc, distance);
    fact.low = moved(a.low, low_half(distance));
    for (unsigned i = 0; i < a.hole_count; ++i)
        add_hole(fact, W(a.holes[i] + distance));
    return reduced(fact);
}

template <class W>
FactOf<W> add(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    if (b.is_constant())
        return moved(a, b.bits.value);
    if (a.is_constant())
        return moved(b, a.bits.value);
    FactOf<W> fact;
    fact.bits = add(a.bits, b.bits);
    fact.arc = add(a.arc, b.arc);
    fact.low = add(a.low, b.low);
    return reduced(fact);
}

template <class W>
FactOf<W> subtract(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    if (b.is_constant())
        return moved(a, W(W{} - b.bits.value));
    FactOf<W> fact;
    fact.bits = subtract(a.bits, b.bits);
    fact.arc = subtract(a.arc, b.arc);
    fact.low = subtract(a.low, b.low);
    return reduced(fact);
}

/// Holds the products of the members of two arcs; all words where a product may wrap.
template <class W>
Arc<W> arc_of_products(const Arc<W>& a, const Arc<W>& b) noexcept {
    if (!product_wraps(most(a), most(b)))
        return arc_between(product(least(a), least(b)), product(most(a), most(b)));
    const std::array<W, 2> xs{least_signed(a), most_signed(a)};
    const std::array<W, 2> ys{least_signed(b), most_signed(b)};
    W low = product(xs[0], ys[0]);
    W high = low;
    for (const W& x : xs)
        for (const W& y : ys) {
            if (product_wraps_signed(x, y))
                return arc_all(W{});
            low = lesser_signed(low, product(x, y));
            high = greater_signed(high, product(x, y));
        }
    return arc_between(low, high);
}

template <class W>
FactOf<W> multiply(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    FactOf<W> fact;
    fact.bits = multiply(a.bits, b.bits);
    fact.arc = arc_of_products(a.arc, b.arc);
    return reduced(fact);
}

template <class W>
FactOf<W> divide(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    if (is_zero(b.umax()))
        return FactOf<W>::constant(W{});
    const W most_word = quotient(a.umax(), greater(b.umin(), word(W{}, 1)));
    if (is_zero(b.umin()))
        return FactOf<W>::between(W{}, most_word);
    return FactOf<W>::between(quotient(a.umin(), b.umax()), most_word);
}

template <class W>
FactOf<W> remainder(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    const W one = word(W{}, 1);
    if (is_zero(b.umax()))
        return a;
    if (below(a.umax(), b.umin()))
        return a;
    if (b.is_constant() && is_power_of_two(b.bits.value))
        return bit_and(a, FactOf<W>::constant(W(b.bits.value - one)));
    if (is_zero(b.umin()))
        return FactOf<W>::between(W{}, a.umax());
    return FactOf<W>::between(W{}, lesser(a.umax(), W(b.umax() - one)));
}

template <class W>
FactOf<W> divide_signed(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    const W low = least_signed(a.arc);
    const W high = most_signed(a.arc);
    if (!is_negative(low) && !is_negative(least_signed(b.arc)))
        return divide(a, b);
    const W divisor = b.bits.value;
    if (!b.is_constant() || is_zero(divisor) || same(divisor, ones(W{})))
        return FactOf<W>{};
    const W from_low = quotient_signed(low, divisor);
    const W from_high = quotient_signed(high, divisor);
    return of_arc(
        arc_between(lesser_signed(from_low, from_high), greater_signed(from_low, from_high)));
}

template <class W>
FactOf<W> remainder_signed(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    const W low = least_signed(a.arc);
    const W high = most_signed(a.arc);
    if (!is_negative(low) && !is_negative(least_signed(b.arc)))
        return remainder(a, b);
    const W divisor = b.bits.value;
    if (!b.is_constant() || is_zero(divisor) || same(divisor, sign_bit(W{})))
        return FactOf<W>{};
    const W size = pick(is_negative(divisor), W(W{} - divisor), divisor);
    const W end = W(size - word(W{}, 1));
    const W least_end = pick(is_negative(low), greater_signed(low, W(W{} - end)), W{});
    const W most_end = lesser_signed(high, end);
    return of_arc(arc_between(least_end, pick(is_negative(most_end), W{}, most_end)));
}

template <class W>
FactOf<W> bit_and(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    FactOf<W> fact;
    fact.bits = bit_and(a.bits, b.bits);
    fact.arc = arc_between(W{}, lesser(a.umax(), b.umax()));
    fact.low = arc_between(Half<W>{}, lesser(most(a.low), most(b.low)));
    return reduced(fact);
}

template <class W>
FactOf<W> bit_or(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    FactOf<W> fact;
    fact.bits = bit_or(a.bits, b.bits);
    fact.arc = arc_between(greater(a.umin(), b.umin()), ones(W{}));
    return reduced(fact);
}

template <class W>
FactOf<W> bit_xor(const FactOf<W>& a, const FactOf<W>& b) noexcept {
    return of_bits(bit_xor(a.bits, b.bits));
}

/// The counts of a shift, modulo `width`.
template <class W>
FactOf<W> shift_counts(const FactOf<W>& count, unsigned width) noexcept {
    return bit_and(count, FactOf<W>::constant(word(W{}, width - 1)));
}

template <class W>
FactOf<W> shift_left(const FactOf<W>& a, const FactOf<W>& count, unsigned width) noexcept {
    const FactOf<W> n = shift_counts(count, width);
    const bool one_count{n.is_constant()};
    const W least_count = one_count ? n.bits.value : n.umin();
    const W most_count = one_count ? n.bits.value : n.umax();
    FactOf<W> fact;
    if (one_count)
        fact.bits = {shift_left_by(a.bits.value, most_count),
                     shift_left_by(a.bits.mask, most_count)};
    if (!loses_bits(a.umax(), most_count))
        fact.arc =
            arc_between(shift_left_by(a.umin(), least_count), shift_left_by(a.umax(), most_count));
    return reduced(fact);
}

template <class W>
FactOf<W> shift_right(const FactOf<W>& a, const FactOf<W>& count, unsigned width) noexcept {
    const FactOf<W> n = shift_counts(count, width);
    if (!n.is_constant())
        return FactOf<W>::between(shift_right_by(a.umin(), n.umax()),
                                  shift_right_by(a.umax(), n.umin()));
    const W bits = n.bits.value;
    FactOf<W> fact;
    fact.bits = {shift_right_by(a.bits.value, bits), shift_right_by(a.bits.mask, bits)};
    fact.arc = arc_between(shift_right_by(a.umin(), bits), shift_right_by(a.umax(), bits));
    return reduced(fact);
}

template <class W>
FactOf<W> shift_right_signed(const FactOf<W>& a, const FactOf<W>& count, unsigned width) noexcept {
    const FactOf<W> n = shift_counts(count, width);
    const W low = least_signed(a.arc);
    const W high = most_signed(a.arc);
    FactOf<W> fact;
    if (n.is_constant()) {
        const W bits = n.bits.value;
        fact.bits = {shift_right_signed_by(a.bits.value, bits),
                     shift_right_signed_by(a.bits.mask, bits)};
        fact.arc = arc_between(shift_right_signed_by(low, bits), shift_right_signed_by(high, bits));
        return reduced(fact);
    }
    const W least_count = n.umin();
    const W most_count = n.umax();
    fact.arc =
        arc_between(shift_right_signed_by(low, pick(is_negative(low), least_count, most_count)),
                    shift_right_signed_by(high, pick(is_negative(high), most_count, least_count)));
    return reduced(fact);
}

template <class W>
FactOf<W> zero_extend(const FactOf<W>& a, unsigned width) noexcept {
    if (width == width_of(W{}))
        return a;
    const W mask = low_mask(W{}, width);
    if (at_most(a.umax(), mask))
        return a;
    FactOf<W> fact;
    fact.bits = {W(a.bits.value & mask), W(a.bits.mask & mask)};
    fact.arc = arc_between(W{}, mask);
    const W first = W(a.arc.base & mask);
    const W end = W(last(a.arc) & mask);
    if (width == half_width(W{})) {
        fact.low = a.low;
        fact.arc = arc_between(widened(least(a.low)), widened(most(a.low)));
    } else if (at_most(a.arc.size, mask) && at_most(first, end)) {
        fact.arc = arc_between(first, end);
    }
    return reduced(fact);
}

template <class W>
FactOf<W> sign_extend(const FactOf<W>& a, unsigned width) noexcept {
    const unsigned whole = width_of(W{});
    if (width == whole)
        return a;
    const FactOf<W> zero = zero_extend(a, width);
    const W sign = shift_left(word(W{}, 1), width - 1);
    // (x ^ sign) - sign, with x zero-extended: adding the sign bit turns the half circle.
    if (below(zero.umax(), sign))
        return zero;
    if (at_most(sign, zero.umin()))
        return moved(zero, W(~low_mask(W{}, width)));
    FactOf<W> fact;
    fact.bits = shift_right_signed(shift_left(a.bits, whole - width), whole - width);
    fact.arc = arc_between(W(W{} - sign), W(sign - word(W{}, 1)));
    if (width == half_width(W{})) {
        fact.low = a.low;
        fact.arc =
            arc_between(widened_signed(least_signed(a.low)), widened_signed(most_signed(a.low)));
    }
    return reduced(fact);
}

template <class W>
FactOf<W> swap_bytes(const FactOf<W>& a, unsigned width) noexcept {
    return of_bits(Tnum<W>{swapped_bytes(a.bits.value, width), swapped_bytes(a.bits.mask, width)});
}

// --- comparisons ---

template <class W>
bool assume(Compare compare, FactOf<W>& a, FactOf<W>& b) noexcept {
    const W one = word(W{}, 1);
    const W lowest = sign_bit(W{});
    const W highest = W(lowest - one);
    switch (compare) {
    case Compare::Eq: {
        const auto common = meet(a, b);
        if (!common)
            return false;
        a = b = *common;
        return true;
    }
    case Compare::Ne:
        return (!b.is_constant() || exclude(a, b.bits.value)) &&
               (!a.is_constant() || exclude(b, a.bits.value));
    case Compare::Gt:
        return assume(Compare::Lt, b, a);
    case Compare::Ge:
        return assume(Compare::Le, b, a);
    case Compare::Sgt:
        return assume(Compare::Slt, b, a);
    case Compare::Sge:
        return assume(Compare::Sle, b, a);
    case Compare::Lt: {
        const W low = a.umin();
        const W high = b.umax();
        if (is_zero(high) || same(low, ones(W{})))
            return false;
        return meet_arc(a, arc_between(W{}, W(high - one))) &&
               meet_arc(b, arc_between(W(low + one), ones(W{}))) && reduce(a) && reduce(b);
    }
    case Compare::Le: {
        const W low = a.umin();
        const W high = b.umax();
        return meet_arc(a, arc_between(W{}, high)) && meet_arc(b, arc_between(low, ones(W{}))) &&
               reduce(a) && reduce(b);
    }
    case Compare::Slt: {
        const W low = least_signed(a.arc);
        const W high = most_signed(b.arc);
        if (same(high, lowest) || same(low, highest))
            return false;
        return meet_arc(a, arc_between(lowest, W(high - one))) &&
               meet_arc(b, arc_between(W(low + one), highest)) && reduce(a) && reduce(b);
    }
    case Compare::Sle: {
        const W low = least_signed(a.arc);
        const W high = most_signed(b.arc);
        return meet_arc(a, arc_between(lowest, high)) && meet_arc(b, arc_between(low, highest)) &&
               reduce(a) && reduce(b);
    }
    case Compare::Set: {
        const W possible = W((a.bits.value | a.bits.mask) & (b.bits.value | b.bits.mask));
        if (is_zero(possible))
            return false;
        if (!is_power_of_two(possible))
            return true;
        const Tnum<W> bit{possible, W(~possible)};
        return meet_bits(a, bit) && meet_bits(b, bit) && reduce(a) && reduce(b);
    }
    case Compare::NotSet: // Where one has a 1 for certain the other has a 0.
        return meet_bits(a, Tnum<W>{W{}, W(~b.bits.value)}) &&
               meet_bits(b, Tnum<W>{W{}, W(~a.bits.value)}) && reduce(a) && reduce(b);
    }
    return true;
}

template <class W>
std::optional<bool> decide(Compare compare, const FactOf<W>& a, const FactOf<W>& b) noexcept {
    FactOf<W> x = a;
    FactOf<W> y = b;
    if (!assume(compare, x, y))
        return false;
    x = a;
    y = b;
    if (!assume(opposite(compare), x, y))
        return true;
    return std::nullopt;
}

/// What a refined low half, extended, says of the word.
template <class W>
bool learn_low(FactOf<W>& fact, const FactOf<W>& refined) noexcept {
    if (!meet_low(fact, refined.low) || !meet_bits(fact, any_upper_half<W>(low_half(refined.bits))))
        return false;
    // A word that is its own low half keeps what was excluded.
    const W lows = low_mask(W{}, half_width(W{}));
    if (at_most(fact.umax(), lows) && at_most(refined.umax(), lows))
        for (unsigned i = 0; i < refined.hole_count; ++i)
            add_hole(fact, refined.holes[i]);
    return reduce(fact);
}

template <class W>
bool assume_low(Compare compare, FactOf<W>& a, FactOf<W>& b) noexcept {
    const bool is_signed = compare == Compare::Sgt || compare == Compare::Sge ||
                           compare == Compare::Slt || compare == Compare::Sle;
    const unsigned width = half_width(W{});
    FactOf<W> x = is_signed ? sign_extend(a, width) : zero_extend(a, width);
    FactOf<W> y = is_signed ? sign_extend(b, width) : zero_extend(b, width);
    if (!assume(compare, x, y))
        return false;
    return learn_low(a, x) && learn_low(b, y);
}

} // namespace skep::verifier::domain
