// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "lineage.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <span>
#include <utility>

#include "explain.hpp"

namespace skep::verifier {
namespace {

/// Longer ways back are not searched.
constexpr std::size_t kMaxChain = 4096;
constexpr std::size_t kMaxNotes = 2;

class Search {
public:
    Search(Walker& walker, const Proof& proof, const Lineage& lineage, std::uint64_t budget,
           std::uint64_t& counter)
        : walker_(walker), proof_(proof), lineage_(lineage), counter_(counter),
          limit_(counter + budget) {
        // Ways by the node that they lead to; those that led there first are the first.
        const auto& ways = lineage.ways();
        by_target_.resize(ways.size());
        for (u32 i = 0; i < ways.size(); ++i)
            by_target_[i] = i;
        std::ranges::sort(by_target_, {}, [&](u32 way) { return std::pair(ways[way].to, way); });
        walker_.record(&recorder_);
    }
    Search(const Search&) = delete;
    Search& operator=(const Search&) = delete;
    ~Search() { walker_.record(nullptr); }

    std::optional<Loss> run(u32 failing) {
        chain_.assign(1, failing);
        if (!fails(*kept(failing).state, 0))
            return std::nullopt;
        finding_ = found_.finding;
        about_ = found_.about;
        while (chain_.size() < kMaxChain) {
            const u32 node = chain_.back();
            const auto ways = ways_into(node);
            const bool widened = lineage_[node].before != Lineage::kNone;
            if (ways.size() == 1 && !widened) {
                if (!climb(ways[0]))
                    return std::nullopt;
                continue;
            }
            std::vector<Loss::Side> sides;
            const u32* guilty = nullptr;
            for (const u32& way : ways) {
                auto side = side_of(way);
                if (!side)
                    return std::nullopt;
                if (fails(side->state, chain_.size() - 1)) {
                    guilty = &way;
                    break;
                }
                sides.push_back(std::move(*side));
            }
            if (counter_ > limit_)
                return std::nullopt;
            if (guilty == nullptr)
                return loss(node, widened, std::move(sides));
            if (!climb(*guilty))
                return std::nullopt;
        }
        return std::nullopt;
    }

private:
    [[nodiscard]] const Kept& kept(u32 node) const {
        const Lineage::Node& at = lineage_[node];
        return proof_.at(at.point)[at.index];
    }

    [[nodiscard]] std::span<const u32> ways_into(u32 node) const {
        const auto range = std::ranges::equal_range(
            by_target_, node, {}, [&](u32 way) { return lineage_.ways()[way].to; });
        return {range.begin(), range.end()};
    }

    /// To where a way began; false at the start.
    bool climb(u32 way) {
        const u32 from = lineage_.ways()[way].from;
        if (from == Lineage::kNone)
            return false;
        chain_.push_back(from);
        return true;
    }

    /// The state that a way led there with, before it was joined.
    std::optional<Loss::Side> side_of(u32 index) {
        const Lineage::Way& way = lineage_.ways()[index];
        if (way.from == Lineage::kNone)
            return std::nullopt;
        std::vector<Arrival> arrivals;
        if (!walk(*kept(way.from).state, way.from, arrivals) || way.arrival >= arrivals.size())
            return std::nullopt;
        Arrival& arrival = arrivals[way.arrival];
        const bool jumped = !arrival.trail.empty() && arrival.trail.back().insn == arrival.last &&
                            arrival.trail.back().taken;
        return Loss::Side{std::move(arrival.state), arrival.last, jumped};
    }

    bool walk(const State& state, u32 node, std::vector<Arrival>& arrivals) {
        recorder_.found.clear();
        return walker_.walk({state, lineage_[node].point.pc}, arrivals, counter_) &&
               recorder_.found.empty();
    }

    /// From a state in place of that of chain_[level], along the chain: something fails there, too.
    bool fails(State state, std::size_t level) {
        for (; counter_ <= limit_; --level) {
            std::vector<Arrival> arrivals;
            if (!walk(state, chain_[level], arrivals)) {
                if (!recorder_.found.empty())
                    found_ = recorder_.found.front();
                return true;
            }
            if (level == 0)
                return false;
            // All ways to the next of the chain, as they were joined there.
            const u32 next = chain_[level - 1];
            const Point& point = lineage_[next].point;
            const u64 form = shape(*kept(next).state);
            bool any = false;
            for (Arrival& arrival : arrivals) {
                if (arrival.pc != point.pc || point_of(arrival.state, arrival.pc) != point ||
                    shape(arrival.state) != form)
                    continue;
                state =
                    any ? join(state, arrival.state, walker_.symbols()) : std::move(arrival.state);
                any = true;
            }
            if (!any)
                return false;
        }
        return true;
    }

