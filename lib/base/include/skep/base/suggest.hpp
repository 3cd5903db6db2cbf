// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace skep {

/// The candidate nearest to `word` by edit distance, or "" if none is near enough to be a
/// misspelling.
[[nodiscard]] std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// `did you mean "x"?`, or "" if no candidate is near.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       std::span<const std::string> candidates);

} // namespace skep
