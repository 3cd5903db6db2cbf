// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "skep/isa/insn.hpp"

/// Random instruction sequences that the kernel's verifier accepts.
namespace skep::test {

/// Bytes of map value that a sequence owns: memory it works on, then where it leaves its registers
/// and its stack.
inline constexpr std::uint32_t kWorkBytes = 64;
inline constexpr std::uint32_t kRegionBytes = kWorkBytes + 80 + 64;

/// Instructions that stay together; no jump enters or leaves them.
using Item = std::vector<isa::Insn>;

/// One sequence: items that run one after the other.
struct Sequence {
    std::vector<Item> items;
};

/// The sequence with this number; the same for the same seed, on every machine.
[[nodiscard]] Sequence make_sequence(std::uint64_t seed, std::uint64_t number);

/// Sequences one after the other in one program. Sequence i works on bytes [i, i + 1) *
/// kRegionBytes of the map value that `lddw` src 2 with immediate `map` names: it starts with
/// registers and stack taken from it and ends by storing all of them to it. The program returns the
/// last r0.
[[nodiscard]] std::vector<isa::Insn> join(const std::vector<Sequence>& sequences, std::int32_t map);

/// A generator of 64-bit numbers (SplitMix64): small, seedable, equal everywhere.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() noexcept;
    /// 0 to bound - 1.
    std::uint32_t below(std::uint32_t bound) noexcept;
    bool one_in(std::uint32_t n) noexcept { return below(n) == 0; }

private:
    std::uint64_t state_;
};

} // namespace skep::test
