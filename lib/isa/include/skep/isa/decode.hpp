// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "skep/base/result.hpp"
#include "skep/isa/insn.hpp"

namespace skep::isa {

struct ValidateOptions {
    bool callx = false; ///< accept indirect calls, which Linux refuses
};

/// Checks the structure of a program, as strictly as Linux 6.18: known opcodes, reserved fields zero,
/// registers in range, r10 never written, whole `lddw`s, immediates in range, jumps and local calls
/// that land on an instruction. The first fault by index is reported; the error's place names the
/// slot. What depends on types, maps, helpers or reachability is the verifier's business.
Result<void> validate(std::span<const Insn> insns, const ValidateOptions& options = {});

} // namespace skep::isa
