// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "state.hpp"

#include <algorithm>
#include <map>

#include "domain/backward.hpp"
#include "domain/rules.hpp"

namespace skep::verifier {
namespace {

using domain::meet;

constexpr i64 kFar = i64{1} << 30; ///< no offset of a pointer is as large

bool far(i64 distance) {
    return distance < -kFar || distance > kFar;
}

constexpr int kMaxRefinements = 64; ///< steps of one refinement; more precision is not worth it

auto position(auto& facts, Sym sym) {
    return std::ranges::lower_bound(facts, sym, {}, [](const auto& entry) { return entry.first; });
}

void each_val(const State& state, auto&& visit) {
    for (const Frame& frame : state.frames) {
        for (const Val& val : frame.regs)
            visit(val);
        for (const Cell& cell : frame.stack)
            if (cell.size != 0 && cell.size != Cell::kRest)
                visit(cell.val);
    }
}
void each_val(State& state, auto&& visit) {
    for (Frame& frame : state.frames) {
        for (Val& val : frame.regs)
            visit(val);
        for (Cell& cell : frame.stack)
            if (cell.size != 0 && cell.size != Cell::kRest)
                visit(cell.val);
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

bool uses(const Node& node, Sym sym) {
    return node.op != Op::Source && (node.a == sym || node.b == sym) && sym != 0;
}

} // namespace

Fact State::fact(Sym sym) const {
    if (sym == 0)
        return Fact::constant(0);
    const auto found = position(facts, sym);
    return found != facts.end() && found->first == sym ? found->second : Fact{};
}

bool State::knows(Sym sym) const {
    const auto found = position(facts, sym);
    return found != facts.end() && found->first == sym;
}

void State::set_fact(Sym sym, const Fact& fact) {
    const auto found = position(facts, sym);
    if (found != facts.end() && found->first == sym)
        found->second = fact;
    else
        facts.insert(found, {sym, fact});
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
    }
    return true;
}

void forget_unused(State& state, const Symbols& symbols) {
    static thread_local std::vector<Sym> used; // Kept for its memory.
    used.clear();
    each_val(state, [](const Val& val) {
        if (val.sym != 0)
            used.push_back(val.sym);
    });
    // What a used symbol is made of helps to refine the others that are made of it; what that is
    // made of in turn seldom does.
    constexpr int kLevels = 2;
    std::size_t from = 0;
    for (int level = 0; level < kLevels; ++level) {
        const std::size_t end = used.size();
        for (std::size_t i = from; i < end; ++i) {
            const Node& node = symbols[used[i]];
            if (node.op == Op::Source)
                continue;
            if (node.a != 0)
                used.push_back(node.a);
            if (node.b != 0)
                used.push_back(node.b);
        }
        from = end;
    }
    std::ranges::sort(used);
    const auto is_used = [](Sym sym) { return std::ranges::binary_search(used, sym); };
    std::erase_if(state.facts, [&](const auto& entry) { return !is_used(entry.first); });
    std::erase_if(state.bounds,
                  [&](const PacketBound& b) { return b.sym != 0 && !is_used(b.sym); });
}

u64 shape(const State& state) {
    u64 hash = 0xcbf29ce484222325;
    const auto mix = [&hash](u64 x) {
        hash = (hash ^ x) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 29;
    };
    // Instances are named by the order in which they appear.
    std::vector<u32> instances;
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
        for (std::size_t i = 0; i < frame.stack.size(); ++i) {
            const Cell& cell = frame.stack[i];
            const bool pointer = cell.size == 8 && cell.val.kind == Kind::Pointer;
            if (pointer) {
                mix(i);
                mix_val(cell.val);
            }
        }
    }
    for (const u32 reference : state.references)
        mix(name(reference) + 77);
    mix(state.held_lock != 0 ? name(state.held_lock - 1) + 1 : 0);
    mix(state.held_map);
    return hash;
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
            return found->a == a && found->distance == distance;
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
        for (std::size_t i = 0; i < count_; ++i) {
            const auto [b, a, distance] = bound_[i];
            const Node& node = symbols_[b];
            if (node.op == Op::Source || harmless(node))
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

bool has_bound(const State& state, Region region, Sym sym, i64 c) {
    return std::ranges::any_of(state.bounds, [&](const PacketBound& bound) {
        return bound.region == region && bound.sym == sym && bound.c >= c;
    });
}

bool cell_within(const Cell& a, const Cell& b, Matching& matching) {
    if ((b.written & ~a.written) != 0)
        return false;
    if (b.size == 0 || b.size == Cell::kRest)
        return true; // Nothing is known there, but that bytes were written.
    return a.size == b.size && matching.val(a.val, b.val);
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
        static const Cell empty;
        for (std::size_t i = 0; i < y.stack.size(); ++i)
            if (!cell_within(i < x.stack.size() ? x.stack[i] : empty, y.stack[i], matching))
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
    if (!matching.definitions())
        return false;
    for (const PacketBound& bound : b.bounds) {
        const auto [sym, distance] = matching.sym(bound.sym);
        if (!domain::may_bound<u64>(static_cast<u64>(distance)) ||
            !has_bound(a, bound.region, sym, bound.c + distance))
            return false;
    }
    return true;
}

namespace {

/// Names for what differs: the same pair of numbers gets the same symbol.
class Joiner {
public:
    Joiner(const State& a, const State& b, State& out, Symbols& symbols,
           const domain::Widening* widening)
        : a_(a), b_(b), out_(out), symbols_(symbols), widening_(widening) {}

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
        const auto found = pairs_.find(key);
        if (found != pairs_.end())
            return {found->second, constants ? 0 : x_off};
        const Sym made = symbols_.make(definition(x, y, constants || distance != 0));
        pairs_.emplace(key, made);
        const Fact of_x = domain::moved(a_.fact(x), constants ? static_cast<u64>(x_off) : 0);
        const Fact of_y = domain::moved(b_.fact(y), static_cast<u64>(constants ? y_off : distance));
        out_.set_fact(made, both(of_x, of_y));
        sources_.push_back({made, x, constants ? x_off : 0, y, constants ? y_off : distance});
        return {made, constants ? 0 : x_off};
    }

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
    struct Source {
        Sym made;
        Sym x;
        i64 x_off;
        Sym y;
        i64 y_off;
    };

    [[nodiscard]] Fact both(const Fact& x, const Fact& y) const {
        const Fact joined = domain::join(x, y);
        return widening_ == nullptr ? joined : domain::widen(x, joined, *widening_);
    }

    void keep(Sym sym) {
        if (sym == 0 || kept(sym))
            return;
        kept_.push_back(sym);
        out_.set_fact(sym, both(a_.fact(sym), b_.fact(sym)));
        const Node& node = symbols_[sym];
        if (node.op != Op::Source) { // So that refinements still reach what it is made of.
            keep(node.a);
            keep(node.b);
        }
    }
    [[nodiscard]] bool kept(Sym sym) const { return std::ranges::find(kept_, sym) != kept_.end(); }

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
    std::map<std::tuple<Sym, i64, Sym, i64>, Sym> pairs_;
    std::map<std::pair<u32, u32>, u32> instances_;
    std::vector<Sym> kept_;
    std::vector<Source> sources_;
};

} // namespace

State join(const State& a, const State& b, Symbols& symbols, const domain::Widening* widening) {
    State out;
    out.frames.resize(a.frames.size());
    Joiner joiner(a, b, out, symbols, widening);
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
        made.stack.resize(std::min(x.stack.size(), y.stack.size()));
        for (std::size_t i = 0; i < made.stack.size(); ++i) {
            Cell& cell = made.stack[i];
            cell.written = x.stack[i].written & y.stack[i].written;
            if (x.stack[i].size != y.stack[i].size || x.stack[i].size == 0)
                continue;
            if (x.stack[i].size == Cell::kRest) {
                // Written by the store that the cell above remembers.
                cell.size = Cell::kRest;
                continue;
            }
            cell.val = joiner.val(x.stack[i].val, y.stack[i].val);
            cell.size = cell.val.kind == Kind::Uninit ? 0 : x.stack[i].size;
        }
    }
    for (std::size_t i = 0; i < a.references.size(); ++i)
        out.references.push_back(joiner.instance(a.references[i], b.references[i]));
    if (a.held_lock != 0)
        out.held_lock = joiner.instance(a.held_lock - 1, b.held_lock - 1) + 1;
    out.held_map = a.held_map;
    joiner.bounds();
    forget_unused(out, symbols);
    return out;
}

} // namespace skep::verifier
