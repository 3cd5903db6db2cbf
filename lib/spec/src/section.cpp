// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/spec/section.hpp"

#include <algorithm>

namespace skep::spec {
namespace {

// clang-format off
constexpr SectionDef kSections[] = {
    {"socket", ProgramType::SocketFilter, 0, false, 0},
    {"sk_reuseport/migrate", ProgramType::SkReuseport, 40, false, 0},
    {"sk_reuseport", ProgramType::SkReuseport, 39, false, 0},
    {"kprobe", ProgramType::Kprobe, 0, true, 0},
    {"uprobe", ProgramType::Kprobe, 0, true, 0},
    {"uprobe.s", ProgramType::Kprobe, 0, true, kSleepable},
    {"kretprobe", ProgramType::Kprobe, 0, true, 0},
    {"uretprobe", ProgramType::Kprobe, 0, true, 0},
    {"uretprobe.s", ProgramType::Kprobe, 0, true, kSleepable},
    {"kprobe.multi", ProgramType::Kprobe, 42, true, 0},
    {"kretprobe.multi", ProgramType::Kprobe, 42, true, 0},
    {"kprobe.session", ProgramType::Kprobe, 56, true, 0},
    {"uprobe.multi", ProgramType::Kprobe, 48, true, 0},
    {"uretprobe.multi", ProgramType::Kprobe, 48, true, 0},
    {"uprobe.multi.s", ProgramType::Kprobe, 48, true, kSleepable},
    {"uretprobe.multi.s", ProgramType::Kprobe, 48, true, kSleepable},
    {"ksyscall", ProgramType::Kprobe, 0, true, 0},
    {"kretsyscall", ProgramType::Kprobe, 0, true, 0},
    {"usdt", ProgramType::Kprobe, 0, true, 0},
    {"usdt.s", ProgramType::Kprobe, 0, true, kSleepable},
    {"tc/ingress", ProgramType::SchedCls, 46, false, 0},
    {"tc/egress", ProgramType::SchedCls, 47, false, 0},
    {"tcx/ingress", ProgramType::SchedCls, 46, false, 0},
    {"tcx/egress", ProgramType::SchedCls, 47, false, 0},
    {"tc", ProgramType::SchedCls, 0, false, 0},
    {"classifier", ProgramType::SchedCls, 0, false, 0},
    {"action", ProgramType::SchedAct, 0, false, 0},
    {"netkit/primary", ProgramType::SchedCls, 54, false, 0},
    {"netkit/peer", ProgramType::SchedCls, 55, false, 0},
    {"tracepoint", ProgramType::Tracepoint, 0, true, 0},
    {"tp", ProgramType::Tracepoint, 0, true, 0},
    {"raw_tracepoint", ProgramType::RawTracepoint, 0, true, 0},
    {"raw_tp", ProgramType::RawTracepoint, 0, true, 0},
    {"raw_tracepoint.w", ProgramType::RawTracepointWritable, 0, true, 0},
    {"raw_tp.w", ProgramType::RawTracepointWritable, 0, true, 0},
    {"tp_btf", ProgramType::Tracing, 23, true, kAttachBtf},
    {"fentry", ProgramType::Tracing, 24, true, kAttachBtf},
    {"fmod_ret", ProgramType::Tracing, 26, true, kAttachBtf},
    {"fexit", ProgramType::Tracing, 25, true, kAttachBtf},
    {"fentry.s", ProgramType::Tracing, 24, true, kSleepable | kAttachBtf},
    {"fmod_ret.s", ProgramType::Tracing, 26, true, kSleepable | kAttachBtf},
    {"fexit.s", ProgramType::Tracing, 25, true, kSleepable | kAttachBtf},
    {"freplace", ProgramType::Ext, 0, true, kAttachBtf},
    {"lsm", ProgramType::Lsm, 27, true, kAttachBtf},
    {"lsm.s", ProgramType::Lsm, 27, true, kSleepable | kAttachBtf},
    {"lsm_cgroup", ProgramType::Lsm, 43, true, kAttachBtf},
    {"iter", ProgramType::Tracing, 28, true, kAttachBtf},
    {"iter.s", ProgramType::Tracing, 28, true, kSleepable | kAttachBtf},
    {"syscall", ProgramType::Syscall, 0, false, kSleepable},
    {"xdp.frags/devmap", ProgramType::Xdp, 33, false, kFrags},
    {"xdp/devmap", ProgramType::Xdp, 33, false, 0},
    {"xdp.frags/cpumap", ProgramType::Xdp, 35, false, kFrags},
    {"xdp/cpumap", ProgramType::Xdp, 35, false, 0},
    {"xdp.frags", ProgramType::Xdp, 37, false, kFrags},
    {"xdp", ProgramType::Xdp, 37, false, 0},
    {"perf_event", ProgramType::PerfEvent, 0, false, 0},
    {"lwt_in", ProgramType::LwtIn, 0, false, 0},
    {"lwt_out", ProgramType::LwtOut, 0, false, 0},
    {"lwt_xmit", ProgramType::LwtXmit, 0, false, 0},
    {"lwt_seg6local", ProgramType::LwtSeg6local, 0, false, 0},
    {"sockops", ProgramType::SockOps, 3, false, 0},
    {"sk_skb/stream_parser", ProgramType::SkSkb, 4, false, 0},
    {"sk_skb/stream_verdict", ProgramType::SkSkb, 5, false, 0},
    {"sk_skb/verdict", ProgramType::SkSkb, 38, false, 0},
    {"sk_skb", ProgramType::SkSkb, 0, false, 0},
    {"sk_msg", ProgramType::SkMsg, 7, false, 0},
    {"lirc_mode2", ProgramType::LircMode2, 16, false, 0},
    {"flow_dissector", ProgramType::FlowDissector, 17, false, 0},
    {"cgroup_skb/ingress", ProgramType::CgroupSkb, 0, false, 0},
    {"cgroup_skb/egress", ProgramType::CgroupSkb, 1, false, 0},
    {"cgroup/skb", ProgramType::CgroupSkb, 0, false, 0},
    {"cgroup/sock_create", ProgramType::CgroupSock, 2, false, 0},
    {"cgroup/sock_release", ProgramType::CgroupSock, 34, false, 0},
    {"cgroup/sock", ProgramType::CgroupSock, 2, false, 0},
    {"cgroup/post_bind4", ProgramType::CgroupSock, 12, false, 0},
    {"cgroup/post_bind6", ProgramType::CgroupSock, 13, false, 0},
    {"cgroup/bind4", ProgramType::CgroupSockAddr, 8, false, 0},
    {"cgroup/bind6", ProgramType::CgroupSockAddr, 9, false, 0},
    {"cgroup/connect4", ProgramType::CgroupSockAddr, 10, false, 0},
    {"cgroup/connect6", ProgramType::CgroupSockAddr, 11, false, 0},
    {"cgroup/connect_unix", ProgramType::CgroupSockAddr, 49, false, 0},
    {"cgroup/sendmsg4", ProgramType::CgroupSockAddr, 14, false, 0},
    {"cgroup/sendmsg6", ProgramType::CgroupSockAddr, 15, false, 0},
    {"cgroup/sendmsg_unix", ProgramType::CgroupSockAddr, 50, false, 0},
    {"cgroup/recvmsg4", ProgramType::CgroupSockAddr, 19, false, 0},
    {"cgroup/recvmsg6", ProgramType::CgroupSockAddr, 20, false, 0},
    {"cgroup/recvmsg_unix", ProgramType::CgroupSockAddr, 51, false, 0},
    {"cgroup/getpeername4", ProgramType::CgroupSockAddr, 29, false, 0},
    {"cgroup/getpeername6", ProgramType::CgroupSockAddr, 30, false, 0},
    {"cgroup/getpeername_unix", ProgramType::CgroupSockAddr, 52, false, 0},
    {"cgroup/getsockname4", ProgramType::CgroupSockAddr, 31, false, 0},
    {"cgroup/getsockname6", ProgramType::CgroupSockAddr, 32, false, 0},
    {"cgroup/getsockname_unix", ProgramType::CgroupSockAddr, 53, false, 0},
    {"cgroup/sysctl", ProgramType::CgroupSysctl, 18, false, 0},
    {"cgroup/getsockopt", ProgramType::CgroupSockopt, 21, false, 0},
    {"cgroup/setsockopt", ProgramType::CgroupSockopt, 22, false, 0},
    {"cgroup/dev", ProgramType::CgroupDevice, 6, false, 0},
    {"struct_ops", ProgramType::StructOps, 0, true, 0},
    {"struct_ops.s", ProgramType::StructOps, 0, true, kSleepable},
    {"sk_lookup", ProgramType::SkLookup, 36, false, 0},
    {"netfilter", ProgramType::Netfilter, 45, false, 0},
};
// clang-format on

} // namespace

const SectionDef* find_section(std::string_view section) noexcept {
    const auto* found = std::ranges::find_if(kSections, [section](const SectionDef& def) {
        if (!section.starts_with(def.name))
            return false;
        const std::string_view rest = section.substr(def.name.size());
        return rest.empty() || (def.target && rest.front() == '/');
    });
    return found == std::end(kSections) ? nullptr : found;
}

std::vector<std::string> section_names() {
    std::vector<std::string> names;
    for (const SectionDef& def : kSections)
        names.emplace_back(def.name);
    return names;
}

} // namespace skep::spec
