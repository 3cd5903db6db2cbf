// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/base/result.hpp"
#include "skep/isa/insn.hpp"

namespace skep::isa {

/// As many as Linux accepts in one program (BPF_COMPLEXITY_LIMIT_INSNS).
inline constexpr std::size_t kMaxInsns = 1'000'000;

/// As many as Linux accepts, the program itself included (BPF_MAX_SUBPROGS).
inline constexpr std::size_t kMaxFunctions = 256;

/// Instructions from the bytes of a code section, in either byte order. Checks only the size.
/// Errors: Malformed if the size is not a multiple of 8.
Result<std::vector<Insn>> decode(Bytes bytes, std::endian order = std::endian::little);

/// What is wrong with an instruction.
struct InsnFault {
    std::uint32_t insn = 0;
    std::string text;
};

struct ValidateOptions {
    bool callx = false; ///< accept indirect calls, which Linux refuses
    /// If given, writes of r10 and immediates out of range are no errors, but added here: Linux
    /// refuses them only where it proves that they can be executed.
    std::vector<InsnFault>* when_reached = nullptr;
};

/// Checks the structure of a program, as strictly as Linux 6.18: known opcodes, reserved fields
/// zero, registers in range, r10 never written, whole `lddw`s, immediates in range, jumps that stay
/// in their function and land on an instruction, local calls and function addresses likewise, and a
/// jump or exit at the end of every function. Reports first the faults within instructions, then
/// those between them, each by ascending index; the error's place names the slot.
///
/// What depends on types, maps, helpers or reachability is the verifier's business. Stricter than
/// Linux in one point: Linux does not look at most fields of code that it proves is never executed.
Result<void> validate(std::span<const Insn> insns, const ValidateOptions& options = {});

/// The slots at which functions start: 0 and the targets of local calls and of function addresses,
/// ascending, without duplicates. Targets outside the program are left out.
std::vector<std::uint32_t> function_starts(std::span<const Insn> insns);

/// The slot to which a jump, local call or `lddw` of a function at slot `index` refers; -1 for all
/// other instructions. May lie outside the program unless validate() accepted it.
[[nodiscard]] std::int64_t target_of(const Insn& insn, std::size_t index) noexcept;

} // namespace skep::isa
