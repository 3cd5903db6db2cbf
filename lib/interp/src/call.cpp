// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "machine.hpp"

namespace skep::interp {
namespace {

constexpr std::uint32_t kReadOnlyForPrograms = 1U << 7; ///< BPF_F_RDONLY_PROG
constexpr std::uint32_t kTailCallId = 12;

Capability returned_by(const RegFile& regs, const exec::RunContext& run, const CallSite& site,
                       const void* map_def) noexcept {
    const std::uint64_t r0 = regs.values[0];
    if (site.proto == nullptr)
        return r0 == 0 ? Capability{} : run.returned;
    switch (site.proto->ret) {
    case spec::RetKind::Scalar:
    case spec::RetKind::Never:
        return {};
    case spec::RetKind::Void:
        return kUnset;
    case spec::RetKind::MapValueOrNull: {
        if (r0 == 0 || run.returned.kind != RegionKind::None)
            return r0 == 0 ? Capability{} : run.returned; // A map inside a map.
        const auto* def = static_cast<const spec::MapDef*>(map_def);
        const bool read_only = (def->flags & kReadOnlyForPrograms) != 0;
        return {.base = r0,
                .size = def->value_size,
                .kind = RegionKind::MapValue,
                .flags = write_flag(read_only)};
    }
    default:
        return r0 == 0 ? Capability{} : run.returned;
    }
}

} // namespace

void finish_call(Machine& machine, RegFile& regs, const CallSite& site,
                 const void* map_def) noexcept {
    regs.caps[0] = returned_by(regs, *machine.run, site, map_def);
    for (std::size_t i = 1; i <= 5; ++i)
        regs.caps[i] = kUnset;
    if (machine.run->pending != 0)
        machine.revoke();
}

const CodeImpl* tail_target(Machine& machine, RegFile& regs, bool checked) noexcept {
    const auto refuse = [&](std::uint8_t reg, const char* needed) -> const CodeImpl* {
        set_trap(machine, TrapKind::BadArgument, regs.caps[reg],
                 {.address = regs.values[reg], .reg = reg, .helper = kTailCallId}, needed);
        return nullptr;
    };
    if (checked) {
        const auto* def = reinterpret_cast<const spec::MapDef*>(regs.caps[2].base);
        if (regs.caps[1].kind != RegionKind::Context || regs.values[1] != machine.context_address)
            return refuse(1, "the context was needed, unmodified");
        if (regs.caps[2].kind != RegionKind::Map || def->kind != spec::MapKind::ProgArray)
            return refuse(2, "a program array was needed");
        if (regs.caps[3].kind != RegionKind::None)
            return refuse(3, "a number was needed");
    }
    exec::RunContext& run = *machine.run;
    if (run.tail_target == nullptr || machine.tail_calls >= isa::kMaxTailCalls)
        return nullptr;
    const void* target = run.tail_target(&run, reinterpret_cast<const void*>(regs.values[2]),
                                         static_cast<std::uint32_t>(regs.values[3]));
    if (target == nullptr)
        return nullptr;
    // Slots hold what the runtime compiled: interp::Code, whose only implementation is ours.
    const auto* code = static_cast<const CodeImpl*>(static_cast<const Code*>(target));
    if (code->mode != machine.code->mode)
        return nullptr;
    if (code->program().type != machine.code->program().type) {
        set_trap(machine, TrapKind::BadCall, {}, {.helper = kTailCallId},
                 "the program in the slot is of another type");
        return nullptr;
    }
    ++machine.tail_calls;
    return code;
}

} // namespace skep::interp
