// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "termination.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace skep::verifier {
namespace {

constexpr u32 kNone = 0xffffffff;
/// Numbers that are closer than this do not wrap around.
constexpr u64 kFar = u64{1} << 62;

u64 plus(u64 a, u64 b) {
    return a > Termination::kUnbounded - b ? Termination::kUnbounded : a + b;
}
u64 times(u64 a, u64 b) {
    return b != 0 && a > Termination::kUnbounded / b ? Termination::kUnbounded : a * b;
}

/// What goes round again: ways of one contract to one point.
struct Session {
    Point point;
    Termination::Contract contract = Termination::Contract::None;
    u64 iterator = 0;
    u64 rounds = 0;
    friend bool operator==(const Session& a, const Session& b) {
        return a.point == b.point && a.contract == b.contract && a.iterator == b.iterator;
    }
};

/// Registers first, then cells of eight bytes, of four and of less.
void each_place(const State& state, auto&& visit) {
    for (u32 f = 0; f < state.frames.size(); ++f) {
        const Frame& frame = state.frames[f];
        for (u32 reg = 0; reg < 10; ++reg)
            if (frame.regs[reg].kind != Kind::Uninit)
                visit(f << 16 | reg, frame.regs[reg]);
        frame.stack.each([&](std::size_t i, const Val& val, unsigned) {
            visit(f << 16 | (0x100 + static_cast<u32>(i)), val);
        });
    }
}

bool same_base(const Val& a, const Val& b) {
    return a.kind == b.kind && a.sym == b.sym && a.region == b.region && a.aux == b.aux &&
           a.instance == b.instance;
}

} // namespace

PoolVector<Termination::Link> Termination::links(const State& from, const State& to) {
    PoolVector<std::pair<Place, const Val*>> before;
    each_place(from, [&](Place place, const Val& val) { before.emplace_back(place, &val); });
    PoolVector<Link> links;
    each_place(to, [&](Place place, const Val& val) {
        for (const auto& [old, was] : before)
            // Equal constants tell nothing but of the same place.
            if (same_base(*was, val) && (val.sym != 0 || old == place))
                links.push_back(
                    {old, place,
                     static_cast<i64>(static_cast<u64>(val.off) - static_cast<u64>(was->off))});
    });
    return links;
}

PoolVector<std::pair<Termination::Place, Fact>> Termination::values(const State& state) {
    PoolVector<std::pair<Place, Fact>> all;
    each_place(state, [&](Place place, const Val& val) { all.emplace_back(place, state.of(val)); });
    return all;
}

PoolVector<u32> Termination::callees() const {
    PoolVector<u32> all;
    for (const Node& node : nodes_)
        for (const u32 callee : node.callees)
            if (std::ranges::find(all, callee) == all.end())
                all.push_back(callee);
    return all;
}

void Termination::prepare() const {
    if (!first_way_.empty())
        return;
    first_way_.reserve(nodes_.size() + 1);
    first_way_.push_back(0);
    for (const Node& node : nodes_)
        first_way_.push_back(first_way_.back() + static_cast<u32>(node.ways.size()));
    PoolVector<u32> all(nodes_.size());
    std::iota(all.begin(), all.end(), 0);
    whole_ = components(all, Removed(first_way_.back(), 0));
}

void Termination::each_way(Members members, const Removed& removed,
                           const std::function<void(u32, const Way&, u32)>& visit) const {
    PoolVector<char> inside(nodes_.size(), 0);
    for (const u32 id : members)
        inside[id] = 1;
    for (const u32 id : members)
        for (u32 way = 0; way < nodes_[id].ways.size(); ++way)
            if (inside[nodes_[id].ways[way].to] != 0 && removed[first_way_[id] + way] == 0)
                visit(id, nodes_[id].ways[way], first_way_[id] + way);
}

