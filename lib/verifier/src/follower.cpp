// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "follower.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <utility>

#include "summary.hpp"

namespace skep::verifier {
namespace {

constexpr std::size_t kMaxCandidates = 64;

/// What a function got in r1 to r5.
using Arguments = std::array<u64, 5>;

/// Whether the registers and the stack of a moment are a member of a state. The first use of a
/// symbol says what number it is; all others must agree.
class Membership {
public:
    /// `below`: frames of the moment that the state does not have. `explain`: if it is not a
    /// member, why() says what is outside.
    Membership(const State& state, const Symbols& symbols, const exec::Moment& moment,
               std::size_t below, bool explain)
        : state_(state), symbols_(symbols), moment_(moment), below_(below), explain_(explain) {}

    /// Registers 1 to 5 of the lowest frame were these.
    bool gave(const Arguments& arguments) {
        for (unsigned reg = 1; reg <= 5; ++reg)
            if (!value(state_.frames[0].regs[reg], arguments[reg - 1]))
                return because("argument {} was {:#x}: {}", reg, arguments[reg - 1], why_);
        return true;
    }

    bool holds() {
        const Frame& top = state_.frame();
        for (unsigned reg = 0; reg < isa::kRegisters; ++reg)
            if (!value(top.regs[reg], moment_.registers[reg]))
                return because("r{} is {:#x}: {}", reg, moment_.registers[reg], why_);
        for (std::size_t f = 0; f < state_.frames.size(); ++f)
            if (!stack(f))
                return false;
        for (const auto& [sym, number] : syms_) {
            if (!state_.fact(sym).contains(number))
                return because("symbol {} is {:#x}: outside its fact", sym, number);
            if (!defined(sym, number))
                return because("symbol {} is {:#x}: not what it is made of", sym, number);
        }
        for (const Difference& known : state_.differences) {
            const auto a = this->known(known.a, 0);
            const auto b = this->known(known.b, 0);
            if (a && b && static_cast<i64>(*a - *b) > known.c)
                return because("s{} - s{} is {}, at most {} was proved", known.a, known.b,
                               static_cast<i64>(*a - *b), known.c);
        }
        for (const PacketBound& bound : state_.bounds)
            if (!holds(bound))
                return because("the packet is shorter than symbol {} {:+}", bound.sym, bound.c);
        return true;
    }
    [[nodiscard]] const std::string& why() const { return why_; }

private:
    bool no(const char* why) {
        if (explain_)
            why_ = why;
        return false;
    }
    template <class... Args>
    bool because(fmt::format_string<const Args&...> text, const Args&... args) {
        if (explain_)
            why_ = fmt::format(text, args...);
        return false;
    }

    bool number(Sym sym, u64 value) {
        if (sym == 0)
            return value == 0 || no("another constant");
        const auto [at, fresh] = syms_.try_emplace(sym, value);
        return fresh || at->second == value || no("not equal to what it is equal to");
    }

    bool value(const Val& val, u64 bits) {
        switch (val.kind) {
        case Kind::Uninit:
            return true;
        case Kind::Scalar:
            return number(val.sym, bits - static_cast<u64>(val.off));
        case Kind::Pointer:
            break;
        }
        if (val.instance != 0 && nulls_.contains(val.instance) &&
            nulls_[val.instance] != (bits == 0 && val.nullable))
            return no("one of several equal pointers is null");
        if (bits == 0 && val.nullable) {
            nulls_[val.instance] = true;
            return true;
        }
        if (val.instance != 0)
            nulls_[val.instance] = false;
        const std::optional<u64> start = base(val, bits);
        return !start || number(val.sym, bits - *start - static_cast<u64>(val.off));
    }

    /// Where a pointer's region begins; nothing if nobody can say.
    std::optional<u64> base(const Val& val, u64 bits) {
        const auto address = [](const void* at) { return reinterpret_cast<u64>(at); };
        const exec::Packet& packet = moment_.context->packet();
        switch (val.region) {
        case Region::Context:
            return moment_.context_address;
        case Region::Stack:
            return val.aux + below_ < moment_.frames.size()
                       ? address(moment_.frames[val.aux + below_]) + isa::kMaxStackDepth
                       : 0;
        case Region::Packet:
            return address(packet.data);
        case Region::Meta:
            return address(packet.meta);
        case Region::PacketEnd:
            return address(packet.end);
        case Region::MapValue:
        case Region::Memory: {
            // The first pointer shows where it begins, if its offset is known.
            const u64 key = val.instance != 0 ? u64{val.instance} << 32 : u64{val.aux};
            if (val.sym != 0 || (val.instance == 0 && val.region == Region::Memory))
                return std::nullopt;
            return bases_.try_emplace(key, bits - static_cast<u64>(val.off)).first->second;
        }
        default:
            return std::nullopt;
        }
    }

