// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cerrno>
#include <gtest/gtest.h>
#include <unistd.h>

#include "host.hpp"

namespace skep::runtime {
namespace {

TEST(host, fixed_clock_stands_still) {
    SystemHost host({.fixed_time_ns = 42});
    EXPECT_EQ(host.ktime_ns(), 42U);
    EXPECT_EQ(host.boot_ns(), 42U);
}

TEST(host, fixed_clock_advances_by_its_step) {
    SystemHost host({.fixed_time_ns = 42, .clock_step_ns = 8});
    EXPECT_EQ(host.ktime_ns(), 42U);
    EXPECT_EQ(host.ktime_ns(), 50U);
}

TEST(host, clock_of_the_system_advances) {
    SystemHost host(HostOptions{});
    const auto first = host.ktime_ns();
    EXPECT_GT(first, 0U);
    EXPECT_GE(host.ktime_ns(), first);
}

TEST(host, same_seed_gives_the_same_numbers) {
    SystemHost a({.random_seed = 7});
    SystemHost b({.random_seed = 7});
    SystemHost c({.random_seed = 8});
    const auto first = a.random_u32();
    EXPECT_EQ(first, b.random_u32());
    EXPECT_NE(first, c.random_u32());
    EXPECT_NE(first, a.random_u32());
}

TEST(host, pid_alone_is_thread_and_process) {
    SystemHost host({.pid = 5});
    EXPECT_EQ(host.pid_tgid(), std::uint64_t{5} << 32 | 5);
}

TEST(host, comm_is_cut_to_the_size_of_the_kernels) {
    SystemHost host({.comm = "a-name-that-is-too-long"});
    EXPECT_EQ(host.comm(), "a-name-that-is-");
}

TEST(host, probe_read_copies_memory_of_the_process) {
    SystemHost host(HostOptions{});
    const std::uint32_t from = 0x12345678;
    std::uint32_t to = 0;
    EXPECT_EQ(host.probe_read(&to, reinterpret_cast<std::uint64_t>(&from), 4, false), 0);
    EXPECT_EQ(to, from);
}

TEST(host, probe_read_of_a_bad_address_fails_and_zeroes) {
    SystemHost host(HostOptions{});
    std::uint32_t to = 1;
    EXPECT_EQ(host.probe_read(&to, 8, 4, true), -EFAULT);
    EXPECT_EQ(to, 0U);
    EXPECT_EQ(host.probe_read(&to, 0xffffffff80000000, 4, false), -EFAULT);
}

TEST(host, probe_write_of_a_bad_address_fails) {
    SystemHost host(HostOptions{});
    const std::uint32_t from = 1;
    EXPECT_EQ(host.probe_write(8, &from, 4), -EFAULT);
}

TEST(host, events_that_nobody_takes_are_counted) {
    SystemHost host(HostOptions{});
    EXPECT_EQ(host.perf_output(nullptr, 0, {}), 0);
    EXPECT_EQ(host.lost_events(), 1U);
}

} // namespace
} // namespace skep::runtime
