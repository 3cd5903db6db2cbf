// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "generator.hpp"
#include "skep/program/program.hpp"

namespace skep::test {

[[nodiscard]] inline std::vector<std::byte> random_bytes(Random& random, std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::byte& one : bytes)
        one = static_cast<std::byte>(random.one_in(3) ? random.below(8) : random.next());
    return bytes;
}

/// Inputs for one program: random ones, and those at which something may change: the limits of
/// numbers, and what the program compares with, more, or less by one.
class Inputs {
public:
    Inputs(const Program& program, std::uint64_t seed) : random_(seed) {
        for (std::size_t i = 0; i < program.insns.size(); ++i) {
            const isa::Insn& insn = program.insns[i];
            auto constant = static_cast<std::uint64_t>(std::int64_t{insn.imm});
            if (insn.opcode == isa::kLddw && ++i < program.insns.size())
                constant = static_cast<std::uint32_t>(insn.imm) |
                           std::uint64_t{static_cast<std::uint32_t>(program.insns[i].imm)} << 32;
            for (const std::uint64_t step : {~std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{1}})
                words_.push_back(constant + step);
        }
        for (const unsigned bits : {0U, 7U, 8U, 15U, 16U, 31U, 32U, 63U})
            for (const std::uint64_t step : {~std::uint64_t{0}, std::uint64_t{0}})
                words_.push_back((std::uint64_t{1} << bits) + step);
        words_.push_back(~std::uint64_t{0});
    }

    /// Every second time at the limits.
    std::vector<std::byte> bytes(std::size_t size) {
        if (random_.one_in(2))
            return random_bytes(random_, size);
        std::vector<std::byte> made(size);
        const std::size_t width = std::size_t{1} << random_.below(4);
        for (std::size_t at = 0; at < size; at += width) {
            const std::uint64_t word = any();
            std::memcpy(made.data() + at, &word, std::min(width, size - at));
        }
        return made;
    }
    std::vector<std::byte> packet() {
        static constexpr std::uint32_t kSizes[] = {14, 15, 20, 33, 34,  42,
                                                   54, 60, 64, 90, 128, 1500};
        const std::uint64_t near = any();
        if (random_.one_in(3) && near >= 14 && near <= 1500)
            return bytes(near);
        return bytes(random_.one_in(3) ? 14 + random_.below(150)
                                       : kSizes[random_.below(std::size(kSizes))]);
    }

private:
    std::uint64_t any() { return words_[random_.below(static_cast<std::uint32_t>(words_.size()))]; }

    Random random_;
    std::vector<std::uint64_t> words_;
};

} // namespace skep::test
