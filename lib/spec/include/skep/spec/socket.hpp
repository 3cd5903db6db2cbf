// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "skep/spec/context.hpp"
#include "skep/spec/program_type.hpp"

namespace skep::spec {

/// The structures through which programs look into sockets (linux/bpf.h).
enum class SocketKind : std::uint8_t {
    Common, ///< struct bpf_sock of a socket that need not be a full one (request, time-wait)
    Full,   ///< struct bpf_sock
    Tcp,    ///< struct bpf_tcp_sock
    Xdp,    ///< struct bpf_xdp_sock
};

/// sizeof(struct bpf_sock) and sizeof(struct bpf_flow_keys).
inline constexpr std::uint32_t kSocketSize = 80;
inline constexpr std::uint32_t kFlowKeysSize = 56;

/// Bytes of the structure.
[[nodiscard]] std::uint32_t socket_size(SocketKind kind) noexcept;

/// Whether a load of `size` bytes (1, 2, 4 or 8) at `offset` is one of a field. Source: the
/// kernel's bpf_sock_is_valid_access and its siblings.
[[nodiscard]] bool socket_readable(SocketKind kind, std::int64_t offset,
                                   std::int64_t size) noexcept;

/// The socket that a field of a program's context points to.
struct ContextSocket {
    SocketKind kind = SocketKind::Common;
    bool nullable = true;
};
[[nodiscard]] ContextSocket context_socket(ProgramType type, FieldKind field) noexcept;

} // namespace skep::spec
