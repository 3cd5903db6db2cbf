// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "described.hpp"

namespace skep::jit {

std::vector<SourceLine> source_lines(const Program& program, std::span<const NativeLine> lines) {
    std::vector<SourceLine> all;
    for (const NativeLine& native : lines) {
        SourceLine next{.offset = native.offset};
        if (const LineInfo* info = program.line_of(native.insn)) {
            next.line = info->line;
            next.column = info->column;
            next.file = info->file;
        }
        if (!all.empty() && all.back().offset == next.offset)
            all.pop_back(); // No code came from the one before.
        const bool same = !all.empty() && all.back().line == next.line &&
                          all.back().column == next.column && all.back().file == next.file;
        if (!same)
            all.push_back(next);
    }
    return all;
}

} // namespace skep::jit
