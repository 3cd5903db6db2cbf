// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace skep::exec {

/// What a register's value gives access to, in checked mode.
enum class RegionKind : std::uint8_t {
    None,     ///< a number: no access
    Unset,    ///< never written: reading it is a trap
    Stack,    ///< a stack frame; `id` is the frame number
    Context,  ///< the program's context
    Packet,   ///< packet bytes, data..data_end (or data_meta..data)
    MapValue, ///< one value of one map
    MapKey,   ///< a key passed to a callback
    Memory,   ///< ring buffer record, dynptr slice, flow keys, option value, ...; `id` tells which
    Map,      ///< a map itself: `base` is its const spec::MapDef *; no access
    Function, ///< a subprogram: `base` is its first slot; no access
    Socket,   ///< struct bpf_sock, readable by its UAPI layout
    Object,   ///< opaque host object: identity only
};

enum RegionFlags : std::uint8_t {
    kReadOnly = 1,   ///< a store is a trap
    kReleasable = 2, ///< must be handed back; revoked when it is
};

/// A right to access [base, base + size): it travels with a pointer through moves, additions and
/// stack spills, and nowhere else. A number has none (size 0, RegionKind::None).
struct Capability {
    std::uint64_t base = 0;
    std::uint32_t size = 0;
    RegionKind kind = RegionKind::None;
    std::uint8_t flags = 0;
    std::uint16_t id = 0;
};
static_assert(sizeof(Capability) == 16);

} // namespace skep::exec
