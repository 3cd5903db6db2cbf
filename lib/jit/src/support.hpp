// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "skep/exec/run_context.hpp"

/// C functions that compiled code calls. Arguments as the C calling convention has them.
namespace skep::jit::support {

/// LD_ABS and LD_IND: the bytes in the packet as a number, or -1 if they are not there.
std::int64_t load_packet(exec::RunContext* run, std::int64_t offset, std::uint32_t size) noexcept;

/// Where to go on at a tail call; null: the call fails and the program goes on. `program` is the
/// one that calls.
const void* tail_target(exec::RunContext* run, const void* map, std::uint32_t index,
                        const Program* program) noexcept;

/// A fact did not hold.
void wrong_fact(exec::RunContext* run, const Program* program, std::uint32_t insn) noexcept;

/// RunContext::callback: functions of programs are C functions.
std::uint64_t call_back(exec::RunContext* run, std::uint64_t function,
                        std::span<const exec::CallbackArg> arguments) noexcept;

} // namespace skep::jit::support
