// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "fact.hpp"

#include <algorithm>
#include <bit>

namespace skep::verifier::domain {
namespace {

constexpr u64 kLow = 0xffffffff;

Tnum<u64> low_bits(const Tnum<u64>& bits) noexcept {
    return {bits.value & kLow, bits.mask & kLow};
}

bool meet_bits(Fact& fact, const Tnum<u64>& bits) noexcept {
    if (disjoint(fact.bits, bits))
        return false;
    fact.bits = meet(fact.bits, bits);
    return true;
}
bool meet_arc(Fact& fact, const Arc<u64>& arc) noexcept {
    if (disjoint(fact.arc, arc))
        return false;
    fact.arc = meet(fact.arc, arc);
    return true;
}
bool meet_low(Fact& fact, const Arc<u32>& low) noexcept {
    if (disjoint(fact.low, low))
        return false;
    fact.low = meet(fact.low, low);
    return true;
}

/// Moves the ends of an arc inwards to members of the bits.
template <class W>
bool step_ends(Arc<W>& arc, const Tnum<W>& bits) noexcept {
    if (is_all(arc))
        return true;
    const W base = has(bits, arc.base) ? arc.base : next_member(bits, arc.base);
    const W skipped = static_cast<W>(base - arc.base);
    if (skipped > arc.size)
        return false;
    const W end = last(arc);
    const W back = has(bits, end) ? end : previous_member(bits, end);
    arc = {base, static_cast<W>(back - base)};
    return true;
}

/// Moves the ends of the arcs inwards to words that agree with the bits.
bool step_to_bits(Fact& fact) noexcept {
    const Tnum<u32> low{static_cast<u32>(fact.bits.value), static_cast<u32>(fact.bits.mask)};
    if (!step_ends(fact.arc, fact.bits) || !step_ends(fact.low, low))
        return false;
    // The bits' own range holds every member.
    return meet_arc(fact, arc_between(fact.bits.value, fact.bits.value | fact.bits.mask)) &&
           meet_low(fact, arc_between(static_cast<u32>(fact.bits.value),
                                      static_cast<u32>(fact.bits.value | fact.bits.mask)));
}

bool bits_from_arcs(Fact& fact) noexcept {
    if (!meet_bits(fact, tnum_of_range(fact.umin(), fact.umax())))
        return false;
    const Tnum<u32> low = tnum_of_range(least(fact.low), most(fact.low));
    return meet_bits(fact, {low.value, low.mask | ~kLow});
}

bool halves_meet(Fact& fact) noexcept {
    // An arc shorter than the low half's circle shows its low halves exactly.
    if (fact.arc.size <= kLow && !meet_low(fact, arc_between(static_cast<u32>(fact.arc.base),
                                                             static_cast<u32>(last(fact.arc)))))
        return false;
    // With one upper half for all members the low half's bounds are the word's.
    const u64 low_end = fact.umin();
    const u64 high_end = fact.umax();
    if (low_end >> 32 == high_end >> 32) {
        const u64 upper = low_end & ~kLow;
        return meet_arc(fact, arc_between(upper | least(fact.low), upper | most(fact.low)));
    }
    return true;
}

bool trim_holes(Fact& fact) noexcept {
    for (int round = 0; round < 4; ++round) {
        bool changed = false;
        for (unsigned i = 0; i < fact.hole_count;) {
            const u64 hole = fact.holes[i];
            if (!has(fact.arc, hole) || !has(fact.bits, hole)) {
                fact.holes[i] = fact.holes[--fact.hole_count];
                continue;
            }
            const bool first = hole == fact.arc.base && !is_all(fact.arc);
            const bool end = hole == last(fact.arc) && !is_all(fact.arc);
            if (first && end)
                return false;
            if (first || end) {
                fact.arc = {fact.arc.base + (first ? 1 : 0), fact.arc.size - 1};
                changed = true;
            }
            ++i;
        }
        if (!changed)
            break;
    }
    return true;
}

void add_hole(Fact& fact, u64 value) noexcept {
    for (unsigned i = 0; i < fact.hole_count; ++i)
        if (fact.holes[i] == value)
            return;
    if (fact.hole_count < fact.holes.size())
        fact.holes[fact.hole_count++] = value;
}

Fact reduced(Fact fact) noexcept {
    (void)reduce(fact); // Of a result of members: never empty.
    return fact;
}

Fact of_bits(const Tnum<u64>& bits) noexcept {
    Fact fact;
    fact.bits = bits;
    return reduced(fact);
}

Fact of_range(u64 low, u64 high) noexcept {
    return Fact::between(low, high);
}
Fact of_signed_range(i64 low, i64 high) noexcept {
    Fact fact;
    fact.arc = arc_between(static_cast<u64>(low), static_cast<u64>(high));
    return reduced(fact);
}

} // namespace

Fact Fact::constant(u64 x) noexcept {
    Fact fact;
    fact.bits = tnum_of(x);
    fact.arc = arc_of(x);
    fact.low = arc_of(static_cast<u32>(x));
    return fact;
}

Fact Fact::between(u64 least_word, u64 most_word) noexcept {
    Fact fact;
    fact.arc = arc_between(least_word, most_word);
    // All words below a power of two: nothing is left to find.
    if (least_word == 0 && (most_word & (most_word + 1)) == 0) {
        fact.bits = {0, most_word};
        fact.low = arc_between(u32{0}, static_cast<u32>(most_word));
        return fact;
    }
    return reduced(fact);
}

Fact Fact::of_width(unsigned width) noexcept {
    return width == 64 ? Fact{} : between(0, (u64{1} << width) - 1);
}

bool Fact::contains(u64 x) const noexcept {
    return has(bits, x) && has(arc, x) && has(low, static_cast<u32>(x)) &&
           std::find(holes.begin(), holes.begin() + hole_count, x) == holes.begin() + hole_count;
}

bool operator==(const Fact& a, const Fact& b) noexcept {
    return a.bits == b.bits && a.arc == b.arc && a.low == b.low && a.hole_count == b.hole_count &&
           std::equal(a.holes.begin(), a.holes.begin() + a.hole_count, b.holes.begin());
}

bool reduce(Fact& fact) noexcept {
    if (fact.is_constant()) {
        if (!fact.contains(fact.bits.value))
            return false;
        fact = Fact::constant(fact.bits.value);
        return true;
    }
    if (fact.bits.mask == ~u64{0} && is_all(fact.arc) && is_all(fact.low) && fact.hole_count == 0)
        return true;
    for (int round = 0; round < 4; ++round) {
        const Fact before = fact;
        if (!step_to_bits(fact) || !halves_meet(fact) || !bits_from_arcs(fact) || !trim_holes(fact))
            return false;
        if (fact == before)
            break;
    }
    return true;
}

bool within(const Fact& a, const Fact& b) noexcept {
    if (!within(a.bits, b.bits) || !within(a.arc, b.arc) || !within(a.low, b.low))
        return false;
    for (unsigned i = 0; i < b.hole_count; ++i)
        if (a.contains(b.holes[i]))
            return false;
    return true;
}

Fact join(const Fact& a, const Fact& b) noexcept {
    Fact fact;
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
    const Fact best = reduced(fact);
    return within(a, best) && within(b, best) ? best : fact;
}

Fact widen(const Fact& from, const Fact& to, const Widening& widening) noexcept {
    if (within(to, from))
        return from;
    if (widening.all)
        return {};
    Fact fact = to;
    // A counter's steps keep their low bits; above the lowest bit that changed nothing is certain.
    const u64 changed = (to.bits.mask & ~from.bits.mask);
    if (changed != 0) {
        fact.bits.mask |= ~((changed & (~changed + 1)) - 1);
        fact.bits.value &= ~fact.bits.mask;
    }
    const auto& steps = widening.thresholds;
    i64 low = to.smin();
    i64 high = to.smax();
    if (low < from.smin()) {
        const auto after = std::ranges::upper_bound(steps, low);
        low = after == steps.begin() ? std::numeric_limits<i64>::min() : *std::prev(after);
    }
    if (high > from.smax()) {
        const auto at = std::ranges::lower_bound(steps, high);
        high = at == steps.end() ? std::numeric_limits<i64>::max() : *at;
    }
    const auto wider = arc_between(static_cast<u64>(low), static_cast<u64>(high));
    // An arc that is not one of signed numbers keeps its ends while they do not move.
    if (!(to.arc == from.arc))
        fact.arc = wider;
    if (!(to.low == from.low))
        fact.low = arc_all(u32{});
    const Fact best = reduced(fact); // As in join().
    return within(to, best) ? best : fact;
}

std::optional<Fact> meet(const Fact& a, const Fact& b) noexcept {
    Fact fact = a;
    if (!meet_bits(fact, b.bits) || !meet_arc(fact, b.arc) || !meet_low(fact, b.low))
        return std::nullopt;
    for (unsigned i = 0; i < b.hole_count; ++i)
        add_hole(fact, b.holes[i]);
    if (!reduce(fact))
        return std::nullopt;
    return fact;
}

bool exclude(Fact& fact, u64 value) noexcept {
    if (!fact.contains(value))
        return true;
    if (fact.is_constant())
        return false;
    add_hole(fact, value);
    return reduce(fact);
}

Fact moved(const Fact& a, u64 distance) noexcept {
    if (distance == 0)
        return a;
    if (a.is_constant())
        return Fact::constant(a.bits.value + distance);
    Fact fact;
    fact.bits = add(a.bits, tnum_of(distance));
    fact.arc = moved(a.arc, distance);
    fact.low = moved(a.low, static_cast<u32>(distance));
    for (unsigned i = 0; i < a.hole_count; ++i)
        add_hole(fact, a.holes[i] + distance);
    return reduced(fact);
}

Fact add(const Fact& a, const Fact& b) noexcept {
    if (b.is_constant())
        return moved(a, b.bits.value);
    if (a.is_constant())
        return moved(b, a.bits.value);
    Fact fact;
    fact.bits = add(a.bits, b.bits);
    fact.arc = add(a.arc, b.arc);
    fact.low = add(a.low, b.low);
    return reduced(fact);
}

Fact subtract(const Fact& a, const Fact& b) noexcept {
    if (b.is_constant())
        return moved(a, u64{0} - b.bits.value);
    Fact fact;
    fact.bits = subtract(a.bits, b.bits);
    fact.arc = subtract(a.arc, b.arc);
    fact.low = subtract(a.low, b.low);
    return reduced(fact);
}

Fact multiply(const Fact& a, const Fact& b) noexcept {
    Fact fact;
    fact.bits = multiply(a.bits, b.bits);
    u64 most_word = 0;
    if (!__builtin_mul_overflow(a.umax(), b.umax(), &most_word)) {
        fact.arc = arc_between(a.umin() * b.umin(), most_word);
    } else {
        i64 least_word = INT64_MAX;
        i64 greatest = INT64_MIN;
        bool fits = true;
        for (const i64 x : {a.smin(), a.smax()})
            for (const i64 y : {b.smin(), b.smax()}) {
                i64 product = 0;
                fits &= !__builtin_mul_overflow(x, y, &product);
                least_word = std::min(least_word, product);
                greatest = std::max(greatest, product);
            }
        if (fits)
            fact.arc = arc_between(static_cast<u64>(least_word), static_cast<u64>(greatest));
    }
    return reduced(fact);
}

Fact divide(const Fact& a, const Fact& b) noexcept {
    if (b.umax() == 0)
        return Fact::constant(0);
    const u64 most_word = a.umax() / std::max<u64>(b.umin(), 1);
    return of_range(b.umin() == 0 ? 0 : a.umin() / b.umax(), most_word);
}

Fact remainder(const Fact& a, const Fact& b) noexcept {
    if (b.umax() == 0)
        return a;
    if (a.umax() < b.umin())
        return a;
    if (b.is_constant() && std::has_single_bit(b.bits.value))
        return bit_and(a, Fact::constant(b.bits.value - 1));
    const u64 most_word = b.umin() == 0 ? a.umax() : std::min(a.umax(), b.umax() - 1);
    return of_range(0, most_word);
}

Fact divide_signed(const Fact& a, const Fact& b) noexcept {
    if (a.smin() >= 0 && b.smin() >= 0)
        return divide(a, b);
    if (!b.is_constant() || b.bits.value == 0 || b.bits.value == ~u64{0})
        return Fact{};
    const auto divisor = static_cast<i64>(b.bits.value);
    const auto [low, high] = std::minmax({a.smin() / divisor, a.smax() / divisor});
    return of_signed_range(low, high);
}

Fact remainder_signed(const Fact& a, const Fact& b) noexcept {
    if (a.smin() >= 0 && b.smin() >= 0)
        return remainder(a, b);
    if (!b.is_constant() || b.bits.value == 0 || b.bits.value == static_cast<u64>(INT64_MIN))
        return Fact{};
    const auto divisor = static_cast<i64>(b.bits.value);
    const i64 end = (divisor < 0 ? -divisor : divisor) - 1;
    return of_signed_range(a.smin() < 0 ? std::max(a.smin(), -end) : 0,
                           a.smax() > 0 ? std::min(a.smax(), end) : 0);
}

Fact bit_and(const Fact& a, const Fact& b) noexcept {
    Fact fact;
    fact.bits = bit_and(a.bits, b.bits);
    fact.arc = arc_between(u64{0}, std::min(a.umax(), b.umax()));
    fact.low = arc_between(u32{0}, std::min(most(a.low), most(b.low)));
    return reduced(fact);
}

Fact bit_or(const Fact& a, const Fact& b) noexcept {
    Fact fact;
    fact.bits = bit_or(a.bits, b.bits);
    fact.arc = arc_between(std::max(a.umin(), b.umin()), ~u64{0});
    return reduced(fact);
}

Fact bit_xor(const Fact& a, const Fact& b) noexcept {
    return of_bits(bit_xor(a.bits, b.bits));
}

Fact shift_left(const Fact& a, const Fact& count, unsigned width) noexcept {
    const Fact n = bit_and(count, Fact::constant(width - 1));
    if (!n.is_constant()) {
        const auto most_count = static_cast<unsigned>(n.umax());
        if (a.umax() != 0 && most_count > static_cast<unsigned>(std::countl_zero(a.umax())))
            return Fact{};
        return of_range(a.umin() << n.umin(), a.umax() << most_count);
    }
    const auto bits = static_cast<unsigned>(n.bits.value);
    Fact fact;
    fact.bits = shift_left(a.bits, bits);
    if (a.umax() == 0 || bits <= static_cast<unsigned>(std::countl_zero(a.umax())))
        fact.arc = arc_between(a.umin() << bits, a.umax() << bits);
    return reduced(fact);
}

Fact shift_right(const Fact& a, const Fact& count, unsigned width) noexcept {
    const Fact n = bit_and(count, Fact::constant(width - 1));
    if (!n.is_constant())
        return of_range(a.umin() >> n.umax(), a.umax() >> n.umin());
    Fact fact;
    fact.bits = shift_right(a.bits, static_cast<unsigned>(n.bits.value));
    fact.arc = arc_between(a.umin() >> n.bits.value, a.umax() >> n.bits.value);
    return reduced(fact);
}

Fact shift_right_signed(const Fact& a, const Fact& count, unsigned width) noexcept {
    const Fact n = bit_and(count, Fact::constant(width - 1));
    const i64 low = a.smin();
    const i64 high = a.smax();
    if (!n.is_constant())
        return of_signed_range(low < 0 ? low >> n.umin() : low >> n.umax(),
                               high < 0 ? high >> n.umax() : high >> n.umin());
    const auto bits = static_cast<unsigned>(n.bits.value);
    Fact fact;
    fact.bits = shift_right_signed(a.bits, bits);
    fact.arc = arc_between(static_cast<u64>(low >> bits), static_cast<u64>(high >> bits));
    return reduced(fact);
}

Fact zero_extend(const Fact& a, unsigned width) noexcept {
    if (width == 64)
        return a;
    const u64 mask = (u64{1} << width) - 1;
    if (a.umax() <= mask)
        return a;
    Fact fact;
    fact.bits = {a.bits.value & mask, a.bits.mask & mask};
    fact.arc = arc_between(u64{0}, mask);
    if (width == 32) {
        fact.low = a.low;
        fact.arc = arc_between(u64{least(a.low)}, u64{most(a.low)});
    } else if (a.arc.size <= mask && (a.arc.base & mask) <= (last(a.arc) & mask)) {
        fact.arc = arc_between(a.arc.base & mask, last(a.arc) & mask);
    }
    return reduced(fact);
}

Fact sign_extend(const Fact& a, unsigned width) noexcept {
    if (width == 64)
        return a;
    const Fact zero = zero_extend(a, width);
    const u64 sign = u64{1} << (width - 1);
    // (x ^ sign) - sign, with x zero-extended: adding the sign bit turns the half circle.
    const u64 mask = (u64{1} << width) - 1;
    if (zero.umax() < sign)
        return zero;
    if (zero.umin() >= sign)
        return moved(zero, ~mask);
    Fact fact;
    fact.bits = shift_right_signed(shift_left(a.bits, 64 - width), 64 - width);
    fact.arc = arc_between(u64{0} - sign, sign - 1);
    if (width == 32) {
        fact.low = a.low;
        const auto low = static_cast<std::int32_t>(least_signed(a.low));
        const auto high = static_cast<std::int32_t>(most_signed(a.low));
        fact.arc = arc_between(static_cast<u64>(i64{low}), static_cast<u64>(i64{high}));
    }
    return reduced(fact);
}

Fact swap_bytes(const Fact& a, unsigned width) noexcept {
    const auto swapped = [width](u64 x) {
        return width == 16   ? u64{__builtin_bswap16(static_cast<std::uint16_t>(x))}
               : width == 32 ? u64{__builtin_bswap32(static_cast<u32>(x))}
                             : __builtin_bswap64(x);
    };
    return of_bits({swapped(a.bits.value), swapped(a.bits.mask)});
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

bool assume(Compare compare, Fact& a, Fact& b) noexcept {
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
        const u64 low = a.umin();
        const u64 high = b.umax();
        return high != 0 && low != ~u64{0} && meet_arc(a, arc_between(u64{0}, high - 1)) &&
               meet_arc(b, arc_between(low + 1, ~u64{0})) && reduce(a) && reduce(b);
    }
    case Compare::Le: {
        const u64 low = a.umin();
        const u64 high = b.umax();
        return meet_arc(a, arc_between(u64{0}, high)) && meet_arc(b, arc_between(low, ~u64{0})) &&
               reduce(a) && reduce(b);
    }
    case Compare::Slt: {
        const i64 low = a.smin();
        const i64 high = b.smax();
        return high != INT64_MIN && low != INT64_MAX &&
               meet_arc(a, arc_between(u64{1} << 63, static_cast<u64>(high - 1))) &&
               meet_arc(b, arc_between(static_cast<u64>(low + 1), ~u64{0} >> 1)) && reduce(a) &&
               reduce(b);
    }
    case Compare::Sle: {
        const i64 low = a.smin();
        const i64 high = b.smax();
        return meet_arc(a, arc_between(u64{1} << 63, static_cast<u64>(high))) &&
               meet_arc(b, arc_between(static_cast<u64>(low), ~u64{0} >> 1)) && reduce(a) &&
               reduce(b);
    }
    case Compare::Set: {
        const u64 possible = (a.bits.value | a.bits.mask) & (b.bits.value | b.bits.mask);
        if (possible == 0)
            return false;
        if (!std::has_single_bit(possible))
            return true;
        return meet_bits(a, {possible, ~possible}) && meet_bits(b, {possible, ~possible}) &&
               reduce(a) && reduce(b);
    }
    case Compare::NotSet: // Where one has a 1 for certain the other has a 0.
        return meet_bits(a, {0, ~b.bits.value}) && meet_bits(b, {0, ~a.bits.value}) && reduce(a) &&
               reduce(b);
    }
    return true;
}