    bool stack(std::size_t f) {
        const Frame& frame = state_.frames[f];
        const std::byte* bytes = moment_.frames[f + below_];
        bool inside = true;
        frame.stack.each([&](std::size_t i, const Val& val, unsigned size) {
            if (!inside || (val.kind == Kind::Pointer && val.region == Region::Iterator))
                return;
            u64 bits = 0;
            std::memcpy(&bits, bytes + isa::kMaxStackDepth - 4 * (i + 1), size);
            inside = value(val, bits) || because("{} bytes at fp-{} of frame {} are {:#x}: {}",
                                                 size, 4 * (i + 1), f, bits, why_);
        });
        return inside;
    }

    std::optional<u64> known(Sym sym, i64 off) const {
        if (sym == 0)
            return static_cast<u64>(off);
        const auto found = syms_.find(sym);
        if (found == syms_.end())
            return std::nullopt;
        return found->second + static_cast<u64>(off);
    }

    [[nodiscard]] bool defined(Sym sym, u64 number) const {
        const Node& node = symbols_[sym];
        const auto a = node.op == Op::Source ? std::nullopt : known(node.a, node.a_off);
        if (!a)
            return true;
        State plain;
        plain.set_fact(1, Fact::constant(*a));
        Node concrete = node;
        concrete.a = 1;
        concrete.a_off = 0;
        if (node.op == Op::Add || node.op == Op::Subtract) {
            const auto b = known(node.b, node.b_off);
            if (!b)
                return true;
            plain.set_fact(2, Fact::constant(*b));
            concrete.b = 2;
            concrete.b_off = 0;
        }
        return evaluate(plain, concrete).contains(number);
    }

    [[nodiscard]] bool holds(const PacketBound& bound) const {
        const exec::Packet& packet = moment_.context->packet();
        const auto size =
            bound.region == Region::Meta ? packet.data - packet.meta : packet.end - packet.data;
        const auto needed = known(bound.sym, bound.c);
        return !needed || static_cast<i64>(*needed) <= size;
    }

    const State& state_;
    const Symbols& symbols_;
    const exec::Moment& moment_;
    std::size_t below_;
    bool explain_;
    std::map<Sym, u64> syms_;
    std::map<u32, bool> nulls_;
    std::map<u64, u64> bases_;
    std::string why_;
};

/// A call by summary that has not returned.
struct Call;
using CallRef = std::shared_ptr<const Call>;

/// A state of the proof, or one step behind one, that the moment is a member of.
struct Candidate {
    State state;
    const Summary* summary = nullptr; ///< of a call: what it goes by
    CallRef inside;                   ///< in whose proof the state is; nullptr: in the program's
};

struct Call {
    Candidate before;
    u32 pc = 0;
    const Summary* summary = nullptr;
    std::size_t below = 0; ///< frames that the states of its proof do not have
    Arguments arguments{};
};

std::size_t below(const CallRef& call) {
    return call == nullptr ? 0 : call->below;
}

class ProofFollower final : public Follower {
public:
    ProofFollower(Walker& walker, const Proof& proof) : walker_(walker), proof_(proof) {}

    void before(const exec::Moment& moment) noexcept override {
        if (ended_ || !violation_.empty())
            return;
        if (moment.program != &walker_.program()) {
            ended_ = true; // A tail call.
            return;
        }
        if (above_ != 0 && moment.frames.size() > above_)
            return;
        above_ = 0;
        if (!now_.empty() && calls_by_contract() && moment.frames.size() > depth_) {
            above_ = depth_; // It has a proof of its own.
            return;
        }
        std::vector<Candidate> found = candidates(moment);
        ++compared_;
        if (found.empty()) {
            why_ = "no state of the proof leads here";
            explain_ = true;
            (void)candidates(moment);
            violation_ = fmt::format("instruction {}: {}", moment.insn, why_);
        }
        now_ = std::move(found);
        pc_ = moment.insn;
        depth_ = moment.frames.size();
    }

private:
    [[nodiscard]] bool calls_by_contract() const {
        const isa::Insn& insn = walker_.program().insns[pc_];
        return insn.opcode == isa::kCall && insn.src == isa::kCallLocal &&
               walker_.stepper().contract_of(static_cast<u32>(isa::target_of(insn, pc_))) !=
                   nullptr;
    }

    /// What the proof has for this moment, that it is a member of.
    std::vector<Candidate> candidates(const exec::Moment& moment) {
        std::vector<Candidate> found;
        seen_.clear();
        if (now_.empty())
            add_kept(found, {.pc = 0}, nullptr, moment);
        for (const Candidate& now : now_)
            if (now.summary != nullptr && moment.frames.size() > depth_)
                enter(now, moment, found);
            else
                step(now, pc_, moment, found);
        return found;
    }

