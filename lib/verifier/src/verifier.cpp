// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The engine explores the program's states; the checker proves that what it kept is inductive.
#include "skep/verifier/verifier.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "explain.hpp"
#include "facts.hpp"
#include "follower.hpp"
#include "lineage.hpp"
#include "order.hpp"
#include "proof.hpp"
#include "skep/btf/btf.hpp"
#include "skep/isa/decode.hpp"
#include "skep/program/control_flow.hpp"
#include "step.hpp"
#include "summarise.hpp"

namespace skep::verifier {
namespace {

constexpr std::uint8_t kMayGoto = 0xe5;
constexpr const char* kBudget = "V502";

/// States to look at before a new one is kept. More find more that are covered, but cost time.
constexpr std::size_t kLookBack = 8;
/// Behind a contract: states of a shape that are joined before bounds are moved on, and before
/// everything that changes is given up.
constexpr std::size_t kJoins = 2;
constexpr std::size_t kWidenings = 24;
/// States at one point, where loops are widened: with more, another way is better.
constexpr std::size_t kMostAtOnePoint = 256;
/// Instructions to spend on the proof of a function in any case.
constexpr std::uint64_t kLeastBudget = 4096;
/// Of one attempt: merges that are undone, ways that each of them tells apart at first and at most,
/// and states of a shape that wait at one place. Loops that are widened once more.
constexpr std::size_t kMaxSplits = 32;
constexpr u32 kSides = 16;
constexpr u32 kMostSides = 64;
constexpr std::size_t kNarrowings = 2;

/// Findings to report, and to look for (the same one is found on many paths).
constexpr std::size_t kMaxFindings = 20;
constexpr std::size_t kMaxRecorded = 500;

class Analysis final : public Certificate {
public:
    Analysis(const Program& program, std::span<const MapView> maps, const Options& options,
             std::vector<isa::InsnFault> faults)
        : program_(program), options_(options), walker_(program, maps, std::move(faults)),
          order_(walker_.flow()), summariser_(walker_, widening_, options.least_summary) {
        walker_.stepper().be_strict(options.strict_alignment);
        if (options.facts)
            facts_.emplace(walker_);
    }

    Report run() {
        if (structure()) {
            bool proved = everything();
            // What serves several calls may need more stack than each of them.
            if (!proved && tried_summaries_ && all_proved_) {
                start_over();
                proved = everything();
            }
            if (proved) {
                report_.outcome = Outcome::Accepted;
                report_.statistics.worst_case = worst_case(0);
                if (facts_)
                    report_.facts = std::make_shared<const Facts>(facts_->take());
            }
        }
        // A program that is unsafe is so whatever else is not known of it.
        if (!report_.findings.empty() && rejected_)
            report_.outcome = Outcome::Rejected;
        return std::move(report_);
    }

    std::unique_ptr<Follower> follow() override {
        (void)walker_.stepper().initial(); // Back to the program itself.
        walker_.stepper().count_rounds(main_exact_);
        walker_.stop_at(main_summarised_ ? &summariser_.calls() : nullptr);
        return make_follower(walker_, main_);
    }

private:
    bool everything() {
        const bool main = prove(walker_.stepper().initial(), 0);
        const bool functions = global_functions();
        const bool timers = timer_callbacks();
        all_proved_ = main && functions && timers;
        return all_proved_ && stacks(0, 0, 1);
    }

    /// Without summaries.
    void start_over() {
        no_summaries_ = true;
        report_ = {};
        rejected_ = false;
        worst_cases_.clear();
        ends_.clear();
        walker_.stepper().forget_stacks();
        if (facts_)
            facts_.emplace(walker_);
    }