std::optional<bool> decide(Compare compare, const Fact& a, const Fact& b) noexcept {
    Fact x = a;
    Fact y = b;
    if (!assume(compare, x, y))
        return false;
    x = a;
    y = b;
    if (!assume(opposite(compare), x, y))
        return true;
    return std::nullopt;
}

bool assume_low(Compare compare, Fact& a, Fact& b) noexcept {
    const bool is_signed = compare == Compare::Sgt || compare == Compare::Sge ||
                           compare == Compare::Slt || compare == Compare::Sle;
    Fact x = is_signed ? sign_extend(a, 32) : zero_extend(a, 32);
    Fact y = is_signed ? sign_extend(b, 32) : zero_extend(b, 32);
    if (!assume(compare, x, y))
        return false;
    const auto back = [](Fact& fact, const Fact& refined) {
        const Tnum<u64> bits = low_bits(refined.bits);
        if (!meet_low(fact, refined.low) || !meet_bits(fact, {bits.value, bits.mask | ~kLow}))
            return false;
        // A word that is its own low half keeps what was excluded.
        if (fact.umax() <= kLow && refined.umax() <= kLow)
            for (unsigned i = 0; i < refined.hole_count; ++i)
                add_hole(fact, refined.holes[i]);
        return reduce(fact);
    };
    return back(a, x) && back(b, y);
}

} // namespace skep::verifier::domain