/// Strongly connected components, each after those it leads to (Tarjan 1972).
Termination::Components Termination::components(Members members, const Removed& removed) const {
    PoolVector<u32> local(nodes_.size(), kNone);
    for (u32 i = 0; i < members.size(); ++i)
        local[members[i]] = i;
    struct Visit {
        u32 node;
        u32 way = 0;
    };
    const auto count = static_cast<u32>(members.size());
    struct Mark {
        u32 index = kNone;
        u32 low = 0;
        bool on_stack = false;
    };
    PoolVector<Mark> marks(count);
    PoolVector<u32> stack;
    PoolVector<Visit> visits;
    stack.reserve(count);
    visits.reserve(count);
    Components found;
    found.members.reserve(count);
    found.ends.reserve(count);
    u32 next = 0;
    const auto enter = [&](u32 node) {
        marks[node] = {next, next, true};
        ++next;
        stack.push_back(node);
        visits.push_back({node});
    };
    for (u32 root = 0; root < count; ++root) {
        if (marks[root].index == kNone)
            enter(root);
        while (!visits.empty()) {
            const u32 now = visits.back().node;
            const Node& node = nodes_[members[now]];
            if (visits.back().way < node.ways.size()) {
                const u32 way = visits.back().way++;
                const u32 to = local[node.ways[way].to];
                if (to == kNone || removed[first_way_[members[now]] + way] != 0)
                    continue;
                if (marks[to].index == kNone)
                    enter(to);
                else if (marks[to].on_stack)
                    marks[now].low = std::min(marks[now].low, marks[to].index);
                continue;
            }
            visits.pop_back();
            if (!visits.empty()) {
                u32& low = marks[visits.back().node].low;
                low = std::min(low, marks[now].low);
            }
            if (marks[now].low != marks[now].index)
                continue;
            for (u32 member = kNone; member != now;) {
                member = stack.back();
                stack.pop_back();
                marks[member].on_stack = false;
                found.members.push_back(members[member]);
            }
            found.ends.push_back(static_cast<u32>(found.members.size()));
        }
    }
    return found;
}

bool Termination::goes_round(Members component, const Removed& removed) const {
    if (component.size() > 1)
        return true;
    const u32 only = component.front();
    for (u32 way = 0; way < nodes_[only].ways.size(); ++way)
        if (nodes_[only].ways[way].to == only && removed[first_way_[only] + way] == 0)
            return true;
    return false;
}

PoolVector<u32> Termination::in_plain_cycles() const {
    prepare();
    PoolVector<u32> needed;
    Removed removed; // Those of contracts.
    removed.reserve(first_way_.back());
    for (const Node& node : nodes_)
        for (const Way& way : node.ways)
            removed.push_back(way.contract != Contract::None ? 1 : 0);
    for (std::size_t i = 0; i < whole_.ends.size(); ++i) {
        const Members component = whole_[i];
        if (!goes_round(component, removed))
            continue;
        const Components inner = components(component, removed);
        for (std::size_t k = 0; k < inner.ends.size(); ++k)
            if (goes_round(inner[k], removed)) {
                needed.insert(needed.end(), component.begin(), component.end());
                break;
            }
    }
    return needed;
}

std::optional<u64> Termination::worst_case(const std::map<u32, u64>& functions) const {
    prepare();
    functions_ = &functions;
    Removed removed(first_way_.back(), 0);
    return cost(whole_, removed);
}

/// Of the longest way within these components by ways that are not removed.
std::optional<u64> Termination::cost(const Components& parts, Removed& removed) const {
    PoolVector<u64> longest(nodes_.size(), 0);
    PoolVector<u32> part(nodes_.size(), kNone);
    for (const u32 id : parts.members)
        part[id] = kNone - 1;
    u64 result = 0;
    for (u32 number = 0; number < parts.ends.size(); ++number) {
        const Members component = parts[number];
        for (const u32 id : component)
            part[id] = number;
        u64 behind = 0;
        bool loops = component.size() > 1;
        for (const u32 id : component)
            for (u32 way = 0; way < nodes_[id].ways.size(); ++way) {
                const u32 to = nodes_[id].ways[way].to;
                if (part[to] == kNone || removed[first_way_[id] + way] != 0)
                    continue;
                loops |= part[to] == number;
                if (part[to] != number)
                    behind = std::max(behind, longest[to]);
            }
        u64 own = 0;
        if (loops) {
            const auto all = cycle(component, removed);
            if (!all)
                return std::nullopt;
            own = *all;
        } else {
            const Node& single = nodes_[component.front()];
            own = single.cost;
            for (const u32 callee : single.callees)
                if (const auto found = functions_->find(callee); found != functions_->end())
                    own = plus(own, found->second);
        }
        for (const u32 id : component)
            longest[id] = plus(own, behind);
        result = std::max(result, plus(own, behind));
    }
    return result;
}

std::optional<u64> Termination::cycle(Members members, Removed& removed) const {
    if (const auto all = by_contract(members, removed))
        return all;
    if (const auto all = by_counter(members, removed))
        return all;
    culprit_ = nodes_[members.back()].point.pc;
    return std::nullopt;
}

