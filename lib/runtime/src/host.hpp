// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <mutex>

#include "skep/runtime/runtime.hpp"

namespace skep::runtime {

/// The process that skep runs in, with what HostOptions fixes. Any thread may call it.
class SystemHost final : public exec::Host {
public:
    explicit SystemHost(HostOptions options);

    std::uint64_t ktime_ns() noexcept override;
    std::uint64_t boot_ns() noexcept override;
    std::uint64_t tai_ns() noexcept override;
    std::uint64_t jiffies() noexcept override;
    std::uint32_t random_u32() noexcept override;
    std::uint64_t pid_tgid() noexcept override;
    std::uint64_t uid_gid() noexcept override;
    std::string_view comm() noexcept override { return options_.comm; }
    void printk(std::string_view text) noexcept override;
    int perf_output(const void* map, std::uint32_t cpu,
                    std::span<const std::byte> record) noexcept override;
    int probe_read(void* to, std::uint64_t from, std::uint32_t size, bool user) noexcept override;
    int probe_write(std::uint64_t to, const void* from, std::uint32_t size) noexcept override;

    /// Moves the fixed clock.
    void set_time_ns(std::uint64_t ns) noexcept { time_.store(ns, std::memory_order_relaxed); }

    [[nodiscard]] std::uint64_t lost_events() const noexcept {
        return lost_.load(std::memory_order_relaxed);
    }

private:
    std::uint64_t clock(int id) noexcept;

    HostOptions options_;
    std::atomic<std::uint64_t> time_;
    std::atomic<std::uint64_t> random_;
    std::atomic<std::uint64_t> lost_{0};
    std::mutex output_; ///< callbacks are called one at a time
};

} // namespace skep::runtime
