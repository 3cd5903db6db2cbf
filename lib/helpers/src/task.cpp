// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The current task: the process that skep runs in, or the one that HostOptions describes. Kernel
// objects (task_struct, cgroup) do not exist here; helpers that return one return an opaque number.
#include "helper.hpp"

namespace skep::helpers {
namespace {

constexpr std::uint64_t kRootCgroup = 1;

SKEP_HELPER_FN(get_current_pid_tgid) {
    return run->host->pid_tgid();
}
SKEP_HELPER_FN(get_current_uid_gid) {
    return run->host->uid_gid();
}

SKEP_HELPER_FN(get_current_comm) {
    const std::string_view comm = run->host->comm();
    const std::size_t length = std::min<std::size_t>(comm.size(), r2 - 1);
    std::memset(bytes_at(r1), 0, r2);
    std::memcpy(bytes_at(r1), comm.data(), length);
    return 0;
}

SKEP_HELPER_FN(get_current_task) {
    return run->host->pid_tgid();
}
SKEP_HELPER_FN(get_current_cgroup_id) {
    return kRootCgroup;
}
SKEP_HELPER_FN(get_current_ancestor_cgroup_id) {
    return r1 == 0 ? kRootCgroup : 0;
}
SKEP_HELPER_FN(get_cgroup_classid) {
    return 0;
}
SKEP_HELPER_FN(get_netns_cookie) {
    return 1;
} // init_net's
SKEP_HELPER_FN(skb_cgroup_id) {
    return kRootCgroup;
}
SKEP_HELPER_FN(skb_ancestor_cgroup_id) {
    return static_cast<std::int32_t>(r2) == 0 ? kRootCgroup : 0;
}

struct PidnsInfo {
    std::uint32_t pid;
    std::uint32_t tgid;
};

// The namespace is named by its device and inode; skep does not look them up.
SKEP_HELPER_FN(get_ns_current_pid_tgid) {
    if (r4 != sizeof(PidnsInfo)) {
        std::memset(bytes_at(r3), 0, r4);
        return error(EINVAL);
    }
    const std::uint64_t ids = run->host->pid_tgid();
    const PidnsInfo info{static_cast<std::uint32_t>(ids), static_cast<std::uint32_t>(ids >> 32)};
    std::memcpy(bytes_at(r3), &info, sizeof info);
    return 0;
}

SKEP_HELPER_FN(current_task_under_cgroup) {
    return error(EAGAIN);
} // No cgroup is in the array.
SKEP_HELPER_FN(skb_under_cgroup) {
    return error(EAGAIN);
}

constexpr Entry kEntries[] = {
    {"get_current_pid_tgid", get_current_pid_tgid},
    {"get_current_uid_gid", get_current_uid_gid},
    {"get_current_comm", get_current_comm},
    {"get_current_task", get_current_task},
    {"get_current_cgroup_id", get_current_cgroup_id},
    {"get_current_ancestor_cgroup_id", get_current_ancestor_cgroup_id},
    {"get_cgroup_classid", get_cgroup_classid},
    {"skb_cgroup_classid", get_cgroup_classid},
    {"get_netns_cookie", get_netns_cookie},
    {"skb_cgroup_id", skb_cgroup_id},
    {"sk_cgroup_id", skb_cgroup_id},
    {"skb_ancestor_cgroup_id", skb_ancestor_cgroup_id},
    {"sk_ancestor_cgroup_id", skb_ancestor_cgroup_id},
    {"get_ns_current_pid_tgid", get_ns_current_pid_tgid},
    {"current_task_under_cgroup", current_task_under_cgroup},
    {"skb_under_cgroup", skb_under_cgroup},
};

} // namespace

std::span<const Entry> task_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