std::optional<u64> Termination::rounds(Members members, Removed& removed,
                                       const PoolVector<u32>& taken, u64 most) const {
    for (const u32 way : taken)
        removed[way] = 1;
    const auto round = cost(components(members, removed), removed);
    for (const u32 way : taken)
        removed[way] = 0;
    if (!round)
        return std::nullopt;
    return times(*round, plus(most, 1));
}

std::optional<u64> Termination::by_contract(Members members, Removed& removed) const {
    PoolVector<Session> sessions;
    const auto session_of = [this](const Way& way) {
        return Session{nodes_[way.to].point, way.contract, way.iterator};
    };
    each_way(members, removed, [&](u32, const Way& way, u32) {
        if (way.contract == Contract::None)
            return;
        const Session session = session_of(way);
        auto found = std::ranges::find(sessions, session);
        if (found == sessions.end())
            found = sessions.insert(sessions.end(), session);
        found->rounds = std::max(found->rounds, way.rounds);
    });
    for (const Session& session : sessions) {
        bool anew = false;
        u32 frames = 0;
        for (const u32 id : members)
            if (nodes_[id].point == session.point)
                frames = nodes_[id].frames;
        PoolVector<u32> taken;
        each_way(members, removed, [&](u32, const Way& way, u32 id) {
            const bool goes_on = way.contract != Contract::None && session_of(way) == session;
            if (goes_on)
                taken.push_back(id);
            switch (session.contract) {
            case Contract::Callback: // Called anew.
                anew |= nodes_[way.to].point == session.point && !goes_on;
                break;
            case Contract::Iterator:
                anew |= (way.started & session.iterator) != 0;
                break;
            case Contract::MayGoto: // Its counter is the function's.
                anew |= way.lowest < frames;
                break;
            case Contract::None:
                break;
            }
        });
        if (anew)
            continue;
        if (const auto all = rounds(members, removed, taken, session.rounds))
            return all;
    }
    return std::nullopt;
}

struct Termination::Counter {
    PoolVector<u32> taken; ///< the ways that change it
    u64 rounds = 0;        ///< how often they can be taken
};

/// The number that is at `start` in the first member, followed through all ways.
std::optional<Termination::Counter> Termination::counter(Members members, const Removed& removed,
                                                         Place start) const {
    PoolVector<Place> place(nodes_.size(), kNone);
    place[members.front()] = start;
    PoolVector<char> inside(nodes_.size(), 0);
    for (const u32 id : members)
        inside[id] = 1;
    Counter made;
    bool up = false;
    bool down = false;
    u64 least = kFar;
    PoolVector<u32> work{members.front()};
    std::optional<Fact> all;
    while (!work.empty()) {
        const u32 id = work.back();
        work.pop_back();
        const Node& node = nodes_[id];
        const auto value =
            std::ranges::find(node.values, place[id], &std::pair<Place, Fact>::first);
        if (value == node.values.end())
            return std::nullopt;
        all = all ? domain::join(*all, value->second) : value->second;
        for (u32 i = 0; i < node.ways.size(); ++i) {
            const Way& way = node.ways[i];
            if (inside[way.to] == 0 || removed[first_way_[id] + i] != 0)
                continue;
            const Link* taken = nullptr;
            for (const Link& link : way.links) {
                if (link.from != place[id] || (place[way.to] != kNone && link.to != place[way.to]))
                    continue;
                if (taken == nullptr || link.to == place[id])
                    taken = &link;
            }
            if (taken == nullptr)
                return std::nullopt;
            if (place[way.to] == kNone) {
                place[way.to] = taken->to;
                work.push_back(way.to);
            }
            up |= taken->delta > 0;
            down |= taken->delta < 0;
            const u64 step = taken->delta < 0 ? u64{0} - static_cast<u64>(taken->delta)
                                              : static_cast<u64>(taken->delta);
            if (step == 0)
                continue;
            if (step >= kFar || (up && down))
                return std::nullopt;
            least = std::min(least, step);
            made.taken.push_back(first_way_[id] + i);
        }
    }
    const u64 span = std::min(all->umax() - all->umin(),
                              static_cast<u64>(all->smax()) - static_cast<u64>(all->smin()));
    if (made.taken.empty() || span >= kFar)
        return std::nullopt;
    made.rounds = span / least;
    return made;
}

std::optional<u64> Termination::by_counter(Members members, Removed& removed) const {
    for (const auto& [start, value] : nodes_[members.front()].values)
        if (const auto found = counter(members, removed, start))
            if (const auto all = rounds(members, removed, found->taken, found->rounds))
                return all;
    return std::nullopt;
}

} // namespace skep::verifier
