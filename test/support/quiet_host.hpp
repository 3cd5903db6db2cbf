// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "skep/exec/run_context.hpp"

namespace skep::test {

/// A host in which it is always the first nanosecond and every random number is 1; it swallows
/// output.
struct QuietHost final : exec::Host {
    std::uint64_t ktime_ns() noexcept override { return 1; }
    std::uint64_t boot_ns() noexcept override { return 1; }
    std::uint64_t tai_ns() noexcept override { return 1; }
    std::uint64_t jiffies() noexcept override { return 1; }
    std::uint32_t random_u32() noexcept override { return 1; }
    std::uint64_t pid_tgid() noexcept override { return 0; }
    std::uint64_t uid_gid() noexcept override { return 0; }
    std::string_view comm() noexcept override { return "test"; }
    void printk(std::string_view) noexcept override {}
    int perf_output(const void*, std::uint32_t, std::span<const std::byte>) noexcept override {
        return 0;
    }
    int probe_read(void*, std::uint64_t, std::uint32_t, bool) noexcept override { return -14; }
    int probe_write(std::uint64_t, const void*, std::uint32_t) noexcept override { return -14; }
};

} // namespace skep::test