    /// Everything that runs from one start.
    bool prove(std::optional<State> start, u32 pc) {
        if (!start)
            return fail();
        root_ = pc;
        exact_ = false;
        walker_.stepper().count_rounds(false);
        const std::uint64_t before = report_.statistics.visited;
        limit_ = before + options_.max_visits;
        const auto certified = [&](bool kept) {
            if (!kept)
                return false;
            Termination ends;
            report_.statistics.checked += report_.statistics.visited - before;
            if (!checker_->confirm(*start, root_, report_.statistics.checked, ends))
                return refuse(pc, "V900", "internal: the checker does not agree");
            const auto longest = ends.worst_case({});
            if (!longest)
                return refuse(ends.culprit(), "V501",
                              "nothing shows that this loop ends: no counter with a bound, and no "
                              "contract that it does not start again");
            if (ends.callees().empty())
                worst_cases_[pc] = *longest;
            ends_[pc] = std::move(ends);
            if (facts_)
                facts_ = std::move(attempt_);
            return true;
        };
        const auto attempt = [&](auto explore) {
            clear();
            begun_ = report_.statistics.visited;
            attempt_ = facts_;
            walker_.watch(attempt_ ? &*attempt_ : nullptr);
            summariser_.begin();
            walker_.stop_at(summaries_ ? &summariser_.calls() : nullptr);
            const std::uint64_t states = report_.statistics.states;
            const bool kept = explore();
            walker_.watch(nullptr);
            if (!certified(kept)) {
                report_.statistics.states = states;
                return false;
            }
            report_.statistics.summaries += summariser_.made();
            return true;
        };
        const auto earlier = std::exchange(report_.findings, {});
        // All loops at once first, by what holds in each round.
        widen_loops_ = order_.has_loops();
        if (widen_loops_)
            limit_ = before + options_.max_visits / 10;
        summaries_ = summariser_.any() && !no_summaries_;
        const bool rejected = rejected_;
        // Joined states; where what is needed was lost in them, more of them.
        const auto by_joins = [&] {
            splits_.clear();
            stops_.clear();
            const auto explore = [&] { return joined(*start); };
            // What a summary lost is found without it.
            return attempt(explore) || (!(summaries_ && summariser_.asked()) &&
                                        rescue(*start, before, [&] { return attempt(explore); }));
        };
        bool proved = by_joins();
        const auto again = [&](auto another) {
            if (proved || report_.outcome == Outcome::Unsupported)
                return;
            const auto lost = std::exchange(report_.findings, {});
            report_.statistics.visited = before;
            proved = another();
            // Where an attempt took too long, what the one before it lacked says more.
            if (!proved && report_.findings[0].code == kBudget)
                report_.findings.insert(report_.findings.begin(), lost.begin(), lost.end());
        };
        // A summary says less than a walk.
        if (std::exchange(summaries_, summaries_ && proved) && summariser_.asked() && !proved) {
            report_.outcome = Outcome::Rejected;
            rejected_ = rejected;
            again(by_joins);
        }
        // What widening gave up may be found round by round.
        limit_ = before + options_.max_visits;
        if (std::exchange(widen_loops_, false))
            again(by_joins);
        if (!contracts_.empty())
            again([&] {
                exact_ = true;
                walker_.stepper().count_rounds(true);
                return by_joins();
            });
        // What was lost in a join may be found on the single paths.
        if (proved || report_.findings[0].code != kBudget)
            again([&] {
                // There can be many more paths than are worth walking.
                limit_ = std::min(limit_, before + options_.max_visits / 5);
                report_.statistics.path_mode = true;
                return attempt([&] { return by_paths(*start); });
            });
        count(kept_);
        if (!proved && options_.explain)
            collect(*start);
        report_.findings.insert(report_.findings.begin(), earlier.begin(), earlier.end());
        if (pc == 0 && options_.keep_certificate) {
            main_ = std::move(kept_);
            main_exact_ = exact_;
            main_summarised_ = summaries_;
        }
        return proved;
    }

    void count(const Proof& proof) {
        for (const auto& [point, states] : proof)
            report_.statistics.states += states.size();
    }

    /// Forgets what the last attempt kept.
    void clear() {
        kept_.clear();
        checker_->clear();
        states_ = 0;
        diverges_ = false;
    }

    /// After an attempt that ended in a finding: undoes the merges, and takes back the widening,
    /// in which what it needs was lost, for as long as there are any.
    template <class Attempt>
    bool rescue(const State& start, std::uint64_t before, Attempt attempt) {
        std::uint64_t& visited = report_.statistics.visited;
        const std::uint64_t all = limit_ - before;
        std::uint64_t left = std::max<std::uint64_t>(all / 5, 1);
        // The next attempts may cost about as much as this one, or more.
        const std::uint64_t took = visited - before;
        // Rounds come next, and often do.
        if (widen_loops_)
            left = std::min(left, 4 * took + 2000);
        std::uint64_t search = widen_loops_ ? std::min(left, took / 8 + 500) : left;
        // The last one that says what is missing.
        std::vector<Finding> findings = report_.findings;
        Outcome outcome = report_.outcome;
        sides_ = kSides;
        std::size_t narrowings = 0;
        const auto spend = [&] {
            left -= std::min(left, visited - before);
            visited = before;
        };
        while (failing_ != Lineage::kNone && outcome == Outcome::Rejected &&
               splits_.size() < kMaxSplits && left != 0) {
            visited = before;
            const auto loss = find_loss(walker_, kept_, lineage_, failing_, search, visited);
            search -= std::min(search, visited - before);
            spend();
            if (!loss)
                break;
            findings.back().notes = loss->notes;
            if (loss->widened && (!widen_loops_ || narrowings++ == kNarrowings))
                break;
            if (left < took * (loss->widened ? 2 : 1))
                break;
            limit_ = before + left;
            if (loss->widened) {
                if (!narrow(start))
                    break;
                spend();
                limit_ = before + left;
            } else if (!split(lineage_[loss->node].point)) {
                break;
            }
            restart();
            if (attempt())
                return true;
            spend();
            if (failing_ != Lineage::kNone && report_.outcome == Outcome::Rejected) {
                findings = report_.findings;
                outcome = report_.outcome;
            }
        }
        report_.findings = std::move(findings);
        report_.outcome = outcome;
        return false;
    }

    void restart() {
        report_.findings.clear();
        sides_of_.clear();
        for (Split& split : splits_)
            split.sides.clear();
    }

    /// Tells apart what arrives at a point on different ways; false if that is being done.
    bool split(const Point& point) {
        if (std::ranges::find(splits_, point, &Split::point) == splits_.end()) {
            splits_.push_back({.point = point});
            return true;
        }
        return std::exchange(sides_, kMostSides) != kMostSides;
    }

    /// What arrives at the heads of loops, if all that widening assumed were so, is less than that.
    /// Loops are widened once more, and their bounds stop at those of what arrives: if they hold,
    /// they stay. So each loop is narrowed by what its body does, not by what it was entered with.
    bool narrow(const State& start) {
        Recorder recorder;
        recorder.assume = true;
        restart();
        clear();
        at_heads_.emplace();
        walker_.record(&recorder);
        const bool done = joined(start);
        walker_.record(nullptr);
        const auto arrived = *std::exchange(at_heads_, std::nullopt);
        for (const auto& [of, state] : arrived)
            stop_at(stops_.try_emplace(of, widening_).first->second, *state);
        return done;
    }

