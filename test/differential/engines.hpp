// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "skep/interp/interp.hpp"
#include "skep/isa/insn.hpp"
#include "skep/jit/jit.hpp"

/// One program on one map value, in each engine.
namespace skep::test {

/// What a run left behind.
struct Outcome {
    std::uint32_t r0 = 0;
    std::vector<std::byte> memory;
    std::string error; ///< why there is no result; "" if there is one

    friend bool operator==(const Outcome&, const Outcome&) = default;
};

/// Runs `code` (whose `lddw` of the map value says map 0) on a copy of `memory`.
[[nodiscard]] Outcome run_interp(const std::vector<isa::Insn>& code,
                                 const std::vector<std::byte>& memory, interp::Mode mode);

/// The same, compiled. Error: the verifier does not accept it, or a trap.
[[nodiscard]] Outcome run_jit(const std::vector<isa::Insn>& code,
                              const std::vector<std::byte>& memory, const jit::Options& options);

/// The same in the kernel; there `code` names the map by its place in fd_array.
[[nodiscard]] Outcome run_kernel(const std::vector<isa::Insn>& code,
                                 const std::vector<std::byte>& memory);

/// FNV-1a of r0 and the memory, to record a result in one word.
[[nodiscard]] std::uint64_t digest(const Outcome& outcome) noexcept;

/// Bytes that are equal for equal seeds.
[[nodiscard]] std::vector<std::byte> random_memory(std::uint64_t seed, std::size_t size);

} // namespace skep::test
