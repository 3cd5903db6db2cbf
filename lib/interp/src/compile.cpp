// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <utility>

#include "machine.hpp"
#include "skep/isa/decode.hpp"

namespace skep::interp {
namespace {

/// RunContext::callback: runs a function of the program in the next frame, with registers of its
/// own.
template <Mode M>
std::uint64_t call_back(exec::RunContext* run, std::uint64_t function,
                        std::span<const exec::CallbackArg> args) noexcept {
    constexpr std::uint64_t kStop = 1;
    Machine& machine = *static_cast<Machine*>(run->engine);
    if (run->trap)
        return kStop;
    RegFile regs;
    regs.below = machine.regs;
    regs.caps.fill(M != Mode::Unchecked ? kUnset : Capability{});
    regs.values.fill(0);
    for (std::size_t i = 0; i < std::min<std::size_t>(args.size(), 5); ++i) {
        regs.values[i + 1] = args[i].bits;
        regs.caps[i + 1] = args[i].inherit >= 0
                               ? regs.below->caps[static_cast<std::size_t>(args[i].inherit) + 1]
                               : args[i].cap;
    }
    if (!machine.push(M != Mode::Unchecked))
        return kStop;
    Frame& frame = machine.frame();
    frame.return_to = nullptr;
    regs.values[10] = frame.base() + isa::kMaxStackDepth;
    regs.caps[10] = frame.capability(machine.depth);
    const auto* pc = reinterpret_cast<const Slot*>(function);
    const CodeImpl* code = machine.code;
    machine.regs = &regs;
    const std::int64_t left = machine.left + code->count_before(code->insn_of(pc));
    bool returned = machine.left >= 0;
    if (returned)
        returned = execute<M>(machine, regs, pc, left);
    else
        set_trap(machine, TrapKind::OutOfFuel, {}, {});
    machine.code = code; // The callback may have ended in a tail call.
    machine.regs = regs.below;
    --machine.depth;
    return returned ? machine.result : kStop;
}

Result<void> check_helpers(const Program& program, const Binding& binding) {
    for (std::size_t i = 0; i < program.insns.size(); ++i) {
        const isa::Insn& insn = program.insns[i];
        if (insn.opcode == isa::kLddw) {
            ++i;
            continue;
        }
        if (insn.opcode != isa::kCall || insn.src != isa::kCallHelper || insn.imm == 12)
            continue;
        const auto id = static_cast<std::uint32_t>(insn.imm);
        if (binding.helpers != nullptr && id < exec::kMaxHelper &&
            binding.helpers->functions[id] != nullptr)
            continue;
        const spec::HelperProto* proto = spec::find_helper(id);
        const std::string name = proto == nullptr ? "" : " (bpf_" + std::string(proto->name) + ")";
        return fail(ErrorCode::NotFound,
                    "helper " + std::to_string(insn.imm) + name + " is not available",
                    {.instruction = static_cast<std::int64_t>(i)});
    }
    return {};
}

template <Mode M>
bool enter(Machine& machine, RegFile& regs) noexcept {
    exec::RunContext& run = *machine.run;
    run.callback = call_back<M>;
    run.engine = &machine;
    regs.caps.fill(M != Mode::Unchecked ? kUnset : Capability{});
    regs.values.fill(0);
    machine.open_frame(M != Mode::Unchecked);
    machine.frame().return_to = nullptr;
    machine.frame().first = 0;
    regs.values[1] = machine.context_address;
    regs.caps[1] = {.base = machine.context_address, .kind = RegionKind::Context};
    regs.values[10] = machine.frame().base() + isa::kMaxStackDepth;
    regs.caps[10] = machine.frame().capability(0);
    return execute<M>(machine, regs, machine.code->slots.data(), machine.left);
}

} // namespace

Result<std::unique_ptr<const Code>> Code::compile(std::shared_ptr<const Program> program,
                                                  const Binding& binding, Mode mode) {
    SKEP_TRY(isa::validate(program->insns));
    SKEP_TRY(check_helpers(*program, binding));
    auto code = std::make_unique<CodeImpl>(std::move(program), mode);
    code->zero_stack = binding.zero_uninitialised_stack;
    code->maps.assign(binding.maps.begin(), binding.maps.end());
    SKEP_TRY(translate(*code, binding));
    return std::unique_ptr<const Code>(std::move(code));
}

RunOutcome CodeImpl::run(exec::RunContext& run, std::uint64_t fuel) const noexcept {
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / 2;
    Machine machine;
    RegFile regs;
    machine.run = &run;
    machine.code = this;
    machine.regs = &regs;
    machine.fuel = static_cast<std::int64_t>(std::min(fuel, kMost));
    machine.left = machine.fuel;
    machine.context_address = run.context->address();
    run.trap = {};
    run.pending = 0;
    const auto outer = std::pair(run.callback, run.engine);
    const bool checked = mode != Mode::Unchecked;
    const bool returned = mode == Mode::Checked     ? enter<Mode::Checked>(machine, regs)
                          : mode == Mode::Unchecked ? enter<Mode::Unchecked>(machine, regs)
                                                    : enter<Mode::Traced>(machine, regs);
    run.callback = outer.first;
    run.engine = outer.second;
    return {.r0 = returned ? machine.result : 0,
            .instructions = checked ? static_cast<std::uint64_t>(machine.fuel - machine.left) : 0,
            .trap = run.trap};
}

} // namespace skep::interp
