// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "skep/program/program.hpp"

namespace skep::test {

/// A program of these instructions, named "test", with its subprograms and a GPL licence.
[[nodiscard]] std::shared_ptr<Program> program_of(std::vector<isa::Insn> code,
                                                  spec::ProgramType type = spec::ProgramType::Xdp);

/// The same of assembler text. Aborts if it cannot be read.
[[nodiscard]] std::shared_ptr<const Program>
program(std::string_view text, spec::ProgramType type = spec::ProgramType::Xdp);

} // namespace skep::test
