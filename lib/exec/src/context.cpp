// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/exec/context.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "skep/base/bytes.hpp"
#include "skep/spec/socket.hpp"

namespace skep::exec {
namespace {

Capability packet_part(const std::byte* from, const std::byte* to) noexcept {
    return {.base = reinterpret_cast<std::uint64_t>(from),
            .size = static_cast<std::uint32_t>(to - from),
            .kind = RegionKind::Packet};
}

} // namespace

Context::Context(const spec::ContextLayout& layout, std::uint32_t size)
    : layout_(&layout), size_(layout.size != 0 ? layout.size : size),
      block_(kPointers + (std::size_t{size_} + 7) / 8) {
    place_objects();
}

void Context::place_objects() noexcept {
    const auto place = [this](spec::FieldKind kind, std::size_t at, std::uint32_t size,
                              RegionKind region) {
        objects_.resize(spec::kSocketSize + spec::kFlowKeysSize);
        const auto base = reinterpret_cast<std::uint64_t>(objects_.data() + at);
        set_pointer(kind, base, {.base = base, .size = size, .kind = region});
    };
    for (const spec::ContextField& field : layout_->fields) {
        if (field.kind == spec::FieldKind::Socket &&
            !spec::context_socket(layout_->type, field.kind).nullable)
            place(field.kind, 0, spec::kSocketSize, RegionKind::Socket);
        if (field.kind == spec::FieldKind::FlowKeys && field.readable)
            place(field.kind, spec::kSocketSize, spec::kFlowKeysSize, RegionKind::Memory);
    }
}

void Context::reset() noexcept {
    std::ranges::fill(block_, 0);
    caps_.fill({});
    packet_ = {};
    std::ranges::fill(objects_, std::byte{0});
    place_objects();
}

Result<void> Context::set_packet(std::span<const std::byte> packet) {
    if (packet.size() > kMaxPacket)
        return fail(ErrorCode::Limit, "packet of " + std::to_string(packet.size()) +
                                          " bytes, expected at most " + std::to_string(kMaxPacket));
    const std::size_t room = kHeadroom + packet.size() + kTailroom;
    if (buffer_.size() < room)
        buffer_.resize(room);
    packet_.head = buffer_.data();
    packet_.data = packet_.head + kHeadroom;
    packet_.meta = packet_.data;
    packet_.end = packet_.data + packet.size();
    packet_.limit = packet_.end + kTailroom;
    // What earlier packets left in the rooms must not be seen when this one grows.
    std::memset(packet_.head, 0, kHeadroom);
    if (!packet.empty())
        std::memcpy(packet_.data, packet.data(), packet.size());
    std::memset(packet_.end, 0, kTailroom);
    sync_packet();
    return {};
}

void Context::sync_packet() noexcept {
    const auto set = [this](spec::FieldKind kind, const std::byte* at, const Capability& cap) {
        set_pointer(kind, reinterpret_cast<std::uint64_t>(at), cap);
    };
    set(spec::FieldKind::PacketData, packet_.data, packet_part(packet_.data, packet_.end));
    set(spec::FieldKind::PacketEnd, packet_.end, packet_part(packet_.end, packet_.end));
    set(spec::FieldKind::PacketMeta, packet_.meta, packet_part(packet_.meta, packet_.data));
}

void Context::set_pointer(spec::FieldKind kind, std::uint64_t address,
                          const Capability& cap) noexcept {
    block_[static_cast<std::size_t>(kind)] = address;
    caps_[static_cast<std::size_t>(kind)] = cap;
}

bool load_packet(const Context& context, std::int64_t offset, std::uint32_t size,
                 std::uint64_t& value) noexcept {
    const Packet& packet = context.packet();
    // Linux's windows for offsets from the network and link layer headers (linux/filter.h).
    constexpr std::int64_t kNet = -0x100000;
    constexpr std::int64_t kLink = -0x200000;
    constexpr std::int64_t kEthernet = 14;
    const spec::ProgramType type = context.layout().type;
    const bool sees_link =
        type == spec::ProgramType::SchedCls || type == spec::ProgramType::SchedAct;
    if (packet.data == nullptr)
        return false;
    std::int64_t start = offset;
    if (offset < 0 && offset >= kNet)
        start = offset - kNet + (sees_link ? kEthernet : 0);
    else if (offset < 0 && offset >= kLink)
        start = offset - kLink - (sees_link ? 0 : kEthernet);
    else if (offset < 0)
        return false;
    if (start < packet.head - packet.data || start + size > packet.end - packet.data)
        return false;
    const std::byte* from = packet.data + start;
    value = size == 1   ? load<std::uint8_t>(from)
            : size == 2 ? std::uint64_t{from_big(load<std::uint16_t>(from))}
                        : std::uint64_t{from_big(load<std::uint32_t>(from))};
    return true;
}

} // namespace skep::exec
