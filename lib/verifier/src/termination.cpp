// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "termination.hpp"

#include <algorithm>

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
        for (u32 i = 0; i < frame.stack.size(); ++i)
            if (const Cell& cell = frame.stack[i];
                cell.size != 0 && cell.size != Cell::kRest && cell.val.kind != Kind::Uninit)
                visit(f << 16 | (0x100 + i), cell.val);
    }
}

bool same_base(const Val& a, const Val& b) {
    return a.kind == b.kind && a.sym == b.sym && a.region == b.region && a.aux == b.aux &&
           a.instance == b.instance;
}

} // namespace

std::vector<Termination::Link> Termination::links(const State& from, const State& to) {
    std::vector<std::pair<Place, const Val*>> before;
    each_place(from, [&](Place place, const Val& val) { before.emplace_back(place, &val); });
    std::vector<Link> links;
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

std::vector<std::pair<Termination::Place, Fact>> Termination::values(const State& state) {
    std::vector<std::pair<Place, Fact>> all;
    each_place(state, [&](Place place, const Val& val) { all.emplace_back(place, state.of(val)); });
    return all;
}

std::vector<u32> Termination::callees() const {
    std::vector<u32> all;
    for (const Node& node : nodes_)
        for (const u32 callee : node.callees)
            if (std::ranges::find(all, callee) == all.end())
                all.push_back(callee);
    return all;
}

std::vector<u32> Termination::first_ways() const {
    std::vector<u32> first(1, 0);
    for (const Node& node : nodes_)
        first.push_back(first.back() + static_cast<u32>(node.ways.size()));
    return first;
}

void Termination::each_way(const std::vector<u32>& members, const Removed& removed,
                           const std::function<void(u32, const Way&, u32)>& visit) const {
    std::vector<char> inside(nodes_.size(), 0);
    for (const u32 id : members)
        inside[id] = 1;
    for (const u32 id : members)
        for (u32 way = 0; way < nodes_[id].ways.size(); ++way)
            if (inside[nodes_[id].ways[way].to] != 0 && removed[first_way_[id] + way] == 0)
                visit(id, nodes_[id].ways[way], first_way_[id] + way);
}

/// Strongly connected components, each after those it leads to (Tarjan 1972).
Termination::Components Termination::components(const std::vector<u32>& members,
                                                const Removed& removed) const {
    std::vector<u32> local(nodes_.size(), kNone);
    for (u32 i = 0; i < members.size(); ++i)
        local[members[i]] = i;
    struct Visit {
        u32 node;
        u32 way = 0;
    };
    const auto count = static_cast<u32>(members.size());
    std::vector<u32> index(count, kNone);
    std::vector<u32> low(count, 0);
    std::vector<char> on_stack(count, 0);
    std::vector<u32> stack;
    std::vector<Visit> visits;
    Components found;
    u32 next = 0;
    const auto enter = [&](u32 node) {
        index[node] = low[node] = next++;
        stack.push_back(node);
        on_stack[node] = 1;
        visits.push_back({node});
    };
    for (u32 root = 0; root < count; ++root) {
        if (index[root] == kNone)
            enter(root);
        while (!visits.empty()) {
            const u32 now = visits.back().node;
            const Node& node = nodes_[members[now]];
            if (visits.back().way < node.ways.size()) {
                const u32 way = visits.back().way++;
                const u32 to = local[node.ways[way].to];
                if (to == kNone || removed[first_way_[members[now]] + way] != 0)
                    continue;
                if (index[to] == kNone)
                    enter(to);
                else if (on_stack[to] != 0)
                    low[now] = std::min(low[now], index[to]);
                continue;
            }
            visits.pop_back();
            if (!visits.empty())
                low[visits.back().node] = std::min(low[visits.back().node], low[now]);
            if (low[now] != index[now])
                continue;
            std::vector<u32>& component = found.emplace_back();
            for (u32 member = kNone; member != now;) {
                member = stack.back();
                stack.pop_back();
                on_stack[member] = 0;
                component.push_back(members[member]);
            }
        }
    }
    return found;
}

std::vector<u32> Termination::in_plain_cycles() const {
    first_way_ = first_ways();
    std::vector<u32> all(nodes_.size());
    for (u32 i = 0; i < all.size(); ++i)
        all[i] = i;
    Removed removed(first_way_.back(), 0);
    const auto cyclic = [&](const std::vector<u32>& component) {
        bool any = component.size() > 1;
        if (!any)
            each_way(component, removed, [&](u32, const Way&, u32) { any = true; });
        return any;
    };
    Components whole = components(all, removed);
    std::erase_if(whole, [&](const auto& component) { return !cyclic(component); });
    if (whole.empty())
        return {};
    for (u32 id = 0; id < nodes_.size(); ++id)
        for (u32 way = 0; way < nodes_[id].ways.size(); ++way)
            removed[first_way_[id] + way] = nodes_[id].ways[way].contract != Contract::None ? 1 : 0;
    std::vector<u32> needed;
    for (const std::vector<u32>& component : whole)
        if (std::ranges::any_of(components(component, removed), cyclic))
            needed.insert(needed.end(), component.begin(), component.end());
    return needed;
}

std::optional<u64> Termination::worst_case(const std::map<u32, u64>& functions) const {
    first_way_ = first_ways();
    functions_ = &functions;
    std::vector<u32> all(nodes_.size());
    for (u32 i = 0; i < all.size(); ++i)
        all[i] = i;
    Removed removed(first_way_.back(), 0);
    return cost(all, removed);
}

/// Of the longest way within `members` by ways that are not removed.
std::optional<u64> Termination::cost(const std::vector<u32>& members, Removed& removed) const {
    std::vector<u64> longest(nodes_.size(), 0);
    std::vector<u32> part(nodes_.size(), kNone);
    for (const u32 id : members)
        part[id] = kNone - 1;
    u64 result = 0;
    u32 number = 0;
    for (const std::vector<u32>& component : components(members, removed)) {
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
        ++number;
    }
    return result;
}

std::optional<u64> Termination::cycle(const std::vector<u32>& members, Removed& removed) const {
    if (const auto all = by_contract(members, removed))
        return all;
    if (const auto all = by_counter(members, removed))
        return all;
    culprit_ = nodes_[members.back()].point.pc;
    return std::nullopt;
}

std::optional<u64> Termination::rounds(const std::vector<u32>& members, Removed& removed,
                                       const std::vector<u32>& taken, u64 most) const {
    for (const u32 way : taken)
        removed[way] = 1;
    const auto round = cost(members, removed);
    for (const u32 way : taken)
        removed[way] = 0;
    if (!round)
        return std::nullopt;
    return times(*round, plus(most, 1));
}

std::optional<u64> Termination::by_contract(const std::vector<u32>& members,
                                            Removed& removed) const {
    std::vector<Session> sessions;
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
        std::vector<u32> taken;
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
    std::vector<u32> taken; ///< the ways that change it
    u64 rounds = 0;         ///< how often they can be taken
};

/// The number that is at `start` in the first member, followed through all ways.
std::optional<Termination::Counter>
Termination::counter(const std::vector<u32>& members, const Removed& removed, Place start) const {
    std::vector<Place> place(nodes_.size(), kNone);
    place[members.front()] = start;
    std::vector<char> inside(nodes_.size(), 0);
    for (const u32 id : members)
        inside[id] = 1;
    Counter made;
    bool up = false;
    bool down = false;
    u64 least = kFar;
    std::vector<u32> work{members.front()};
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

std::optional<u64> Termination::by_counter(const std::vector<u32>& members,
                                           Removed& removed) const {
    for (const auto& [start, value] : nodes_[members.front()].values)
        if (const auto found = counter(members, removed, start))
            if (const auto all = rounds(members, removed, found->taken, found->rounds))
                return all;
    return std::nullopt;
}

} // namespace skep::verifier
