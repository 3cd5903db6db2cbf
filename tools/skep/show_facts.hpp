// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "console.hpp"
#include "disassembly.hpp"
#include "skep/program/facts.hpp"

namespace skep::tool {

/// What is proved for engines: the disassembly, each instruction with its facts.
[[nodiscard]] std::string facts_text(const Disassembly& disassembly, const Program& program,
                                     const Facts& facts);
/// The same: {"insns": [...], "functions": [...]}.
[[nodiscard]] Json facts_json(const Facts& facts);

} // namespace skep::tool
