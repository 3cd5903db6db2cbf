// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "termination.hpp"

#include <algorithm>

namespace skep::verifier {
namespace {

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

} // namespace

std::vector<u32> Termination::callees() const {
    std::vector<u32> all;
    for (const Node& node : nodes_)
        for (const u32 callee : node.callees)
            if (std::ranges::find(all, callee) == all.end())
                all.push_back(callee);
    return all;
}

std::optional<u64> Termination::worst_case(const std::map<u32, u64>& functions) const {
    first_way_.assign(1, 0);
    for (const Node& node : nodes_)
        first_way_.push_back(first_way_.back() + static_cast<u32>(node.ways.size()));
    std::vector<u32> all(nodes_.size());
    for (u32 i = 0; i < all.size(); ++i)
        all[i] = i;
    std::vector<char> removed(first_way_.back(), 0);
    return cost(all, removed, functions);
}

/// Of the longest way within `members` by ways that are not removed: strongly connected components
/// in reverse topological order (Tarjan), each with what its cycles cost.
std::optional<u64> Termination::cost(const std::vector<u32>& members, std::vector<char>& removed,
                                     const std::map<u32, u64>& functions) const {
    constexpr u32 kNew = 0xffffffff;
    std::vector<u32> local(nodes_.size(), kNew);
    for (u32 i = 0; i < members.size(); ++i)
        local[members[i]] = i;
    struct Visit {
        u32 node;
        u32 way = 0;
        bool entered = false;
    };
    const auto count = static_cast<u32>(members.size());
    std::vector<u32> index(count, kNew);
    std::vector<u32> low(count, 0);
    std::vector<char> on_stack(count, 0);
    std::vector<u64> longest(count, 0);
    std::vector<u32> stack;
    std::vector<Visit> visits;
    u32 next = 0;
    u64 result = 0;
    for (u32 root = 0; root < count; ++root) {
        if (index[root] != kNew)
            continue;
        visits.push_back({root});
        while (!visits.empty()) {
            const u32 now = visits.back().node;
            const Node& node = nodes_[members[now]];
            if (!visits.back().entered) {
                visits.back().entered = true;
                index[now] = low[now] = next++;
                stack.push_back(now);
                on_stack[now] = 1;
            }
            bool deeper = false;
            while (visits.back().way < node.ways.size()) {
                const u32 way = visits.back().way++;
                const u32 to = local[node.ways[way].to];
                if (to == kNew || removed[first_way_[members[now]] + way] != 0)
                    continue;
                if (index[to] == kNew) {
                    // Looked at again when it is done.
                    --visits.back().way;
                    visits.push_back({to});
                    deeper = true;
                    break;
                }
                if (on_stack[to] != 0)
                    low[now] = std::min(low[now], low[to]);
            }
            if (deeper)
                continue;
            visits.pop_back();
            if (low[now] != index[now])
                continue;
            std::vector<u32> component;
            u32 member = kNew;
            while (member != now) {
                member = stack.back();
                stack.pop_back();
                on_stack[member] = 0;
                component.push_back(members[member]);
            }
            u64 behind = 0;
            bool loops = component.size() > 1;
            for (const u32 id : component)
                for (u32 way = 0; way < nodes_[id].ways.size(); ++way) {
                    const u32 to = local[nodes_[id].ways[way].to];
                    if (to == kNew || removed[first_way_[id] + way] != 0)
                        continue;
                    const bool inside =
                        std::ranges::find(component, members[to]) != component.end();
                    loops |= inside;
                    if (!inside)
                        behind = std::max(behind, longest[to]);
                }
            u64 own = 0;
            if (loops) {
                const auto rounds = cycle(component, removed, functions);
                if (!rounds)
                    return std::nullopt;
                own = *rounds;
            } else {
                const Node& single = nodes_[component.front()];
                own = single.cost;
                for (const u32 callee : single.callees)
                    if (const auto found = functions.find(callee); found != functions.end())
                        own = plus(own, found->second);
            }
            for (const u32 id : component)
                longest[local[id]] = plus(own, behind);
            result = std::max(result, plus(own, behind));
        }
    }
    return result;
}

/// Of a strongly connected component: one that starts no session of a contract anew goes round as
/// often as that allows; each round is what is left without its ways.
std::optional<u64> Termination::cycle(const std::vector<u32>& members, std::vector<char>& removed,
                                      const std::map<u32, u64>& functions) const {
    std::vector<char> inside(nodes_.size(), 0);
    for (const u32 id : members)
        inside[id] = 1;
    std::vector<Session> sessions;
    const auto each_way = [&](auto&& visit) {
        for (const u32 id : members)
            for (u32 way = 0; way < nodes_[id].ways.size(); ++way)
                if (inside[nodes_[id].ways[way].to] != 0 && removed[first_way_[id] + way] == 0)
                    visit(nodes_[id].ways[way], first_way_[id] + way);
    };
    const auto session_of = [this](const Way& way) {
        return Session{nodes_[way.to].point, way.contract, way.iterator};
    };
    each_way([&](const Way& way, u32) {
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
        each_way([&](const Way& way, u32) {
            switch (session.contract) {
            case Contract::Callback: // Called anew.
                anew |= nodes_[way.to].point == session.point && session_of(way) != session;
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
        std::vector<u32> taken;
        each_way([&](const Way& way, u32 id) {
            if (way.contract != Contract::None && session_of(way) == session)
                taken.push_back(id);
        });
        for (const u32 way : taken)
            removed[way] = 1;
        const auto round = cost(members, removed, functions);
        for (const u32 way : taken)
            removed[way] = 0;
        if (round)
            return times(*round, plus(session.rounds, 1));
    }
    culprit_ = nodes_[members.back()].point.pc;
    return std::nullopt;
}

} // namespace skep::verifier
