// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "explain.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <optional>

#include "skep/isa/decode.hpp"

namespace skep::verifier {
namespace {

/// Longer ways are not followed: their history would not help.
constexpr std::size_t kMaxSteps = 50'000;
constexpr std::size_t kMaxNotes = 6;

/// Something that holds a value: a register, or eight bytes of a function's stack.
struct Location {
    std::size_t frame = 0;
    bool stack = false;
    unsigned reg = 0;
    i64 offset = 0;
};

struct Step {
    u32 pc = 0;
    std::size_t frame = 0;
    unsigned pointers = 0; ///< a bit for each register that holds one
};

unsigned pointers_in(const State& state) {
    unsigned mask = 0;
    for (unsigned reg = 0; reg < isa::kRegisters; ++reg)
        if (state.frame().regs[reg].kind == Kind::Pointer)
            mask |= 1U << reg;
    return mask;
}

/// Follows one path, instruction by instruction.
class Replay {
public:
    Replay(Walker& walker, const State& start, u32 root, const Finding& finding)
        : walker_(walker), finding_(finding), now_{start, root} {
        walker_.record(&recorder_);
    }
    Replay(const Replay&) = delete;
    Replay& operator=(const Replay&) = delete;
    ~Replay() { walker_.record(nullptr); }

    [[nodiscard]] u32 pc() const { return now_.pc; }
    [[nodiscard]] const State& state() const { return now_.state; }
    [[nodiscard]] bool arrived() const {
        return now_.pc == finding_.insn && now_.trail.size() == finding_.path.size();
    }
    /// One instruction on; false if the path cannot be followed.
    bool step() {
        std::vector<Arrival> next;
        bool goes_on = false;
        const u32 pc = now_.pc;
        if (!walker_.one_or_recover(now_, pc, next, goes_on))
            return false;
        if (goes_on) {
            now_.pc = pc + (walker_.program().insns[pc].opcode == isa::kLddw ? 2 : 1);
            return true;
        }
        for (Arrival& arrival : next)
            if (on_path(arrival)) {
                now_ = std::move(arrival);
                return true;
            }
        return false;
    }

private:
    [[nodiscard]] bool on_path(const Arrival& arrival) const {
        const auto& trail = arrival.trail;
        if (trail.size() > finding_.path.size())
            return false;
        if (trail.empty())
            return true;
        const Decision& is = trail.back();
        const Decision& should = finding_.path[trail.size() - 1];
        return is.insn == should.insn && is.taken == should.taken;
    }

    Walker& walker_;
    const Finding& finding_;
    Recorder recorder_;
    Arrival now_;
};

/// Where the value that a finding is about was, at each step; from the last step backwards.
class Origins {
public:
    Origins(const Program& program, const std::vector<Step>& steps) : p_(program), steps_(steps) {}

