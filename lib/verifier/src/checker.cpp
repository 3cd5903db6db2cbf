// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "checker.hpp"

#include <algorithm>
#include <utility>

#include "skep/base/pool.hpp"
#include "summary.hpp"

namespace skep::verifier {
namespace {

constexpr u64 kMaxRounds = u64{1} << 23; // BPF_MAX_LOOPS

} // namespace

StateRef freeze(State state) {
    return std::allocate_shared<const State>(PoolAllocator<State>{}, std::move(state));
}

void Checker::clear() {
    records_.clear();
    ways_.clear();
    waiting_.clear();
    limit_ = kMostWaiting;
    refuted_ = false;
}

u32 Checker::reserve() {
    records_.emplace_back();
    return static_cast<u32>(records_.size() - 1);
}

Termination::Way Checker::way_of(const Arrival& arrival) const {
    Termination::Way made{
        .started = arrival.started, .iterator = arrival.iterator, .lowest = arrival.lowest};
    if (!arrival.by_contract)
        return made;
    made.rounds = kMaxRounds;
    if (walker_.stepper().calls_back(arrival.pc))
        made.contract = Termination::Contract::Callback;
    else
        made.contract = arrival.iterator != 0 ? Termination::Contract::Iterator
                                              : Termination::Contract::MayGoto;
    return made;
}

bool Checker::walk(u32 id, StateRef state, u32 pc, std::vector<Arrived>& arrived,
                   std::uint64_t& counter, const Summary* summary) {
    Record& record = records_[id];
    if (record.state != nullptr)
        refuted_ = true; // Its ways would be mixed up.
    record.state = std::move(state);
    record.pc = pc;
    record.summary = summary;
    if (pc == kReturned)
        return true;
    arrivals_.clear();
    if (!walker_.walk({.state = *record.state, .pc = pc, .summary = summary}, arrivals_, counter))
        return false;
    record.cost = walker_.most_steps();
    record.callees = walker_.callees();
    record.first_way = static_cast<u32>(ways_.size());
    record.ways = static_cast<u32>(arrivals_.size());
    for (Arrival& arrival : arrivals_) {
        ways_.push_back({.arrived = freeze(std::move(arrival.state)),
                         .pc = arrival.pc,
                         .way = way_of(arrival)});
        arrived.push_back(
            {ways_.back().arrived, arrival.pc, arrival.by_contract, std::move(arrival.trail)});
    }
    return true;
}

void Checker::claim(u32 id, u32 way, u32 target) {
    const u32 index = records_[id].first_way + way;
    if (way >= records_[id].ways || target >= records_.size() || ways_[index].target != kNone) {
        refuted_ = true;
        return;
    }
    ways_[index].target = target;
    waiting_.push_back(index);
    // So that states do not live longer than the claims about them.
    if (waiting_.size() < limit_)
        return;
    refuted_ |= !settle();
    limit_ = std::max(kMostWaiting, 2 * waiting_.size());
}

bool Checker::holds(Way& way) const {
    const Record& target = records_[way.target];
    const bool inside =
        target.pc == way.pc &&
        (target.state == way.arrived || within(*way.arrived, *target.state, walker_.symbols()));
    way.arrived = nullptr;
    return inside;
}

/// Looks at the claims about states that were walked since; false if one is wrong.
bool Checker::settle() {
    bool all = true;
    std::erase_if(waiting_, [&](u32 index) {
        Way& way = ways_[index];
        if (records_[way.target].state == nullptr)
            return false;
        all = all && holds(way);
        return true;
    });
    return all;
}

bool Checker::confirm(const State& start, u32 pc, std::uint64_t& counter, Termination& ends) {
    if (refuted_ || !settle() || !waiting_.empty() || records_.empty())
        return false;
    for (const Record& record : records_)
        if (record.state == nullptr)
            return false;
    for (const Way& way : ways_)
        if (way.target == kNone)
            return false;
    if (records_.front().pc != pc || !within(start, *records_.front().state, walker_.symbols()))
        return false;
    for (const Record& record : records_) {
        Termination::Node& node =
            ends[ends.add({.point = point_of(*record.state, record.pc),
                           .frames = static_cast<u32>(record.state->frames.size()),
                           .cost = record.cost,
                           .callees = record.callees})];
        node.ways.reserve(record.ways);
        for (u32 i = 0; i < record.ways; ++i) {
            const Way& way = ways_[record.first_way + i];
            Termination::Way& made = node.ways.emplace_back(way.way);
            made.to = way.target;
            if (made.contract == Termination::Contract::Callback)
                made.rounds = walker_.stepper().rounds_at(way.pc);
        }
    }
    // Where cycles are, the ways are walked again for what they add to which number.
    for (const u32 cyclic : ends.in_plain_cycles()) {
        const Record& record = records_[cyclic];
        std::vector<Arrival> arrivals;
        if (!walker_.walk({.state = *record.state, .pc = record.pc, .summary = record.summary},
                          arrivals, counter) ||
            arrivals.size() != record.ways)
            return false;
        Termination::Node& node = ends[cyclic];
        node.values = Termination::values(*record.state);
        for (std::size_t i = 0; i < arrivals.size(); ++i)
            node.ways[i].links = Termination::links(*record.state, arrivals[i].state);
    }
    return true;
}

bool Checker::confirm(Summary& summary, std::uint64_t& counter, Termination& ends) {
    if (!confirm(summary.input_, summary.function_, counter, ends) || !ends.worst_case({}))
        return false;
    for (const Record& record : records_)
        if (record.pc == kReturned)
            summary.exits_.push_back(record.state);
    summary.proved_ = true;
    return true;
}

} // namespace skep::verifier
