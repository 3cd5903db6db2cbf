// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "walker.hpp"

namespace skep::verifier {

/// Adds to a finding how it came about: walks the path (finding.path) from the start again, and
/// notes where the register that the finding is about got its value, where that was moved and
/// tested, and where what was known of it was lost.
void explain(Walker& walker, const State& start, u32 root, Finding& finding);

/// What is known of a value: "packet + 14 to 74", "0 to 255", "a map value that may be null".
[[nodiscard]] std::string describe(const State& state, const Val& val);

} // namespace skep::verifier
