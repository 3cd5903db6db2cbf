// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "proof.hpp"

namespace skep::verifier {
namespace {

bool covered(const Walker& walker, const Proof& proof, const Arrival& arrival, u32 target) {
    const auto found = proof.find(point_of(arrival.state, arrival.pc));
    if (found == proof.end() || target >= found->second.size())
        return false;
    return within(arrival.state, found->second[target].state, walker.symbols());
}

constexpr u64 kMaxRounds = u64{1} << 23; // BPF_MAX_LOOPS

Termination::Way way(const Walker& walker, const Arrival& arrival) {
    Termination::Way made{
        .started = arrival.started, .iterator = arrival.iterator, .lowest = arrival.lowest};
    if (!arrival.by_contract)
        return made;
    made.rounds = kMaxRounds;
    if (walker.stepper().calls_back(arrival.pc)) {
        made.contract = Termination::Contract::Callback;
        made.rounds = walker.stepper().rounds_at(arrival.pc);
    } else {
        made.contract = arrival.iterator != 0 ? Termination::Contract::Iterator
                                              : Termination::Contract::MayGoto;
    }
    return made;
}

} // namespace

bool check(Walker& walker, const Proof& proof, const State& start, u32 root, std::uint64_t& counter,
           Termination& ends) {
    const auto first = proof.find(point_of(start, root));
    if (first == proof.end() || first->second.empty() ||
        !within(start, first->second.front().state, walker.symbols()))
        return false;
    std::map<Point, u32> nodes; // The first of each point.
    for (const auto& [point, states] : proof)
        for (const Kept& kept : states) {
            const u32 id =
                ends.add({.point = point, .frames = static_cast<u32>(kept.state.frames.size())});
            nodes.try_emplace(point, id);
        }
    std::vector<std::pair<Point, const Kept*>> kept_of;
    u32 id = 0;
    for (const auto& [point, states] : proof)
        for (const Kept& kept : states) {
            std::vector<Arrival> arrivals;
            if (!walker.walk({kept.state, point.pc}, arrivals, counter) ||
                arrivals.size() != kept.targets.size())
                return false;
            kept_of.emplace_back(point, &kept);
            Termination::Node& node = ends[id++];
            node.cost = walker.most_steps();
            node.callees = walker.callees();
            for (std::size_t i = 0; i < arrivals.size(); ++i) {
                if (!covered(walker, proof, arrivals[i], kept.targets[i]))
                    return false;
                node.ways.push_back(way(walker, arrivals[i]));
                node.ways.back().to =
                    nodes.at(point_of(arrivals[i].state, arrivals[i].pc)) + kept.targets[i];
            }
        }
    // Where cycles are, the ways are walked again for what they add to which number.
    for (const u32 cyclic : ends.in_plain_cycles()) {
        const auto& [point, kept] = kept_of[cyclic];
        std::vector<Arrival> arrivals;
        if (!walker.walk({kept->state, point.pc}, arrivals, counter) ||
            arrivals.size() != kept->targets.size())
            return false;
        Termination::Node& node = ends[cyclic];
        node.values = Termination::values(kept->state);
        for (std::size_t i = 0; i < arrivals.size(); ++i)
            node.ways[i].links = Termination::links(kept->state, arrivals[i].state);
    }
    return true;
}

} // namespace skep::verifier
