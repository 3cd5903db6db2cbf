// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Redirects and routes. Nothing is sent: the outcome is recorded in the RunContext for whoever
// carries it out, and the return value is the verdict that the kernel's helper gives.
#include "helper.hpp"
#include "skep/maps/slots.hpp"

namespace skep::helpers {
namespace {

using Kind = exec::RedirectOutcome::Kind;

constexpr std::uint64_t kIngress = 1; // BPF_F_INGRESS
constexpr std::uint64_t kXdpAborted = 0;
constexpr std::uint64_t kXdpRedirect = 4;
constexpr std::uint64_t kTcShot = 2;     // TC_ACT_SHOT
constexpr std::uint64_t kTcRedirect = 7; // TC_ACT_REDIRECT

bool is_xdp(const exec::RunContext* run) noexcept {
    return run->context->layout().type == spec::ProgramType::Xdp;
}

SKEP_HELPER_FN(redirect) {
    if (is_xdp(run)) {
        if (r2 != 0)
            return kXdpAborted;
    } else if ((r2 & ~kIngress) != 0) {
        return kTcShot;
    }
    run->redirect = {.kind = Kind::Ifindex, .ifindex = static_cast<std::uint32_t>(r1), .flags = r2};
    return is_xdp(run) ? kXdpRedirect : kTcRedirect;
}

SKEP_HELPER_FN(redirect_peer) {
    if (r2 != 0)
        return kTcShot;
    run->redirect = {.kind = Kind::Peer, .ifindex = static_cast<std::uint32_t>(r1)};
    return kTcRedirect;
}

SKEP_HELPER_FN(redirect_neigh) {
    if (r4 != 0 || (r3 != 0 && r3 < 20))
        return kTcShot;
    run->redirect = {.kind = Kind::Neigh, .ifindex = static_cast<std::uint32_t>(r1)};
    return kTcRedirect;
}

SKEP_HELPER_FN(clone_redirect) {
    if ((r3 & ~kIngress) != 0 || r2 == 0)
        return error(EINVAL);
    run->redirect = {.kind = Kind::Ifindex, .ifindex = static_cast<std::uint32_t>(r2), .flags = r3};
    run->pending |= exec::kPacketMoved;
    return 0;
}

// A target that is not there: the lower bits of the flags say which verdict to give instead.
SKEP_HELPER_FN(redirect_map) {
    constexpr std::uint64_t kActionMask = 3;
    constexpr std::uint64_t kBroadcast = 1U << 3;
    constexpr std::uint64_t kExcludeIngress = 1U << 4;
    const auto index = static_cast<std::uint32_t>(r2);
    maps::Map& map = map_at(r1);
    const spec::MapKind kind = map.def().kind;
    const bool device = kind == spec::MapKind::Devmap || kind == spec::MapKind::DevmapHash;
    if ((r3 & ~(kActionMask | (device ? kBroadcast | kExcludeIngress : 0))) != 0)
        return kXdpAborted;
    maps::TargetMap* targets = maps::TargetMap::from(map);
    std::uint64_t target = 0;
    const bool broadcast = (r3 & kBroadcast) != 0;
    if (!broadcast && (targets == nullptr ||
                       !targets->target(reinterpret_cast<const std::byte*>(&index), target)))
        return r3 & kActionMask;
    run->redirect = {.kind = Kind::Map, .ifindex = index, .flags = r3, .map = &map};
    return kXdpRedirect;
}

std::uint64_t redirect_socket(std::uint64_t map, std::uint64_t key, std::uint64_t flags,
                              exec::RunContext* run) noexcept {
    constexpr std::uint64_t kDrop = 0; // SK_DROP
    constexpr std::uint64_t kPass = 1; // SK_PASS
    maps::TargetMap* targets = maps::TargetMap::from(map_at(map));
    std::uint64_t target = 0;
    if ((flags & ~kIngress) != 0 || targets == nullptr || !targets->target(bytes_at(key), target))
        return kDrop;
    run->redirect = {.kind = Kind::Map,
                     .ifindex = static_cast<std::uint32_t>(target),
                     .flags = flags,
                     .map = targets};
    return kPass;
}

SKEP_HELPER_FN(sk_redirect_map) {
    const auto key = static_cast<std::uint32_t>(r3);
    return redirect_socket(r2, reinterpret_cast<std::uint64_t>(&key), r4, run);
}
SKEP_HELPER_FN(sk_redirect_hash) {
    return redirect_socket(r2, r3, r4, run);
}

// The host has no routes to show: every destination is "not forwarded".
SKEP_HELPER_FN(fib_lookup) {
    constexpr std::uint64_t kKnownFlags = 0x3f;
    constexpr std::uint64_t kNotForwarded = 4; // BPF_FIB_LKUP_RET_NOT_FWDED
    if (r3 < 64 || (r4 & ~kKnownFlags) != 0)
        return error(EINVAL);
    const auto family = std::to_integer<unsigned>(bytes_at(r2)[0]);
    return family == 2 || family == 10 ? kNotForwarded : error(EAFNOSUPPORT);
}

// Checked against the MTU of an ordinary Ethernet interface.
SKEP_HELPER_FN(check_mtu) {
    constexpr std::uint32_t kMtu = 1500;
    constexpr std::uint32_t kFragmentationNeeded = 1; // BPF_MTU_CHK_RET_FRAG_NEEDED
    const auto difference = static_cast<std::int32_t>(r4);
    std::uint32_t length = 0;
    std::memcpy(&length, bytes_at(r3), sizeof length);
    if (r5 > 1 || (r5 != 0 && is_xdp(run)))
        return error(EINVAL);
    const std::int64_t size =
        (length != 0 ? std::int64_t{length} + 14 : std::int64_t{run->context->packet().size()}) +
        difference;
    std::memcpy(bytes_at(r3), &kMtu, sizeof kMtu);
    return size > kMtu + 14 ? kFragmentationNeeded : 0;
}

constexpr Entry kEntries[] = {
    {"redirect", redirect},
    {"redirect_peer", redirect_peer},
    {"redirect_neigh", redirect_neigh},
    {"clone_redirect", clone_redirect},
    {"redirect_map", redirect_map},
    {"sk_redirect_map", sk_redirect_map},
    {"sk_redirect_hash", sk_redirect_hash},
    {"msg_redirect_map", sk_redirect_map},
    {"msg_redirect_hash", sk_redirect_hash},
    {"fib_lookup", fib_lookup},
    {"check_mtu", check_mtu},
};

} // namespace

std::span<const Entry> route_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
