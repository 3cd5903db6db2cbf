// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "probe.hpp"

#include <cstdint>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace skep::runtime {
namespace {

using Copy = bool (*)(void*, const void*, std::size_t) noexcept;

class Probe : public testing::TestWithParam<Copy> {};

TEST_P(Probe, copies_more_than_a_page) {
    std::vector<std::uint32_t> from(5000);
    for (std::uint32_t i = 0; i < from.size(); ++i)
        from[i] = i * 0x01010101;
    std::vector<std::uint32_t> to(from.size());
    EXPECT_TRUE(GetParam()(to.data(), from.data(), from.size() * 4));
    EXPECT_EQ(to, from);
}

TEST_P(Probe, copies_nothing_from_anywhere) {
    EXPECT_TRUE(GetParam()(nullptr, nullptr, 0));
}

TEST_P(Probe, refuses_what_ends_before_its_size) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    auto* memory = static_cast<std::byte*>(
        ::mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(memory, MAP_FAILED);
    ASSERT_EQ(::mprotect(memory + page, page, PROT_NONE), 0);
    std::uint64_t word = 0;
    EXPECT_TRUE(GetParam()(&word, memory + page - 8, 8));
    EXPECT_FALSE(GetParam()(&word, memory + page - 4, 8));
    EXPECT_TRUE(GetParam()(memory + page - 8, &word, 8));
    EXPECT_FALSE(GetParam()(memory + page - 4, &word, 8));
    ::munmap(memory, 2 * page);
}

TEST_P(Probe, does_not_write_what_is_read_only) {
    static const std::uint64_t kConstant = 1;
    const std::uint64_t word = 2;
    EXPECT_FALSE(GetParam()(const_cast<std::uint64_t*>(&kConstant), &word, 8));
    EXPECT_EQ(*const_cast<const volatile std::uint64_t*>(&kConstant), 1U);
}

INSTANTIATE_TEST_SUITE_P(all, Probe, testing::Values(&copy_checked, &copy_through_pipe),
                         [](const auto& copy) { return copy.index == 0 ? "system" : "pipe"; });

} // namespace
} // namespace skep::runtime
