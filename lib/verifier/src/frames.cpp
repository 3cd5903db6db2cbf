// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Functions: calls that are walked into, calls by contract, callbacks, exits.
#include <algorithm>
#include <fmt/format.h>

#include "skep/isa/decode.hpp"
#include "step.hpp"

namespace skep::verifier {
namespace {

constexpr u32 kForEachMapElem = 164;
constexpr u32 kLoop = 181;
constexpr u64 kMaxRounds = u64{1} << 23; // BPF_MAX_LOOPS
constexpr u64 kMaxCounted = 4096;

} // namespace

Kfunc kfunc_named(std::string_view name) {
    if (name == "bpf_iter_num_new")
        return Kfunc::IteratorNew;
    if (name == "bpf_iter_num_next")
        return Kfunc::IteratorNext;
    if (name == "bpf_iter_num_destroy")
        return Kfunc::IteratorDestroy;
    return Kfunc::Unknown;
}

Kfunc Stepper::kfunc_at(u32 pc) const {
    const isa::Insn& insn = program_.insns[pc];
    if (insn.opcode != isa::kCall || insn.src != isa::kCallKfunc)
        return Kfunc::Unknown;
    const auto index = static_cast<u32>(insn.imm);
    return index < kfuncs_.size() ? kfuncs_[index] : Kfunc::Unknown;
}

bool Stepper::calls_back(u32 pc) const {
    const isa::Insn& insn = program_.insns[pc];
    return insn.opcode == isa::kCall && insn.src == isa::kCallHelper &&
           (insn.imm == kLoop || insn.imm == kForEachMapElem);
}

bool Stepper::push(State& state, u32 pc, Frame callee) {
    if (state.frames.size() == isa::kMaxCallFrames)
        return fail(pc, "V503", "more than 8 nested calls");
    callee.regs[10] = {.kind = Kind::Pointer,
                       .region = Region::Stack,
                       .aux = static_cast<u32>(state.frames.size())};
    state.frames.push_back(std::move(callee));
    return true;
}

void Stepper::pop(State& state) {
    const auto depth = static_cast<u32>(state.frames.size() - 1);
    state.frames.pop_back();
    // What points into the frame that ended is a number without meaning.
    for (Frame& frame : state.frames)
        frame.stack.forget_pointers(
            [&](const Val& val) { return val.region == Region::Stack && val.aux == depth; });
}

bool Stepper::enter(State& state, u32 pc) {
    Frame callee{.return_to = pc + 1,
                 .function = static_cast<u32>(isa::target_of(program_.insns[pc], pc))};
    for (unsigned reg = 1; reg <= 5; ++reg)
        callee.regs[reg] = state.frame().regs[reg];
    for (unsigned reg = 0; reg <= 5; ++reg)
        state.frame().regs[reg] = {};
    return push(state, pc, std::move(callee));
}

// --- callbacks ---

bool Stepper::enter_callback(State& state, u32 pc, u32& target, bool& possible) {
    possible = true;
    const auto helper = static_cast<u32>(program_.insns[pc].imm);
    const auto regs = state.frame().regs;
    const Val function = regs[2];
    target = function.aux;
    Frame callee{.return_to = pc,
                 .callback = helper,
                 .function = target,
                 .references = static_cast<u32>(state.references.size())};
    callee.regs[2] = regs[3];
    if (helper == kLoop) {
        const Fact count = domain::zero_extend(state.of(regs[1]), 32);
        const u64 rounds = std::min(count.umax(), kMaxRounds);
        rounds_[pc] = std::max(rounds_[pc], rounds);
        callee.regs[1] = fresh(state, Fact::between(0, rounds == 0 ? 0 : rounds - 1));
        if (count_rounds_ && count.is_constant() && rounds <= kMaxCounted)
            possible = state.frame().round++ < rounds;
    } else {
        const spec::MapDef& def = *maps_[regs[1].aux].def;
        rounds_[pc] = std::max(rounds_[pc], u64{def.max_entries});
        callee.regs[1] = regs[1];
        callee.regs[2] = {.kind = Kind::Pointer,
                          .region = Region::Memory,
                          .read_only = true,
                          .aux = def.key_size};
        callee.regs[3] = {.kind = Kind::Pointer, .region = Region::MapValue, .aux = regs[1].aux};
        callee.regs[4] = regs[3];
    }
    return push(state, pc, std::move(callee));
}

u64 Stepper::rounds_at(u32 pc) const {
    const auto found = rounds_.find(pc);
    return found == rounds_.end() ? kMaxRounds : found->second;
}

u64 Stepper::iterator_bit(const State& state) {
    const Val& it = state.frame().regs[1];
    return u64{1} << ((static_cast<u64>(-it.off) / 8 + u64{it.aux} * 7) % 64);
}

bool Stepper::leave_callback(State& state, u32 pc) {
    if (!readable(state, pc, 0))
        return false;
    const Val r0 = state.frame().regs[0];
    const Fact fact = state.of(r0);
    about(0);
    if (r0.kind == Kind::Pointer || fact.smin() < 0 || fact.smax() > 1)
        return fail(pc, "V607",
                    fmt::format("the callback returns {} to {}, 0 or 1 is allowed", fact.smin(),
                                fact.smax()));
    if (state.references.size() != state.frame().references)
        return fail(pc, "V401", "the callback does not release what it takes");
    pop(state);
    return true;
}

// --- global functions ---

std::optional<State> Stepper::initial_of(u32 function) {
    contract_ = contracts_.find(function);
    in_timer_ = false;
    State state;
    state.frames.resize(1);
    state.frame().function = function;
    state.frame().regs[10] = {.kind = Kind::Pointer, .region = Region::Stack};
    if (!contract_->fault.empty()) {
        if (contract_->unsupported)
            unknown(function, contract_->fault);
        else
            fail(function, "V607", contract_->fault);
        return std::nullopt;
    }
    unsigned reg = 1;
    for (const Contract::Parameter& parameter : contract_->parameters) {
        Val& val = state.frame().regs[reg++];
        switch (parameter.kind) {
        case Contract::Parameter::Kind::Scalar:
            val = fresh(state, Fact{});
            break;
        case Contract::Parameter::Kind::Context:
            val = {.kind = Kind::Pointer, .region = Region::Context};
            break;
        case Contract::Parameter::Kind::Memory:
            val = {.kind = Kind::Pointer,
                   .region = Region::Memory,
                   .nullable = parameter.nullable,
                   .aux = parameter.size,
                   .instance = symbols_.fresh()};
            break;
        }
    }
    return state;
}

State Stepper::initial_of_timer(u32 function) {
    contract_ = nullptr;
    in_timer_ = true;
    const u32 map = timer_callbacks_.at(function);
    State state;
    state.frames.resize(1);
    state.frame().function = function;
    auto& regs = state.frame().regs;
    regs[10] = {.kind = Kind::Pointer, .region = Region::Stack};
    regs[1] = {.kind = Kind::Pointer, .region = Region::Map, .aux = map};
    regs[2] = {.kind = Kind::Pointer,
               .region = Region::Memory,
               .read_only = true,
               .aux = maps_[map].def->key_size};
    regs[3] = {.kind = Kind::Pointer,
               .region = Region::MapValue,
               .aux = map,
               .instance = symbols_.fresh()};
    return state;
}

bool Stepper::leave_contract(State& state, u32 pc, const Val& r0) {
    if (!state.references.empty())
        return fail(pc, "V401", "a global function may not keep what it takes");
    if (r0.kind == Kind::Pointer)
        return fail(pc, "V607", "a global function returns a pointer");
    state.frames.clear();
    return true;
}

bool Stepper::call_by_contract(State& state, u32 pc, const Contract& contract) {
    const auto target = static_cast<u32>(isa::target_of(program_.insns[pc], pc));
    if (state.held_lock != 0)
        return fail(pc, "V403", "a global function is called while a lock is held");
    if (!contract.fault.empty())
        return contract.unsupported ? unknown(pc, contract.fault)
                                    : fail(pc, "V607", contract.fault);
    auto& regs = state.frame().regs;
    unsigned reg = 0;
    for (const Contract::Parameter& parameter : contract.parameters) {
        ++reg;
        about(static_cast<int>(reg));
        if (!readable(state, pc, reg))
            return false;
        Val val = regs[reg];
        switch (parameter.kind) {
        case Contract::Parameter::Kind::Scalar:
            if (val.kind != Kind::Scalar)
                return fail(pc, "V607",
                            fmt::format("the global function takes a number in r{}", reg));
            break;
        case Contract::Parameter::Kind::Context:
            if (val.kind != Kind::Pointer || val.region != Region::Context || val.sym != 0 ||
                val.off != 0)
                return fail(pc, "V607",
                            fmt::format("the global function takes the context in r{}", reg));
            break;
        case Contract::Parameter::Kind::Memory: {
            const Fact fact = val.kind == Kind::Scalar ? state.of(val) : Fact{};
            if (val.kind == Kind::Scalar && fact.is_constant() && fact.bits.value == 0 &&
                parameter.nullable)
                break;
            if (val.kind == Kind::Pointer && parameter.nullable)
                val.nullable = false;
            const Access access{.pc = pc,
                                .size = i64{parameter.size},
                                .write = true,
                                .helper = true,
                                .packet = true};
            if (!memory(state, val, 0, access))
                return false;
            const Fact at = state.of(val);
            if (val.region == Region::Stack)
                stack_touch(state, val.aux, at.smin(), at.smax() + access.size, at.is_constant());
            break;
        }
        }
    }
    for (unsigned i = 0; i <= 5; ++i)
        regs[i] = {};
    if (contracts_.moves_packet(target))
        forget_packet(state);
    state.frame().regs[0] = fresh(state, Fact{});
    return true;
}

bool Stepper::may_return_early(u32 pc) {
    const u32 begin = flow_.functions[flow_.blocks[flow_.block_of[pc]].function].begin;
    return begin == 0 || contracts_.returns_number(begin) ||
           fail(pc, "V602",
                "legacy packet loads are only for functions whose type is known and that return a "
                "number");
}

// --- open-coded iterators ---

/// The iterator that r1 points at; without a kind where none is in use.
std::optional<Val> Stepper::iterator_at(State& state, u32 pc, bool used) {
    if (!readable(state, pc, 1))
        return std::nullopt;
    const Val it = state.frame().regs[1];
    const auto wrong = [&](const char* needed) {
        fail(pc, "V605", fmt::format("r1 must point to {}", needed));
        return std::nullopt;
    };
    if (it.kind != Kind::Pointer || it.region != Region::Stack || it.sym != 0 || (it.off & 7) != 0)
        return wrong("an iterator on the stack");
    i64 low = 0;
    i64 high = 0;
    if (!stack_range(state, it, 0, {.pc = pc, .size = 8, .helper = true}, low, high))
        return std::nullopt;
    const Stack& stack = state.frames[it.aux].stack;
    const std::size_t cell = Stack::index_of(it.off);
    const Val held = stack.remembered(cell) == 8 ? stack.value(cell) : Val{};
    const bool is_iterator = held.kind == Kind::Pointer && held.region == Region::Iterator;
    if (used && !is_iterator)
        return wrong("an iterator that bpf_iter_num_new initialised");
    if (!used && is_iterator)
        return wrong("an iterator that is not in use");
    return held;
}

bool Stepper::call_kfunc(State& state, u32 pc) {
    auto& regs = state.frame().regs;
    switch (kfunc_at(pc)) {
    case Kfunc::IteratorNew: {
        const Val it = regs[1];
        if (!iterator_at(state, pc, false))
            return false;
        for (const unsigned reg : {2U, 3U}) {
            if (!readable(state, pc, reg))
                return false;
            if (regs[reg].kind != Kind::Scalar)
                return fail(pc, "V601", fmt::format("r{} must be a number", reg));
        }
        const u32 instance = symbols_.fresh();
        stack_store(
            state, it.aux, it.off, 8,
            {.kind = Kind::Pointer, .region = Region::Iterator, .aux = 1, .instance = instance});
        state.references.push_back(instance);
        break;
    }
    case Kfunc::IteratorDestroy: {
        const auto iterator = iterator_at(state, pc, true);
        if (!iterator)
            return false;
        const u32 instance = iterator->instance;
        const Val it = regs[1];
        stack_touch(state, it.aux, it.off, it.off + 8, true);
        forget_instance(state, instance);
        break;
    }
    default:
        return unknown(pc, "kernel functions are not supported yet");
    }
    const bool gives = kfunc_at(pc) == Kfunc::IteratorNew;
    for (unsigned reg = 0; reg <= 5; ++reg)
        regs[reg] = {};
    if (gives)
        regs[0] = extended(state, fresh(state, Fact::of_width(32)), 32, true);
    return true;
}

bool Stepper::next(State& state, u32 pc, bool more, bool& possible) {
    auto iterator = iterator_at(state, pc, true);
    if (!iterator)
        return false;
    possible = !more || iterator->aux == 1;
    const u32 instance = iterator->instance;
    auto& regs = state.frame().regs;
    if (!more) {
        iterator->aux = 0; // From now on there are none.
        state.frames[regs[1].aux].stack.remember(Stack::index_of(regs[1].off), *iterator, 8);
    }
    for (unsigned reg = 0; reg <= 5; ++reg)
        regs[reg] = {};
    regs[0] = more ? Val{.kind = Kind::Pointer,
                         .region = Region::Memory,
                         .read_only = true,
                         .aux = 4,
                         .instance = instance}
                   : number(0, 0);
    return true;
}

// --- exits ---

bool Stepper::leave(State& state, u32 pc) {
    if (state.frames.size() == 1 && !readable(state, pc, 0))
        return false;
    const Val r0 = state.frame().regs[0];
    if (contract_ && state.held_lock == 0 && state.frames.size() == 1)
        return leave_contract(state, pc, r0);
    if (state.held_lock != 0 && (state.frames.size() == 1 || state.frame().callback != 0))
        return fail(pc, "V403", "a lock is held at the exit");
    if (state.frames.size() > 1) {
        const auto depth = static_cast<u32>(state.frames.size() - 1);
        if (state.frame().callback != 0)
            return leave_callback(state, pc);
        if (r0.kind == Kind::Pointer && r0.region == Region::Stack && r0.aux == depth)
            return fail(pc, "V205", "a pointer to the function's own stack is returned");
        pop(state);
        state.frame().regs[0] = r0;
        return true;
    }
    if (!state.references.empty())
        return fail(
            pc, "V401",
            fmt::format("{} resource(s) are not released at the exit", state.references.size()));
    using enum spec::ProgramType;
    i64 low = 0;
    i64 high = 1;
    constexpr auto kJustZero = Unspec; // Programs of no type do not come here.
    switch (in_timer_ ? kJustZero : program_.type) {
    case kJustZero:
        high = 0;
        break;
    case CgroupSkb:
        high = program_.attach_type == 1 ? 3 : 1; // egress
        break;
    case CgroupSock:
    case CgroupDevice:
    case CgroupSysctl:
    case CgroupSockopt:
    case SkLookup:
    case SockOps:
    case Netfilter:
        break;
    case CgroupSockAddr: {
        const u32 attach = program_.attach_type;
        if (attach == 8 || attach == 9) // bind4, bind6
            high = 3;
        if (attach == 19 || attach == 20 || (attach >= 29 && attach <= 32) ||
            (attach >= 51 && attach <= 53))
            low = 1; // recvmsg, getpeername, getsockname
        break;
    }
    default:
        state.frames.clear();
        return true;
    }
    const Fact fact = state.of(r0);
    about(0);
    if (r0.kind == Kind::Pointer || fact.smin() < low || fact.smax() > high)
        return fail(pc, "V603",
                    fmt::format("the program returns {} to {}, {} to {} is allowed", fact.smin(),
                                fact.smax(), low, high));
    state.frames.clear();
    return true;
}

} // namespace skep::verifier
