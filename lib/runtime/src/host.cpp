// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "host.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe.hpp"

namespace skep::runtime {
namespace {

constexpr std::uint64_t kNano = 1'000'000'000;
constexpr std::uint64_t kNsPerJiffy = kNano / 250; // CONFIG_HZ=250, Debian's
/// TASK_COMM_LEN: bytes of a task's name with its NUL.
constexpr std::size_t kCommSize = 16;

std::string own_comm() {
    std::array<char, kCommSize> name{};
    ::prctl(PR_GET_NAME, name.data());
    return name.data();
}

std::uint64_t system_random() {
    std::uint64_t seed = 0;
    if (::getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = static_cast<std::uint64_t>(::getpid());
    return seed;
}

} // namespace

SystemHost::SystemHost(HostOptions options)
    : options_(std::move(options)), time_(options_.fixed_time_ns.value_or(0)),
      random_(options_.random_seed ? *options_.random_seed : system_random()) {
    if (options_.comm.empty())
        options_.comm = own_comm();
    options_.comm.resize(std::min(options_.comm.size(), kCommSize - 1));
}

std::uint64_t SystemHost::clock(int id) noexcept {
    if (options_.fixed_time_ns)
        return time_.fetch_add(options_.clock_step_ns, std::memory_order_relaxed);
    timespec now{};
    ::clock_gettime(id, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * kNano + static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint64_t SystemHost::ktime_ns() noexcept {
    return clock(CLOCK_MONOTONIC);
}

std::uint64_t SystemHost::boot_ns() noexcept {
    return clock(CLOCK_BOOTTIME);
}

std::uint64_t SystemHost::tai_ns() noexcept {
    return clock(CLOCK_TAI);
}

std::uint64_t SystemHost::jiffies() noexcept {
    return clock(CLOCK_MONOTONIC) / kNsPerJiffy;
}

std::uint32_t SystemHost::random_u32() noexcept {
    // SplitMix64 (Steele, Lea, Flood 2014): a counter and a mix, so threads need no lock.
    std::uint64_t x = random_.fetch_add(0x9e3779b97f4a7c15, std::memory_order_relaxed);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return static_cast<std::uint32_t>((x ^ (x >> 31)) >> 32);
}

std::uint64_t SystemHost::pid_tgid() noexcept {
    const auto tgid = options_.tgid  ? *options_.tgid
                      : options_.pid ? *options_.pid
                                     : static_cast<std::uint32_t>(::getpid());
    const auto pid =
        options_.pid ? *options_.pid : static_cast<std::uint32_t>(::syscall(SYS_gettid));
    return std::uint64_t{tgid} << 32 | pid;
}

std::uint64_t SystemHost::uid_gid() noexcept {
    const std::uint32_t uid = options_.uid ? *options_.uid : ::getuid();
    const std::uint32_t gid = options_.gid ? *options_.gid : ::getgid();
    return std::uint64_t{gid} << 32 | uid;
}

void SystemHost::printk(std::string_view text) noexcept {
    if (!options_.printk)
        return;
    const std::lock_guard lock(output_);
    options_.printk(text);
}

int SystemHost::perf_output(const void* map, std::uint32_t cpu,
                            std::span<const std::byte> record) noexcept {
    if (!options_.perf_output) {
        lost_.fetch_add(1, std::memory_order_relaxed);
        return 0;
    }
    const std::lock_guard lock(output_);
    options_.perf_output(*static_cast<const maps::Map*>(map), cpu, record);
    return 0;
}

// Kernel addresses fail, as there is no kernel memory here to read.
int SystemHost::probe_read(void* to, std::uint64_t from, std::uint32_t size, bool user) noexcept {
    // The kernel does not even try what a null pointer leads to.
    constexpr std::uint64_t kFirstPage = 4096;
    if (size != 0 && !user && from < kFirstPage) {
        std::memset(to, 0, size);
        return -ERANGE;
    }
    if (copy_checked(to, reinterpret_cast<const void*>(from), size))
        return 0;
    std::memset(to, 0, size);
    return -EFAULT;
}

int SystemHost::probe_write(std::uint64_t to, const void* from, std::uint32_t size) noexcept {
    return copy_checked(reinterpret_cast<void*>(to), from, size) ? 0 : -EFAULT;
}

} // namespace skep::runtime
