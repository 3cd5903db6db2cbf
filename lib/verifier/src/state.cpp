// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "state.hpp"

#include <algorithm>
#include <cassert>
#include <map>
#include <optional>

#include "domain/backward.hpp"
#include "domain/rules.hpp"

namespace skep::verifier {
namespace {

using domain::meet;

constexpr i64 kFar = i64{1} << 30; ///< no offset of a pointer is as large
constexpr i64 kFarthest = i64{1} << 60;
constexpr i64 kMostDifference = i64{1} << 50;

bool far(i64 distance) {
    return distance < -kFar || distance > kFar;
}

/// What a used symbol is made of helps to refine the others that are made of it; what that is made
/// of in turn seldom does.
constexpr u32 kLevels = 2;

const Fact kZero = Fact::constant(0);
const Fact kUnknown;

constexpr int kMaxRefinements = 64; ///< steps of one refinement; more precision is not worth it

auto position(auto& facts, Sym sym) {
    return std::ranges::lower_bound(facts, sym, {}, [](const auto& entry) { return entry.first; });
}

void each_val(const State& state, auto&& visit) {
    for (const Frame& frame : state.frames) {
        for (const Val& val : frame.regs)
            visit(val);
        frame.stack.each([&](std::size_t, const Val& val, unsigned) { visit(val); });
    }
}
/// What a refined result says about the operand a of its node; nothing if not much.
Fact backwards(const State& state, const Node& node, const Fact& result) {
    const auto now = [&] {
        return domain::moved(state.fact(node.a), static_cast<u64>(node.a_off));
    };
    const auto other = [&] {
        return domain::moved(state.fact(node.b), static_cast<u64>(node.b_off));
    };
    const auto count = static_cast<unsigned>(node.imm);
    Fact operand; // of a + a_off
    switch (node.op) {
    case Op::ZeroExtend:
        operand = domain::before_zero_extend(result, node.width, now());
        break;
    case Op::SignExtend:
        operand = domain::before_sign_extend(result, node.width);
        break;
    case Op::And:
        operand = domain::before_and(result, node.imm);
        break;
    case Op::ShiftRight:
        operand = domain::before_shift_right(result, count);
        break;
    case Op::ShiftLeft:
        operand = domain::before_shift_left(result, count, now());
        break;
    case Op::Multiply:
        operand = domain::before_multiply(result, node.imm, now());
        break;
    case Op::Add:
        operand = domain::subtract(result, other());
        break;
    case Op::Subtract:
        operand = domain::add(result, other());
        break;
    case Op::Source:
        return {};
    }
    return domain::moved(operand, u64{0} - static_cast<u64>(node.a_off));
}

/// Of Add and Subtract: what the result says about the operand b.
Fact backwards_second(const State& state, const Node& node, const Fact& result) {
    const Fact first = domain::moved(state.fact(node.a), static_cast<u64>(node.a_off));
    const Fact operand =
        node.op == Op::Add ? domain::subtract(result, first) : domain::subtract(first, result);
    return domain::moved(operand, u64{0} - static_cast<u64>(node.b_off));
}

/// Of what is not more than c below a number with this fact; nothing if not much.
Fact at_least(const Fact& fact, i64 c) {
    Fact made;
    if (fact.smin() > -kFarthest)
        made.arc =
            domain::arc_between(static_cast<u64>(fact.smin() - c), static_cast<u64>(INT64_MAX));
    return made;
}
/// And of what is not more than c above it.
Fact at_most(const Fact& fact, i64 c) {
    Fact made;
    if (fact.smax() < kFarthest)
        made.arc =
            domain::arc_between(static_cast<u64>(INT64_MIN), static_cast<u64>(fact.smax() + c));
    return made;
}

bool uses(const Node& node, Sym sym) {
    return node.op != Op::Source && (node.a == sym || node.b == sym) && sym != 0;
}

} // namespace

const Fact& State::fact(Sym sym) const {
    if (sym == 0)
        return kZero;
    const auto found = position(facts, sym);
    return found != facts.end() && found->first == sym ? found->second : kUnknown;
}

bool State::knows(Sym sym) const {
    const auto found = position(facts, sym);
    return found != facts.end() && found->first == sym;
}

void State::set_fact(Sym sym, const Fact& fact) {
    const auto found = position(facts, sym);
    if (found != facts.end() && found->first == sym) {
        found->second = fact;
    } else {
        const auto at = found - facts.begin();
        if (facts.size() == facts.capacity())
            facts.reserve(facts.size() + 4 + facts.size() / 8); // Many states live long.
        facts.insert(facts.begin() + at, {sym, fact});
    }
}

const PacketBound* State::bound(Region region, Sym sym) const {
    const auto found = std::ranges::find_if(bounds, [&](const PacketBound& bound) {
        return bound.region == region && bound.sym == sym;
    });
    return found == bounds.end() ? nullptr : &*found;
}

void State::add_bound(const PacketBound& bound) {
    for (PacketBound& known : bounds)
        if (known.region == bound.region && known.sym == bound.sym) {
            known.c = std::max(known.c, bound.c);
            return;
        }
    bounds.push_back(bound);
}

i64 State::difference(Sym a, Sym b, int depth) const {
    if (a == b)
        return 0;
    const i64 high = fact(a).smax();
    const i64 low = fact(b).smin();
    // Beyond that nothing is a difference that helps.
    const bool wide = high > kFarthest || low < -kFarthest;
    i64 least = wide ? kUnbounded : std::max(high, -kFarthest) - std::min(low, kFarthest);
    for (const Difference& known : differences) {
        if (known.a != a || (known.b != b && depth == 1))
            continue;
        const i64 rest = known.b == b ? 0 : difference(known.b, b, depth - 1);
        if (rest != kUnbounded)
            least = std::min(least, known.c + rest);
    }
    return least;
}

void State::add_difference(const Difference& difference) {
    if (difference.c < -kMostDifference || difference.c > kMostDifference)
        return;
    for (Difference& known : differences)
        if (known.a == difference.a && known.b == difference.b) {
            known.c = std::min(known.c, difference.c);
            return;
        }
    if (differences.size() < kMostDifferences)
        differences.push_back(difference);
}

Fact State::of(const Val& val) const {
    if (val.sym == 0)
        return Fact::constant(static_cast<u64>(val.off));
    return domain::moved(fact(val.sym), static_cast<u64>(val.off));
}

Fact evaluate(const State& state, const Node& node) {
    const Fact a = domain::moved(state.fact(node.a), static_cast<u64>(node.a_off));
    switch (node.op) {
    case Op::ZeroExtend:
        return domain::zero_extend(a, node.width);
    case Op::SignExtend:
        return domain::sign_extend(a, node.width);
    case Op::And:
        return domain::bit_and(a, Fact::constant(node.imm));
    case Op::ShiftLeft:
        return domain::shift_left(a, Fact::constant(node.imm), 64);
    case Op::ShiftRight:
        return domain::shift_right(a, Fact::constant(node.imm), 64);
    case Op::Multiply:
        return domain::multiply(a, Fact::constant(node.imm));
    case Op::Add:
        return domain::add(a, domain::moved(state.fact(node.b), static_cast<u64>(node.b_off)));
    case Op::Subtract:
        return domain::subtract(a, domain::moved(state.fact(node.b), static_cast<u64>(node.b_off)));
    case Op::Source:
        break;
    }
    return {};
}

bool refine(State& state, const Symbols& symbols, Sym sym, const Fact& with) {
    static thread_local std::vector<std::pair<Sym, Fact>> work; // Kept for its memory.
    work.assign(1, {sym, with});
    for (int step = 0; step < kMaxRefinements && !work.empty(); ++step) {
        const auto [now, fact] = work.back();
        work.pop_back();
        if (now == 0) {
            if (!fact.contains(0))
                return false;
            continue;
        }
        const Fact before = state.fact(now);
        const auto after = meet(before, fact);
        if (!after)
            return false;
        if (*after == before)
            continue;
        state.set_fact(now, *after);
        const Node& node = symbols[now];
        // Only into what there is a fact of: within() relies on it.
        if (node.op != Op::Source && (node.a == 0 || state.knows(node.a)))
            work.emplace_back(node.a, backwards(state, node, *after));
        const bool second = node.op == Op::Add || node.op == Op::Subtract;
        if (second && (node.b == 0 || state.knows(node.b)))
            work.emplace_back(node.b, backwards_second(state, node, *after));
        for (const auto& [other, known] : state.facts)
            if (uses(symbols[other], now))
                work.emplace_back(other, evaluate(state, symbols[other]));
        for (const Difference& known : state.differences) {
            if (known.a == now && state.knows(known.b))
                work.emplace_back(known.b, at_least(*after, known.c));
            if (known.b == now && state.knows(known.a))
                work.emplace_back(known.a, at_most(*after, known.c));
        }
    }
    return true;
}

void forget_unused(State& state, const Symbols& symbols) {
    static thread_local std::vector<Sym> used; // Kept for its memory.
    used.clear();
    symbols.unmark_all();
    const auto is_used = [&](Sym sym) { return symbols.marked(sym, 0) != 0; };
    const auto use = [&](Sym sym) {
        if (sym == 0 || is_used(sym))
            return;
        symbols.mark(sym, 1);
        used.push_back(sym);
    };
    each_val(state, [&](const Val& val) { use(val.sym); });
    std::size_t from = 0;
    for (u32 level = 0; level < kLevels; ++level) {
        const std::size_t end = used.size();
        for (std::size_t i = from; i < end; ++i) {
            const Node& node = symbols[used[i]];
            // What changes in step with nothing is a number like any other.
            if (node.op == Op::Source || node.op == Op::Multiply)
                continue;
            use(node.a);
            use(node.b);
        }
        from = end;
    }
    std::erase_if(state.facts, [&](const auto& entry) { return !is_used(entry.first); });
    std::erase_if(state.bounds,
                  [&](const PacketBound& b) { return b.sym != 0 && !is_used(b.sym); });
    std::erase_if(state.differences,
                  [&](const Difference& d) { return !is_used(d.a) || !is_used(d.b); });
}

u64 shape(const State& state) {
    u64 hash = 0xcbf29ce484222325;
    const auto mix = [&hash](u64 x) {
        hash = (hash ^ x) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 29;
    };
    // Instances are named by the order in which they appear.
    PoolVector<u32> instances;
    const auto name = [&instances](u32 instance) -> u64 {
        if (instance == 0)
            return 0;
        const auto found = std::ranges::find(instances, instance);
        if (found == instances.end()) {
            instances.push_back(instance);
            return instances.size();
        }
        return static_cast<u64>(found - instances.begin()) + 1;
    };
    const auto mix_val = [&](const Val& val) {
        mix(static_cast<u64>(val.kind) | static_cast<u64>(val.region) << 8 |
            static_cast<u64>(val.nullable) << 16 | static_cast<u64>(val.read_only) << 17 |
            u64{class_of(val)} << 32);
        mix(name(val.instance) | name(owner_of(val)) << 32);
    };
    for (const Frame& frame : state.frames) {
        mix(frame.return_to | u64{frame.callback} << 32);
        mix(frame.round | u64{frame.function} << 32);
        for (const Val& val : frame.regs)
            mix_val(val);
        frame.stack.each([&](std::size_t i, const Val& val, unsigned bytes) {
            if (bytes == 8 && val.kind == Kind::Pointer) {
                mix(i);
                mix_val(val);
            }
        });
    }
    for (const u32 reference : state.references)
        mix(name(reference) + 77);
    mix(state.held_lock != 0 ? name(state.held_lock - 1) + 1 : 0);
    mix(state.held_map);
    return hash;
}

namespace {

/// A number as a sum of symbols with factors, and a constant (all mod 2^64).
struct Linear {
    static constexpr std::size_t kTerms = 4;
    std::array<std::pair<Sym, u64>, kTerms> terms; ///< by no order; factors are not 0
    std::size_t count = 0;
    u64 constant = 0;
    bool too_long = false;

