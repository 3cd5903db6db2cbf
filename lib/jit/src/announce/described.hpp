// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "skep/jit/announce.hpp"

namespace skep::jit {

/// Machine code from `offset` on comes from this line. Line 0: from none.
struct SourceLine {
    std::uint32_t offset = 0;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    std::string_view file;
};

/// Code in memory, with what is known of it; the arguments of announce().
struct Described {
    std::string_view name; ///< of the program
    std::span<const std::byte> code;
    std::span<const NativeFunction> functions;
    std::span<const Unwind> unwind;
    std::vector<SourceLine> lines; ///< by offset; neighbours differ

    [[nodiscard]] std::uint64_t address() const noexcept {
        return reinterpret_cast<std::uintptr_t>(code.data());
    }
};

[[nodiscard]] std::vector<SourceLine> source_lines(const Program& program,
                                                   std::span<const NativeLine> lines);

} // namespace skep::jit