    bool holds(const State& state, const CallRef& inside, const exec::Moment& moment) {
        if (state.frames.size() + below(inside) != moment.frames.size())
            return false;
        Membership membership(state, walker_.symbols(), moment, below(inside), explain_);
        if (membership.holds() && (inside == nullptr || membership.gave(inside->arguments)))
            return true;
        why_ = membership.why();
        return false;
    }

    /// Those of a point that the moment is a member of.
    void add_kept(std::vector<Candidate>& found, const Point& point, const CallRef& inside,
                  const exec::Moment& moment) {
        for (const Kept& kept : kept_at(point, inside))
            if (found.size() < kMaxCandidates && holds(*kept.state, inside, moment))
                found.push_back({*kept.state, kept.summary, inside});
    }

    [[nodiscard]] const PoolVector<Kept>& kept_at(const Point& point, const CallRef& inside) const {
        static const PoolVector<Kept> none;
        const Proof& proof = inside == nullptr ? proof_ : inside->summary->proof;
        const auto found = proof.find(point);
        return found == proof.end() ? none : found->second;
    }

    /// Into the proof of what is called.
    void enter(const Candidate& before, const exec::Moment& moment, std::vector<Candidate>& found) {
        const Summary& summary = *before.summary;
        Call call{.before = before,
                  .pc = pc_,
                  .summary = &summary,
                  .below = moment.frames.size() - summary.input().frames.size()};
        for (unsigned reg = 1; reg <= 5; ++reg)
            call.arguments[reg - 1] = moment.registers[reg];
        if (moment.insn == summary.function())
            add_kept(found, point_of(summary.input(), summary.function()),
                     std::make_shared<const Call>(std::move(call)), moment);
    }

    /// Adds what the proof has for one more instruction from a state, at the moment's place.
    void step(const Candidate& from, u32 pc, const exec::Moment& moment,
              std::vector<Candidate>& found) {
        Arrival now{.state = from.state, .pc = pc, .summary = from.summary};
        std::vector<Arrival> next;
        bool goes_on = false;
        if (!walker_.one(now, pc, next, goes_on))
            return;
        if (goes_on) {
            const u32 after = pc + (walker_.program().insns[pc].opcode == isa::kLddw ? 2 : 1);
            const ControlFlow& flow = walker_.flow();
            if (flow.blocks[flow.block_of[after]].begin != after && !walker_.stops(after)) {
                if (after == moment.insn && holds(now.state, from.inside, moment))
                    found.push_back({std::move(now.state), nullptr, from.inside});
                return;
            }
            next.push_back({std::move(now.state), after});
        }
        for (Arrival& arrival : next) {
            if (arrival.state.frames.empty())
                continue;
            if (arrival.pc == kReturned) {
                if (fresh(arrival.pc, from.inside))
                    step(from.inside->before, from.inside->pc, moment, found);
                continue;
            }
            const bool round_ends = arrival.by_contract && walker_.stepper().calls_back(arrival.pc);
            if (arrival.pc != moment.insn && !round_ends)
                continue;
            if (!arrival.by_contract && !walker_.is_meeting(arrival.pc)) {
                if (holds(arrival.state, from.inside, moment))
                    found.push_back({std::move(arrival.state), nullptr, from.inside});
                continue;
            }
            const Point point = point_of(arrival.state, arrival.pc);
            if (!fresh(point, from.inside))
                continue;
            if (!round_ends) {
                add_kept(found, point, from.inside, moment);
                continue;
            }
            // The call of a callback is not seen again between its rounds.
            for (const Kept& kept : kept_at(point, from.inside))
                step({*kept.state, kept.summary, from.inside}, arrival.pc, moment, found);
        }
    }

    /// Nobody was there at this moment.
    bool fresh(const Point& point, const CallRef& inside) {
        const std::pair where(point, inside.get());
        if (std::ranges::find(seen_, where) != seen_.end())
            return false;
        seen_.push_back(where);
        return true;
    }
    bool fresh(u32 pc, const CallRef& inside) { return fresh(Point{.pc = pc}, inside); }

    Walker& walker_;
    const Proof& proof_;
    std::vector<Candidate> now_; ///< those that the last moment was a member of
    std::vector<std::pair<Point, const Call*>> seen_;
    std::string why_;
    bool explain_ = false;
    u32 pc_ = 0;
    std::size_t depth_ = 0; ///< frames of the last moment
    std::size_t above_ = 0; ///< frames below a function that is called by contract
    bool ended_ = false;
};

} // namespace

std::unique_ptr<Follower> make_follower(Walker& walker, const Proof& proof) {
    return std::make_unique<ProofFollower>(walker, proof);
}

} // namespace skep::verifier