    [[nodiscard]] bool is_constant() const { return count == 0 && !too_long; }

    /// Adds `factor` times another.
    void add(const Linear& other, u64 factor) {
        constant += other.constant * factor;
        too_long |= other.too_long;
        for (std::size_t i = 0; i < other.count; ++i)
            add(other.terms[i].first, other.terms[i].second * factor);
    }
    void add(Sym sym, u64 factor) {
        for (std::size_t i = 0; i < count; ++i)
            if (terms[i].first == sym) {
                terms[i].second += factor;
                if (terms[i].second == 0)
                    terms[i] = terms[--count];
                return;
            }
        if (factor == 0)
            return;
        if (count == kTerms)
            too_long = true;
        else
            terms[count++] = {sym, factor};
    }
    /// sym + off, by definitions that are sums and products with constants.
    static Linear of(const Symbols& symbols, Sym sym, i64 off) {
        Linear all;
        all.collect(symbols, sym, static_cast<u64>(off), 1, 4);
        return all;
    }

private:
    void collect(const Symbols& symbols, Sym sym, u64 off, u64 factor, int depth) {
        constant += off * factor;
        if (sym == 0)
            return;
        const Node& node = symbols[sym];
        const auto a_off = static_cast<u64>(node.a_off);
        const auto b_off = static_cast<u64>(node.b_off);
        if (depth == 0)
            return add(sym, factor);
        switch (node.op) {
        case Op::Multiply:
            return collect(symbols, node.a, a_off, factor * node.imm, depth - 1);
        case Op::ShiftLeft:
            return collect(symbols, node.a, a_off, factor << node.imm, depth - 1);
        case Op::Add:
            collect(symbols, node.a, a_off, factor, depth - 1);
            return collect(symbols, node.b, b_off, factor, depth - 1);
        case Op::Subtract:
            collect(symbols, node.a, a_off, factor, depth - 1);
            return collect(symbols, node.b, b_off, u64{0} - factor, depth - 1);
        default:
            return add(sym, factor);
        }
    }
};

} // namespace

i64 highest_sum(const State& state, const Symbols& symbols, const Val& a, const Val& b) {
    constexpr i64 kExact = i64{1} << 40;
    const auto exact = [](const Fact& fact) {
        return fact.smin() >= -kExact && fact.smax() <= kExact;
    };
    const Fact x = state.of(a);
    const Fact y = state.of(b);
    const i64 most = x.smax() > kFarthest || y.smax() > kFarthest
                         ? State::kUnbounded
                         : std::max(x.smax(), -kFarthest) + std::max(y.smax(), -kFarthest);
    if (!exact(x) || !exact(y) || a.sym == 0 || b.sym == 0)
        return most;
    // The sum is the same number modulo 2^64, and small: so it is that number.
    Linear sum = Linear::of(symbols, a.sym, a.off);
    sum.add(Linear::of(symbols, b.sym, b.off), 1);
    const auto rest = static_cast<i64>(sum.constant);
    if (sum.is_constant())
        return std::min(most, rest);
    if (sum.too_long || sum.count > 2)
        return most;
    if (sum.count == 1)
        return sum.terms[0].second == 1
                   ? std::min(most, state.of(number(sum.terms[0].first, rest)).smax())
                   : most;
    const std::size_t plus = sum.terms[0].second == 1 ? 0 : 1;
    if (sum.terms[plus].second != 1 || sum.terms[1 - plus].second != ~u64{0} || rest < -kExact ||
        rest > kExact || !exact(state.fact(sum.terms[0].first)) ||
        !exact(state.fact(sum.terms[1].first)))
        return most;
    const i64 apart = state.difference(sum.terms[plus].first, sum.terms[1 - plus].first);
    return apart == State::kUnbounded ? most : std::min(most, apart + rest);
}

namespace {

/// Where the symbols and instances of one state are found in another.
class Matching {
public:
    Matching(const State& from, const State& to, const Symbols& symbols)
        : from_(from), to_(to), symbols_(symbols) {
        symbols.unmark_all();
    }

