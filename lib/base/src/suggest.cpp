// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/base/suggest.hpp"

#include <algorithm>
#include <numeric>

namespace skep {
namespace {

// Damerau-Levenshtein distance (optimal string alignment): a swap of neighbours counts once.
std::size_t distance(std::string_view a, std::string_view b) {
    const std::size_t width = b.size() + 1;
    std::vector<std::size_t> table((a.size() + 1) * width);
    const auto at = [&](std::size_t i, std::size_t j) -> std::size_t& {
        return table[i * width + j];
    };
    for (std::size_t i = 0; i <= a.size(); ++i)
        at(i, 0) = i;
    for (std::size_t j = 0; j <= b.size(); ++j)
        at(0, j) = j;
    for (std::size_t i = 1; i <= a.size(); ++i)
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
        }
    return table.back();
}

} // namespace

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
    constexpr std::size_t kLongestWord = 256; // Bounds the table for hostile names.
    std::string best;
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        if (word.size() > kLongestWord || candidate.size() > kLongestWord)
            continue;
        if (const std::size_t d = distance(word, candidate); d < best_distance) {
            best_distance = d;
            best = candidate;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
    const std::string best = nearest(word, candidates);
    return best.empty() ? "" : "did you mean \"" + best + "\"?";
}

} // namespace skep
