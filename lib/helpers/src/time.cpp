// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "helper.hpp"

namespace skep::helpers {
namespace {

SKEP_HELPER_FN(ktime_get_ns) {
    return run->host->ktime_ns();
}
SKEP_HELPER_FN(ktime_get_boot_ns) {
    return run->host->boot_ns();
}
SKEP_HELPER_FN(ktime_get_tai_ns) {
    return run->host->tai_ns();
}
// The kernel's coarse clock steps once per jiffy (4 ms at HZ=250).
SKEP_HELPER_FN(ktime_get_coarse_ns) {
    constexpr std::uint64_t kJiffy = 4'000'000;
    return run->host->ktime_ns() / kJiffy * kJiffy;
}
SKEP_HELPER_FN(jiffies64) {
    return run->host->jiffies();
}
SKEP_HELPER_FN(get_prandom_u32) {
    return run->host->random_u32();
}
SKEP_HELPER_FN(get_smp_processor_id) {
    return run->cpu;
}
SKEP_HELPER_FN(get_numa_node_id) {
    return run->numa_node;
}

constexpr Entry kEntries[] = {
    {"ktime_get_ns", ktime_get_ns},
    {"ktime_get_boot_ns", ktime_get_boot_ns},
    {"ktime_get_tai_ns", ktime_get_tai_ns},
    {"ktime_get_coarse_ns", ktime_get_coarse_ns},
    {"jiffies64", jiffies64},
    {"get_prandom_u32", get_prandom_u32},
    {"get_smp_processor_id", get_smp_processor_id},
    {"get_numa_node_id", get_numa_node_id},
};

} // namespace

std::span<const Entry> time_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