    /// Each on its own: calls rely on nothing but the contract.
    bool global_functions() {
        bool all = true;
        for (const FunctionRange& function : walker_.flow().functions)
            if (walker_.stepper().contract_of(function.begin) != nullptr)
                all &= prove(walker_.stepper().initial_of(function.begin), function.begin);
        return all;
    }

    /// Functions that timers call later, each on its own.
    bool timer_callbacks() {
        bool all = true;
        std::vector<u32> done;
        for (bool more = true; more;) {
            more = false;
            const auto known = walker_.stepper().timer_callbacks();
            for (const auto& [function, map] : known) {
                if (std::ranges::find(done, function) != done.end())
                    continue;
                done.push_back(function);
                more = true; // It may start others.
                all &= prove(walker_.stepper().initial_of_timer(function), function);
            }
        }
        return all;
    }

    /// Of what begins at a slot, with all that it calls. There is no recursion.
    u64 worst_case(u32 begin) {
        if (const auto known = worst_cases_.find(begin); known != worst_cases_.end())
            return known->second;
        const auto proved = ends_.find(begin);
        if (proved == ends_.end())
            return 0; // Walked into: part of its callers.
        for (const u32 callee : proved->second.callees())
            (void)worst_case(callee);
        return worst_cases_[begin] =
                   proved->second.worst_case(worst_cases_).value_or(Termination::kUnbounded);
    }

    // --- what to tell people ---

    /// Walks the paths once more, and past what is found: for all findings, with their paths.
    void collect(const State& start) {
        Recorder recorder;
        walker_.record(&recorder);
        recorder_ = &recorder;
        kept_.clear();
        checker_->clear();
        states_ = 0;
        ways_.assign(1, {});
        const auto first = std::exchange(report_.findings, {});
        const Statistics before = report_.statistics;
        limit_ = before.visited + options_.max_visits / 10;
        (void)by_paths(start);
        walker_.record(nullptr);
        recorder_ = nullptr;
        report_.statistics = before;
        report_.findings.clear();
        for (Recorder::Found& found : recorder.found) {
            const auto same = [&](const Finding& other) {
                return other.code == found.finding.code && other.insn == found.finding.insn;
            };
            if (report_.findings.size() == kMaxFindings ||
                std::ranges::any_of(report_.findings, same))
                continue;
            found.finding.path = std::move(found.trail);
            explain(walker_, start, root_, found.finding);
            report_.findings.push_back(std::move(found.finding));
        }
        // What the first attempt lacked comes first, if it is another thing.
        for (const Finding& finding : first)
            if (std::ranges::none_of(report_.findings, [&](const Finding& other) {
                    return other.insn == finding.insn && other.code == finding.code;
                }))
                report_.findings.insert(report_.findings.begin(), finding);
        const auto leading = std::ranges::find_if(report_.findings, [&](const Finding& finding) {
            return finding.code == first.front().code && finding.insn == first.front().insn;
        });
        if (leading != report_.findings.end())
            std::rotate(report_.findings.begin(), leading, leading + 1);
        // That time ran out says nothing beside what else is known.
        const auto budget = [](const Finding& finding) { return finding.code == kBudget; };
        if (!std::ranges::all_of(report_.findings, budget))
            std::erase_if(report_.findings, budget);
        if (!report_.findings.empty())
            report_.findings.front().folded = recorder.folded;
    }

    bool fail() {
        report_.findings.push_back(walker_.stepper().finding());
        report_.outcome =
            walker_.stepper().unsupported() ? Outcome::Unsupported : Outcome::Rejected;
        rejected_ |= report_.outcome == Outcome::Rejected;
        return false;
    }
    bool refuse(u32 pc, const char* code, std::string message) {
        report_.findings.push_back({.code = code, .insn = pc, .message = std::move(message)});
        report_.outcome = Outcome::Rejected;
        rejected_ = true;
        return false;
    }

    bool unsupported(std::string message) {
        report_.findings.push_back({.code = "V900", .message = std::move(message)});
        report_.outcome = Outcome::Unsupported;
        return false;
    }

    /// What can be said without states: unreachable code, recursion, which loops contracts bound.
    bool structure() {
        if (const Subprogram& main = program_.subprograms.front();
            program_.btf != nullptr && main.type_id != 0)
            for (const std::string_view tag : program_.btf->decl_tags(main.type_id))
                if (tag.starts_with("exception_callback:"))
                    return unsupported("exception callbacks are not supported yet");
        if (const auto slot = walker_.flow().first_unreachable())
            return refuse(*slot, "V504", "the instruction is never reached");
        for (u32 i = 0; i < program_.insns.size(); ++i) {
            const isa::Insn& insn = program_.insns[i];
            if (insn.opcode == kMayGoto || walker_.stepper().kfunc_at(i) == Kfunc::IteratorNext)
                order_.bound_by_contract(walker_.flow().block_of[i]);
            if (insn.opcode == isa::kLddw)
                ++i;
            else
                note_threshold(insn);
        }
        for (const unsigned bit : {0U, 8U, 16U, 31U, 32U})
            widening_.thresholds.push_back((i64{1} << bit) - 1);
        std::ranges::sort(widening_.thresholds);
        give_up_.all = true;
        std::vector<int> colour(walker_.flow().functions.size(), 0);
        return no_recursion(0, colour);
    }

