// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "skep/verifier/verifier.hpp"

namespace skep::verifier {
namespace {

constexpr std::array<Title, 28> kTitles{{
    {"V100", "not a valid instruction"},
    {"V101", "packet access that no test covers"},
    {"V102", "map value access out of bounds"},
    {"V103", "stack access out of the frame"},
    {"V104", "memory access out of bounds"},
    {"V105", "size that may be negative, zero or too large"},
    {"V106", "access that is not aligned"},
    {"V201", "pointer that may be null"},
    {"V202", "number used as a pointer"},
    {"V204", "operation that is not allowed on this pointer"},
    {"V205", "pointer that would leak"},
    {"V301", "read of a register that was never written"},
    {"V401", "resource that is not released"},
    {"V402", "use or release of what the program does not hold"},
    {"V403", "rule of locks broken"},
    {"V501", "loop that is not shown to end"},
    {"V502", "analysis budget exhausted"},
    {"V503", "stack or call depth exceeded"},
    {"V504", "code that nothing reaches"},
    {"V601", "argument that does not fit the function"},
    {"V602", "call that is not available here"},
    {"V603", "return value out of range"},
    {"V604", "invalid access to the context or a socket"},
    {"V605", "iterator used out of turn"},
    {"V606", "write to what is read-only"},
    {"V607", "contract of a function broken"},
    {"V701", "something in the object is missing"},
    {"V900", "not supported yet"},
}};

} // namespace

std::string_view title_of(std::string_view code) noexcept {
    const auto* found = std::ranges::find(kTitles, code, &Title::code);
    return found == kTitles.end() ? "" : found->title;
}

std::span<const Title> catalogue() noexcept {
    return kTitles;
}

} // namespace skep::verifier