    /// From a step back to where the value was made. `at`: where it is before that step.
    void follow(std::size_t end, Location at) {
        end_ = end;
        after_.resize(end, at);
        for (std::size_t i = end; i-- > 0;) {
            after_[i] = at;
            const Step& step = steps_[i];
            const isa::Insn& insn = p_.insns[step.pc];
            const std::size_t next = steps_[i + 1].frame;
            bool made = false;
            if (step.frame != next)
                made = next == at.frame && !crosses(step, next, at);
            else if (step.frame == at.frame)
                made = at.stack ? stored(insn, at) : written(i, insn, at);
            if (made) {
                origin_ = i;
                return;
            }
        }
    }
    /// Where it is after a step.
    [[nodiscard]] Location at(std::size_t step) const { return after_[step]; }
    [[nodiscard]] std::size_t origin() const { return origin_; }
    [[nodiscard]] std::size_t end() const { return end_; }
    [[nodiscard]] const std::vector<std::size_t>& moves() const { return moves_; }
    /// The last addition of a register that was not a constant's.
    [[nodiscard]] std::optional<std::size_t> mover() const {
        for (const std::size_t step : moves_)
            if ((p_.insns[steps_[step].pc].opcode & isa::kSrcMask) == isa::kX)
                return step;
        return std::nullopt;
    }
    /// The register whose number was added there.
    [[nodiscard]] unsigned moved_by(std::size_t step) const {
        const isa::Insn& insn = p_.insns[steps_[step].pc];
        return (steps_[step].pointers >> insn.src & 1) != 0 ? insn.dst : insn.src;
    }

private:
    /// Into or out of a function: arguments and results keep their registers, and the stack its
    /// contents.
    static bool crosses(const Step& step, std::size_t next, Location& at) {
        if (step.frame > next) { // Back from a function.
            if (at.stack || at.reg >= 6)
                return true;
            if (at.reg != 0)
                return false;
        } else if (at.stack || at.reg == 0 || at.reg >= 6) {
            return false;
        }
        at.frame = step.frame;
        return true;
    }
    /// True if the value was made here.
    bool written(std::size_t i, const isa::Insn& insn, Location& at) {
        const unsigned cls = insn.opcode & isa::kClassMask;
        const bool reg_operand = (insn.opcode & isa::kSrcMask) == isa::kX;
        if (insn.opcode == isa::kCall)
            return at.reg <= 5;
        if (cls == isa::kLdx && insn.dst == at.reg) {
            if (insn.src != isa::kFramePointer)
                return true;
            at = {.frame = at.frame, .stack = true, .offset = insn.off};
            return false;
        }
        if (cls == isa::kLd)
            return insn.dst == at.reg || (insn.opcode != isa::kLddw && at.reg == 0);
        if ((cls != isa::kAlu && cls != isa::kAlu64) || insn.dst != at.reg)
            return false;
        if ((insn.opcode & 0xf0U) == 0xb0 && reg_operand) {
            at.reg = insn.src;
            return false;
        }
        if ((insn.opcode & 0xf0U) == 0xb0)
            return true;
        moves_.push_back(i);
        const unsigned pointers = steps_[i].pointers;
        if (reg_operand && (pointers >> insn.dst & 1) == 0 && (pointers >> insn.src & 1) != 0)
            at.reg = insn.src; // number += pointer
        return false;
    }
    static bool stored(const isa::Insn& insn, Location& at) {
        const unsigned cls = insn.opcode & isa::kClassMask;
        if ((cls != isa::kStx && cls != isa::kSt) || insn.dst != isa::kFramePointer ||
            insn.off != at.offset)
            return false;
        if (cls == isa::kSt)
            return true;
        at = {.frame = at.frame, .reg = insn.src};
        return false;
    }

