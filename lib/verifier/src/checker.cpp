// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "proof.hpp"

namespace skep::verifier {
namespace {

bool covered(const Walker& walker, const Proof& proof, const Arrival& arrival, u32 target,
             u32 below) {
    const auto found = proof.find(point_of(arrival.state, arrival.pc));
    if (found == proof.end() || target >= found->second.size())
        return false;
    const Kept& kept = found->second[target];
    return (kept.rank < below || arrival.by_contract) &&
           within(arrival.state, kept.state, walker.symbols());
}

} // namespace

bool check(Walker& walker, const Proof& proof, const State& start, u32 root,
           std::uint64_t& counter) {
    const auto first = proof.find(point_of(start, root));
    if (first == proof.end() || first->second.empty() ||
        !within(start, first->second.front().state, walker.symbols()))
        return false;
    for (const auto& [point, states] : proof)
        for (const Kept& kept : states) {
            std::vector<Arrival> arrivals;
            if (!walker.walk({kept.state, point.pc}, arrivals, counter) ||
                arrivals.size() != kept.targets.size())
                return false;
            for (std::size_t i = 0; i < arrivals.size(); ++i)
                if (!covered(walker, proof, arrivals[i], kept.targets[i], kept.rank))
                    return false;
        }
    return true;
}

} // namespace skep::verifier
