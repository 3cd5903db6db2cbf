// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Internet checksums (RFC 1071, 1624): one's complement sums, folded at the end.
#include "packet.hpp"
#include "skep/maps/map.hpp"

namespace skep::helpers {
namespace {

constexpr std::uint64_t kFieldMask = 0x0f;       // BPF_F_HDR_FIELD_MASK
constexpr std::uint64_t kPseudoHeader = 1U << 4; // BPF_F_PSEUDO_HDR
constexpr std::uint64_t kMarkMangled0 = 1U << 5; // BPF_F_MARK_MANGLED_0
constexpr std::uint64_t kMarkEnforce = 1U << 6;  // BPF_F_MARK_ENFORCE
constexpr std::uint64_t kIpv6 = 1U << 7;         // BPF_F_IPV6

std::uint32_t add(std::uint32_t a, std::uint32_t b) noexcept {
    const std::uint32_t sum = a + b;
    return sum + (sum < a ? 1 : 0);
}

std::uint16_t fold(std::uint32_t sum) noexcept {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

// Words of 32 bits in host order; a rest is filled up with zeros.
std::uint32_t sum_of(std::uint64_t address, std::uint64_t size, bool negate,
                     std::uint32_t sum) noexcept {
    for (std::uint64_t i = 0; i < size; i += 4) {
        std::uint32_t word = 0;
        std::memcpy(&word, bytes_at(address + i), std::min<std::uint64_t>(sizeof word, size - i));
        sum = add(sum, negate ? ~word : word);
    }
    return sum;
}

// Since Linux 6.14 the sum is handed out folded to 16 bits, and sizes need not be multiples of 4.
SKEP_HELPER_FN(csum_diff) {
    auto sum = static_cast<std::uint32_t>(r5);
    if (r4 != 0)
        sum = sum_of(r3, r4, false, sum);
    if (r2 != 0)
        sum = sum_of(r1, r2, true, sum);
    return static_cast<std::uint16_t>(~fold(sum));
}

struct Field {
    std::byte* at = nullptr;
    [[nodiscard]] std::uint16_t get() const noexcept {
        std::uint16_t value = 0;
        std::memcpy(&value, at, sizeof value);
        return value;
    }
    void set(std::uint16_t value) const noexcept { std::memcpy(at, &value, sizeof value); }
};

std::uint16_t replace(std::uint16_t checksum, std::uint32_t from, std::uint32_t to) noexcept {
    return fold(add(add(static_cast<std::uint16_t>(~checksum), ~from), to));
}

// What both csum_replace helpers do to the field; false for a size that is none of 0, 2, 4.
bool replace_in(const Field& field, std::uint64_t from, std::uint64_t to,
                std::uint64_t flags) noexcept {
    switch (flags & kFieldMask) {
    case 0:
        if (from != 0)
            return false;
        field.set(
            fold(add(static_cast<std::uint16_t>(~field.get()), static_cast<std::uint32_t>(to))));
        return true;
    case 2:
        field.set(
            replace(field.get(), static_cast<std::uint16_t>(from), static_cast<std::uint16_t>(to)));
        return true;
    case 4:
        field.set(
            replace(field.get(), static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(to)));
        return true;
    default:
        return false;
    }
}

SKEP_HELPER_FN(l3_csum_replace) {
    const exec::Packet& packet = packet_of(run);
    const auto offset = static_cast<std::uint32_t>(r2);
    if ((r5 & ~kFieldMask) != 0 || offset > 0xffff || (offset & 1) != 0)
        return error(offset > 0xffff || (offset & 1) != 0 ? EFAULT : EINVAL);
    if (!inside(packet, offset, 2))
        return error(EFAULT);
    const Field field{packet.data + offset};
    if (!replace_in(field, r3, r4, r5))
        return error(EINVAL);
    packet_moved(run);
    return 0;
}

SKEP_HELPER_FN(l4_csum_replace) {
    const exec::Packet& packet = packet_of(run);
    const auto offset = static_cast<std::uint32_t>(r2);
    const bool mangled = (r5 & kMarkMangled0) != 0;
    if ((r5 & ~(kFieldMask | kPseudoHeader | kMarkMangled0 | kMarkEnforce | kIpv6)) != 0)
        return error(EINVAL);
    if (offset > 0xffff || (offset & 1) != 0 || !inside(packet, offset, 2))
        return error(EFAULT);
    const Field field{packet.data + offset};
    if (mangled && (r5 & kMarkEnforce) == 0 && field.get() == 0)
        return 0; // UDP without a checksum
    if (!replace_in(field, r3, r4, r5))
        return error(EINVAL);
    if (mangled && field.get() == 0)
        field.set(0xffff);
    packet_moved(run);
    return 0;
}

// Test packets carry no checksum from hardware (CHECKSUM_NONE).
SKEP_HELPER_FN(csum_update) {
    return error(maps::kNotSupported); // Not errno.h's: the kernel's own.
}
SKEP_HELPER_FN(csum_level) {
    return r2 > 3 ? error(EINVAL) : r2 == 0 ? error(EACCES) : 0;
}

constexpr Entry kEntries[] = {
    {"csum_diff", csum_diff},
    {"l3_csum_replace", l3_csum_replace},
    {"l4_csum_replace", l4_csum_replace},
    {"csum_update", csum_update},
    {"csum_level", csum_level},
};

} // namespace

std::span<const Entry> checksum_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
