// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/runtime/verdict.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

namespace skep::runtime {
namespace {

using spec::ProgramType;

struct Value {
    std::int32_t number;
    std::string_view name;
};

// enum xdp_action, linux/bpf.h.
constexpr std::array kXdp{
    Value{0, "XDP_ABORTED"}, Value{1, "XDP_DROP"},     Value{2, "XDP_PASS"},
    Value{3, "XDP_TX"},      Value{4, "XDP_REDIRECT"},
};
// linux/pkt_cls.h.
constexpr std::array kTc{
    Value{-1, "TC_ACT_UNSPEC"}, Value{0, "TC_ACT_OK"},     Value{1, "TC_ACT_RECLASSIFY"},
    Value{2, "TC_ACT_SHOT"},    Value{3, "TC_ACT_PIPE"},   Value{4, "TC_ACT_STOLEN"},
    Value{5, "TC_ACT_QUEUED"},  Value{6, "TC_ACT_REPEAT"}, Value{7, "TC_ACT_REDIRECT"},
    Value{8, "TC_ACT_TRAP"},
};
// enum sk_action.
constexpr std::array kSk{Value{0, "SK_DROP"}, Value{1, "SK_PASS"}};
// enum bpf_ret_code; 2 to 127 mean what they mean elsewhere.
constexpr std::array kLwt{
    Value{0, "BPF_OK"},
    Value{2, "BPF_DROP"},
    Value{7, "BPF_REDIRECT"},
    Value{128, "BPF_LWT_REROUTE"},
};
constexpr std::array kFlow{
    Value{0, "BPF_OK"},
    Value{2, "BPF_DROP"},
    Value{129, "BPF_FLOW_DISSECTOR_CONTINUE"},
};
constexpr std::array kNetfilter{Value{0, "NF_DROP"}, Value{1, "NF_ACCEPT"}};
constexpr std::array kAllow{Value{0, "deny"}, Value{1, "allow"}};
constexpr std::array kCgroupSkb{
    Value{0, "drop"},
    Value{1, "pass"},
    Value{2, "drop with congestion"},
    Value{3, "pass with congestion"},
};

std::span<const Value> values_of(ProgramType type) {
    switch (type) {
    case ProgramType::Xdp:
        return kXdp;
    case ProgramType::SchedCls:
    case ProgramType::SchedAct:
        return kTc;
    case ProgramType::SkSkb:
    case ProgramType::SkMsg:
    case ProgramType::SkReuseport:
    case ProgramType::SkLookup:
        return kSk;
    case ProgramType::LwtIn:
    case ProgramType::LwtOut:
    case ProgramType::LwtXmit:
    case ProgramType::LwtSeg6local:
        return kLwt;
    case ProgramType::FlowDissector:
        return kFlow;
    case ProgramType::Netfilter:
        return kNetfilter;
    case ProgramType::CgroupSkb:
        return kCgroupSkb;
    case ProgramType::CgroupSock:
    case ProgramType::CgroupSockAddr:
    case ProgramType::CgroupDevice:
    case ProgramType::CgroupSysctl:
    case ProgramType::CgroupSockopt:
        return kAllow;
    default:
        return {};
    }
}

constexpr std::array<std::string_view, 33> kTypeNames{
    "unspec",
    "socket_filter",
    "kprobe",
    "sched_cls",
    "sched_act",
    "tracepoint",
    "xdp",
    "perf_event",
    "cgroup_skb",
    "cgroup_sock",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "sock_ops",
    "sk_skb",
    "cgroup_device",
    "sk_msg",
    "raw_tracepoint",
    "cgroup_sock_addr",
    "lwt_seg6local",
    "lirc_mode2",
    "sk_reuseport",
    "flow_dissector",
    "cgroup_sysctl",
    "raw_tracepoint_writable",
    "cgroup_sockopt",
    "tracing",
    "struct_ops",
    "ext",
    "lsm",
    "sk_lookup",
    "syscall",
    "netfilter",
};

constexpr std::array<std::string_view, 34> kKindNames{
    "unspec",
    "hash",
    "array",
    "prog_array",
    "perf_event_array",
    "percpu_hash",
    "percpu_array",
    "stack_trace",
    "cgroup_array",
    "lru_hash",
    "lru_percpu_hash",
    "lpm_trie",
    "array_of_maps",
    "hash_of_maps",
    "devmap",
    "sockmap",
    "cpumap",
    "xskmap",
    "sockhash",
    "cgroup_storage",
    "reuseport_sockarray",
    "percpu_cgroup_storage",
    "queue",
    "stack",
    "sk_storage",
    "devmap_hash",
    "struct_ops",
    "ringbuf",
    "inode_storage",
    "task_storage",
    "bloom_filter",
    "user_ringbuf",
    "cgrp_storage",
    "arena",
};

std::string name_or_number(std::span<const std::string_view> names, unsigned number) {
    return number < names.size() ? std::string(names[number]) : "type " + std::to_string(number);
}

} // namespace

std::string verdict_name(ProgramType type, std::uint32_t retval) {
    const auto number = static_cast<std::int32_t>(retval);
    const auto values = values_of(type);
    const auto found = std::ranges::find(values, number, &Value::number);
    return found != values.end() ? std::string(found->name) : std::to_string(number);
}

std::string type_name(ProgramType type) {
    return name_or_number(kTypeNames, std::to_underlying(type));
}

std::string kind_name(spec::MapKind kind) {
    return name_or_number(kKindNames, std::to_underlying(kind));
}

} // namespace skep::runtime
