// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "skep/program/control_flow.hpp"
#include "skep/program/program.hpp"

namespace skep::verifier {

/// For each slot the registers (bit r: register r) whose values may still be read from there on,
/// within the function. A hint: a register too few costs nothing but precision, because the checker
/// would find it read and not initialised.
[[nodiscard]] std::vector<std::uint16_t> live_registers(const Program& program,
                                                        const ControlFlow& flow);

/// By slot: the upper half of what the instruction writes is not read before it is written again.
[[nodiscard]] std::vector<bool> upper_halves_unread(const Program& program,
                                                    const ControlFlow& flow);

} // namespace skep::verifier
