// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Sockets do not exist on synthetic input: lookups find nothing, options are refused as the kernel
// refuses them for a socket that is not there.
#include "packet.hpp"

namespace skep::helpers {
namespace {

SKEP_HELPER_FN(no_socket) {
    run->returned = {};
    return 0;
}
SKEP_HELPER_FN(sk_release) {
    run->released = r1;
    run->pending |= exec::kReleased;
    return 0;
}
// The cookie and owner of a packet without a socket (net/core/filter.c: 0 and overflowuid).
SKEP_HELPER_FN(get_socket_cookie) {
    return 0;
}
// The socket of a test run is root's.
SKEP_HELPER_FN(get_socket_uid) {
    return 0;
}
SKEP_HELPER_FN(no_option) {
    return error(EINVAL);
}
SKEP_HELPER_FN(getsockopt) {
    std::memset(bytes_at(r4), 0, r5);
    return error(EINVAL);
}
SKEP_HELPER_FN(sock_ops_cb_flags_set) {
    constexpr std::uint32_t kAll = 0x7f; // BPF_SOCK_OPS_ALL_CB_FLAGS
    const auto flags = static_cast<std::uint32_t>(r2);
    std::memcpy(run->context->bytes().data() + 84, &flags, sizeof flags);
    return flags & ~kAll;
}
SKEP_HELPER_FN(sk_assign) {
    return error(ENOENT);
}
SKEP_HELPER_FN(sk_select_reuseport) {
    return error(ENOENT);
}
SKEP_HELPER_FN(sock_map_update) {
    return error(EOPNOTSUPP);
}
SKEP_HELPER_FN(bind) {
    return error(EINVAL);
}
SKEP_HELPER_FN(msg_bytes) {
    return 0;
}
SKEP_HELPER_FN(msg_pull_data) {
    const exec::Packet& packet = packet_of(run);
    packet_moved(run);
    return r4 != 0 || r2 >= r3 || r3 > packet.size() ? error(EINVAL) : 0;
}

SKEP_HELPER_FN(get_retval) {
    std::int32_t value = 0;
    if (run->context->layout().type == spec::ProgramType::CgroupSockopt)
        std::memcpy(&value, run->context->bytes().data() + 36, sizeof value);
    return result(value);
}
SKEP_HELPER_FN(set_retval) {
    const auto value = static_cast<std::int32_t>(r1);
    if (run->context->layout().type == spec::ProgramType::CgroupSockopt)
        std::memcpy(run->context->bytes().data() + 36, &value, sizeof value);
    return 0;
}

SKEP_HELPER_FN(sysctl_text) { // No name or value is there.
    if (r3 != 0)
        std::memset(bytes_at(r2), 0, r3);
    return error(EINVAL);
}
SKEP_HELPER_FN(sysctl_set) {
    return error(EINVAL);
}
SKEP_HELPER_FN(tcp_syncookie) {
    return error(EINVAL);
}

constexpr Entry kEntries[] = {
    {"sk_lookup_tcp", no_socket},
    {"sk_lookup_udp", no_socket},
    {"skc_lookup_tcp", no_socket},
    {"sk_fullsock", no_socket},
    {"tcp_sock", no_socket},
    {"get_listener_sock", no_socket},
    {"sk_release", sk_release},
    {"get_socket_cookie", get_socket_cookie},
    {"get_socket_uid", get_socket_uid},
    {"setsockopt", no_option},
    {"getsockopt", getsockopt},
    {"sock_ops_cb_flags_set", sock_ops_cb_flags_set},
    {"sk_assign", sk_assign},
    {"sk_select_reuseport", sk_select_reuseport},
    {"sock_map_update", sock_map_update},
    {"sock_hash_update", sock_map_update},
    {"bind", bind},
    {"msg_apply_bytes", msg_bytes},
    {"msg_cork_bytes", msg_bytes},
    {"msg_pull_data", msg_pull_data},
    {"get_retval", get_retval},
    {"set_retval", set_retval},
    {"sysctl_get_name", sysctl_text},
    {"sysctl_get_current_value", sysctl_text},
    {"sysctl_get_new_value", sysctl_text},
    {"sysctl_set_new_value", sysctl_set},
    {"tcp_check_syncookie", tcp_syncookie},
    {"tcp_gen_syncookie", tcp_syncookie},
};

} // namespace

std::span<const Entry> socket_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
