// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "skep/base/result.hpp"
#include "skep/exec/region.hpp"
#include "skep/spec/context.hpp"

namespace skep::exec {

/// Bytes of a packet with room in front and behind, as a driver gives them to XDP.
/// [data, end) is the packet, [meta, data) its metadata; head <= meta <= data <= end <= limit.
struct Packet {
    std::byte* head = nullptr;
    std::byte* meta = nullptr;
    std::byte* data = nullptr;
    std::byte* end = nullptr;
    std::byte* limit = nullptr;

    [[nodiscard]] std::uint32_t size() const noexcept {
        return static_cast<std::uint32_t>(end - data);
    }
};

/// The context of one run: the structure that user space sees (`xdp_md`, `__sk_buff`, ...) in
/// plain memory, and beside it the pointers that loads of its pointer fields yield.
/// Not thread-safe; use one per thread and reuse it: reset() and set_packet() do not allocate
/// once the buffers are large enough.
class Context {
public:
    static constexpr std::uint32_t kHeadroom = 256; ///< XDP_PACKET_HEADROOM
    static constexpr std::uint32_t kTailroom = 320; ///< of the kernel's test run (skb_shared_info)
    static constexpr std::uint32_t kMaxPacket = 65535;

    /// A zeroed context of the layout; `size` for layouts whose size the event gives.
    explicit Context(const spec::ContextLayout& layout, std::uint32_t size = 0);

    [[nodiscard]] const spec::ContextLayout& layout() const noexcept { return *layout_; }
    /// The memory that r1 points to.
    [[nodiscard]] std::span<std::byte> bytes() noexcept {
        return {reinterpret_cast<std::byte*>(block_.data()) + kHeader, size_};
    }
    [[nodiscard]] std::uint64_t address() noexcept {
        return reinterpret_cast<std::uint64_t>(bytes().data());
    }

    /// Zeroes fields, pointers and packet; but pointers that are never null, of which a zeroed
    /// socket or flow keys are what they point to.
    void reset() noexcept;
    /// Copies a packet in, with kHeadroom in front and kTailroom behind. Error: over kMaxPacket.
    Result<void> set_packet(std::span<const std::byte> packet);
    [[nodiscard]] Packet& packet() noexcept { return packet_; }
    [[nodiscard]] const Packet& packet() const noexcept { return packet_; }
    /// To be called after packet() was changed: renews the packet pointers.
    void sync_packet() noexcept;

    /// Sets a pointer field to memory that outlives the run.
    void set_pointer(spec::FieldKind kind, std::uint64_t address, const Capability& cap) noexcept;
    [[nodiscard]] std::uint64_t pointer(spec::FieldKind kind) const noexcept {
        return block_[static_cast<std::size_t>(kind)];
    }
    [[nodiscard]] const Capability& capability(spec::FieldKind kind) const noexcept {
        return caps_[static_cast<std::size_t>(kind)];
    }
    /// Where compiled code finds the pointer of a kind, relative to r1 (negative).
    [[nodiscard]] static constexpr std::int32_t pointer_offset(spec::FieldKind kind) noexcept {
        return static_cast<std::int32_t>(static_cast<int>(kind) * 8) -
               static_cast<std::int32_t>(kHeader);
    }

private:
    void place_objects() noexcept;

    static constexpr std::size_t kPointers = static_cast<std::size_t>(spec::FieldKind::Count_);
    static constexpr std::size_t kHeader = kPointers * 8;

    const spec::ContextLayout* layout_;
    std::uint32_t size_;
    std::vector<std::uint64_t> block_; ///< pointers by FieldKind, then the user-visible structure
    std::array<Capability, kPointers> caps_{};
    /// A socket and flow keys, for fields that are never null.
    std::vector<std::byte> objects_;
    std::vector<std::byte> buffer_;
    Packet packet_{};
};

/// What the packet loads of classic BPF (LD_ABS, LD_IND) find at an offset: 1, 2 or 4 bytes in
/// network order, as a number. False if they are not in the packet.
[[nodiscard]] bool load_packet(const Context& context, std::int64_t offset, std::uint32_t size,
                               std::uint64_t& value) noexcept;

} // namespace skep::exec
