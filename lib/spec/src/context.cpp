// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/spec/context.hpp"

#include <algorithm>
#include <array>

namespace skep::spec {
namespace {

// Offsets and widths are the UAPI's (linux/bpf.h); which fields a type may read or write is what
// the kernel's is_valid_access functions say.
// clang-format off
constexpr ContextField kXdpMd[] = {
    {"data", 0, 4, FieldKind::PacketData, true, false, 4},
    {"data_end", 4, 4, FieldKind::PacketEnd, true, false, 4},
    {"data_meta", 8, 4, FieldKind::PacketMeta, true, false, 4},
    {"ingress_ifindex", 12, 4, FieldKind::Scalar, true, false, 1},
    {"rx_queue_index", 16, 4, FieldKind::Scalar, true, false, 1},
    {"egress_ifindex", 20, 4, FieldKind::Scalar, true, false, 1},
};
constexpr ContextField kSkBuff[] = {
    {"len", 0, 4, FieldKind::Scalar, true, false, 1},
    {"pkt_type", 4, 4, FieldKind::Scalar, true, false, 1},
    {"mark", 8, 4, FieldKind::Scalar, true, false, 1},
    {"queue_mapping", 12, 4, FieldKind::Scalar, true, false, 1},
    {"protocol", 16, 4, FieldKind::Scalar, true, false, 1},
    {"vlan_present", 20, 4, FieldKind::Scalar, true, false, 1},
    {"vlan_tci", 24, 4, FieldKind::Scalar, true, false, 1},
    {"vlan_proto", 28, 4, FieldKind::Scalar, true, false, 1},
    {"priority", 32, 4, FieldKind::Scalar, true, false, 1},
    {"ingress_ifindex", 36, 4, FieldKind::Scalar, true, false, 1},
    {"ifindex", 40, 4, FieldKind::Scalar, true, false, 1},
    {"tc_index", 44, 4, FieldKind::Scalar, true, false, 1},
    {"cb[0]", 48, 4, FieldKind::Scalar, true, false, 1},
    {"cb[1]", 52, 4, FieldKind::Scalar, true, false, 1},
    {"cb[2]", 56, 4, FieldKind::Scalar, true, false, 1},
    {"cb[3]", 60, 4, FieldKind::Scalar, true, false, 1},
    {"cb[4]", 64, 4, FieldKind::Scalar, true, false, 1},
    {"hash", 68, 4, FieldKind::Scalar, true, false, 1},
    {"tc_classid", 72, 4, FieldKind::Scalar, true, false, 1},
    {"data", 76, 4, FieldKind::PacketData, true, false, 4},
    {"data_end", 80, 4, FieldKind::PacketEnd, true, false, 4},
    {"napi_id", 84, 4, FieldKind::Scalar, true, false, 1},
    {"family", 88, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip4", 92, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip4", 96, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[0]", 100, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[1]", 104, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[2]", 108, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[3]", 112, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[0]", 116, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[1]", 120, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[2]", 124, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[3]", 128, 4, FieldKind::Scalar, true, false, 1},
    {"remote_port", 132, 4, FieldKind::Scalar, true, false, 1},
    {"local_port", 136, 4, FieldKind::Scalar, true, false, 1},
    {"data_meta", 140, 4, FieldKind::PacketMeta, true, false, 4},
    {"flow_keys", 144, 8, FieldKind::FlowKeys, true, false, 8},
    {"tstamp", 152, 8, FieldKind::Scalar, true, false, 1},
    {"wire_len", 160, 4, FieldKind::Scalar, true, false, 1},
    {"gso_segs", 164, 4, FieldKind::Scalar, true, false, 1},
    {"sk", 168, 8, FieldKind::Socket, true, false, 8},
    {"gso_size", 176, 4, FieldKind::Scalar, true, false, 1},
    {"tstamp_type", 180, 1, FieldKind::Scalar, true, false, 1},
    {"hwtstamp", 184, 8, FieldKind::Scalar, true, false, 1},
};
constexpr ContextField kSockAddr[] = {
    {"user_family", 0, 4, FieldKind::Scalar, true, false, 1},
    {"user_ip4", 4, 4, FieldKind::Scalar, true, true, 1},
    {"user_ip6[0]", 8, 4, FieldKind::Scalar, true, true, 1},
    {"user_ip6[1]", 12, 4, FieldKind::Scalar, true, true, 1},
    {"user_ip6[2]", 16, 4, FieldKind::Scalar, true, true, 1},
    {"user_ip6[3]", 20, 4, FieldKind::Scalar, true, true, 1},
    {"user_port", 24, 4, FieldKind::Scalar, true, true, 1},
    {"family", 28, 4, FieldKind::Scalar, true, false, 1},
    {"type", 32, 4, FieldKind::Scalar, true, false, 1},
    {"protocol", 36, 4, FieldKind::Scalar, true, false, 1},
    {"msg_src_ip4", 40, 4, FieldKind::Scalar, true, true, 1},
    {"msg_src_ip6[0]", 44, 4, FieldKind::Scalar, true, true, 1},
    {"msg_src_ip6[1]", 48, 4, FieldKind::Scalar, true, true, 1},
    {"msg_src_ip6[2]", 52, 4, FieldKind::Scalar, true, true, 1},
    {"msg_src_ip6[3]", 56, 4, FieldKind::Scalar, true, true, 1},
    {"sk", 64, 8, FieldKind::Socket, true, false, 8},
};
constexpr ContextField kSockOps[] = {
    {"op", 0, 4, FieldKind::Scalar, true, false, 1},
    {"reply", 4, 4, FieldKind::Scalar, true, true, 1},
    {"args[1]", 8, 4, FieldKind::Scalar, true, true, 1},
    {"args[2]", 12, 4, FieldKind::Scalar, true, true, 1},
    {"args[3]", 16, 4, FieldKind::Scalar, true, true, 1},
    {"family", 20, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip4", 24, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip4", 28, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[0]", 32, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[1]", 36, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[2]", 40, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[3]", 44, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[0]", 48, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[1]", 52, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[2]", 56, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[3]", 60, 4, FieldKind::Scalar, true, false, 1},
    {"remote_port", 64, 4, FieldKind::Scalar, true, false, 1},
    {"local_port", 68, 4, FieldKind::Scalar, true, false, 1},
    {"is_fullsock", 72, 4, FieldKind::Scalar, true, false, 1},
    {"snd_cwnd", 76, 4, FieldKind::Scalar, true, false, 1},
    {"srtt_us", 80, 4, FieldKind::Scalar, true, false, 1},
    {"bpf_sock_ops_cb_flags", 84, 4, FieldKind::Scalar, true, false, 1},
    {"state", 88, 4, FieldKind::Scalar, true, false, 1},
    {"rtt_min", 92, 4, FieldKind::Scalar, true, false, 1},
    {"snd_ssthresh", 96, 4, FieldKind::Scalar, true, false, 1},
    {"rcv_nxt", 100, 4, FieldKind::Scalar, true, false, 1},
    {"snd_nxt", 104, 4, FieldKind::Scalar, true, false, 1},
    {"snd_una", 108, 4, FieldKind::Scalar, true, false, 1},
    {"mss_cache", 112, 4, FieldKind::Scalar, true, false, 1},
    {"ecn_flags", 116, 4, FieldKind::Scalar, true, false, 1},
    {"rate_delivered", 120, 4, FieldKind::Scalar, true, false, 1},
    {"rate_interval_us", 124, 4, FieldKind::Scalar, true, false, 1},
    {"packets_out", 128, 4, FieldKind::Scalar, true, false, 1},
    {"retrans_out", 132, 4, FieldKind::Scalar, true, false, 1},
    {"total_retrans", 136, 4, FieldKind::Scalar, true, false, 1},
    {"segs_in", 140, 4, FieldKind::Scalar, true, false, 1},
    {"data_segs_in", 144, 4, FieldKind::Scalar, true, false, 1},
    {"segs_out", 148, 4, FieldKind::Scalar, true, false, 1},
    {"data_segs_out", 152, 4, FieldKind::Scalar, true, false, 1},
    {"lost_out", 156, 4, FieldKind::Scalar, true, false, 1},
    {"sacked_out", 160, 4, FieldKind::Scalar, true, false, 1},
    {"sk_txhash", 164, 4, FieldKind::Scalar, true, true, 1},
    {"bytes_received", 168, 8, FieldKind::Scalar, true, false, 1},
    {"bytes_acked", 176, 8, FieldKind::Scalar, true, false, 1},
    {"sk", 184, 8, FieldKind::Socket, true, false, 8},
    {"skb_data", 192, 8, FieldKind::PacketData, true, false, 8},
    {"skb_data_end", 200, 8, FieldKind::PacketEnd, true, false, 8},
    {"skb_len", 208, 4, FieldKind::Scalar, true, false, 1},
    {"skb_tcp_flags", 212, 4, FieldKind::Scalar, true, false, 1},
    {"skb_hwtstamp", 216, 8, FieldKind::Scalar, true, false, 8},
};
constexpr ContextField kSkLookup[] = {
    {"sk", 0, 8, FieldKind::Socket, true, false, 8},
    {"family", 8, 4, FieldKind::Scalar, true, false, 1},
    {"protocol", 12, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip4", 16, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[0]", 20, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[1]", 24, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[2]", 28, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[3]", 32, 4, FieldKind::Scalar, true, false, 1},
    {"remote_port", 36, 2, FieldKind::Scalar, true, false, 1},
    {"local_ip4", 40, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[0]", 44, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[1]", 48, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[2]", 52, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[3]", 56, 4, FieldKind::Scalar, true, false, 1},
    {"local_port", 60, 4, FieldKind::Scalar, true, false, 1},
    {"ingress_ifindex", 64, 4, FieldKind::Scalar, true, false, 1},
};
constexpr ContextField kSkMsg[] = {
    {"data", 0, 8, FieldKind::PacketData, true, false, 8},
    {"data_end", 8, 8, FieldKind::PacketEnd, true, false, 8},
    {"family", 16, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip4", 20, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip4", 24, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[0]", 28, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[1]", 32, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[2]", 36, 4, FieldKind::Scalar, true, false, 1},
    {"remote_ip6[3]", 40, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[0]", 44, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[1]", 48, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[2]", 52, 4, FieldKind::Scalar, true, false, 1},
    {"local_ip6[3]", 56, 4, FieldKind::Scalar, true, false, 1},
    {"remote_port", 60, 4, FieldKind::Scalar, true, false, 1},
    {"local_port", 64, 4, FieldKind::Scalar, true, false, 1},
    {"size", 68, 4, FieldKind::Scalar, true, false, 1},
    {"sk", 72, 8, FieldKind::Socket, true, false, 8},
};
constexpr ContextField kSkReuseport[] = {
    {"data", 0, 8, FieldKind::PacketData, true, false, 8},
    {"data_end", 8, 8, FieldKind::PacketEnd, true, false, 8},
    {"len", 16, 4, FieldKind::Scalar, true, false, 1},
    {"eth_protocol", 20, 4, FieldKind::Scalar, true, false, 1},
    {"ip_protocol", 24, 4, FieldKind::Scalar, true, false, 1},
    {"bind_inany", 28, 4, FieldKind::Scalar, true, false, 1},
    {"hash", 32, 4, FieldKind::Scalar, true, false, 1},
    {"sk", 40, 8, FieldKind::Socket, true, false, 8},
    {"migrating_sk", 48, 8, FieldKind::Socket2, true, false, 8},
};
constexpr ContextField kCgroupDevice[] = {
    {"access_type", 0, 4, FieldKind::Scalar, true, false, 1},
    {"major", 4, 4, FieldKind::Scalar, true, false, 1},
    {"minor", 8, 4, FieldKind::Scalar, true, false, 1},
};
constexpr ContextField kSysctl[] = {
    {"write", 0, 4, FieldKind::Scalar, true, false, 1},
    {"file_pos", 4, 4, FieldKind::Scalar, true, true, 1},
};
constexpr ContextField kSockopt[] = {
    {"sk", 0, 8, FieldKind::Socket, true, false, 8},
    {"optval", 8, 8, FieldKind::OptVal, true, false, 8},
    {"optval_end", 16, 8, FieldKind::OptValEnd, true, false, 8},
    {"level", 24, 4, FieldKind::Scalar, true, true, 1},
    {"optname", 28, 4, FieldKind::Scalar, true, true, 1},
    {"optlen", 32, 4, FieldKind::Scalar, true, true, 1},
    {"retval", 36, 4, FieldKind::Scalar, true, true, 1},
};
constexpr ContextField kSock[] = {
    {"bound_dev_if", 0, 4, FieldKind::Scalar, true, true, 1},
    {"family", 4, 4, FieldKind::Scalar, true, false, 1},
    {"type", 8, 4, FieldKind::Scalar, true, false, 1},
    {"protocol", 12, 4, FieldKind::Scalar, true, false, 1},
    {"mark", 16, 4, FieldKind::Scalar, true, true, 1},
    {"priority", 20, 4, FieldKind::Scalar, true, true, 1},
    {"src_ip4", 24, 4, FieldKind::Scalar, true, false, 1},
    {"src_ip6[0]", 28, 4, FieldKind::Scalar, true, false, 1},
    {"src_ip6[1]", 32, 4, FieldKind::Scalar, true, false, 1},
    {"src_ip6[2]", 36, 4, FieldKind::Scalar, true, false, 1},
    {"src_ip6[3]", 40, 4, FieldKind::Scalar, true, false, 1},
    {"src_port", 44, 4, FieldKind::Scalar, true, false, 1},
    {"dst_port", 48, 2, FieldKind::Scalar, true, false, 1},
    {"dst_ip4", 52, 4, FieldKind::Scalar, true, false, 1},
    {"dst_ip6[0]", 56, 4, FieldKind::Scalar, true, false, 1},
    {"dst_ip6[1]", 60, 4, FieldKind::Scalar, true, false, 1},
    {"dst_ip6[2]", 64, 4, FieldKind::Scalar, true, false, 1},
    {"dst_ip6[3]", 68, 4, FieldKind::Scalar, true, false, 1},
    {"state", 72, 4, FieldKind::Scalar, true, false, 1},
    {"rx_queue_mapping", 76, 4, FieldKind::Scalar, true, false, 1},
};
// The registers, as struct pt_regs of x86-64, then the sample.
constexpr ContextField kPerfEvent[] = {
    {"r15", 0, 8, FieldKind::Scalar, true, false, 1},
    {"r14", 8, 8, FieldKind::Scalar, true, false, 1},
    {"r13", 16, 8, FieldKind::Scalar, true, false, 1},
    {"r12", 24, 8, FieldKind::Scalar, true, false, 1},
    {"bp", 32, 8, FieldKind::Scalar, true, false, 1},
    {"bx", 40, 8, FieldKind::Scalar, true, false, 1},
    {"r11", 48, 8, FieldKind::Scalar, true, false, 1},
    {"r10", 56, 8, FieldKind::Scalar, true, false, 1},
    {"r9", 64, 8, FieldKind::Scalar, true, false, 1},
    {"r8", 72, 8, FieldKind::Scalar, true, false, 1},
    {"ax", 80, 8, FieldKind::Scalar, true, false, 1},
    {"cx", 88, 8, FieldKind::Scalar, true, false, 1},
    {"dx", 96, 8, FieldKind::Scalar, true, false, 1},
    {"si", 104, 8, FieldKind::Scalar, true, false, 1},
    {"di", 112, 8, FieldKind::Scalar, true, false, 1},
    {"orig_ax", 120, 8, FieldKind::Scalar, true, false, 1},
    {"ip", 128, 8, FieldKind::Scalar, true, false, 1},
    {"cs", 136, 8, FieldKind::Scalar, true, false, 1},
    {"flags", 144, 8, FieldKind::Scalar, true, false, 1},
    {"sp", 152, 8, FieldKind::Scalar, true, false, 1},
    {"ss", 160, 8, FieldKind::Scalar, true, false, 1},
    {"sample_period", 168, 8, FieldKind::Scalar, true, false, 1},
    {"addr", 176, 8, FieldKind::Scalar, true, false, 1},
};
constexpr std::span<const ContextField> kPtRegs = std::span(kPerfEvent).first<21>();
constexpr ContextField kNetfilter[] = {
    {"state", 0, 8, FieldKind::BtfPointer, true, false, 8},
    {"skb", 8, 8, FieldKind::BtfPointer, true, false, 8},
};
// clang-format on

// The skb of one program type: the common table with that type's rights.
struct SkbRights {
    std::array<std::string_view, 8> writable;
    std::array<std::string_view, 16> unreadable;
};

using SkBuffTable = std::array<ContextField, std::size(kSkBuff)>;

constexpr bool named(std::string_view field, auto const& names) {
    const std::string_view base = field.substr(0, field.find('['));
    return std::ranges::any_of(names, [&](std::string_view n) { return !n.empty() && n == base; });
}

constexpr SkBuffTable skb_for(const SkbRights& rights) {
    SkBuffTable table{};
    for (std::size_t i = 0; i < table.size(); ++i) {
        table[i] = kSkBuff[i];
        table[i].writable = named(table[i].name, rights.writable);
        table[i].readable = !named(table[i].name, rights.unreadable);
    }
    return table;
}

constexpr SkBuffTable kSkbSocketFilter = skb_for({{"cb"},
                                                  {"tc_classid", "data", "data_end", "data_meta",
                                                   "tstamp", "wire_len", "hwtstamp", "flow_keys"}});
constexpr SkBuffTable kSkbSched =
    skb_for({{"mark", "tc_index", "priority", "tc_classid", "cb", "tstamp", "queue_mapping"},
             {"flow_keys", "family", "remote_ip4", "local_ip4", "remote_ip6", "local_ip6",
              "remote_port", "local_port"}});
constexpr SkBuffTable kSkbCgroup = skb_for(
    {{"mark", "priority", "cb", "tstamp"}, {"tc_classid", "data_meta", "wire_len", "flow_keys"}});
constexpr SkBuffTable kSkbLwt = skb_for(
    {{"mark", "priority", "cb"},
     {"tc_classid", "family", "remote_ip4", "local_ip4", "remote_ip6", "local_ip6", "remote_port",
      "local_port", "data_meta", "tstamp", "wire_len", "hwtstamp", "flow_keys"}});
constexpr SkBuffTable kSkbSk =
    skb_for({{"tc_index", "priority"},
             {"mark", "tc_classid", "data_meta", "tstamp", "wire_len", "hwtstamp", "flow_keys"}});
constexpr SkBuffTable kSkbFlow =
    skb_for({{},
             {"len", "pkt_type", "mark", "queue_mapping", "protocol", "priority", "ifindex",
              "tc_index", "cb", "hash", "tc_classid", "data_meta", "tstamp", "sk"}});

constexpr ContextLayout kLayouts[] = {
    {ProgramType::SocketFilter, "__sk_buff", 192, kSkbSocketFilter},
    {ProgramType::Kprobe, "pt_regs", 168, kPtRegs},
    {ProgramType::SchedCls, "__sk_buff", 192, kSkbSched},
    {ProgramType::SchedAct, "__sk_buff", 192, kSkbSched},
    {ProgramType::Tracepoint, "", 0, {}},
    {ProgramType::Xdp, "xdp_md", 24, kXdpMd},
    {ProgramType::PerfEvent, "bpf_perf_event_data", 184, kPerfEvent},
    {ProgramType::CgroupSkb, "__sk_buff", 192, kSkbCgroup},
    {ProgramType::CgroupSock, "bpf_sock", 80, kSock},
    {ProgramType::LwtIn, "__sk_buff", 192, kSkbLwt},
    {ProgramType::LwtOut, "__sk_buff", 192, kSkbLwt},
    {ProgramType::LwtXmit, "__sk_buff", 192, kSkbLwt},
    {ProgramType::SockOps, "bpf_sock_ops", 224, kSockOps},
    {ProgramType::SkSkb, "__sk_buff", 192, kSkbSk},
    {ProgramType::CgroupDevice, "bpf_cgroup_dev_ctx", 12, kCgroupDevice},
    {ProgramType::SkMsg, "sk_msg_md", 80, kSkMsg},
    {ProgramType::RawTracepoint, "", 0, {}},
    {ProgramType::CgroupSockAddr, "bpf_sock_addr", 72, kSockAddr},
    {ProgramType::LwtSeg6local, "__sk_buff", 192, kSkbLwt},
    {ProgramType::LircMode2, "", 4, {}},
    {ProgramType::SkReuseport, "sk_reuseport_md", 56, kSkReuseport},
    {ProgramType::FlowDissector, "__sk_buff", 192, kSkbFlow},
    {ProgramType::CgroupSysctl, "bpf_sysctl", 8, kSysctl},
    {ProgramType::RawTracepointWritable, "", 0, {}},
    {ProgramType::CgroupSockopt, "bpf_sockopt", 40, kSockopt},
    {ProgramType::Tracing, "", 0, {}},
    {ProgramType::StructOps, "", 0, {}},
    {ProgramType::Ext, "", 0, {}},
    {ProgramType::Lsm, "", 0, {}},
    {ProgramType::SkLookup, "bpf_sk_lookup", 72, kSkLookup},
    {ProgramType::Syscall, "", 0, {}},
    {ProgramType::Netfilter, "bpf_nf_ctx", 16, kNetfilter},
};

} // namespace

const ContextLayout* find_context(ProgramType type) noexcept {
    const auto* found = std::ranges::find(kLayouts, type, &ContextLayout::type);
    return found == std::end(kLayouts) ? nullptr : found;
}

const ContextField* field_at(const ContextLayout& layout, std::uint32_t offset) noexcept {
    const auto after = std::ranges::upper_bound(layout.fields, offset, {}, &ContextField::offset);
    if (after == layout.fields.begin())
        return nullptr;
    const ContextField& field = *std::prev(after);
    return offset < std::uint32_t{field.offset} + field.size ? &field : nullptr;
}

std::uint32_t reach_of(const ContextLayout& layout, const ContextField& field) noexcept {
    const ContextField* next = field_at(layout, std::uint32_t{field.offset} + field.size);
    const bool block = field.name.starts_with("cb[") && field.offset % 8 == 0;
    if (block && next != nullptr && next->name.starts_with("cb[") &&
        next->readable == field.readable && next->writable == field.writable)
        return std::uint32_t{field.size} + next->size;
    return field.size;
}

} // namespace skep::spec