    Loss loss(u32 node, bool widened, std::vector<Loss::Side> sides) {
        if (widened && sides.size() > 1) {
            State joined = sides[0].state;
            for (std::size_t i = 1; i < sides.size(); ++i)
                joined = join(joined, sides[i].state, walker_.symbols());
            widened = !fails(std::move(joined), chain_.size() - 1);
        }
        Loss out{.node = node, .widened = widened, .finding = finding_, .sides = std::move(sides)};
        describe_loss(out);
        return out;
    }

    // --- what to tell ---

    [[nodiscard]] std::string line(u32 insn) const {
        const LineInfo* info = walker_.program().line_of(insn);
        return info != nullptr ? fmt::format("line {}", info->line)
                               : fmt::format("instruction {}", insn);
    }

    [[nodiscard]] std::string way(const Loss::Side& side) const {
        return fmt::format("{}{}", line(side.from), side.jumped ? " (jumps)" : "");
    }

    static const Val* at(const State& state, std::size_t frame, int reg, std::size_t cell) {
        if (reg >= 0)
            return &state.frames[frame].regs[static_cast<unsigned>(reg)];
        const auto& stack = state.frames[frame].stack;
        return cell < stack.size() && stack.remembered(cell) != 0 ? &stack.value(cell) : nullptr;
    }

    static std::string known(const State& state, const Val* val) {
        if (val == nullptr)
            return "unknown";
        std::string text = describe(state, *val);
        if (val->kind != Kind::Pointer ||
            (val->region != Region::Packet && val->region != Region::Meta))
            return text;
        const PacketBound* bound = state.bound(val->region, val->sym);
        return bound == nullptr || bound->c <= val->off
                   ? text + ", not tested,"
                   : text + fmt::format(" with {} bytes tested", bound->c - val->off);
    }

    void describe_loss(Loss& out) const {
        const State& made = *kept(out.node).state;
        const auto tell = [&](bool only_about) {
            for (std::size_t f = made.frames.size(); f-- > 0;) {
                const bool top = f + 1 == made.frames.size();
                for (int reg = 0; reg < 10; ++reg)
                    tell_of(out, f, reg, 0, only_about, top);
                for (std::size_t cell = 0; cell < made.frames[f].stack.size(); ++cell)
                    tell_of(out, f, -1, cell, only_about, top);
            }
        };
        tell(true);
        if (out.notes.empty())
            tell(false);
    }

    /// A note, if the place holds what the finding is about and the sides know different things.
    void tell_of(Loss& out, std::size_t frame, int reg, std::size_t cell, bool only_about,
                 bool top) const {
        const State& made = *kept(out.node).state;
        const Val* val = at(made, frame, reg, cell);
        if (out.notes.size() == kMaxNotes || val == nullptr || val->kind == Kind::Uninit)
            return;
        if (only_about && (val->sym == 0 || std::ranges::find(about_, val->sym) == about_.end()))
            return;
        const Loss::Side& first = out.sides.front();
        const auto of = [&](const Loss::Side& side) {
            return known(side.state, at(side.state, frame, reg, cell));
        };
        const std::string one = of(first);
        const std::string now = known(made, val);
        const auto other = std::ranges::find_if(
            out.sides, [&](const Loss::Side& side) { return of(side) != one; });
        std::string text;
        if (out.widened && now != one)
            text = fmt::format("is {} after some rounds, and more in each: {} is assumed here", one,
                               now);
        else if (!out.widened && other != out.sides.end())
            text = fmt::format("is {} on the way through {}, and {} on the way through {}: both "
                               "meet here",
                               one, way(first), of(*other), way(*other));
        else
            return;
        const std::string kind = out.widened ? "widening" : "merge";
        if (reg >= 0 && top)
            out.notes.push_back({lineage_[out.node].point.pc, reg, std::move(text), kind});
        else if (reg < 0)
            out.notes.push_back({lineage_[out.node].point.pc, -1,
                                 fmt::format("fp-{} {}", 4 * (cell + 1), text), kind});
    }

    Walker& walker_;
    const Proof& proof_;
    const Lineage& lineage_;
    std::uint64_t& counter_;
    const std::uint64_t limit_;
    std::vector<u32> by_target_;
    std::vector<u32> chain_; ///< from what fails backwards
    Recorder recorder_;
    Recorder::Found found_;
    Finding finding_;
    std::vector<Sym> about_;
};

} // namespace

std::optional<Loss> find_loss(Walker& walker, const Proof& proof, const Lineage& lineage,
                              u32 failing, std::uint64_t budget, std::uint64_t& counter) {
    return Search(walker, proof, lineage, budget, counter).run(failing);
}

} // namespace skep::verifier