    const Program& p_;
    const std::vector<Step>& steps_;
    std::vector<Location> after_;
    std::vector<std::size_t> moves_;
    std::size_t origin_ = 0;
    std::size_t end_ = 0;
};

const Val* value_at(const State& state, const Location& at) {
    if (at.frame >= state.frames.size())
        return nullptr;
    const Frame& frame = state.frames[at.frame];
    if (!at.stack)
        return &frame.regs[at.reg];
    const auto index = static_cast<std::size_t>((-at.offset - 1) / 4);
    return index < frame.stack.size() && frame.stack.remembered(index) == 8
               ? &frame.stack.value(index)
               : nullptr;
}

bool is_packet(const Val& val) {
    return val.kind == Kind::Pointer &&
           (val.region == Region::Packet || val.region == Region::Meta);
}

/// What a test says about a value that it did not say before; "" if nothing.
std::string learned(const State& before, const State& after, const Val& val) {
    if (is_packet(val)) {
        const PacketBound* was = before.bound(val.region, val.sym);
        const PacketBound* is = after.bound(val.region, val.sym);
        if (is != nullptr && (was == nullptr || was->c < is->c))
            return fmt::format("is tested: {} bytes from there on exist", is->c - val.off);
    }
    if (val.sym == 0)
        return {};
    const Fact was = before.of(val);
    const Fact is = after.of(val);
    if (was == is)
        return {};
    return fmt::format("is tested: it is {}", describe(after, val));
}

/// As Linux names it (reg_type_str).
std::string kernel_type(const Val& val) {
    const auto maybe = [&](const char* name) {
        return std::string(name) + (val.nullable ? "_or_null" : "");
    };
    if (val.kind != Kind::Pointer)
        return "scalar";
    switch (val.region) {
    case Region::Context:
        return "ctx";
    case Region::Stack:
        return "fp";
    case Region::Packet:
        return "pkt";
    case Region::Meta:
        return "pkt_meta";
    case Region::PacketEnd:
        return "pkt_end";
    case Region::MapValue:
        return maybe("map_value");
    case Region::Map:
        return "map_ptr";
    case Region::Memory:
        return maybe("mem");
    case Region::Socket: {
        constexpr std::array<const char*, 4> kNames{"sock_common", "sock", "tcp_sock", "xdp_sock"};
        return maybe(kNames[class_of(val)]);
    }
    case Region::FlowKeys:
        return "flow_keys";
    case Region::Function:
        return "func";
    case Region::Object:
        return maybe("ptr_");
    case Region::Iterator:
    case Region::None:
        break;
    }
    return "unknown";
}

/// What Linux's verifier would say, by the finding's class. Its wording is what people search for.
std::string kernel_line(const Walker& walker, const State& state, const Finding& finding) {
    const isa::Insn& insn = walker.program().insns[finding.insn];
    const auto reg = static_cast<unsigned>(std::max(finding.reg, 0));
    const Val val = state.frame().regs[reg];
    const Fact fact = state.of(val);
    const std::string_view code = finding.code;
    const bool access = insn.opcode != isa::kCall && finding.reg >= 0;
    const i64 size = access ? isa::access_size(insn.opcode) : 0;
    const i64 low = domain::moved(fact, static_cast<u64>(i64{insn.off})).smin();
    if (code == "V101" && access)
        return fmt::format("invalid access to packet, off={} size={}, R{} offset is outside of the "
                           "packet",
                           low, size, reg);
    if (code == "V102" && access && val.region == Region::MapValue)
        return fmt::format("invalid access to map value, value_size={} off={} size={}",
                           walker.stepper().map(val.aux).def->value_size, low, size);
    if (code == "V103" && access)
        return fmt::format("invalid {} stack R{} off={} size={}",
                           (insn.opcode & isa::kClassMask) == isa::kLdx ? "read from" : "write to",
                           reg, low, size);
    if (code == "V301")
        return fmt::format("R{} !read_ok", reg);
    if (code == "V401")
        return "Unreleased reference";
    if (code == "V501")
        return fmt::format("infinite loop detected at insn {}", finding.insn);
    if (code == "V603")
        return "At program exit the register R0 has unknown scalar value should have been in range";
    if (code == "V604" && val.region == Region::Context)
        return fmt::format("invalid bpf_context access off={} size={}", insn.off, size);
    if (code == "V601" && finding.reg >= 0)
        return fmt::format("R{} type={} expected=another", reg, kernel_type(val));
    if ((code == "V201" || code == "V202" || code == "V204") && access && size != 0 &&
        (insn.opcode & isa::kClassMask) <= isa::kStx)
        return fmt::format("R{} invalid mem access '{}'", reg, kernel_type(val));
    if (code == "V204" && finding.reg >= 0 && val.kind == Kind::Pointer)
        return fmt::format("R{} pointer arithmetic on {} prohibited", reg, kernel_type(val));
    return {};
}

} // namespace

std::string describe(const State& state, const Val& val) {
    const Fact fact = state.of(val);
    const auto range = [&] {
        if (fact.is_constant())
            return fmt::format("{}", static_cast<i64>(fact.bits.value));
        if (fact == Fact{})
            return std::string("any number");
        if (fact.smin() == INT64_MIN || fact.smax() == INT64_MAX)
            return fmt::format("{} to {}", fact.umin(), fact.umax());
        return fmt::format("{} to {}", fact.smin(), fact.smax());
    };
    if (val.kind == Kind::Uninit)
        return "nothing";
    if (val.kind == Kind::Scalar)
        return range();
    const auto from = [&](const char* what) {
        return val.sym == 0 && val.off == 0 ? std::string(what)
                                            : fmt::format("{} + {}", what, range());
    };
    const char* null = val.nullable ? " that may be null" : "";
    switch (val.region) {
    case Region::Context:
        return from("the context");
    case Region::Stack:
        return val.sym == 0 ? fmt::format("fp{:+}", val.off) : from("fp");
    case Region::Packet:
        return from("the packet's data");
    case Region::Meta:
        return from("the packet's metadata");
    case Region::PacketEnd:
        return "the end of the packet";
    case Region::MapValue:
        return from(val.nullable ? "a map value that may be null" : "a map value");
    case Region::Memory:
        return from(fmt::format("{} bytes of memory{}", val.aux, null).c_str());
    case Region::Map:
        return fmt::format("a map{}", null);
    case Region::Socket:
        return fmt::format("a socket{}", null);
    case Region::Object:
        return fmt::format("a kernel object{}", null);
    case Region::FlowKeys:
        return "flow keys";
    case Region::Function:
        return "a function";
    case Region::Iterator:
        return "an iterator";
    case Region::None:
        break;
    }
    return "unknown";
}

namespace {

/// What a step does to the value that is followed; "" if nothing.
std::string happened(const Walker& walker, const Origins& track, std::size_t i, u32 pc,
                     const State& before, const State& after) {
    const isa::Insn& insn = walker.program().insns[pc];
    const Location now = track.at(i);
    const Val* then = value_at(after, now);
    if (then == nullptr)
        return {};
    if (i == track.origin())
        return fmt::format("is {} from here", describe(after, *then));
    if (std::ranges::find(track.moves(), i) != track.moves().end())
        return (insn.opcode & isa::kSrcMask) == isa::kX
                   ? fmt::format("becomes {}", describe(after, *then))
                   : std::string{};
    const Val* was = value_at(before, now);
    if (insn.opcode == isa::kCall && was != nullptr && was->kind == Kind::Pointer &&
        then->kind != Kind::Pointer)
        return is_packet(*was) || was->region == Region::PacketEnd
                   ? "is no longer a pointer: this call may move the packet"
                   : "is no longer a pointer: this call gives back what it pointed to";
    const unsigned cls = insn.opcode & isa::kClassMask;
    const bool jump = cls == isa::kJmp || cls == isa::kJmp32;
    return jump && insn.opcode != isa::kCall ? learned(before, after, *then) : std::string{};
}

} // namespace

void explain(Walker& walker, const State& start, u32 root, Finding& finding) {
    std::vector<Step> steps;
    std::map<u32, u32> takers; // Of references: the call that took it.
    {
        Replay replay(walker, start, root, finding);
        while (!replay.arrived()) {
            if (steps.size() == kMaxSteps)
                return;
            steps.push_back(
                {replay.pc(), replay.state().frames.size() - 1, pointers_in(replay.state())});
            const std::size_t held = replay.state().references.size();
            if (!replay.step())
                return;
            if (replay.state().references.size() > held)
                takers[replay.state().references.back()] = steps.back().pc;
        }
        if (finding.code == "V401")
            for (const u32 reference : replay.state().references)
                if (const auto taken = takers.find(reference); taken != takers.end())
                    finding.notes.push_back({taken->second, -1, "this takes what is not released"});
        finding.kernel = kernel_line(walker, replay.state(), finding);
        if (finding.reg < 0)
            return;
        steps.push_back({replay.pc(), replay.state().frames.size() - 1, 0});
    }
    const std::size_t last = steps.size() - 1;
    // The value itself, and what it was last moved by.
    std::vector<Origins> tracks;
    tracks.emplace_back(walker.program(), steps)
        .follow(last, {.frame = steps.back().frame, .reg = static_cast<unsigned>(finding.reg)});
    if (const auto mover = tracks.front().mover())
        tracks.emplace_back(walker.program(), steps)
            .follow(*mover, {.frame = steps[*mover].frame, .reg = tracks.front().moved_by(*mover)});
    std::vector<Note> notes;
    Replay replay(walker, start, root, finding);
    for (std::size_t i = 0; i < last; ++i) {
        const bool wanted = std::ranges::any_of(
            tracks, [i](const Origins& track) { return track.origin() <= i && i < track.end(); });
        const State before = wanted ? replay.state() : State{};
        if (!replay.step())
            return;
        for (const Origins& track : tracks)
            if (track.origin() <= i && i < track.end())
                if (auto text = happened(walker, track, i, steps[i].pc, before, replay.state());
                    !text.empty()) {
                    const Location now = track.at(i);
                    notes.push_back(
                        {steps[i].pc, now.stack ? -1 : static_cast<int>(now.reg), std::move(text)});
                }
    }
    // The first says what it is, the last are the nearest.
    if (notes.size() > kMaxNotes)
        notes.erase(notes.begin() + 1, notes.end() - static_cast<std::ptrdiff_t>(kMaxNotes - 1));
    finding.notes = std::move(notes);
}

} // namespace skep::verifier
