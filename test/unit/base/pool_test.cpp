// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "skep/base/pool.hpp"

namespace skep {
namespace {

TEST(pool, blocks_of_all_sizes_are_whole) {
    for (const std::size_t size : {0U, 1U, 32U, 33U, 1024U, 1025U, 4096U, 65536U, 65537U, 1000000U})
        for (int round = 0; round < 3; ++round) {
            PoolVector<char> bytes(size, 'x');
            PoolVector<char> others(size, 'y');
            EXPECT_EQ(std::ranges::count(bytes, 'x'), static_cast<std::ptrdiff_t>(size));
        }
}

TEST(pool, a_block_may_be_given_back_by_another_thread) {
    for (int round = 0; round < 100; ++round) {
        PoolVector<PoolVector<int>> made;
        std::thread([&] {
            for (int i = 0; i < 20; ++i)
                made.emplace_back(static_cast<std::size_t>(i * 7), i);
        }).join();
        for (int i = 0; i < 20; ++i)
            EXPECT_EQ(std::ranges::count(made[static_cast<std::size_t>(i)], i), i * 7);
    }
}

} // namespace
} // namespace skep
