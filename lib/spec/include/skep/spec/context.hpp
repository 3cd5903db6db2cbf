// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "skep/spec/program_type.hpp"

namespace skep::spec {

/// What a load of a context field yields. Pointers are stored beside the context (exec::Context)
/// and a 4-byte load of PacketData/PacketEnd/PacketMeta yields the full 64-bit pointer, as the
/// kernel's rewritten access does.
enum class FieldKind : std::uint8_t {
    Scalar,
    PacketData,
    PacketEnd,
    PacketMeta,
    Socket,   ///< struct bpf_sock *, may be null
    Socket2,  ///< a second socket (sk_reuseport migrating_sk)
    FlowKeys, ///< struct bpf_flow_keys *
    OptVal,   ///< start of a getsockopt/setsockopt value
    OptValEnd,
    BtfPointer, ///< a typed kernel pointer: synthetic input only
    Count_,     ///< number of kinds
};

/// One field of a context structure as user space sees it (linux/bpf.h).
struct ContextField {
    std::string_view name; ///< "data_end", "cb[0]"...
    std::uint16_t offset;  ///< bytes from the start of the context
    std::uint16_t size;    ///< bytes of the whole field
    FieldKind kind = FieldKind::Scalar;
    bool readable = true;
    bool writable = false;
    std::uint8_t min_width = 1; ///< narrowest legal access, bytes
};

/// The context that a program type receives in r1.
struct ContextLayout {
    ProgramType type;
    std::string_view name; ///< C type, "xdp_md", "__sk_buff"; "" when it is raw memory
    std::uint32_t size;    ///< bytes; 0: given by the event (tracepoint, syscall)
    std::span<const ContextField> fields; ///< by offset
};

/// The layout for a program type, or nullptr if the type is not known.
[[nodiscard]] const ContextLayout* find_context(ProgramType type) noexcept;

/// The field that covers byte `offset`, or nullptr.
[[nodiscard]] const ContextField* field_at(const ContextLayout& layout,
                                           std::uint32_t offset) noexcept;

/// How many bytes from the start of `field` one access may reach: its size, but for arrays of
/// control blocks ("cb[0]"), where 8 bytes may cover two elements.
[[nodiscard]] std::uint32_t reach_of(const ContextLayout& layout,
                                     const ContextField& field) noexcept;

} // namespace skep::spec
