// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "skep/spec/helper.hpp"

namespace skep::spec {
namespace {

struct Row {
    ProgramType type;
    std::uint32_t attach_type;
    std::array<std::uint64_t, 4> helpers;
};

constexpr Row kRows[] = {
#define SKEP_AVAILABLE(type, attach, a, b, c, d) {ProgramType::type, attach, {a, b, c, d}},
#include "availability.def"
#undef SKEP_AVAILABLE
};

} // namespace

std::optional<bool> helper_available(ProgramType type, std::uint32_t attach_type,
                                     std::uint32_t id) noexcept {
    for (const Row& row : kRows) // The row for all other attach types comes last.
        if (row.type == type && (row.attach_type == attach_type || row.attach_type == 0))
            return id < 256 && (row.helpers[id / 64] >> id % 64 & 1) != 0;
    return std::nullopt;
}

} // namespace skep::spec
