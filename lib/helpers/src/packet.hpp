// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "helper.hpp"

namespace skep::helpers {

/// Offsets into struct __sk_buff (linux/bpf.h).
enum SkbOffset : std::uint16_t {
    kSkbLen = 0,
    kSkbPktType = 4,
    kSkbMark = 8,
    kSkbProtocol = 16,
    kSkbVlanPresent = 20,
    kSkbVlanTci = 24,
    kSkbVlanProto = 28,
    kSkbHash = 68,
};

[[nodiscard]] inline std::uint32_t skb_field(exec::RunContext& run, SkbOffset field) noexcept {
    std::uint32_t value = 0;
    std::memcpy(&value, run.context->bytes().data() + field, sizeof value);
    return value;
}
inline void set_skb_field(exec::RunContext& run, SkbOffset field, std::uint32_t value) noexcept {
    std::memcpy(run.context->bytes().data() + field, &value, sizeof value);
}

/// The packet from the byte where helper offsets count: data (xdp, tc) as programs see it.
[[nodiscard]] inline exec::Packet& packet_of(exec::RunContext* run) noexcept {
    return run->context->packet();
}

/// True if [offset, offset + size) lies inside the packet.
[[nodiscard]] inline bool inside(const exec::Packet& packet, std::uint64_t offset,
                                 std::uint64_t size) noexcept {
    return offset <= packet.size() && size <= packet.size() - offset;
}

/// Renews the context after the packet's bounds changed, and makes old pointers stale.
inline void packet_moved(exec::RunContext* run) noexcept {
    run->context->sync_packet();
    run->pending |= exec::kPacketMoved;
}

/// The same for an skb, whose length is a field.
inline void skb_moved(exec::RunContext* run) noexcept {
    set_skb_field(*run, kSkbLen, packet_of(run).size());
    packet_moved(run);
}

} // namespace skep::helpers