    /// Bounds stop best where the program compares.
    void note_threshold(const isa::Insn& insn) {
        const unsigned cls = insn.opcode & isa::kClassMask;
        if ((cls == isa::kJmp || cls == isa::kJmp32) && insn.opcode != isa::kCall &&
            insn.opcode != isa::kExit && (insn.opcode & isa::kSrcMask) == isa::kK)
            for (const i64 step : {-1, 0, 1})
                widening_.thresholds.push_back(insn.imm + step);
    }

    // Functions are walked at each call: a call of a caller would not end.
    bool no_recursion(u32 function, std::vector<int>& colour) {
        colour[function] = 1;
        for (const FunctionUse& use : walker_.flow().uses) {
            if (use.caller != function || use.address)
                continue;
            if (colour[use.callee] == 1)
                return refuse(use.slot, "V503", "the function calls itself");
            if (colour[use.callee] == 0 && !no_recursion(use.callee, colour))
                return false;
        }
        colour[function] = 2;
        return true;
    }

    /// All functions of a call chain share 512 bytes of stack, but where the kernel gives a
    /// function one of its own: in tracing programs, if it uses 64 bytes or more and there are no
    /// tail calls.
    bool stacks(u32 function, u32 callers, u32 frames) {
        const u32 used =
            (walker_.stepper().stack_used(walker_.flow().functions[function].begin) + 15) / 16 * 16;
        const bool own = own_stacks() && used >= 64;
        const u32 total = own ? callers : callers + used;
        for (const FunctionUse& use : walker_.flow().uses) {
            if (use.caller != function)
                continue;
            if (frames == isa::kMaxCallFrames)
                return refuse(use.slot, "V503", "more than 8 nested calls");
            const u32 callee =
                (walker_.stepper().stack_used(walker_.flow().functions[use.callee].begin) + 15) /
                16 * 16;
            if (total + (own_stacks() && callee >= 64 ? 0 : callee) > isa::kMaxStackDepth)
                return refuse(use.slot, "V503",
                              fmt::format("the nested functions use {} bytes of stack together",
                                          total + callee));
            if (total >= 256 && tail_calls(use.callee))
                return refuse(
                    use.slot, "V503",
                    fmt::format("a function that makes tail calls is called with {} bytes "
                                "of stack in use, limit 255",
                                total));
            if (!stacks(use.callee, total, frames + 1))
                return false;
        }
        return true;
    }

    [[nodiscard]] bool own_stacks() const {
        using enum spec::ProgramType;
        const auto t = program_.type;
        if (t != Kprobe && t != Tracepoint && t != PerfEvent && t != RawTracepoint &&
            t != RawTracepointWritable)
            return false;
        for (u32 f = 0; f < walker_.flow().functions.size(); ++f)
            if (tail_calls(f))
                return false;
        return true;
    }

    [[nodiscard]] bool tail_calls(u32 function) const {
        const FunctionRange& range = walker_.flow().functions[function];
        for (u32 i = range.begin; i < range.end; ++i)
            if (const isa::Insn& insn = program_.insns[i];
                insn.opcode == isa::kCall && insn.src == isa::kCallHelper && insn.imm == 12)
                return true;
        return false;
    }

    [[nodiscard]] bool over_budget(u32 pc) {
        if (report_.statistics.visited <= limit_ && states_ <= options_.max_states && !diverges_)
            return false;
        (void)refuse(pc, kBudget,
                     fmt::format("the analysis gave up after {} instructions and {} states",
                                 report_.statistics.visited, states_));
        return true;
    }

    // --- joined states ---

    /// Where a state stands in an order in which every point comes after those that lead to it:
    /// for each frame, outermost first, the loops around its place, each with the round it is in,
    /// then the block and the slot.
    using Place = PoolVector<u32>;

    /// The place of `state` at `pc`, which was reached from a place by a walk.
    [[nodiscard]] Place place(const State& state, u32 pc, const Place& from) const {
        Place out;
        std::size_t at = 0;  // In `from`: where the frame begins.
        if (pc == kReturned) // Behind all others.
            return {0, kLast, kLast};
        for (std::size_t i = summarised(state) ? 1 : 0; i < state.frames.size(); ++i) {
            const bool top = i + 1 == state.frames.size();
            u32 slot = pc;
            if (!top) {
                const Frame& callee = state.frames[i + 1];
                slot = callee.callback != 0 ? callee.return_to : callee.return_to - 1;
            }
            const u32 block = walker_.flow().block_of[slot];
            const bool known = at < from.size();
            const u32 depth = known ? from[at] : 0;
            const u32* old = known ? &from[at + 1] : nullptr;
            out.push_back(order_.depth(block));
            add_loops(out, block, old, depth, top && walker_.flow().blocks[block].begin == pc);
            out.push_back(order_.position(block));
            out.push_back(slot);
            at += 2 * std::size_t{depth} + 3;
        }
        return out;
    }

    /// The lowest frame stands for all callers.
    static bool summarised(const State& state) {
        return state.frames.size() > 1 && state.frames[1].return_to == kReturned;
    }

    void add_loops(Place& out, u32 block, const u32* old, u32 old_depth, bool arrives) const {
        const u32 depth = order_.depth(block);
        const std::size_t first = out.size();
        out.resize(first + 2 * std::size_t{depth});
        u32 loop = order_.loop_of(block);
        for (u32 d = depth; d-- > 0; loop = order_.loop(loop).around)
            out[first + 2 * std::size_t{d}] = order_.position(order_.loop(loop).head);
        bool same = true;
        for (u32 d = 0; d < depth; ++d) {
            const std::size_t i = 2 * std::size_t{d};
            same = same && d < old_depth && old[i] == out[first + i];
            out[first + i + 1] = same ? old[i + 1] : 0;
            const bool head =
                arrives && d + 1 == depth && same && out[first + i] == order_.position(block);
            if (head)
                ++out[first + i + 1];
        }
    }

