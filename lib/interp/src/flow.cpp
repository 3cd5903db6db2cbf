// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "flow.hpp"

#include <algorithm>

#include "skep/base/check.hpp"
#include "skep/spec/helper.hpp"

namespace skep::interp {
namespace {

using isa::Format;
using isa::Op;

const isa::OpInfo& row(const isa::Insn& insn) noexcept {
    const isa::OpInfo* found = isa::classify(insn);
    SKEP_CHECK(found != nullptr); // validate() refused the rest.
    return *found;
}

bool ends_block(const isa::OpInfo& op) noexcept {
    if (op.is_conditional_jump()) // may_goto
        return false;
    return op.format == Format::Ja || op.format == Format::Gotol || op.format == Format::Exit;
}

void set_number(Fact& fact) noexcept {
    fact = {.kinds = kMayBeNumber};
}

void clobber_arguments(State& state) noexcept {
    for (std::size_t i = 1; i <= 5; ++i)
        state.regs[i] = {.kinds = kMayBeUnset};
}

void widen_slots(State& state, std::uint8_t kinds) noexcept {
    for (std::uint8_t& slot : state.slots)
        slot = static_cast<std::uint8_t>(slot | kinds);
}

void apply_alu(const isa::OpInfo& op, const isa::Insn& insn, State& state) noexcept {
    Fact& dst = state.regs[insn.dst];
    const Fact src = state.regs[insn.src];
    switch (op.op) {
    case Op::Mov64Reg:
        dst = src;
        return;
    case Op::Add64Imm:
    case Op::Sub64Imm:
        dst.map = 0;
        return;
    case Op::Add64Reg:
    case Op::Sub64Reg:
        dst.map = 0;
        if (!src.is_number()) {
            const unsigned gained = op.op == Op::Add64Reg ? src.kinds : 0U;
            dst.kinds = static_cast<std::uint8_t>(dst.kinds | gained | kMayBeNumber);
        }
        return;
    default:
        set_number(dst);
    }
}

} // namespace

bool State::join(const State& other) noexcept {
    if (!reached) {
        *this = other;
        reached = true;
        return true;
    }
    const State old = *this;
    for (std::size_t i = 0; i < regs.size(); ++i) {
        regs[i].kinds = static_cast<std::uint8_t>(regs[i].kinds | other.regs[i].kinds);
        if (regs[i].map != other.regs[i].map)
            regs[i].map = 0;
    }
    for (std::size_t i = 0; i < slots.size(); ++i)
        slots[i] = static_cast<std::uint8_t>(slots[i] | other.slots[i]);
    return regs != old.regs || slots != old.slots;
}

Flow::Flow(const Program& program, bool zero_stack) : program_(program), zero_stack_(zero_stack) {
    find_leaders();
    solve();
}

void Flow::find_leaders() {
    const auto& insns = program_.insns;
    leaders_.assign(insns.size(), -1);
    const auto mark = [&](std::size_t at) {
        if (at < insns.size() && leaders_[at] < 0) {
            leaders_[at] = static_cast<std::int32_t>(states_.size());
            states_.emplace_back();
        }
    };
    mark(0);
    for (std::size_t i = 0; i < insns.size(); ++i) {
        const isa::OpInfo& op = row(insns[i]);
        if (const std::int64_t target = isa::target_of(insns[i], i); target >= 0)
            mark(static_cast<std::size_t>(target));
        if (op.is_conditional_jump() || ends_block(op))
            mark(i + 1);
        i += op.slots() - 1;
    }
}

State Flow::entry() const {
    State state;
    state.reached = true;
    for (Fact& reg : state.regs)
        reg.kinds = kMayBeUnset;
    state.regs[10].kinds = kMayBeStack;
    state.slots.fill(zero_stack_ ? kMayBeNumber : kMayBeUnset);
    return state;
}

void Flow::enter(std::uint32_t insn, const State& state) {
    if (states_[static_cast<std::size_t>(leaders_[insn])].join(state))
        work_.push_back(insn);
}

void Flow::solve() {
    State start = entry();
    start.regs[1].kinds = kMayBeContext;
    enter(0, start);
    const auto& insns = program_.insns;
    while (!work_.empty()) {
        std::uint32_t i = work_.back();
        work_.pop_back();
        State state = states_[static_cast<std::size_t>(leaders_[i])];
        while (true) {
            const isa::OpInfo& op = row(insns[i]);
            apply(i, state);
            if (op.is_conditional_jump() || ends_block(op)) {
                if (const std::int64_t target = isa::target_of(insns[i], i); target >= 0)
                    enter(static_cast<std::uint32_t>(target), state);
                if (!ends_block(op))
                    enter(i + 1, state);
                break;
            }
            i += op.slots();
            if (leaders_[i] >= 0) {
                enter(i, state);
                break;
            }
        }
    }
}

const State& Flow::before(std::uint32_t insn) {
    if (leaders_[insn] >= 0)
        current_ = states_[static_cast<std::size_t>(leaders_[insn])];
    else if (current_.reached)
        apply(next_, current_);
    next_ = insn;
    return current_;
}

void Flow::apply(std::uint32_t index, State& state) {
    const isa::Insn& insn = program_.insns[index];
    const isa::OpInfo& op = row(insn);
    // What an instruction reads was set, or it trapped. Calls leave the check to their prototypes.
    const std::uint16_t reads = op.reads.has(isa::kArgs) ? 0 : isa::registers(op.reads, insn);
    for (std::size_t i = 0; i < state.regs.size(); ++i)
        if ((reads >> i & 1) != 0)
            state.regs[i].kinds = static_cast<std::uint8_t>(state.regs[i].kinds & ~kMayBeUnset);
    switch (op.format) {
    case Format::AluImm:
    case Format::AluReg:
    case Format::Unary:
    case Format::AddrSpaceCast:
        return apply_alu(op, insn, state);
    case Format::Lddw:
    case Format::LddwBtfId:
        return set_number(state.regs[insn.dst]);
    case Format::LddwMap:
        state.regs[insn.dst] = {.kinds = kMayBeOther,
                                .map = static_cast<std::uint32_t>(insn.imm) + 1};
        return;
    case Format::LddwMapValue:
        state.regs[insn.dst] = {.kinds = kMayBeOther};
        return;
    case Format::LddwFunc: {
        state.regs[insn.dst] = {.kinds = kMayBeOther};
        State called = entry();
        for (std::size_t i = 1; i <= 5; ++i)
            called.regs[i].kinds = kAnything | kMayBeUnset;
        return enter(static_cast<std::uint32_t>(isa::target_of(insn, index)), called);
    }
    case Format::Ldx:
        return apply_load(op, insn, state);
    case Format::St:
    case Format::Stx:
        return apply_store(op, insn, state);
    case Format::LdAbs:
    case Format::LdInd:
        clobber_arguments(state);
        return set_number(state.regs[0]);
    case Format::CallHelper:
    case Format::CallLocal:
    case Format::CallKfunc:
    case Format::Callx:
        return apply_call(op, index, state);
    default:
        return;
    }
}

void Flow::apply_call(const isa::OpInfo& op, std::uint32_t index, State& state) {
    const isa::Insn& insn = program_.insns[index];
    state.regs[0] = {.kinds = kAnything | kMayBeUnset};
    if (op.op == Op::CallLocal) {
        State called = entry();
        for (std::size_t i = 1; i <= 5; ++i)
            called.regs[i] = state.regs[i];
        enter(static_cast<std::uint32_t>(isa::target_of(insn, index)), called);
        widen_slots(state, kAnything);
    } else if (const auto* proto = spec::find_helper(static_cast<std::uint32_t>(insn.imm))) {
        const bool calls_back =
            std::ranges::find(proto->args, spec::ArgKind::Function) != proto->args.end();
        // A dynptr leaves its mark in slots.
        const bool marks =
            std::ranges::find(proto->args, spec::ArgKind::DynptrOut) != proto->args.end();
        widen_slots(state, calls_back || marks ? kAnything : kMayBeNumber);
        if (proto->ret == spec::RetKind::Scalar || proto->ret == spec::RetKind::Never)
            set_number(state.regs[0]);
    } else {
        widen_slots(state, kAnything);
    }
    clobber_arguments(state);
}

void Flow::apply_load(const isa::OpInfo& op, const isa::Insn& insn, State& state) const {
    const Fact src = state.regs[insn.src];
    Fact& dst = state.regs[insn.dst];
    unsigned kinds = kMayBeNumber;
    if ((op.op == Op::LdxW || op.op == Op::LdxDw) && src.may_be(kMayBeContext))
        kinds |= kMayBeOther;
    if (op.op == Op::LdxDw && insn.src == isa::kFramePointer) {
        const std::int32_t place = stack_place(insn.off, 8);
        if (place >= 0 && place % 8 == 0) {
            const unsigned held = state.slots[static_cast<std::size_t>(place) / 8];
            // Only what was written can be read, or was zero.
            kinds = held == kMayBeUnset ? unsigned{kMayBeNumber} : held & ~unsigned{kMayBeUnset};
        }
    } else if (op.op == Op::LdxDw && src.may_be(kMayBeStack)) {
        kinds = kAnything; // Also the frames of callers.
    }
    dst = {.kinds = static_cast<std::uint8_t>(kinds)};
}

void Flow::apply_store(const isa::OpInfo& op, const isa::Insn& insn, State& state) {
    const bool whole = op.op == Op::StDw || op.op == Op::StxDw;
    const std::uint8_t stored =
        op.op == Op::StxDw ? state.regs[insn.src].kinds : std::uint8_t{kMayBeNumber};
    const std::int32_t place = stack_place(insn.off, op.access_size());
    const bool direct = insn.dst == isa::kFramePointer && place >= 0;
    if (direct && whole && place % 8 == 0) {
        state.slots[static_cast<std::size_t>(place) / 8] = stored;
    } else if (direct || state.regs[insn.dst].may_be(kMayBeStack)) {
        widen_slots(state, static_cast<std::uint8_t>(stored | kMayBeNumber));
    }
    const std::uint16_t writes = isa::registers(op.writes, insn);
    for (std::size_t i = 0; i < state.regs.size(); ++i)
        if ((writes >> i & 1) != 0)
            set_number(state.regs[i]);
}

} // namespace skep::interp
