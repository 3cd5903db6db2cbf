// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/program/facts.hpp"

#include <algorithm>

namespace skep {

const CallFact* Facts::call_at(std::uint32_t insn) const noexcept {
    const auto found = std::ranges::lower_bound(calls, insn, {}, &CallFact::insn);
    return found != calls.end() && found->insn == insn ? &*found : nullptr;
}

} // namespace skep
