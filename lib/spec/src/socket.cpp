// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/spec/socket.hpp"

#include <bit>
#include <cstddef>
#include <linux/bpf.h>

namespace skep::spec {
namespace {

static_assert(sizeof(bpf_sock) == kSocketSize && sizeof(bpf_flow_keys) == kFlowKeysSize);

bool narrow(std::int64_t size, std::int64_t whole) noexcept {
    return size <= whole && std::has_single_bit(static_cast<std::uint64_t>(size));
}

bool in(std::int64_t offset, std::size_t from, std::size_t size) noexcept {
    return offset >= static_cast<std::int64_t>(from) &&
           offset < static_cast<std::int64_t>(from + size);
}

bool full_readable(std::int64_t offset, std::int64_t size) noexcept {
    constexpr std::int64_t kWord = 4;
    if (in(offset, offsetof(bpf_sock, dst_port), 2))
        // Four bytes at its start are what it was once.
        return offset == offsetof(bpf_sock, dst_port) && size == kWord ? true : narrow(size, 2);
    if (in(offset, offsetof(bpf_sock, dst_port) + 2,
           offsetof(bpf_sock, dst_ip4) - offsetof(bpf_sock, dst_port) - 2))
        return false; // Padding.
    const bool narrowly =
        offset == offsetof(bpf_sock, state) || offset == offsetof(bpf_sock, family) ||
        offset == offsetof(bpf_sock, type) || offset == offsetof(bpf_sock, protocol) ||
        offset == offsetof(bpf_sock, src_port) || offset == offsetof(bpf_sock, rx_queue_mapping) ||
        in(offset, offsetof(bpf_sock, src_ip4), 4 + 16) ||
        in(offset, offsetof(bpf_sock, dst_ip4), 4 + 16);
    return narrowly ? narrow(size, kWord) : size == kWord;
}

} // namespace

std::uint32_t socket_size(SocketKind kind) noexcept {
    switch (kind) {
    case SocketKind::Tcp:
        return sizeof(bpf_tcp_sock);
    case SocketKind::Xdp:
        return sizeof(bpf_xdp_sock);
    case SocketKind::Common:
    case SocketKind::Full:
        break;
    }
    return kSocketSize;
}

bool socket_readable(SocketKind kind, std::int64_t offset, std::int64_t size) noexcept {
    if (offset < 0 || offset >= std::int64_t{socket_size(kind)} || offset % size != 0)
        return false;
    switch (kind) {
    case SocketKind::Tcp:
        return size == (in(offset, offsetof(bpf_tcp_sock, bytes_received), 16) ? 8 : 4);
    case SocketKind::Xdp:
        return size == 4;
    case SocketKind::Common:
        return !in(offset, offsetof(bpf_sock, type),
                   offsetof(bpf_sock, src_ip4) - offsetof(bpf_sock, type)) &&
               full_readable(offset, size);
    case SocketKind::Full:
        break;
    }
    return full_readable(offset, size);
}

ContextSocket context_socket(ProgramType type, FieldKind field) noexcept {
    using enum ProgramType;
    if (field == FieldKind::Socket2)
        return {};
    switch (type) {
    case CgroupSockAddr:
    case SkMsg:
    case SkReuseport:
    case CgroupSockopt:
        return {.kind = SocketKind::Full, .nullable = false};
    case SockOps:
    case SkLookup:
        return {.kind = SocketKind::Full};
    default:
        return {};
    }
}

} // namespace skep::spec
