// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "walker.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "liveness.hpp"
#include "summary.hpp"

namespace skep::verifier {
namespace {

constexpr std::uint8_t kMayGoto = 0xe5;

/// The same state goes on there.
Arrival onward(Arrival& now, u32 pc, bool by_contract = false) {
    return Arrival::after(std::move(now), std::move(now.state), pc, by_contract);
}

} // namespace

Point point_of(const State& state, u32 pc) {
    Point point{.pc = pc};
    for (std::size_t i = 1; i < state.frames.size(); ++i)
        point.calls = (point.calls + state.frames[i].return_to) * 0x9e3779b97f4a7c15 + 1;
    return point;
}

Walker::Walker(const Program& program, std::span<const MapView> maps,
               std::vector<isa::InsnFault> faults)
    : program_(program), faults_(std::move(faults)), flow_(ControlFlow::build(program.insns)),
      live_(live_registers(program, flow_)), stepper_(program, flow_, maps, symbols_) {}

/// True if states are kept where `pc` begins: paths meet there.
bool Walker::is_meeting(u32 pc) const {
    if (pc == kReturned)
        return true;
    const BasicBlock& block = flow_.blocks[flow_.block_of[pc]];
    if (block.begin != pc)
        return true; // Behind a call, or at a call that stops.
    const bool entry = flow_.functions[block.function].begin == pc;
    return block.predecessors + (entry ? 1 : 0) > 1 || stops(pc);
}

/// Forgets registers that nobody reads.
void Walker::clean(State& state, u32 pc) {
    const auto keep = [](Frame& frame, u32 live) {
        for (unsigned reg = 0; reg < 10; ++reg)
            if ((live >> reg & 1) == 0)
                frame.regs[reg] = {};
    };
    for (std::size_t i = 0; i + 1 < state.frames.size(); ++i) {
        const Frame& callee = state.frames[i + 1];
        if (callee.return_to == kReturned)
            continue; // Not read, but compared.
        const u32 mask = callee.callback != 0 ? 0b1111111111U : 0b1111000000U;
        keep(state.frames[i], live_[callee.return_to] & mask);
    }
    if (pc != kReturned)
        keep(state.frame(), live_[pc]);
    forget_unused(state, symbols_);
}

/// Walks from `from` to the next meetings; false after a finding.
bool Walker::walk(Arrival from, std::vector<Arrival>& arrivals, std::uint64_t& counter) {
    std::vector<Arrival>& work = work_;
    work.clear();
    work.push_back(std::move(from));
    bool first = true;
    most_steps_ = 0;
    callees_.clear();
    while (!work.empty()) {
        Arrival now = std::move(work.back());
        work.pop_back();
        if (!first && (now.by_contract || is_meeting(now.pc))) {
            clean(now.state, now.pc);
            arrivals.push_back(std::move(now));
            continue;
        }
        first = false;
        std::size_t others = work.size();
        if (!straight(now, work, counter))
            return false;
        if (recorder_ != nullptr)
            for (; others < work.size(); ++others)
                work[others].last = last_;
    }
    return true;
}

/// To the end of the block, or to where a state is kept within it.
bool Walker::straight(Arrival& now, std::vector<Arrival>& next, std::uint64_t& counter) {
    const BasicBlock& block = flow_.blocks[flow_.block_of[now.pc]];
    for (u32 pc = now.pc; pc < block.end; ++pc) {
        if (pc != now.pc && stops(pc)) {
            next.push_back(onward(now, pc));
            return true;
        }
        ++counter;
        if (recorder_ != nullptr)
            last_ = pc;
        most_steps_ = std::max(most_steps_, ++now.steps);
        now.lowest = std::min(now.lowest, static_cast<u32>(now.state.frames.size()));
        bool goes_on = false;
        if (watcher_ != nullptr)
            watcher_->before(now.state, pc);
        const std::size_t others = next.size();
        if (!one_or_recover(now, pc, next, goes_on))
            return false;
        if (watcher_ != nullptr)
            tell(now, pc, next, others, goes_on);
        if (!goes_on)
            return true;
        if (program_.insns[pc].opcode == isa::kLddw)
            ++pc;
    }
    next.push_back(onward(now, block.end));
    return true;
}

/// The watcher is told what came of an instruction: `next` from `first` on, or `now`.
void Walker::tell(const Arrival& now, u32 pc, const std::vector<Arrival>& next, std::size_t first,
                  bool goes_on) {
    if (goes_on)
        watcher_->after(now.state, pc);
    const isa::Insn& insn = program_.insns[pc];
    const unsigned cls = insn.opcode & isa::kClassMask;
    const unsigned op = insn.opcode & 0xf0U;
    const bool conditional = (cls == isa::kJmp || cls == isa::kJmp32) && op != 0x00 && op != 0x80 &&
                             op != 0x90 && op != 0xe0;
    const bool helper = insn.opcode == isa::kCall && insn.src != isa::kCallLocal;
    for (std::size_t i = first; i < next.size(); ++i)
        if (helper && next[i].pc == pc + 1)
            watcher_->after(next[i].state, pc);
        else if (conditional)
            watcher_->went(pc, next[i].pc != pc + 1);
}

bool Walker::one_or_recover(Arrival& now, u32 pc, std::vector<Arrival>& next, bool& goes_on) {
    return one(now, pc, next, goes_on) || recover(now, pc, next, goes_on);
}

bool Walker::one(Arrival& now, u32 pc, std::vector<Arrival>& next, bool& goes_on) {
    goes_on = false;
    if (!faults_.empty())
        if (const auto fault = std::ranges::find(faults_, pc, &isa::InsnFault::insn);
            fault != faults_.end())
            return stepper_.fail(pc, "V100", fault->text);
    const isa::Insn& insn = program_.insns[pc];
    const unsigned cls = insn.opcode & isa::kClassMask;
    if (cls != isa::kJmp && cls != isa::kJmp32) {
        if (cls == isa::kLd && insn.opcode != isa::kLddw && !no_packet(now, pc, next))
            return false;
        return goes_on = stepper_.step(now.state, pc);
    }
    switch (insn.opcode) {
    case isa::kExit:
        return exit(now, pc, next);
    case isa::kCall:
        return call(now, pc, next, goes_on);
    case 0x05: // ja
    case 0x06: // gotol
        next.push_back(onward(now, target(pc)));
        return true;
    case kMayGoto:
        next.push_back(Arrival::after(now, now.state, target(pc)));
        decide(next.back(), pc, true);
        next.push_back(onward(now, pc + 1, true));
        decide(next.back(), pc, false);
        return true;
    default:
        if ((insn.opcode & 0xf0U) != 0x80)
            return branch(now, pc, next);
        return goes_on = stepper_.step(now.state, pc); // callx
    }
}

u32 Walker::target(u32 pc) const {
    return static_cast<u32>(isa::target_of(program_.insns[pc], pc));
}

void Walker::decide(Arrival& arrival, u32 pc, bool taken) const {
    if (recorder_ != nullptr)
        arrival.trail.push_back({pc, taken});
}

namespace {

constexpr Val kPoison{.kind = Kind::Pointer};

bool is_poison(const Val& val) {
    return val.kind == Kind::Pointer && val.region == Region::None;
}

/// What is not known because of an earlier finding plays a part.
bool touches_poison(const State& state, const isa::Insn& insn) {
    const auto& regs = state.frame().regs;
    const auto poison = [&](unsigned reg) { return is_poison(regs[reg]); };
    if (insn.opcode == isa::kCall)
        return poison(1) || poison(2) || poison(3) || poison(4) || poison(5);
    if (insn.opcode == isa::kExit)
        return poison(0);
    return poison(insn.dst) || poison(insn.src);
}

/// The pointer that a finding is about, and its copies: what else is done with them follows.
void poison_like(State& state, const Val& val) {
    const bool own = val.region == Region::Stack || val.region == Region::Context;
    if (val.kind != Kind::Pointer || own)
        return;
    const auto alike = [wrong = val](const Val& other) {
        return other.kind == Kind::Pointer && other.region == wrong.region &&
               other.aux == wrong.aux && other.instance == wrong.instance && other.sym == wrong.sym;
    };
    for (Frame& frame : state.frames) {
        for (Val& other : frame.regs)
            if (alike(other))
                other = kPoison;
        frame.stack.change_pointers(alike, [](Val& other) { other = kPoison; });
    }
}

/// Symbols that a value is made of.
std::vector<Sym> made_of(const Symbols& symbols, const Val& val) {
    constexpr std::size_t kMost = 32;
    std::vector<Sym> all{val.sym};
    for (std::size_t i = 0; i < all.size() && all.size() < kMost; ++i) {
        const Node& node = symbols[all[i]];
        if (node.op == Op::Source)
            continue;
        for (const Sym part : {node.a, node.b})
            if (part != 0 && std::ranges::find(all, part) == all.end())
                all.push_back(part);
    }
    return all;
}

} // namespace

/// What an instruction leaves after a finding, if all had been well.
void Walker::assume(State& state, u32 pc) {
    const isa::Insn& insn = program_.insns[pc];
    auto& regs = state.frame().regs;
    const unsigned cls = insn.opcode & isa::kClassMask;
    if (insn.opcode == isa::kCall) {
        regs[0] = number(symbols_.fresh());
        for (unsigned reg = 1; reg <= 5; ++reg)
            regs[reg] = {};
    } else if ((cls == isa::kAlu || cls == isa::kAlu64) &&
               (regs[insn.dst].kind == Kind::Pointer || ((insn.opcode & isa::kSrcMask) == isa::kX &&
                                                         regs[insn.src].kind == Kind::Pointer))) {
        if (regs[insn.dst].kind != Kind::Pointer)
            regs[insn.dst] = regs[insn.src];
        regs[insn.dst].sym = symbols_.fresh();
        regs[insn.dst].off = 0;
    } else if (cls == isa::kLdx || cls == isa::kAlu || cls == isa::kAlu64 || cls == isa::kLd) {
        if (insn.dst != isa::kFramePointer)
            regs[insn.dst] = number(symbols_.fresh());
    }
}

/// After a finding: records it, and goes on with what would hold if all had been well.
bool Walker::recover(Arrival& now, u32 pc, std::vector<Arrival>& next, bool& goes_on) {
    if (recorder_ == nullptr)
        return false;
    const isa::Insn& insn = program_.insns[pc];
    goes_on = false;
    const bool ends = now.state.frames.empty() || insn.opcode == isa::kExit;
    const bool secondary = !now.state.frames.empty() && touches_poison(now.state, insn);
    if (secondary)
        ++recorder_->folded;
    else
        recorder_->found.push_back({stepper_.finding(), stepper_.unsupported(), now.trail});
    const int about = stepper_.finding().reg;
    if (!secondary && !now.state.frames.empty() && about >= 0)
        recorder_->found.back().about =
            made_of(symbols_, now.state.frame().regs[static_cast<unsigned>(about)]);
    if (ends || (!secondary && stepper_.unsupported()))
        return true;
    const unsigned cls = insn.opcode & isa::kClassMask;
    const bool jumps = insn.opcode != isa::kCall && (cls == isa::kJmp || cls == isa::kJmp32);
    if (recorder_->assume && !jumps) {
        assume(now.state, pc);
        goes_on = true;
        return true;
    }
    if (!secondary && about >= 0)
        poison_like(now.state, now.state.frame().regs[static_cast<unsigned>(about)]);
    auto& regs = now.state.frame().regs;
    if (insn.opcode == isa::kCall) {
        for (unsigned reg = 0; reg <= 5; ++reg)
            regs[reg] = kPoison;
    } else if (jumps) {
        for (const unsigned reg : {unsigned{insn.dst}, unsigned{insn.src}})
            if (regs[reg].kind == Kind::Uninit)
                regs[reg] = kPoison;
        return branch(now, pc, next);
    } else if (cls == isa::kLdx || cls == isa::kAlu || cls == isa::kAlu64 || cls == isa::kLd) {
        if (insn.dst != isa::kFramePointer)
            regs[insn.dst] = kPoison;
    }
    goes_on = true;
    return true;
}

/// A legacy load of what is not in the packet returns 0 from the function. From the program that
/// is always allowed.
bool Walker::no_packet(const Arrival& now, u32 pc, std::vector<Arrival>& next) {
    if (now.state.frames.size() == 1)
        return true;
    if (!stepper_.may_return_early(pc))
        return false;
    Arrival out = now;
    out.state.frame().regs[0] = number(0, 0);
    return exit(out, pc, next);
}

/// The program that a function jumps to returns to the function's caller, with any number. For the
/// program itself that is the end.
bool Walker::tail_call(const Arrival& now, u32 pc, std::vector<Arrival>& next) {
    if (now.state.frames.size() == 1)
        return true;
    Arrival out = now;
    stepper_.return_anything(out.state);
    return exit(out, pc, next);
}

bool Walker::exit(Arrival& now, u32 pc, std::vector<Arrival>& next) {
    State& state = now.state;
    stepper_.about(-1);
    const u32 return_to = state.frame().return_to;
    const bool callback = state.frame().callback != 0;
    if (!stepper_.leave(state, pc))
        return false;
    if (!state.frames.empty())
        next.push_back(onward(now, return_to, callback));
    return true;
}

bool Walker::call(Arrival& now, u32 pc, std::vector<Arrival>& next, bool& goes_on) {
    State& state = now.state;
    stepper_.about(-1);
    if (program_.insns[pc].src == isa::kCallLocal) {
        if (const Contract* contract = stepper_.contract_of(target(pc))) {
            calls(target(pc));
            return goes_on = stepper_.call_by_contract(state, pc, *contract);
        }
        if (now.summary != nullptr)
            return by_summary(now, pc, next);
        if (!stepper_.enter(state, pc))
            return false;
        next.push_back(onward(now, target(pc)));
        return true;
    }
    if (stepper_.kfunc_at(pc) == Kfunc::IteratorNew)
        now.started |= stepper_.iterator_bit(state);
    if (stepper_.kfunc_at(pc) == Kfunc::IteratorNext) {
        const u64 iterator = stepper_.iterator_bit(state);
        for (const bool more : {true, false}) {
            State after = state;
            bool possible = false;
            if (!stepper_.next(after, pc, more, possible))
                return false;
            if (!possible)
                continue;
            next.push_back(Arrival::after(now, std::move(after), pc + 1, more));
            next.back().iterator = iterator;
            decide(next.back(), pc, more);
        }
        return true;
    }
    if (!stepper_.calls_back(pc)) {
        goes_on = stepper_.step(state, pc);
        return goes_on && (!stepper_.is_tail_call(pc) || tail_call(now, pc, next));
    }
    State inside = state;
    if (!stepper_.step(state, pc))
        return false;
    state.frame().round = 0;
    u32 callback = 0;
    bool possible = false;
    if (!stepper_.enter_callback(inside, pc, callback, possible))
        return false;
    if (possible) {
        next.push_back(Arrival::after(now, std::move(inside), callback));
        decide(next.back(), pc, true);
    }
    next.push_back(onward(now, pc + 1));
    decide(next.back(), pc, false);
    return true;
}

bool Walker::by_summary(const Arrival& now, u32 pc, std::vector<Arrival>& next) {
    std::vector<State> after;
    if (!stepper_.call_by_summary(now.state, pc, live_[target(pc)], *now.summary, after))
        return false;
    calls(now.summary->key());
    for (State& state : after)
        next.push_back(Arrival::after(now, std::move(state), pc + 1));
    return true;
}

void Walker::calls(u32 callee) {
    if (std::ranges::find(callees_, callee) == callees_.end())
        callees_.push_back(callee);
}

bool Walker::branch(Arrival& now, u32 pc, std::vector<Arrival>& next) {
    const isa::Insn& insn = program_.insns[pc];
    const auto& regs = now.state.frame().regs;
    const bool from_register = (insn.opcode & isa::kSrcMask) == isa::kX;
    if (regs[insn.dst].kind == Kind::Uninit ||
        (from_register && regs[insn.src].kind == Kind::Uninit)) {
        const unsigned reg = regs[insn.dst].kind == Kind::Uninit ? insn.dst : insn.src;
        stepper_.about(static_cast<int>(reg));
        return stepper_.fail(pc, "V301", fmt::format("r{} is read, but was never written", reg));
    }
    const std::optional<bool> decided = stepper_.decided(now.state, pc);
    if (!decided) {
        State taken = now.state;
        if (stepper_.branch(taken, pc, true)) {
            next.push_back(Arrival::after(now, std::move(taken), target(pc)));
            decide(next.back(), pc, true);
        }
        if (stepper_.branch(now.state, pc, false)) {
            next.push_back(onward(now, pc + 1));
            decide(next.back(), pc, false);
        }
    } else if (stepper_.branch(now.state, pc, *decided)) {
        next.push_back(onward(now, *decided ? target(pc) : pc + 1));
        decide(next.back(), pc, *decided);
    }
    return true;
}

} // namespace skep::verifier
