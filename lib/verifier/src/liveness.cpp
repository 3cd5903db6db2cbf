// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "liveness.hpp"

#include "skep/isa/decode.hpp"
#include "skep/spec/helper.hpp"
#include "step.hpp"

namespace skep::verifier {
namespace {

using Mask = std::uint16_t;

constexpr Mask bit(unsigned reg) {
    return static_cast<Mask>(1U << reg);
}
constexpr Mask kArguments = 0b111110;
constexpr Mask kScratch = 0b111111;

struct Effect {
    Mask uses = 0;
    Mask defines = 0;
};

Effect of_call(const Program& program, const isa::Insn& insn) {
    Effect effect{.uses = kArguments, .defines = kScratch};
    if (insn.src == isa::kCallKfunc && static_cast<u32>(insn.imm) < program.externs.size())
        switch (kfunc_named(program.externs[static_cast<u32>(insn.imm)].name)) {
        case Kfunc::IteratorNew:
            effect.uses = 0b1110;
            return effect;
        case Kfunc::IteratorNext:
        case Kfunc::IteratorDestroy:
            effect.uses = 0b10;
            return effect;
        case Kfunc::Unknown:
            return effect;
        }
    if (insn.src != isa::kCallHelper)
        return effect;
    if (const auto* proto = spec::find_helper(static_cast<std::uint32_t>(insn.imm))) {
        effect.uses = 0;
        for (unsigned arg = 0; arg < 5; ++arg)
            if (proto->args[arg] != spec::ArgKind::None)
                effect.uses |= bit(arg + 1);
    }
    return effect;
}

Effect effect_of(const Program& program, const isa::Insn& insn) {
    const bool from_register = (insn.opcode & isa::kSrcMask) == isa::kX;
    const unsigned op = insn.opcode & 0xf0U;
    switch (insn.opcode & isa::kClassMask) {
    case isa::kAlu:
    case isa::kAlu64: {
        Effect effect{.defines = bit(insn.dst)};
        if (op != 0xb0)
            effect.uses |= bit(insn.dst);
        if (from_register && op != 0xd0 && op != 0x80)
            effect.uses |= bit(insn.src);
        return effect;
    }
    case isa::kLdx:
        return {bit(insn.src), bit(insn.dst)};
    case isa::kSt:
        return {bit(insn.dst), 0};
    case isa::kStx: {
        const bool atomic = (insn.opcode & isa::kModeMask) == isa::kAtomic;
        if (!atomic)
            return {static_cast<Mask>(bit(insn.dst) | bit(insn.src)), 0};
        if (insn.imm == 0x100)
            return {bit(insn.src), bit(insn.dst)};
        Effect effect{static_cast<Mask>(bit(insn.dst) | bit(insn.src)), 0};
        if (insn.imm == 0xf1)
            effect = {static_cast<Mask>(effect.uses | bit(0)), bit(0)};
        else if (insn.imm != 0x110 && (insn.imm & 1) != 0)
            effect.defines = bit(insn.src);
        return effect;
    }
    case isa::kLd:
        if (insn.opcode == isa::kLddw)
            return {0, bit(insn.dst)};
        return {
            static_cast<Mask>(
                bit(6) | ((insn.opcode & isa::kModeMask) == isa::kInd ? bit(insn.src) : Mask{0})),
            kScratch};
    default:
        break;
    }
    if (insn.opcode == isa::kExit)
        return {bit(0), 0};
    if ((insn.opcode & 0xf7U) == isa::kCall)
        return of_call(program, insn);
    if (op == 0x00 || op == 0xe0)
        return {};
    return {static_cast<Mask>(bit(insn.dst) | (from_register ? bit(insn.src) : Mask{0})), 0};
}

} // namespace

namespace {

/// What an instruction reads of the upper halves: of these registers, where `written` (those whose
/// upper half is read afterwards) matters.
Mask upper_uses(const Program& program, const isa::Insn& insn, Mask live_after) {
    const Mask uses = effect_of(program, insn).uses;
    const unsigned op = insn.opcode & 0xf0U;
    switch (insn.opcode & isa::kClassMask) {
    case isa::kAlu:
        return op == 0xd0 && insn.imm == 64 ? uses : Mask{0};
    case isa::kAlu64:
        if (op == 0xb0 && insn.off == 0) // A copy reads what is read of it.
            return (live_after & bit(insn.dst)) != 0 ? uses : Mask{0};
        return op == 0xb0 && insn.off != 0 ? Mask{0} : uses;
    case isa::kJmp32:
        return 0;
    case isa::kStx: {
        const bool plain = (insn.opcode & isa::kModeMask) != isa::kAtomic;
        const bool narrow = isa::access_size(insn.opcode) < 8;
        return plain && narrow && insn.src != insn.dst ? static_cast<Mask>(uses & ~bit(insn.src))
                                                       : uses;
    }
    default:
        break;
    }
    if (insn.opcode == isa::kExit)
        return bit(0) | 0b1111000000;
    return uses;
}

} // namespace

std::vector<bool> upper_halves_unread(const Program& program, const ControlFlow& flow) {
    std::vector<Mask> at_begin(flow.blocks.size(), 0);
    std::vector<bool> unread(program.insns.size(), false);
    for (bool changed = true; changed;) {
        changed = false;
        for (std::size_t b = flow.blocks.size(); b-- > 0;) {
            const BasicBlock& block = flow.blocks[b];
            Mask now = 0;
            for (const std::uint32_t next : block.successors)
                now |= at_begin[next];
            std::vector<std::uint32_t> slots;
            for (std::uint32_t i = block.begin; i < block.end; ++i) {
                slots.push_back(i);
                if (program.insns[i].opcode == isa::kLddw)
                    ++i;
            }
            for (std::size_t i = slots.size(); i-- > 0;) {
                const isa::Insn& insn = program.insns[slots[i]];
                const Effect effect = effect_of(program, insn);
                unread[slots[i]] = effect.defines != 0 && (now & effect.defines) == 0;
                const Mask uses = upper_uses(program, insn, now);
                now = static_cast<Mask>((now & ~effect.defines) | uses);
            }
            if (now != at_begin[b]) {
                at_begin[b] = now;
                changed = true;
            }
        }
    }
    return unread;
}

std::vector<std::uint16_t> live_registers(const Program& program, const ControlFlow& flow) {
    const std::size_t size = program.insns.size();
    std::vector<Effect> effects(size); // The second slots of lddw have none.
    bool calls = false;
    for (std::size_t i = 0; i < size; ++i) {
        effects[i] = effect_of(program, program.insns[i]);
        calls |= program.insns[i].opcode == isa::kCall && program.insns[i].src == isa::kCallLocal;
        if (program.insns[i].opcode == isa::kLddw)
            ++i;
    }
    bool back = false;
    for (std::uint32_t b = 0; b < flow.blocks.size(); ++b)
        for (const std::uint32_t next : flow.blocks[b].successors)
            back |= next <= b;
    std::vector<Mask> live(size + 1, 0);
    for (bool changed = true; changed;) {
        changed = false;
        for (std::size_t b = flow.blocks.size(); b-- > 0;) {
            const BasicBlock& block = flow.blocks[b];
            Mask now = 0;
            for (const std::uint32_t next : block.successors)
                now |= live[flow.blocks[next].begin];
            for (std::uint32_t i = block.end; i-- > block.begin;) {
                Effect effect = effects[i];
                if (const isa::Insn& insn = program.insns[i];
                    calls && insn.opcode == isa::kCall && insn.src == isa::kCallLocal) {
                    const auto callee = static_cast<std::uint32_t>(isa::target_of(insn, i));
                    const Subprogram* sub = program.subprogram_of(callee);
                    if (sub != nullptr && !sub->global) // By contract all arguments count.
                        effect.uses &= live[callee];
                }
                now = static_cast<Mask>((now & ~effect.defines) | effect.uses);
                changed |= live[i] != now;
                live[i] = now;
            }
        }
        // One sweep is enough where everything leads on.
        changed = changed && (back || calls);
    }
    return live;
}

} // namespace skep::verifier