    /// `b` of the covering state stands for `a` of the covered one.
    bool val(const Val& a, const Val& b) {
        if (b.kind == Kind::Uninit)
            return true; // Nobody may read it there.
        if (a.kind != b.kind)
            return false;
        if (a.kind == Kind::Pointer) {
            if (a.region != b.region || class_of(a) != class_of(b) || a.read_only != b.read_only)
                return false;
            if (a.nullable != b.nullable || !instance(a.instance, b.instance) ||
                !instance(owner_of(a), owner_of(b)))
                return false;
        }
        return number(a.sym, a.off, b.sym, b.off);
    }

    bool number(Sym a, i64 a_off, Sym b, i64 b_off) {
        if (b == 0)
            return a == 0 && a_off == b_off;
        const auto distance = static_cast<i64>(static_cast<u64>(a_off) - static_cast<u64>(b_off));
        if (const Bound* found = find(b))
            return (found->a == a && found->distance == distance) ||
                   equal(found->a, found->distance, a, distance);
        if (count_ == bound_.size())
            return false;
        symbols_.mark(b, static_cast<u32>(count_));
        bound_[count_++] = {b, a, distance};
        if (a == b && distance == 0 && &from_ != &to_)
            return domain::within(from_.fact(a), to_.fact(b));
        return domain::within(domain::moved(from_.fact(a), static_cast<u64>(distance)),
                              to_.fact(b));
    }