    /// What the queue is ordered by: the same, without the depths.
    static Place sorted(const Place& place) {
        Place out;
        for (std::size_t at = 0; at < place.size();) {
            const std::size_t size = 2 * std::size_t{place[at]} + 2;
            out.insert(out.end(), place.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                       place.begin() + static_cast<std::ptrdiff_t>(at + 1 + size));
            at += size + 1;
        }
        return out;
    }

    /// The states that wait at a place, and behind a contract all that ever were there.
    struct Group {
        Point point;
        Place place;
        PoolVector<u32> waiting;
    };

    /// The round of the innermost loop does not tell states behind a contract apart.
    static Place without_round(Place place) {
        std::size_t top = 0;
        for (std::size_t at = 0; at < place.size(); at += 2 * std::size_t{place[at]} + 3)
            top = at;
        if (place[top] != 0)
            place[place.size() - 3] = 0;
        return sorted(place);
    }

    /// All rounds of all loops are one.
    static Place without_rounds(Place place) {
        for (std::size_t at = 0; at < place.size(); at += 2 * std::size_t{place[at]} + 3)
            for (u32 d = 0; d < place[at]; ++d)
                place[at + 2 + 2 * std::size_t{d}] = 0;
        return sorted(place);
    }

    /// Takes the place that comes first and has new states. What arrives there meanwhile is joined
    /// by shape: so each round of a loop has one state for each shape, and a way out waits until
    /// the loop has no more rounds.
    bool joined(const State& start) {
        queue_.clear();
        contracts_.clear();
        lineage_.clear();
        failing_ = Lineage::kNone;
        (void)arrive({freeze(start), root_}, {}, {});
        while (!queue_.empty()) {
            const Group group = std::move(queue_.begin()->second);
            queue_.erase(queue_.begin());
            for (const u32 index : group.waiting) {
                if (repeats(group.point, index))
                    return refuse(group.point.pc, "V501",
                                  "the loop comes back to the same state: it may not end");
                kept_[group.point][index].done = true;
            }
            for (const u32 index : group.waiting) {
                Kept& kept = kept_[group.point][index];
                if (summaries_ && group.point.pc != kReturned)
                    kept.summary = summariser_.choose(
                        *kept.state, group.point.pc, [this](Summary& made) { return prove(made); });
                arrived_.clear();
                const u32 id = kept.id;
                if (!checker_->walk(id, kept.state, group.point.pc, arrived_,
                                    report_.statistics.visited, kept.summary)) {
                    failing_ = kept.node;
                    return fail();
                }
                if (over_budget(group.point.pc))
                    return false;
                Lineage::Way way{.from = kept_[group.point][index].node};
                for (; way.arrival < arrived_.size(); ++way.arrival)
                    checker_->claim(id, way.arrival,
                                    arrive(std::move(arrived_[way.arrival]), group.place, way));
            }
        }
        return true;
    }

    /// The proof of a function, while another waits.
    bool prove(Summary& summary) {
        if (depth_ == isa::kMaxCallFrames)
            return false;
        ++depth_;
        tried_summaries_ = true;
        Checker checker(walker_);
        auto* const outer = std::exchange(checker_, &checker);
        auto queue = std::exchange(queue_, {});
        auto contracts = std::exchange(contracts_, {});
        auto kept = std::exchange(kept_, {});
        auto lineage = std::exchange(lineage_, {});
        auto sides = std::exchange(sides_of_, {});
        const auto splits = std::exchange(splits_, {});
        const u32 root = std::exchange(root_, summary.function());
        const auto outcome = report_.outcome;
        const bool rejected = rejected_;
        const bool diverges = diverges_;
        const auto findings = std::exchange(report_.findings, {});
        // In vain, it costs as much again as what was done.
        const std::uint64_t visited = report_.statistics.visited;
        const std::uint64_t limit =
            std::exchange(limit_, std::min(limit_, visited + (visited - begun_) + kLeastBudget));
        Termination ends;
        const bool proved =
            joined(summary.input()) && checker.confirm(summary, report_.statistics.checked, ends);
        summary.proof = std::move(kept_);
        if (proved)
            ends_[summary.key()] = std::move(ends);
        count(summary.proof);
        limit_ = limit;
        report_.findings = findings;
        diverges_ = diverges;
        rejected_ = rejected;
        report_.outcome = outcome;
        root_ = root;
        kept_ = std::move(kept);
        lineage_ = std::move(lineage);
        failing_ = Lineage::kNone;
        sides_of_ = std::move(sides);
        splits_ = splits;
        contracts_ = std::move(contracts);
        queue_ = std::move(queue);
        checker_ = outer;
        --depth_;
        return proved;
    }

