// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <gtest/gtest.h>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "memory/chunk.hpp"

namespace skep::jit {
namespace {

std::optional<std::size_t> lowest_run(const std::vector<bool>& taken, std::size_t count) {
    for (std::size_t first = 0; first + count <= taken.size(); ++first) {
        const auto begin = taken.begin() + static_cast<std::ptrdiff_t>(first);
        if (std::none_of(begin, begin + static_cast<std::ptrdiff_t>(count),
                         [](bool bit) { return bit; }))
            return first;
    }
    return std::nullopt;
}

void mark(std::vector<bool>& taken, std::size_t first, std::size_t count, bool value) {
    for (std::size_t i = first; i != first + count; ++i)
        taken[i] = value;
}

TEST(unit_map, agrees_with_a_list_of_units) {
    constexpr std::size_t units = 333; // The last word is not full.
    UnitMap map(units);
    std::vector<bool> model(units);
    std::vector<std::pair<std::size_t, std::size_t>> held;
    std::mt19937 random(1); // NOLINT: the same sequence each time
    for (int step = 0; step != 20000; ++step) {
        if (random() % 2 == 0 || held.empty()) {
            const std::size_t count = 1 + random() % (random() % 4 == 0 ? 200 : 20);
            const auto got = map.take(count);
            ASSERT_EQ(got, lowest_run(model, count)) << "step " << step << ", " << count;
            if (got) {
                mark(model, *got, count, true);
                held.emplace_back(*got, count);
            }
        } else {
            std::swap(held[random() % held.size()], held.back());
            const auto [first, count] = held.back();
            held.pop_back();
            map.give(first, count);
            mark(model, first, count, false);
        }
        ASSERT_EQ(map.taken(), static_cast<std::size_t>(std::ranges::count(model, true)));
    }
}

TEST(unit_map, holds_as_many_as_it_has) {
    UnitMap map(128);
    EXPECT_EQ(map.take(129), std::nullopt);
    EXPECT_EQ(map.take(128), 0U);
    EXPECT_EQ(map.take(1), std::nullopt);
    map.give(0, 128);
    EXPECT_EQ(map.take(128), 0U);
}

} // namespace
} // namespace skep::jit