    bool instance(u32 a, u32 b) {
        if ((a == 0) != (b == 0))
            return false;
        if (b == 0)
            return true;
        for (std::size_t i = 0; i < instance_count_; ++i)
            if (instances_[i].first == a || instances_[i].second == b)
                return instances_[i] == std::pair(a, b);
        if (instance_count_ == instances_.size())
            return false;
        instances_[instance_count_++] = {a, b};
        return true;
    }

    /// The definitions that the covering state may use to refine one symbol by another.
    bool definitions() {
        const std::size_t held = count_;
        for (std::size_t i = 0; i < count_; ++i) {
            const auto [b, a, distance] = bound_[i];
            const Node& node = symbols_[b];
            // What is only part of a definition, and not known, is where refinements end.
            if (node.op == Op::Source || (i >= held && !to_.knows(b)) || harmless(node) ||
                holds(node, a, distance))
                continue;
            const Node& other = symbols_[a];
            const bool alike = distance == 0 && other.op == node.op && other.width == node.width &&
                               other.imm == node.imm;
            const bool second = node.op == Op::Add || node.op == Op::Subtract;
            if (!alike || !number(other.a, other.a_off, node.a, node.a_off) ||
                (second && !number(other.b, other.b_off, node.b, node.b_off)))
                return false;
        }
        return true;
    }

    [[nodiscard]] std::pair<Sym, i64> sym(Sym b) const {
        if (b == 0)
            return {0, 0};
        const Bound* found = find(b);
        return found == nullptr ? std::pair<Sym, i64>{0, INT64_MIN}
                                : std::pair(found->a, found->distance);
    }

private:
    static constexpr u32 kNotBound = 0xffffffff;
    struct Bound { // Without defaults: most of the array below is never looked at.
        Sym b;
        Sym a;
        i64 distance; ///< b = a + distance
    };

    [[nodiscard]] const Bound* find(Sym b) const {
        const u32 index = symbols_.marked(b, kNotBound);
        return index == kNotBound ? nullptr : &bound_[index];
    }