    /// Keeps or joins a state; the checker's number of the one that holds it.
    u32 arrive(Arrived arrival, const Place& from, Lineage::Way way) {
        u64 form = shape(*arrival.state);
        const Point point = point_of(*arrival.state, arrival.pc);
        Place here = place(*arrival.state, arrival.pc, from);
        Place key = sorted(here);
        PoolVector<Kept>& states = kept_[point];
        const bool bounded = arrival.by_contract ||
                             (arrival.pc != kReturned && walker_.stepper().calls_back(arrival.pc));
        const bool widens = arrival.by_contract || (widen_loops_ && is_head(arrival.pc));
        Sides sides;
        if (!splits_.empty())
            form = tell_apart(form, point, way, sides);
        const domain::Widening* bounds = &widening_;
        if (widens && (at_heads_ || !stops_.empty())) {
            const Class of{without_rounds(here), form};
            if (at_heads_)
                note_arrival(of, arrival.state);
            if (const auto known = stops_.find(of); known != stops_.end())
                bounds = &known->second;
        }
        PoolVector<u32>* all = nullptr;
        if (widen_loops_)
            if (const auto found = covering_of(states, form, *arrival.state))
                return states[*found].id;
        if (widen_loops_ && (bounded || widens))
            all = &contracts_[without_rounds(here)];
        if (bounded && !widen_loops_) {
            all = &contracts_[walker_.stepper().calls_back(arrival.pc) ? key : without_round(here)];
            if (arrival.by_contract)
                if (const auto found = covering_of(*all, states, form, *arrival.state))
                    return states[*found].id;
        }
        // Other rounds come first.
        if (bounded)
            key.push_back(arrival.by_contract ? kLast : 0);
        Group& group = queue_[key];
        group.point = point;
        group.place = std::move(here);
        for (const u32 index : group.waiting)
            if (states[index].shape == form) {
                if (!within(*arrival.state, *states[index].state, walker_.symbols()))
                    states[index].state =
                        freeze(join(*states[index].state, *arrival.state, walker_.symbols()));
                way.to = states[index].node;
                lineage_.lead(way);
                return states[index].id;
            }
        if (!splits_.empty())
            if (const auto found = other_way(group.waiting, states, *arrival.state)) {
                way.to = states[*found].node;
                lineage_.lead(way);
                return states[*found].id;
            }
        u32 before = Lineage::kNone;
        if (widens && !exact_)
            before = widen_by(*all, states, form, arrival.state, *bounds);
        diverges_ |= widen_loops_ && states.size() >= kMostAtOnePoint;
        const auto index = static_cast<u32>(states.size());
        ++states_;
        way.to = lineage_.add({.point = point, .index = index, .before = before});
        lineage_.lead(way);
        if (!splits_.empty())
            sides_of_[way.to] = std::move(sides);
        states.push_back({.state = std::move(arrival.state),
                          .shape = form,
                          .id = checker_->reserve(),
                          .node = way.to});
        group.waiting.push_back(index);
        if (all != nullptr)
            all->push_back(index);
        return states[index].id;
    }

    static constexpr u32 kLast = 0xffffffff;

    /// Paths of a loop meet there again.
    [[nodiscard]] bool is_head(u32 pc) const {
        if (pc == kReturned)
            return false;
        const u32 block = walker_.flow().block_of[pc];
        const u32 loop = order_.loop_of(block);
        return loop != Order::kNone && order_.loop(loop).head == block &&
               walker_.flow().blocks[block].begin == pc;
    }

    std::optional<u32> covering_of(const PoolVector<Kept>& states, u64 form, const State& state) {
        for (std::size_t i = states.size(); i-- > 0;)
            if (states[i].shape == form && within(state, *states[i].state, walker_.symbols()))
                return static_cast<u32>(i);
        return std::nullopt;
    }

    std::optional<u32> covering_of(const PoolVector<u32>& all, const PoolVector<Kept>& states,
                                   u64 form, const State& state) {
        for (const u32 index : all)
            if (states[index].shape == form &&
                within(state, *states[index].state, walker_.symbols()))
                return index;
        return std::nullopt;
    }

    /// Which way a state came at each point where ways are told apart: the last time.
    using Sides = std::vector<u32>;
    struct Split {
        Point point;
        /// Where a way begins: the point, the shape there, and which of the ways from there.
        std::map<std::tuple<Point, u64, u32>, u32> sides{};
    };

    /// The shape with the sides of an arrival, which it inherits and changes here.
    u64 tell_apart(u64 form, const Point& point, const Lineage::Way& way, Sides& sides) {
        if (way.from != Lineage::kNone)
            sides = sides_of_[way.from];
        sides.resize(splits_.size());
        for (std::size_t i = 0; i < splits_.size(); ++i) {
            if (splits_[i].point != point || way.from == Lineage::kNone)
                continue;
            const Lineage::Node& from = lineage_[way.from];
            const u64 shape_there = shape(*kept_[from.point][from.index].state);
            auto& known = splits_[i].sides;
            const auto next = static_cast<u32>(known.size()) + 1;
            sides[i] = std::min(
                known.try_emplace({from.point, shape_there, way.arrival}, next).first->second,
                sides_);
        }
        for (const u32 side : sides)
            form = (form ^ side) * 0x9e3779b97f4a7c15 + 1;
        return form;
    }

    /// A state that waits, came on another way, and holds this one; or is joined with it, where
    /// there are too many.
    std::optional<u32> other_way(const PoolVector<u32>& waiting, PoolVector<Kept>& states,
                                 const State& state) {
        for (const u32 index : waiting)
            if (within(state, *states[index].state, walker_.symbols()))
                return index;
        if (waiting.size() < sides_)
            return std::nullopt;
        const u64 form = shape(state);
        for (const u32 index : waiting)
            if (shape(*states[index].state) == form) {
                states[index].state = freeze(join(*states[index].state, state, walker_.symbols()));
                return index;
            }
        return std::nullopt;
    }

