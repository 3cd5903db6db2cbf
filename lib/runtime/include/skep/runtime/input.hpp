// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/base/result.hpp"
#include "skep/exec/context.hpp"
#include "skep/spec/context.hpp"

namespace skep::runtime {

/// Bytes of an Ethernet header: what a frame must have at least, as in BPF_PROG_TEST_RUN.
inline constexpr std::size_t kEthernetHeader = 14;

/// True if programs of this type look at a packet.
[[nodiscard]] bool takes_packet(spec::ProgramType type) noexcept;

/// The layout of the type's context, or Unsupported.
Result<const spec::ContextLayout*> context_of(spec::ProgramType type);

/// Sets a scalar field by its name ("mark", "cb[0]"). Errors: NotFound with a "did you mean",
/// Invalid if the value does not fit or the field is a pointer.
Result<void> set_field(exec::Context& context, std::string_view name, std::uint64_t value);

/// Puts Ethernet frames into the context of a program type the way BPF_PROG_TEST_RUN does: xdp and
/// tc programs see the frame, the others see it from the byte after its Ethernet header; interface
/// number, length, protocol and packet type are set. Immutable; use it from any thread.
class PacketInput {
public:
    /// `base`: the context's bytes before the frame's fields are set; empty for zeros.
    PacketInput(const spec::ContextLayout& layout, Bytes base);

    /// Errors: Invalid for a frame shorter than an Ethernet header, Limit for one over 65535 bytes.
    Result<void> load(exec::Context& context, Bytes frame) const;

private:
    struct Field {
        int offset = -1; ///< -1: the context has no such field
        void set(MutableBytes bytes, std::uint32_t value) const noexcept;
    };

    std::vector<std::byte> base_;
    bool from_ethernet_; ///< the program sees the Ethernet header
    Field len_, wire_len_, protocol_, packet_type_, ifindex_, ingress_ifindex_;
};

} // namespace skep::runtime
