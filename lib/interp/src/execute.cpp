// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Threaded code: each slot holds the address of the label that carries it out, and each body ends
// by jumping to the next slot's label. Both modes share the bodies, so that the meaning of an
// instruction is written once; body_*.inc hold them by family.
//
// Counting: the instructions executed so far are machine.fuel - left + (those that stand before pc
// in the program). So falling through costs nothing, and a jump from i to t corrects `left` by the
// constant i + 1 - t.
#include <memory>

#include "skep/base/bytes.hpp"

#include "alu.hpp"
#include "machine.hpp"

namespace skep::interp {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr std::int64_t S64(u64 value) noexcept {
    return static_cast<std::int64_t>(value);
}
constexpr std::int32_t S32(u32 value) noexcept {
    return static_cast<std::int32_t>(value);
}

std::byte* at(u64 address) noexcept {
    return reinterpret_cast<std::byte*>(address);
}

bool inside(const Capability& cap, u64 address, u64 size) noexcept {
    u64 end = 0;
    return !__builtin_add_overflow(address - cap.base, size, &end) && end <= cap.size;
}

/// After a call r1 to r5 are unset.
void forget_arguments(RegFile& regs, const Capability& r0) noexcept {
    regs.caps[0] = r0;
    for (std::size_t i = 1; i <= 5; ++i)
        regs.caps[i] = kUnset;
}

/// Tells the observer, once for each instruction.
void show(Machine& machine, RegFile& regs, const Slot* pc) noexcept {
    const CodeImpl& code = *machine.code;
    const std::uint32_t insn = code.insn_of(pc);
    if (pc != code.slots.data() && code.insn_of(pc - 1) == insn)
        return;                                              // A check before it came first.
    std::array<const std::byte*, Machine::kMaxDepth> frames; // Set as far as they are used.
    for (std::uint32_t i = 0; i <= machine.depth; ++i)
        frames[i] = machine.frame(i).stack.data();
    machine.run->observer->before({.program = &code.program(),
                                   .insn = insn,
                                   .registers = std::span(regs.values).first(isa::kRegisters),
                                   .frames = std::span(frames).first(machine.depth + 1),
                                   .context = machine.run->context,
                                   .context_address = machine.context_address});
}

} // namespace

#define OP(name) op_##name:
#define DST regs.value(pc->dst)
#define SRC regs.value(pc->src)
#define DST32 static_cast<u32>(DST)
#define SRC32 static_cast<u32>(SRC)
#define IMM32 static_cast<u32>(pc->imm)
#define IMM64 static_cast<u64>(static_cast<std::int64_t>(pc->imm))
#define OFF static_cast<u64>(static_cast<std::int64_t>(pc->off))
#define DST_CAP regs.cap(pc->dst)
#define SRC_CAP regs.cap(pc->src)
#define R0 regs.values[0]
#define R0_CAP regs.caps[0]
#define CHECKED (M != Mode::Unchecked)
#define FAST(cap, address, size) (!CHECKED || __builtin_expect(inside(cap, address, size), 1))
#define SLOW(call)                                                                                 \
    do {                                                                                           \
        if (!(call))                                                                               \
            goto trapped;                                                                          \
        NEXT;                                                                                      \
    } while (false)
#define DISPATCH                                                                                   \
    do {                                                                                           \
        if constexpr (M == Mode::Traced)                                                           \
            show(machine, regs, pc);                                                               \
        goto * pc->handler;                                                                        \
    } while (false)
#define NEXT                                                                                       \
    do {                                                                                           \
        ++pc;                                                                                      \
        DISPATCH;                                                                                  \
    } while (false)
#define JUMP                                                                                       \
    do {                                                                                           \
        const Jump jump = pc->jump;                                                                \
        pc = reinterpret_cast<const Slot*>(reinterpret_cast<const char*>(pc) + jump.distance);     \
        if (CHECKED) {                                                                             \
            left -= jump.delta;                                                                    \
            if (__builtin_expect(left < 0, 0))                                                     \
                goto out_of_fuel;                                                                  \
        }                                                                                          \
        DISPATCH;                                                                                  \
    } while (false)

template <Mode M>
bool execute(Machine& machine, RegFile& regs, const Slot* pc, std::int64_t left) noexcept {
    static const void* const table[] = {
#define SKEP_OP(name, ...) &&op_##name,
#include "skep/isa/ops.def"
#define SKEP_EXTRA(name) &&op_##name,
#include "handlers.def"
    };
    if (pc == nullptr) {
        machine.result = reinterpret_cast<u64>(table);
        return true;
    }
    const Capability* capabilities = machine.code->capabilities.data();
    Frame* frame = &machine.frame();
    std::int64_t executed = 0; // by the function that returns: see leave
    DISPATCH;

#include "body_alu.inc"
#include "body_call.inc"
#include "body_jump.inc"
#include "body_memory.inc"

out_of_fuel:
    set_trap(machine, TrapKind::OutOfFuel, {}, {});
trapped:
helper_trapped: {
    exec::Trap& trap = machine.trap();
    if (trap.insn < 0 || trap.program == nullptr) {
        trap.insn = static_cast<std::int32_t>(machine.code->insn_of(pc));
        trap.program = &machine.code->program();
    }
    const auto insn = machine.code->insn_of(pc);
    machine.left = left - static_cast<std::int64_t>(machine.code->count_before(insn)) -
                   (trap.kind == TrapKind::OutOfFuel ? 0 : 1);
    return false;
}
}

template bool execute<Mode::Checked>(Machine&, RegFile&, const Slot*, std::int64_t) noexcept;
template bool execute<Mode::Unchecked>(Machine&, RegFile&, const Slot*, std::int64_t) noexcept;
template bool execute<Mode::Traced>(Machine&, RegFile&, const Slot*, std::int64_t) noexcept;

const void* const* handler_labels(Mode mode) noexcept {
    const auto machine = std::make_unique<Machine>();
    RegFile regs{};
    switch (mode) {
    case Mode::Checked:
        execute<Mode::Checked>(*machine, regs, nullptr, 0);
        break;
    case Mode::Unchecked:
        execute<Mode::Unchecked>(*machine, regs, nullptr, 0);
        break;
    case Mode::Traced:
        execute<Mode::Traced>(*machine, regs, nullptr, 0);
        break;
    }
    return reinterpret_cast<const void* const*>(machine->result);
}

} // namespace skep::interp