    /// Of states at the head of a loop: the place without rounds, and the shape.
    using Class = std::pair<Place, u64>;

    /// Notes what arrives at the head of a loop.
    void note_arrival(const Class& of, const StateRef& state) {
        const auto [known, first] = at_heads_->try_emplace(of, state);
        if (!first && !within(*state, *known->second, walker_.symbols()))
            known->second = freeze(join(*known->second, *state, walker_.symbols()));
    }

    /// Lets bounds stop at those of a state, too.
    void stop_at(domain::Widening& widening, const State& state) const {
        const auto add = [&](const Fact& fact) {
            widening.thresholds.push_back(fact.smin());
            widening.thresholds.push_back(fact.smax());
        };
        for (const auto& [sym, fact] : state.facts)
            add(fact);
        for (const Frame& frame : state.frames) {
            for (const Val& val : frame.regs)
                add(state.of(val));
            frame.stack.each([&](std::size_t, const Val& val, unsigned) { add(state.of(val)); });
        }
        std::ranges::sort(widening.thresholds);
        const auto same = std::ranges::unique(widening.thresholds);
        widening.thresholds.erase(same.begin(), same.end());
    }

    /// Makes a state hold the last one of its shape as well, and more if there were many. The node
    /// of that one, if it was widened.
    u32 widen_by(const PoolVector<u32>& all, const PoolVector<Kept>& states, u64 form,
                 StateRef& state, const domain::Widening& bounds) {
        std::size_t count = 0;
        const State* last = nullptr;
        u32 node = Lineage::kNone;
        for (const u32 index : all)
            if (states[index].shape == form) {
                last = states[index].state.get();
                node = states[index].node;
                ++count;
            }
        if (last == nullptr)
            return Lineage::kNone;
        const domain::Widening* widening = count > kWidenings ? &give_up_
                                           : count > kJoins   ? &bounds
                                                              : nullptr;
        state = freeze(join(*last, *state, walker_.symbols(), widening));
        return node;
    }

    /// At the head of a loop: the state was there before, no more and no less.
    bool repeats(const Point& point, u32 index) {
        if (point.pc == kReturned)
            return false;
        const u32 block = walker_.flow().block_of[point.pc];
        const u32 loop = order_.loop_of(block);
        if (loop == Order::kNone || order_.loop(loop).head != block ||
            order_.loop(loop).by_contract || walker_.flow().blocks[block].begin != point.pc)
            return false;
        if (widen_loops_)
            return false; // It would have been covered.
        const PoolVector<Kept>& states = kept_[point];
        const Kept& now = states[index];
        const std::size_t end = index > 4 ? index - 4 : 0;
        for (std::size_t i = index; i-- > end;)
            if (states[i].done && states[i].shape == now.shape &&
                within(*now.state, *states[i].state, walker_.symbols()) &&
                within(*states[i].state, *now.state, walker_.symbols()))
                return true;
        return false;
    }

    // --- single paths, cut where a state lies in one that is done ---

    struct Work {
        Arrived arrival;
        u32 from = kNoState; ///< the checker's number of the state that it comes from
        u32 slot = 0;        ///< which of its ways
        PoolVector<Kept>* close = nullptr;
        u32 index = 0; ///< of the state to close
        u32 way = 0;   ///< where findings are recorded: the way to the state it comes from
    };

    /// How a state that was kept is reached: from another way, by these decisions.
    struct Way {
        u32 from = 0;
        std::vector<Decision> decisions;
    };

    [[nodiscard]] std::vector<Decision> whole_way(u32 way, std::vector<Decision> last) const {
        std::vector<const Way*> parts;
        std::size_t size = last.size();
        for (; way != 0; way = ways_[way].from) {
            parts.push_back(&ways_[way]);
            size += ways_[way].decisions.size();
        }
        std::vector<Decision> all;
        all.reserve(size);
        for (auto part = parts.rbegin(); part != parts.rend(); ++part)
            all.insert(all.end(), (*part)->decisions.begin(), (*part)->decisions.end());
        all.insert(all.end(), last.begin(), last.end());
        return all;
    }

    bool by_paths(const State& start) {
        std::vector<Work> work;
        work.push_back({.arrival = {freeze(start), root_}});
        while (!work.empty()) {
            Work now = std::move(work.back());
            work.pop_back();
            if (now.close != nullptr) {
                (*now.close)[now.index].done = true;
                continue;
            }
            const u32 pc = now.arrival.pc;
            // The elements of a std::map stay where they are.
            PoolVector<Kept>& states = kept_[point_of(*now.arrival.state, pc)];
            const u64 form = shape(*now.arrival.state);
            const auto target = [&](std::size_t index) {
                if (now.from != kNoState)
                    checker_->claim(now.from, now.slot, states[index].id);
            };
            const auto found = covering(states, form, now.arrival, pc);
            if (!found && recorder_ != nullptr) {
                recorder_->found.push_back(
                    {report_.findings.back(), false, whole_way(now.way, now.arrival.trail)});
                continue;
            }
            if (!found)
                return false;
            if (*found != kNone) {
                target(*found);
                continue;
            }
            if (now.arrival.by_contract && !exact_)
                widen_open(states, form, now.arrival.state);
            ++states_;
            const auto index = static_cast<u32>(states.size());
            const u32 id = checker_->reserve();
            states.push_back({.state = now.arrival.state, .shape = form, .id = id});
            target(index);
            work.push_back({.close = &states, .index = index});
            u32 way = 0;
            std::size_t known = 0;
            if (recorder_ != nullptr) {
                way = static_cast<u32>(ways_.size());
                ways_.push_back({now.way, std::exchange(now.arrival.trail, {})});
                known = recorder_->found.size();
            }
            arrived_.clear();
            if (!checker_->walk(id, std::move(now.arrival.state), pc, arrived_,
                                report_.statistics.visited))
                return fail();
            if (recorder_ != nullptr) {
                for (; known < recorder_->found.size(); ++known)
                    recorder_->found[known].trail =
                        whole_way(way, std::move(recorder_->found[known].trail));
                if (recorder_->found.size() > kMaxRecorded)
                    return false;
            }
            if (over_budget(pc))
                return false;
            for (std::size_t i = arrived_.size(); i-- > 0;)
                work.push_back({.arrival = std::move(arrived_[i]),
                                .from = id,
                                .slot = static_cast<u32>(i),
                                .way = way});
        }
        return true;
    }