    /// By what they are made of.
    [[nodiscard]] bool equal(Sym x, i64 x_off, Sym y, i64 y_off) const {
        if (symbols_[x].op == Op::Source && symbols_[y].op == Op::Source)
            return false; // They were compared.
        Linear rest = Linear::of(symbols_, x, x_off);
        rest.add(Linear::of(symbols_, y, y_off), ~u64{0});
        return rest.is_constant() && rest.constant == 0;
    }

    /// The definition of b is an equation between what a + distance and its operands stand for.
    [[nodiscard]] bool holds(const Node& node, Sym a, i64 distance) const {
        const Bound* of_a = node.a == 0 ? nullptr : find(node.a);
        if (of_a == nullptr)
            return false;
        Linear rest = Linear::of(symbols_, a, distance);
        const Linear first = Linear::of(symbols_, of_a->a, of_a->distance + node.a_off);
        switch (node.op) {
        case Op::Multiply:
            rest.add(first, u64{0} - node.imm);
            break;
        case Op::ShiftLeft:
            rest.add(first, u64{0} - (u64{1} << node.imm));
            break;
        default:
            return false;
        }
        return rest.is_constant() && rest.constant == 0;
    }

    /// Of operands that the covering state does not know, the definition tells nothing that could
    /// be used later: refinements end there.
    [[nodiscard]] bool harmless(const Node& node) const {
        const auto unknown = [&](Sym operand) {
            return operand == 0 || (find(operand) == nullptr && !to_.knows(operand));
        };
        return unknown(node.a) && unknown(node.b);
    }

    const State& from_;
    const State& to_;
    const Symbols& symbols_;
    std::array<Bound, 192> bound_;
    std::size_t count_ = 0;
    std::array<std::pair<u32, u32>, 16> instances_{};
    std::size_t instance_count_ = 0;
};

/// Numbers with this fact, plus the distance, do not wrap around as signed ones, by far.
bool moves_exactly(const Fact& fact, i64 distance) {
    return distance == 0 || (distance > -kFarthest && distance < kFarthest &&
                             fact.smin() > -kFarthest && fact.smax() < kFarthest);
}

bool has_bound(const State& state, Region region, Sym sym, i64 c) {
    return std::ranges::any_of(state.bounds, [&](const PacketBound& bound) {
        return bound.region == region && bound.sym == sym && bound.c >= c;
    });
}

} // namespace

bool within(const State& a, const State& b, const Symbols& symbols) {
    if (a.frames.size() != b.frames.size() || a.references.size() != b.references.size())
        return false;
    Matching matching(a, b, symbols);
    for (std::size_t f = 0; f < a.frames.size(); ++f) {
        const Frame& x = a.frames[f];
        const Frame& y = b.frames[f];
        if (x.return_to != y.return_to || x.callback != y.callback || x.function != y.function ||
            x.references != y.references || x.round != y.round)
            return false;
        for (std::size_t r = 0; r < x.regs.size(); ++r)
            if (!matching.val(x.regs[r], y.regs[r]))
                return false;
        if (!Stack::written_in(x.stack, y.stack))
            return false;
        bool inside = true;
        y.stack.each([&](std::size_t i, const Val& val, unsigned bytes) {
            inside =
                inside && x.stack.remembered(i) == bytes && matching.val(x.stack.value(i), val);
        });
        if (!inside)
            return false;
    }
    for (std::size_t i = 0; i < a.references.size(); ++i)
        if (!matching.instance(a.references[i], b.references[i]))
            return false;
    if ((a.held_lock == 0) != (b.held_lock == 0) || a.held_map != b.held_map ||
        (a.held_lock != 0 && !matching.instance(a.held_lock - 1, b.held_lock - 1)))
        return false;
    // A bound of a symbol that only definitions refer to is one of the same symbol.
    for (const PacketBound& bound : b.bounds)
        if (matching.sym(bound.sym).second == INT64_MIN &&
            !matching.number(bound.sym, 0, bound.sym, 0))
            return false;
    for (const Difference& known : b.differences)
        for (const Sym sym : {known.a, known.b})
            if (matching.sym(sym).second == INT64_MIN && !matching.number(sym, 0, sym, 0))
                return false;
    if (!matching.definitions())
        return false;
    for (const PacketBound& bound : b.bounds) {
        const auto [sym, distance] = matching.sym(bound.sym);
        if (!domain::may_bound<u64>(static_cast<u64>(distance)) ||
            !has_bound(a, bound.region, sym, bound.c + distance))
            return false;
    }
    for (const Difference& known : b.differences) {
        const auto [high, high_off] = matching.sym(known.a);
        const auto [low, low_off] = matching.sym(known.b);
        if (!moves_exactly(a.fact(high), high_off) || !moves_exactly(a.fact(low), low_off))
            return false;
        const i64 most = a.difference(high, low);
        if (most == State::kUnbounded || most + high_off - low_off > known.c)
            return false;
    }
    return true;
}

namespace {

/// Names for what differs: the same pair of numbers gets the same symbol.
class Joiner {
    struct Source {
        Sym made;
        Sym x;
        i64 x_off;
        Sym y;
        i64 y_off;
    };

public:
    Joiner(const State& a, const State& b, State& out, Symbols& symbols,
           const domain::Widening* widening)
        : a_(a), b_(b), out_(out), symbols_(symbols), widening_(widening) {
        symbols.unmark_all(); // Marked: those that are kept, with how many levels.
    }

