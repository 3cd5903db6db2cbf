// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "packet.hpp"
#include "skep/base/bytes.hpp"

namespace skep::helpers {
namespace {

constexpr std::uint64_t kRecomputeCsum = 1;  // BPF_F_RECOMPUTE_CSUM
constexpr std::uint64_t kInvalidateHash = 2; // BPF_F_INVALIDATE_HASH
constexpr std::uint32_t kEthernet = 14;
constexpr std::uint32_t kMaxLength = 65535;
constexpr std::uint32_t kVlanHeader = 4;

// Moves the start of the packet: positive delta makes room in front.
bool grow_front(exec::Packet& packet, std::int64_t delta) noexcept {
    if (packet.data - packet.head < delta)
        return false;
    packet.data -= delta;
    packet.meta = packet.data;
    return true;
}

SKEP_HELPER_FN(skb_load_bytes) {
    const exec::Packet& packet = packet_of(run);
    const auto offset = static_cast<std::uint32_t>(r2);
    if (offset > 0x7fffffff || !inside(packet, offset, r4)) {
        std::memset(bytes_at(r3), 0, r4);
        return error(EFAULT);
    }
    std::memcpy(bytes_at(r3), packet.data + offset, r4);
    return 0;
}

// Offset from the MAC header (0) or the network header (1).
SKEP_HELPER_FN(skb_load_bytes_relative) {
    const exec::Packet& packet = packet_of(run);
    const auto offset = static_cast<std::uint32_t>(r2);
    const bool from_mac = run->context->layout().type == spec::ProgramType::SchedCls ||
                          run->context->layout().type == spec::ProgramType::SchedAct;
    // Programs that see a packet from its network header on have the Ethernet header in front.
    const std::byte* mac = from_mac ? packet.data : packet.data - kEthernet;
    const std::byte* start = r5 == 0 ? mac : mac + kEthernet;
    const auto room = static_cast<std::uint64_t>(packet.end - start);
    if (offset > 0xffff || r5 > 1 || mac < packet.head || !in_range(offset, r4, room)) {
        std::memset(bytes_at(r3), 0, r4);
        return error(EFAULT);
    }
    std::memcpy(bytes_at(r3), start + offset, r4);
    return 0;
}

SKEP_HELPER_FN(skb_store_bytes) {
    const exec::Packet& packet = packet_of(run);
    const auto offset = static_cast<std::uint32_t>(r2);
    if ((r5 & ~(kRecomputeCsum | kInvalidateHash)) != 0)
        return error(EINVAL);
    if (offset > 0x7fffffff || !inside(packet, offset, r4))
        return error(EFAULT);
    std::memmove(packet.data + offset, bytes_at(r3), r4);
    if ((r5 & kInvalidateHash) != 0)
        set_skb_field(*run, kSkbHash, 0);
    packet_moved(run);
    return 0;
}

// Test packets are linear: there is nothing to pull, but the pointers go stale all the same.
SKEP_HELPER_FN(skb_pull_data) {
    const std::uint32_t length = r2 == 0 ? packet_of(run).size() : static_cast<std::uint32_t>(r2);
    packet_moved(run);
    return length > packet_of(run).size() ? error(ENOMEM) : 0;
}

SKEP_HELPER_FN(skb_change_tail) {
    exec::Packet& packet = packet_of(run);
    const auto length = static_cast<std::uint32_t>(r2);
    packet_moved(run);
    if (r3 != 0 || length > kMaxLength || length < kEthernet)
        return error(EINVAL);
    if (length > packet.size() && length - packet.size() > packet.limit - packet.end)
        return error(ENOMEM);
    if (length > packet.size())
        std::memset(packet.end, 0, length - packet.size());
    packet.end = packet.data + length;
    skb_moved(run);
    return 0;
}

SKEP_HELPER_FN(skb_change_head) {
    exec::Packet& packet = packet_of(run);
    const auto room = static_cast<std::uint32_t>(r2);
    packet_moved(run);
    if (r3 != 0 || room > kMaxLength || packet.size() + room > kMaxLength)
        return error(EINVAL);
    if (!grow_front(packet, room))
        return error(ENOMEM);
    std::memset(packet.data, 0, room);
    skb_moved(run);
    return 0;
}

SKEP_HELPER_FN(skb_change_type) {
    constexpr std::uint32_t kOtherHost = 3; // PACKET_OTHERHOST: the last one a program may name
    const auto type = static_cast<std::uint32_t>(r2);
    if (skb_field(*run, kSkbPktType) > kOtherHost || type > kOtherHost)
        return error(EINVAL);
    set_skb_field(*run, kSkbPktType, type);
    return 0;
}

constexpr std::uint16_t kIpv4Proto = 0x0008; // ETH_P_IP in network order, on a little-endian host
constexpr std::uint16_t kIpv6Proto = 0xdd86;

// Between IPv4 and IPv6: only makes or removes the difference of the header sizes, after the MAC.
SKEP_HELPER_FN(skb_change_proto) {
    constexpr std::int64_t kDifference = 20;
    exec::Packet& packet = packet_of(run);
    const auto proto = static_cast<std::uint16_t>(r2);
    packet_moved(run);
    if (r3 != 0)
        return error(EINVAL);
    const auto now = static_cast<std::uint16_t>(skb_field(*run, kSkbProtocol));
    const bool to6 = now == kIpv4Proto && proto == kIpv6Proto;
    if (!to6 && !(now == kIpv6Proto && proto == kIpv4Proto))
        return error(maps::kNotSupported);
    if (to6) {
        if (!grow_front(packet, kDifference))
            return error(ENOMEM);
        std::memmove(packet.data, packet.data + kDifference, kEthernet);
        std::memset(packet.data + kEthernet, 0, kDifference);
    } else {
        if (packet.size() < kEthernet + 2 * kDifference)
            return error(ENOMEM);
        std::memmove(packet.data + kDifference, packet.data, kEthernet);
        packet.data += kDifference;
        packet.meta = packet.data;
    }
    set_skb_field(*run, kSkbProtocol, proto);
    skb_moved(run);
    return 0;
}

constexpr std::uint64_t kAdjustKnown = 0x1ff | (std::uint64_t{0xff} << 56);

// Makes or removes room after the MAC header (mode 1) or after the network header (mode 0).
SKEP_HELPER_FN(skb_adjust_room) {
    exec::Packet& packet = packet_of(run);
    const std::int64_t delta = static_cast<std::int32_t>(r2);
    packet_moved(run);
    const auto proto = static_cast<std::uint16_t>(skb_field(*run, kSkbProtocol));
    const std::uint32_t network = proto == kIpv6Proto ? 40 : 20;
    if ((r4 & ~kAdjustKnown) != 0 || (delta < 0 ? -delta : delta) > 0xfff)
        return error(delta > 0xfff || delta < -0xfff ? EFAULT : EINVAL);
    if (proto != kIpv4Proto && proto != kIpv6Proto)
        return error(maps::kNotSupported);
    if (r3 > 1)
        return error(maps::kNotSupported);
    const std::uint32_t keep = kEthernet + (r3 == 0 ? network : 0);
    if (delta < 0 && (packet.size() < keep - delta + (r3 == 1 ? network : 0)))
        return error(maps::kNotSupported);
    if (packet.size() + delta > kMaxLength)
        return error(maps::kNotSupported);
    if (delta >= 0) {
        if (!grow_front(packet, delta))
            return error(ENOMEM);
        std::memmove(packet.data, packet.data + delta, keep);
        std::memset(packet.data + keep, 0, static_cast<std::size_t>(delta));
    } else {
        std::memmove(packet.data - delta, packet.data, keep);
        packet.data -= delta;
        packet.meta = packet.data;
    }
    skb_moved(run);
    return 0;
}

bool is_vlan(std::uint16_t type) noexcept {
    return type == 0x0081 || type == 0xa888; // 802.1Q, 802.1AD, in network order
}

/// Takes the outermost tag out of the packet's bytes; its TCI in host order, or nothing if there is
/// none.
std::optional<std::uint16_t> take_tag(exec::RunContext* run) noexcept {
    exec::Packet& packet = packet_of(run);
    const auto protocol = static_cast<std::uint16_t>(skb_field(*run, kSkbProtocol));
    if (!is_vlan(protocol) || packet.size() < kEthernet + kVlanHeader)
        return std::nullopt;
    std::uint16_t tci = 0;
    std::memcpy(&tci, packet.data + 14, sizeof tci);
    std::memmove(packet.data + kVlanHeader, packet.data, 12);
    packet.data += kVlanHeader;
    packet.meta = packet.data;
    std::uint16_t type = 0;
    std::memcpy(&type, packet.data + 12, sizeof type);
    set_skb_field(*run, kSkbProtocol, type);
    skb_moved(run);
    return __builtin_bswap16(tci);
}

void set_tag(exec::RunContext& run, std::uint16_t protocol, std::uint16_t tci) noexcept {
    set_skb_field(run, kSkbVlanProto, protocol);
    set_skb_field(run, kSkbVlanTci, tci);
    set_skb_field(run, kSkbVlanPresent, 1);
}

SKEP_HELPER_FN(skb_vlan_push) {
    const auto proto = static_cast<std::uint16_t>(r2);
    packet_moved(run);
    if (skb_field(*run, kSkbVlanPresent) != 0) { // The tag that is there moves into the packet.
        exec::Packet& packet = packet_of(run);
        if (!grow_front(packet, kVlanHeader))
            return error(ENOMEM);
        std::memmove(packet.data, packet.data + kVlanHeader, 12);
        const auto tpid = static_cast<std::uint16_t>(skb_field(*run, kSkbVlanProto));
        const auto tci =
            __builtin_bswap16(static_cast<std::uint16_t>(skb_field(*run, kSkbVlanTci)));
        std::memcpy(packet.data + 12, &tpid, sizeof tpid);
        std::memcpy(packet.data + 14, &tci, sizeof tci);
        set_skb_field(*run, kSkbProtocol, tpid);
        skb_moved(run);
    }
    set_tag(*run, is_vlan(proto) ? proto : 0x0081, static_cast<std::uint16_t>(r3));
    return 0;
}

SKEP_HELPER_FN(skb_vlan_pop) {
    packet_moved(run);
    if (skb_field(*run, kSkbVlanPresent) != 0) {
        set_skb_field(*run, kSkbVlanPresent, 0);
        set_skb_field(*run, kSkbVlanTci, 0);
        set_skb_field(*run, kSkbVlanProto, 0);
    } else if (!take_tag(run)) {
        return 0;
    }
    // The outermost tag of an skb is kept beside its bytes.
    const auto protocol = static_cast<std::uint16_t>(skb_field(*run, kSkbProtocol));
    if (const auto next = take_tag(run))
        set_tag(*run, protocol, *next);
    return 0;
}

SKEP_HELPER_FN(get_hash_recalc) {
    return skb_field(*run, kSkbHash);
}
SKEP_HELPER_FN(set_hash_invalid) {
    set_skb_field(*run, kSkbHash, 0);
    return 0;
}
SKEP_HELPER_FN(set_hash) {
    set_skb_field(*run, kSkbHash, static_cast<std::uint32_t>(r2));
    return 0;
}
SKEP_HELPER_FN(get_route_realm) {
    return 0;
}
SKEP_HELPER_FN(skb_ecn_set_ce) {
    const exec::Packet& packet = packet_of(run);
    const bool mac = run->context->layout().type == spec::ProgramType::SchedCls ||
                     run->context->layout().type == spec::ProgramType::SchedAct;
    std::byte* ip = packet.data + (mac ? kEthernet : 0);
    if (packet.end - ip < 20)
        return 0;
    const auto version = std::to_integer<unsigned>(ip[0]) >> 4;
    if (version == 4) {
        const auto tos = std::to_integer<unsigned>(ip[1]);
        if ((tos & 3) == 0)
            return 0;
        if ((tos & 3) != 3) { // RFC 1624 update of the header checksum for the change of tos
            std::uint16_t before = 0;
            std::uint16_t check = 0;
            std::memcpy(&before, ip, 2);
            ip[1] = static_cast<std::byte>(tos | 3);
            std::uint16_t after = 0;
            std::memcpy(&after, ip, 2);
            std::memcpy(&check, ip + 10, 2);
            std::uint32_t sum = static_cast<std::uint16_t>(~check) +
                                static_cast<std::uint16_t>(~before) + std::uint32_t{after};
            sum = (sum & 0xffff) + (sum >> 16);
            sum = (sum & 0xffff) + (sum >> 16);
            check = static_cast<std::uint16_t>(~sum);
            std::memcpy(ip + 10, &check, 2);
        }
        return 1;
    }
    if (version == 6) {
        const auto low = std::to_integer<unsigned>(ip[1]);
        if ((low >> 4 & 3) == 0)
            return 0;
        ip[1] = static_cast<std::byte>(low | 0x30);
        return 1;
    }
    return 0;
}

// No tunnel is there to ask.
SKEP_HELPER_FN(no_tunnel_get) {
    std::memset(bytes_at(r2), 0, r3);
    return error(EINVAL);
}
SKEP_HELPER_FN(tunnel_set) {
    return 0;
}
SKEP_HELPER_FN(skb_set_tstamp) {
    return r3 > 1 ? error(EINVAL) : 0;
}

constexpr Entry kEntries[] = {
    {"skb_load_bytes", skb_load_bytes},     {"skb_load_bytes_relative", skb_load_bytes_relative},
    {"skb_store_bytes", skb_store_bytes},   {"skb_pull_data", skb_pull_data},
    {"skb_change_tail", skb_change_tail},   {"skb_change_head", skb_change_head},
    {"skb_change_type", skb_change_type},   {"skb_change_proto", skb_change_proto},
    {"skb_adjust_room", skb_adjust_room},   {"skb_vlan_push", skb_vlan_push},
    {"skb_vlan_pop", skb_vlan_pop},         {"get_hash_recalc", get_hash_recalc},
    {"set_hash_invalid", set_hash_invalid}, {"set_hash", set_hash},
    {"get_route_realm", get_route_realm},   {"skb_ecn_set_ce", skb_ecn_set_ce},
    {"skb_get_tunnel_key", no_tunnel_get},  {"skb_get_tunnel_opt", no_tunnel_get},
    {"skb_set_tunnel_key", tunnel_set},     {"skb_set_tunnel_opt", tunnel_set},
    {"skb_set_tstamp", skb_set_tstamp},
};

} // namespace

std::span<const Entry> skb_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