    static constexpr std::size_t kNone = SIZE_MAX;
    static constexpr u32 kNoState = 0xffffffff;

    /// The index of a state that is done and holds this one, or kNone; nothing after a finding.
    std::optional<std::size_t> covering(const PoolVector<Kept>& states, u64 form,
                                        const Arrived& arrival, u32 pc) {
        const std::size_t end = states.size() > kLookBack ? states.size() - kLookBack : 0;
        for (std::size_t i = states.size(); i-- > end;) {
            if (states[i].shape != form ||
                !within(*arrival.state, *states[i].state, walker_.symbols()))
                continue;
            if (states[i].done || arrival.by_contract)
                return i;
            if (!bounded_here(pc) && within(*states[i].state, *arrival.state, walker_.symbols())) {
                (void)refuse(pc, "V501", "the loop comes back to the same state: it may not end");
                return std::nullopt;
            }
        }
        return kNone;
    }

    /// A contract bounds a loop around this place, or the rounds of a callback.
    [[nodiscard]] bool bounded_here(u32 pc) const {
        const u32 loop = order_.loop_of(walker_.flow().block_of[pc]);
        return (loop != Order::kNone && order_.loop(loop).by_contract) ||
               walker_.stepper().calls_back(pc);
    }

    /// Widens by the states of the same shape that the path went through.
    void widen_open(const PoolVector<Kept>& states, u64 form, StateRef& state) {
        PoolVector<u32> open;
        for (u32 i = 0; i < states.size(); ++i)
            if (!states[i].done)
                open.push_back(i);
        (void)widen_by(open, states, form, state, widening_);
    }

    const Program& program_;
    const Options options_;
    Walker walker_;
    Checker first_checker_{walker_};
    Checker* checker_ = &first_checker_; ///< of what is being proved
    Order order_;
    Report report_;
    domain::Widening widening_;
    domain::Widening give_up_;
    Summariser summariser_;
    bool summaries_ = false; ///< calls may go by them
    bool no_summaries_ = false;
    bool tried_summaries_ = false;
    bool all_proved_ = false; ///< but for the stack
    u32 depth_ = 0;           ///< proofs of functions that wait for one another
    std::uint64_t begun_ = 0; ///< visits before the attempt
    u32 root_ = 0;
    bool rejected_ = false; ///< something was found that is wrong, not only unknown
    Recorder* recorder_ = nullptr;
    std::vector<Way> ways_;
    bool diverges_ = false;
    bool widen_loops_ = false; ///< rounds of plain loops are not told apart
    bool exact_ = false;       ///< rounds that contracts bound are told apart, too
    std::uint64_t limit_ = 0;
    std::uint64_t states_ = 0;
    PoolMap<Place, Group> queue_;
    PoolMap<Place, PoolVector<u32>> contracts_;
    Lineage lineage_;                         ///< of the last joined attempt
    u32 failing_ = Lineage::kNone;            ///< the node whose walk ended in a finding
    std::vector<Split> splits_;               ///< merges that are undone
    std::unordered_map<u32, Sides> sides_of_; ///< by node, where there are splits
    u32 sides_ = kSides;                      ///< that a split has at most
    std::map<Class, domain::Widening> stops_; ///< at heads of loops, where that is known better
    std::optional<std::map<Class, StateRef>>
        at_heads_; ///< what arrives there, if that is asked for
    Proof kept_;
    std::optional<FactCollector> facts_;   ///< if they were asked for, of what is proved so far
    std::optional<FactCollector> attempt_; ///< and of what is being proved
    std::vector<Arrived> arrived_;         ///< kept for its memory
    std::map<u32, u64> worst_cases_;
    std::map<u32, Termination> ends_; ///< by first slot of what was proved
    Proof main_;                      ///< of the program itself, if it is to be kept
    bool main_exact_ = false;
    bool main_summarised_ = false;
};

} // namespace

Report verify(const Program& program, std::span<const MapView> maps, const Options& options) {
    std::vector<isa::InsnFault> faults;
    if (const auto valid = isa::validate(program.insns, {.when_reached = &faults}); !valid) {
        Report report;
        const std::int64_t at = valid.error().place.instruction;
        report.findings.push_back(
            {"V100", at < 0 ? 0 : static_cast<u32>(at), valid.error().message});
        return report;
    }
    auto analysis = std::make_shared<Analysis>(program, maps, options, std::move(faults));
    Report report = analysis->run();
    if (options.keep_certificate && report.outcome == Outcome::Accepted)
        report.certificate = std::move(analysis);
    return report;
}

} // namespace skep::verifier
