// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "packet.hpp"

namespace skep::helpers {
namespace {

constexpr std::int64_t kEthernet = 14;
constexpr std::uint32_t kFrameRoom = 40; // sizeof(struct xdp_frame): kept in front of the packet

SKEP_HELPER_FN(xdp_adjust_head) {
    exec::Packet& packet = packet_of(run);
    const std::int64_t delta = static_cast<std::int32_t>(r2);
    const std::int64_t front = packet.data - packet.head;
    const std::int64_t meta = packet.data - packet.meta;
    if (front + delta < static_cast<std::int64_t>(kFrameRoom) + meta ||
        delta > packet.size() - kEthernet)
        return error(EINVAL);
    if (meta != 0) // Metadata stays right in front of the packet.
        std::memmove(packet.meta + delta, packet.meta, static_cast<std::size_t>(meta));
    packet.meta += delta;
    packet.data += delta;
    packet_moved(run);
    return 0;
}

SKEP_HELPER_FN(xdp_adjust_tail) {
    exec::Packet& packet = packet_of(run);
    const std::int64_t delta = static_cast<std::int32_t>(r2);
    if (delta > packet.limit - packet.end || packet.size() + delta < kEthernet)
        return error(EINVAL);
    if (delta > 0)
        std::memset(packet.end, 0, static_cast<std::size_t>(delta));
    packet.end += delta;
    packet_moved(run);
    return 0;
}

SKEP_HELPER_FN(xdp_adjust_meta) {
    exec::Packet& packet = packet_of(run);
    std::byte* meta = packet.meta + static_cast<std::int32_t>(r2);
    const std::int64_t size = packet.data - meta;
    if (meta < packet.head + kFrameRoom || meta > packet.data)
        return error(EINVAL);
    if (size % 4 != 0 || size > 252)
        return error(EACCES);
    packet.meta = meta;
    packet_moved(run);
    return 0;
}

SKEP_HELPER_FN(xdp_load_bytes) {
    const exec::Packet& packet = packet_of(run);
    const auto offset = static_cast<std::uint32_t>(r2);
    if (offset > 0xffff || r4 > 0xffff)
        return error(EFAULT);
    if (!inside(packet, offset, r4))
        return error(EINVAL);
    std::memcpy(bytes_at(r3), packet.data + offset, r4);
    return 0;
}

SKEP_HELPER_FN(xdp_store_bytes) {
    const exec::Packet& packet = packet_of(run);
    const auto offset = static_cast<std::uint32_t>(r2);
    if (offset > 0xffff || r4 > 0xffff)
        return error(EFAULT);
    if (!inside(packet, offset, r4))
        return error(EINVAL);
    std::memmove(packet.data + offset, bytes_at(r3), r4);
    return 0;
}

SKEP_HELPER_FN(xdp_get_buff_len) {
    return packet_of(run).size();
}

constexpr Entry kEntries[] = {
    {"xdp_adjust_head", xdp_adjust_head}, {"xdp_adjust_tail", xdp_adjust_tail},
    {"xdp_adjust_meta", xdp_adjust_meta}, {"xdp_load_bytes", xdp_load_bytes},
    {"xdp_store_bytes", xdp_store_bytes}, {"xdp_get_buff_len", xdp_get_buff_len},
};

} // namespace

std::span<const Entry> xdp_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
