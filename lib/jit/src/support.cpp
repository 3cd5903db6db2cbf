// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "support.hpp"

#include <algorithm>
#include <array>

#include "code.hpp"
#include "skep/isa/insn.hpp"

namespace skep::jit::support {
namespace {

/// What a tail call that is refused goes on with: it ends the run.
std::uint64_t stop(std::uint64_t /*context*/, exec::RunContext* /*run*/) noexcept {
    return 0;
}

} // namespace

std::int64_t load_packet(exec::RunContext* run, std::int64_t offset, std::uint32_t size) noexcept {
    std::uint64_t value = 0;
    return exec::load_packet(*run->context, offset, size, value) ? static_cast<std::int64_t>(value)
                                                                 : -1;
}

const void* tail_target(exec::RunContext* run, const void* map, std::uint32_t index,
                        const Program* program) noexcept {
    constexpr std::uint32_t kTailCall = 12;
    if (run->tail_target == nullptr || run->tail_calls >= isa::kMaxTailCalls)
        return nullptr;
    const void* found = run->tail_target(run, map, index);
    if (found == nullptr)
        return nullptr;
    // Slots hold what the runtime compiled: jit::Code, whose only implementation is ours.
    const auto* code = static_cast<const CodeImpl*>(static_cast<const Code*>(found));
    if (code->program().type != program->type) {
        if (!run->trap)
            run->trap = {.kind = exec::TrapKind::BadCall,
                         .program = program,
                         .helper = kTailCall,
                         .detail = "the program in the slot is of another type"};
        return reinterpret_cast<const void*>(&stop);
    }
    ++run->tail_calls;
    return reinterpret_cast<const void*>(code->entry());
}

void wrong_fact(exec::RunContext* run, const Program* program, std::uint32_t insn) noexcept {
    if (!run->trap)
        run->trap = {.kind = exec::TrapKind::BadInstruction,
                     .insn = static_cast<std::int32_t>(insn),
                     .program = program,
                     .detail = "what was proved about a number does not hold"};
}

SKEP_CALLS_CODE std::uint64_t call_back(exec::RunContext* run, std::uint64_t function,
                                        std::span<const exec::CallbackArg> arguments) noexcept {
    std::array<std::uint64_t, 5> values{};
    for (std::size_t i = 0; i < std::min(arguments.size(), values.size()); ++i)
        values[i] = arguments[i].bits;
    const auto entry = reinterpret_cast<exec::HelperFn>(function);
    return entry(values[0], values[1], values[2], values[3], values[4], run);
}

} // namespace skep::jit::support