    Val val(const Val& x, const Val& y) {
        if (x == y) {
            keep(x.sym);
            return x;
        }
        if (x.kind != y.kind || x.kind == Kind::Uninit ||
            (x.kind == Kind::Pointer && (x.region != y.region || class_of(x) != class_of(y))))
            return {};
        Val made = x;
        made.nullable = x.nullable || y.nullable;
        made.read_only = x.read_only || y.read_only;
        const auto [sym, off] = number(x.sym, x.off, y.sym, y.off);
        made.sym = sym;
        made.off = off;
        if (x.instance != y.instance)
            made.instance = instance(x.instance, y.instance);
        if (x.aux != y.aux)
            made.aux = class_of(x) | instance(owner_of(x), owner_of(y)) << kOwnerShift;
        return made;
    }

    u32 instance(u32 x, u32 y) {
        if (x == y)
            return x;
        return instances_.try_emplace({x, y}, symbols_.fresh()).first->second;
    }

    void stacks(const Stack& x, const Stack& y, Stack& made) {
        made.join(
            x, y, [this](const Val& one, const Val& other) { return val(one, other); },
            [this](const Val& both) { keep(both.sym); });
    }

    std::pair<Sym, i64> number(Sym x, i64 x_off, Sym y, i64 y_off) {
        if (x == y && x_off == y_off) {
            keep(x);
            return {x, x_off};
        }
        // Constants have no distance in common with anything: each pair is a number of its own.
        const bool constants = x == 0 || y == 0;
        const auto distance = static_cast<i64>(static_cast<u64>(y_off) - static_cast<u64>(x_off));
        const auto key =
            constants ? std::tuple(x, x_off, y, y_off) : std::tuple(x, i64{0}, y, distance);
        const i64 rest = constants ? 0 : x_off;
        const auto found = pairs_.find(key);
        if (found != pairs_.end())
            return {found->second.first, found->second.second + rest};
        Source pair{0, x, constants ? x_off : 0, y, constants ? y_off : distance};
        const Node alike = definition(x, y, constants || distance != 0);
        const auto [made, more] =
            alike.op != Op::Source ? std::pair(symbols_.make(alike), i64{0}) : related(pair);
        pairs_.emplace(key, std::pair(made, more));
        const bool known = out_.knows(made);
        pair.made = made;
        pair.x_off -= more;
        pair.y_off -= more;
        sources_.push_back(pair);
        // Thresholds are those of the number itself.
        const i64 whole = widening_ == nullptr ? 0 : more + rest;
        const Fact of_x = domain::moved(a_.fact(x), static_cast<u64>(pair.x_off + whole));
        const Fact of_y = domain::moved(b_.fact(y), static_cast<u64>(pair.y_off + whole));
        Fact fact = domain::moved(both(of_x, of_y), u64{0} - static_cast<u64>(whole));
        if (whole != 0) // What a fact says may be sharper elsewhere.
            fact = domain::join(fact, plain(pair));
        if (known)
            known_.emplace_back(made, fact);
        else
            out_.set_fact(made, fact);
        return {made, more + rest};
    }

    /// What differs by steps that go together keeps the relation: the one with the shortest step is
    /// a number of its own, and others are multiples of it, plus a constant.
    void relate() {
        std::vector<Step> found;
        const auto look = [&](const Val& x, const Val& y) {
            if (x.kind != y.kind || x.kind == Kind::Uninit || (x.sym == y.sym && x.off == y.off))
                return;
            if (x.kind == Kind::Pointer && (x.region != y.region || class_of(x) != class_of(y)))
                return;
            const Source pair{0, x.sym, x.off, y.sym, y.off};
            if (const u64 size = step(pair); size != 0)
                found.push_back({size, found.size(), pair});
        };
        for (std::size_t f = 0; f < a_.frames.size(); ++f) {
            for (std::size_t r = 0; r < a_.frames[f].regs.size(); ++r)
                look(a_.frames[f].regs[r], b_.frames[f].regs[r]);
            Stack::each_pair(a_.frames[f].stack, b_.frames[f].stack, look);
        }
        if (found.size() < 2)
            return;
        std::ranges::sort(found, {},
                          [](const Step& one) { return std::pair(one.size, one.order); });
        for (const Step& one : found)
            (void)number(one.pair.x, one.pair.x_off, one.pair.y, one.pair.y_off);
    }

