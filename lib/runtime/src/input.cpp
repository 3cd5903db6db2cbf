// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/runtime/input.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "skep/base/suggest.hpp"
#include "skep/runtime/verdict.hpp"

namespace skep::runtime {
namespace {

using spec::ProgramType;

constexpr std::uint32_t kLoopback = 1;
constexpr std::uint16_t kFirstEtherType = 0x600; ///< below it the field is a length
constexpr std::uint16_t kEtherType8023 = 1;      ///< ETH_P_802_3

// PACKET_* of linux/if_packet.h, from the address a frame is sent to; the interface is a loopback,
// whose own address is all zeros.
std::uint32_t packet_type(Bytes frame) {
    const auto address = frame.first(6);
    const auto all = [&](std::byte value) {
        return std::ranges::all_of(address, [&](std::byte b) { return b == value; });
    };
    if (all(std::byte{0xff}))
        return 1; // PACKET_BROADCAST
    if ((address[0] & std::byte{1}) != std::byte{0})
        return 2;                     // PACKET_MULTICAST
    return all(std::byte{0}) ? 0 : 3; // PACKET_HOST, PACKET_OTHERHOST
}

/// Network byte order, as in `__sk_buff`.
std::uint16_t protocol_of(Bytes frame) {
    const auto type = load<std::uint16_t>(frame.data() + 12);
    return from_big(type) < kFirstEtherType ? to_big(kEtherType8023) : type;
}

int offset_of(const spec::ContextLayout& layout, std::string_view name) {
    const auto found = std::ranges::find(layout.fields, name, &spec::ContextField::name);
    return found == layout.fields.end() ? -1 : found->offset;
}

} // namespace

bool takes_packet(ProgramType type) noexcept {
    switch (type) {
    case ProgramType::SocketFilter:
    case ProgramType::SchedCls:
    case ProgramType::SchedAct:
    case ProgramType::Xdp:
    case ProgramType::CgroupSkb:
    case ProgramType::LwtIn:
    case ProgramType::LwtOut:
    case ProgramType::LwtXmit:
    case ProgramType::LwtSeg6local:
    case ProgramType::SkSkb:
    case ProgramType::SkMsg:
    case ProgramType::SkReuseport:
    case ProgramType::FlowDissector:
        return true;
    default:
        return false;
    }
}

Result<const spec::ContextLayout*> context_of(ProgramType type) {
    const spec::ContextLayout* layout = spec::find_context(type);
    if (layout == nullptr)
        return fail(ErrorCode::Unsupported,
                    "the context of " + type_name(type) + " programs is not known");
    return layout;
}

Result<void> set_field(exec::Context& context, std::string_view name, std::uint64_t value) {
    const spec::ContextLayout& layout = context.layout();
    const std::string type(layout.name.empty() ? "context" : layout.name);
    const auto field = std::ranges::find(layout.fields, name, &spec::ContextField::name);
    if (field == layout.fields.end()) {
        std::vector<std::string> names;
        for (const auto& known : layout.fields)
            names.emplace_back(known.name);
        return fail(ErrorCode::NotFound, type + " has no field \"" + std::string(name) + "\"", {},
                    did_you_mean(name, names));
    }
    if (field->kind != spec::FieldKind::Scalar || field->size > 8)
        return fail(ErrorCode::Invalid,
                    type + "." + std::string(name) + " is not a number that can be set");
    const auto bits = field->size * 8U;
    // Negative numbers arrive sign-extended.
    const auto high = static_cast<std::int64_t>(value) >> (bits - 1);
    if (bits < 64 && value >> bits != 0 && high != -1)
        return fail(ErrorCode::Invalid, type + "." + std::string(name) + ": " +
                                            std::to_string(value) + " does not fit " +
                                            std::to_string(field->size) + " bytes");
    if (!in_range(field->offset, field->size, context.bytes().size()))
        return fail(ErrorCode::Invalid, type + "." + std::string(name) + " is outside the context");
    std::memcpy(context.bytes().data() + field->offset, &value, field->size);
    return {};
}

PacketInput::PacketInput(const spec::ContextLayout& layout, Bytes base)
    : base_(base.begin(), base.end()),
      from_ethernet_(layout.type == ProgramType::Xdp || layout.type == ProgramType::SchedCls ||
                     layout.type == ProgramType::SchedAct),
      len_{offset_of(layout, "len")}, wire_len_{offset_of(layout, "wire_len")},
      protocol_{offset_of(layout, "protocol")}, packet_type_{offset_of(layout, "pkt_type")},
      ifindex_{offset_of(layout, "ifindex")},
      ingress_ifindex_{layout.type == ProgramType::Xdp ? offset_of(layout, "ingress_ifindex")
                                                       : -1} {}

void PacketInput::Field::set(MutableBytes bytes, std::uint32_t value) const noexcept {
    if (offset < 0)
        return;
    const auto at = static_cast<std::size_t>(offset);
    // What the caller set in the base stays.
    if (in_range(at, sizeof value, bytes.size()) && skep::load<std::uint32_t>(&bytes[at]) == 0)
        store(&bytes[at], value);
}

Result<void> PacketInput::load(exec::Context& context, Bytes frame) const {
    if (frame.size() < kEthernetHeader)
        return fail(ErrorCode::Invalid,
                    "packet of " + std::to_string(frame.size()) +
                        " bytes, expected at least the 14 of an Ethernet header");
    const Bytes seen = from_ethernet_ ? frame : frame.subspan(kEthernetHeader);
    SKEP_TRY(context.set_packet(seen));
    if (!from_ethernet_) // bpf_skb_load_bytes_relative() reaches it.
        std::ranges::copy(frame.first(kEthernetHeader), context.packet().data - kEthernetHeader);
    const auto bytes = context.bytes();
    if (base_.empty())
        std::ranges::fill(bytes, std::byte{0});
    else
        std::ranges::copy_n(base_.begin(),
                            static_cast<std::ptrdiff_t>(std::min(base_.size(), bytes.size())),
                            bytes.begin());
    const auto size = static_cast<std::uint32_t>(seen.size());
    len_.set(bytes, size);
    wire_len_.set(bytes, size);
    protocol_.set(bytes, protocol_of(frame));
    packet_type_.set(bytes, packet_type(frame));
    ifindex_.set(bytes, kLoopback);
    ingress_ifindex_.set(bytes, kLoopback);
    return {};
}

} // namespace skep::runtime
