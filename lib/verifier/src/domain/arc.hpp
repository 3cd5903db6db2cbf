// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "word.hpp"

namespace skep::verifier::domain {

/// A wrapped interval (Navas et al., APLAS 2012): the words base, base + 1, ... base + size, modulo
/// 2^width. It is neither signed nor unsigned, and moves exactly under the addition of a constant.
/// All words: base 0, size ~0 (the only form of it).
template <class W>
struct Arc {
    W base;
    W size;

    friend bool operator==(const Arc&, const Arc&) = default;
};

template <class W>
constexpr Arc<W> arc_all(W like) noexcept {
    return {word(like, 0), ones(like)};
}
template <class W>
constexpr Arc<W> arc_of(W x) noexcept {
    return {x, word(x, 0)};
}
/// From least up to most, going round if most is below least.
template <class W>
constexpr Arc<W> arc_between(W least, W most) noexcept {
    const W size = W(most - least);
    const auto all = same(size, ones(size));
    return {pick(all, word(least, 0), least), size};
}
template <class W>
constexpr W last(const Arc<W>& a) noexcept {
    return W(a.base + a.size);
}
template <class W>
constexpr auto is_all(const Arc<W>& a) noexcept {
    return same(a.size, ones(a.size));
}
template <class W>
constexpr auto has(const Arc<W>& a, W x) noexcept {
    return at_most(W(x - a.base), a.size);
}
template <class W>
constexpr auto within(const Arc<W>& a, const Arc<W>& b) noexcept {
    // a starts inside b, and what is left of b from there on is at least a.
    const W start = W(a.base - b.base);
    return either(is_all(b), both(at_most(start, b.size), at_most(a.size, W(b.size - start))));
}
template <class W>
constexpr auto disjoint(const Arc<W>& a, const Arc<W>& b) noexcept {
    return both(negate(has(a, b.base)), negate(has(b, a.base)));
}

/// Unsigned bounds.
template <class W>
constexpr W least(const Arc<W>& a) noexcept {
    return pick(below(last(a), a.base), word(a.base, 0), a.base);
}
template <class W>
constexpr W most(const Arc<W>& a) noexcept {
    return pick(below(last(a), a.base), ones(a.base), last(a));
}
/// Signed bounds, as words: those of the arc turned by half the circle, turned back.
template <class W>
constexpr W least_signed(const Arc<W>& a) noexcept {
    const W half = sign_bit(a.base);
    return W(least(Arc<W>{W(a.base + half), a.size}) + half);
}
template <class W>
constexpr W most_signed(const Arc<W>& a) noexcept {
    const W half = sign_bit(a.base);
    return W(most(Arc<W>{W(a.base + half), a.size}) + half);
}

template <class W>
constexpr Arc<W> choose(auto condition, const Arc<W>& a, const Arc<W>& b) noexcept {
    return {pick(condition, a.base, b.base), pick(condition, a.size, b.size)};
}

/// The smallest arc that holds both.
template <class W>
constexpr Arc<W> join(const Arc<W>& a, const Arc<W>& b) noexcept {
    const Arc<W> forward = arc_between(a.base, last(b));  // from a's start to b's end
    const Arc<W> backward = arc_between(b.base, last(a)); // from b's start to a's end
    const auto forward_holds = both(within(a, forward), within(b, forward));
    const auto backward_holds = both(within(a, backward), within(b, backward));
    const auto take_forward =
        both(forward_holds, either(negate(backward_holds), at_most(forward.size, backward.size)));
    const Arc<W> around =
        choose(take_forward, forward, choose(backward_holds, backward, arc_all(a.base)));
    return choose(within(a, b), b, choose(within(b, a), a, around));
}

/// The smallest arc that holds what both have in common. Requires that they are not disjoint. Where
/// the intersection has two pieces, the smaller of the two arcs is the answer.
template <class W>
constexpr Arc<W> meet(const Arc<W>& a, const Arc<W>& b) noexcept {
    const auto a_starts_in_b = has(b, a.base);
    const auto b_starts_in_a = has(a, b.base);
    const Arc<W> smaller = choose(at_most(a.size, b.size), a, b);
    const Arc<W> from_a = arc_between(a.base, last(b));
    const Arc<W> from_b = arc_between(b.base, last(a));
    const Arc<W> one_piece = choose(a_starts_in_b, from_a, from_b);
    const auto nested = either(within(a, b), within(b, a));
    return choose(either(nested, both(a_starts_in_b, b_starts_in_a)), smaller, one_piece);
}

template <class W>
constexpr Arc<W> add(const Arc<W>& a, const Arc<W>& b) noexcept {
    const W size = W(a.size + b.size);
    const auto over = either(below(size, a.size), same(size, ones(size)));
    return choose(over, arc_all(a.base), Arc<W>{W(a.base + b.base), size});
}
template <class W>
constexpr Arc<W> negative(const Arc<W>& a) noexcept {
    return choose(is_all(a), a, Arc<W>{W(word(a.base, 0) - last(a)), a.size});
}
template <class W>
constexpr Arc<W> subtract(const Arc<W>& a, const Arc<W>& b) noexcept {
    return add(a, negative(b));
}
template <class W>
constexpr Arc<W> moved(const Arc<W>& a, W distance) noexcept {
    return choose(is_all(a), a, Arc<W>{W(a.base + distance), a.size});
}

} // namespace skep::verifier::domain