    /// What a says of two numbers, and b as well.
    void differences() {
        for (const Difference& known : a_.differences)
            each_name(known.a, [&](const Source& high) {
                each_name(known.b, [&](const Source& low) {
                    const i64 one = known.c + high.x_off - low.x_off;
                    const i64 other = b_.difference(high.y, low.y);
                    if (high.made == low.made || other == State::kUnbounded)
                        return;
                    const i64 two = other + high.y_off - low.y_off;
                    // One that grows from round to round would do so for ever.
                    if (widening_ == nullptr || two <= one)
                        out_.add_difference({high.made, low.made, std::max(one, two)});
                });
            });
    }

    /// What is known of one number by what it is made of, once all are there.
    void settle() {
        if (derived_.empty() && known_.empty())
            return;
        const auto before = out_.facts;
        // Both states are in it, so that there is no contradiction.
        const bool consistent = refine_made();
        assert(consistent);
        (void)consistent;
        // What the states themselves do not know of it may not be asked of them.
        for (const auto& [sym, fact] : before) {
            const Fact after = out_.fact(sym);
            if (after == fact)
                continue;
            Fact least = after;
            if (kept(sym))
                least = domain::join(least, domain::join(a_.fact(sym), b_.fact(sym)));
            for (const Source& source : sources_)
                if (source.made == sym)
                    least = domain::join(least, plain(source));
            out_.set_fact(sym, least);
        }
    }

private:
    /// The join of what is known on both sides.
    [[nodiscard]] Fact plain(const Source& pair) const {
        return domain::join(domain::moved(a_.fact(pair.x), static_cast<u64>(pair.x_off)),
                            domain::moved(b_.fact(pair.y), static_cast<u64>(pair.y_off)));
    }

    [[nodiscard]] bool refine_made() {
        for (const Sym sym : derived_) {
            const Fact fact = out_.fact(sym);
            out_.set_fact(sym, evaluate(out_, symbols_[sym]));
            if (!refine(out_, symbols_, sym, fact))
                return false;
        }
        for (const auto& [sym, fact] : known_)
            if (!refine(out_, symbols_, sym, fact))
                return false;
        return true;
    }

public:
    void bounds() {
        const auto common = [this](Region region, Sym made, Sym x, i64 x_off, Sym y, i64 y_off) {
            const PacketBound* one = a_.bound(region, x);
            const PacketBound* two = b_.bound(region, y);
            if (one == nullptr || two == nullptr)
                return;
            // Beyond what a pointer's offset can be, they say nothing.
            if (far(one->c) || far(two->c) || far(x_off) || far(y_off))
                return;
            // A bound that sinks from round to round would do so for ever.
            if (widening_ == nullptr || two->c - y_off >= one->c - x_off)
                out_.add_bound({region, made, std::min(one->c - x_off, two->c - y_off)});
        };
        for (const PacketBound& bound : a_.bounds)
            if (bound.sym == 0 || kept(bound.sym))
                common(bound.region, bound.sym, bound.sym, 0, bound.sym, 0);
        for (const auto& [made, x, x_off, y, y_off] : sources_)
            for (const Region region : {Region::Packet, Region::Meta})
                common(region, made, x, x_off, y, y_off);
    }

private:
    /// Where a symbol of a is: under names of its own, or its own.
    void each_name(Sym sym, auto&& visit) const {
        if (kept(sym))
            visit(Source{sym, sym, 0, sym, 0});
        for (const Source& source : sources_)
            if (source.x == sym && moves_exactly(a_.fact(source.x), source.x_off) &&
                moves_exactly(b_.fact(source.y), source.y_off))
                visit(source);
    }

    struct Step {
        u64 size;
        std::size_t order;
        Source pair;
    };
    struct Base {
        Sym made;
        Linear in_a;
        Linear in_b;
    };

    /// How far one step is; 0: it is not known.
    [[nodiscard]] u64 step(const Source& pair) const {
        const Linear a = Linear::of(symbols_, pair.x, pair.x_off);
        const Linear b = Linear::of(symbols_, pair.y, pair.y_off);
        const auto size = [](u64 x) { return std::min(x, u64{0} - x); };
        if (a.is_constant() && b.is_constant())
            return size(b.constant - a.constant);
        const Linear& one = a.is_constant() ? b : a;
        return one.count == 1 && !one.too_long ? size(one.terms[0].second) : 0;
    }

    /// A symbol for a pair, and what to add to it: of a base that it is a multiple of, or its own.
    std::pair<Sym, i64> related(const Source& pair) {
        const Linear a = Linear::of(symbols_, pair.x, pair.x_off);
        const Linear b = Linear::of(symbols_, pair.y, pair.y_off);
        for (const Base& base : bases_) {
            const auto factor = factor_of(base, a, b);
            if (!factor)
                continue;
            Linear rest = a;
            rest.add(base.in_a, u64{0} - *factor);
            Linear same = b;
            same.add(base.in_b, u64{0} - *factor);
            if (!rest.is_constant() || !same.is_constant() || rest.constant != same.constant)
                continue;
            if (*factor == 1)
                return {base.made, static_cast<i64>(rest.constant)};
            const auto more = static_cast<i64>(rest.constant);
            const auto times = static_cast<i64>(*factor);
            const bool whole = more % times == 0;
            const Sym made = symbols_.make({.op = Op::Multiply,
                                            .a = base.made,
                                            .a_off = whole ? more / times : 0,
                                            .imm = *factor});
            derived_.push_back(made);
            return {made, whole ? 0 : more};
        }
        const Sym made = symbols_.fresh();
        if (bases_.size() < kMostBases && !a.too_long && !b.too_long)
            bases_.push_back({made, a, b});
        return {made, 0};
    }

    /// By which factor the base may have to be taken.
    static std::optional<u64> factor_of(const Base& base, const Linear& a, const Linear& b) {
        u64 whole = 0;
        u64 part = 0;
        if (base.in_a.is_constant() && base.in_b.is_constant()) {
            whole = b.constant - a.constant;
            part = base.in_b.constant - base.in_a.constant;
        } else {
            const Linear& one = base.in_a.is_constant() ? base.in_b : base.in_a;
            const Linear& other = base.in_a.is_constant() ? b : a;
            if (one.count != 1 || other.count != 1 || one.terms[0].first != other.terms[0].first)
                return std::nullopt;
            whole = other.terms[0].second;
            part = one.terms[0].second;
        }
        const auto divided = [](u64 x, u64 y) -> std::optional<u64> {
            // Small numbers, counted up or both down: others are no steps.
            constexpr u64 kMost = 1U << 20;
            if (static_cast<i64>(y) < 0) {
                x = u64{0} - x;
                y = u64{0} - y;
            }
            return y != 0 && y <= kMost && x != 0 && x <= kMost && x % y == 0 ? std::optional(x / y)
                                                                              : std::nullopt;
        };
        return divided(whole, part);
    }

    [[nodiscard]] Fact both(const Fact& x, const Fact& y) const {
        const Fact joined = domain::join(x, y);
        return widening_ == nullptr ? joined : domain::widen(x, joined, *widening_);
    }

    /// `levels` of what it is made of, too, so that refinements still reach it.
    void keep(Sym sym, u32 levels = kLevels) {
        if (sym == 0)
            return;
        const u32 known = symbols_.marked(sym, kNever);
        if (known != kNever && known >= levels)
            return;
        symbols_.mark(sym, levels);
        if (known == kNever)
            out_.set_fact(sym, both(a_.fact(sym), b_.fact(sym)));
        const Node& node = symbols_[sym];
        if (node.op != Op::Source && levels != 0) {
            keep(node.a, levels - 1);
            keep(node.b, levels - 1);
        }
    }
    static constexpr u32 kNever = 0xffffffff;
    [[nodiscard]] bool kept(Sym sym) const { return symbols_.marked(sym, kNever) != kNever; }

    /// The same operation on the same symbols on both sides stays a definition.
    Node definition(Sym x, Sym y, bool moved) {
        if (moved)
            return {};
        const Node& one = symbols_[x];
        return one.op != Op::Source && one == symbols_[y] ? one : Node{};
    }

    const State& a_;
    const State& b_;
    State& out_;
    Symbols& symbols_;
    const domain::Widening* widening_;
    static constexpr std::size_t kMostBases = 6;
    std::map<std::tuple<Sym, i64, Sym, i64>, std::pair<Sym, i64>> pairs_;
    std::vector<Base> bases_;
    std::vector<Sym> derived_;
    std::vector<std::pair<Sym, Fact>> known_; ///< what else is known of symbols
    std::map<std::pair<u32, u32>, u32> instances_;
    std::vector<Source> sources_;
};

} // namespace

State join(const State& a, const State& b, Symbols& symbols, const domain::Widening* widening) {
    State out;
    out.frames.resize(a.frames.size());
    Joiner joiner(a, b, out, symbols, widening);
    joiner.relate();
    for (std::size_t f = 0; f < a.frames.size(); ++f) {
        const Frame& x = a.frames[f];
        const Frame& y = b.frames[f];
        Frame& made = out.frames[f];
        made.return_to = x.return_to;
        made.callback = x.callback;
        made.function = x.function;
        made.references = x.references;
        made.round = x.round;
        for (std::size_t r = 0; r < x.regs.size(); ++r)
            made.regs[r] = joiner.val(x.regs[r], y.regs[r]);
        joiner.stacks(x.stack, y.stack, made.stack);
    }
    for (std::size_t i = 0; i < a.references.size(); ++i)
        out.references.push_back(joiner.instance(a.references[i], b.references[i]));
    if (a.held_lock != 0)
        out.held_lock = joiner.instance(a.held_lock - 1, b.held_lock - 1) + 1;
    out.held_map = a.held_map;
    joiner.bounds();
    joiner.differences();
    joiner.settle();
    forget_unused(out, symbols);
    return out;
}

} // namespace skep::verifier
