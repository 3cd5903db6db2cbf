// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "domain/fact.hpp"

namespace skep::verifier {

using domain::Fact;
using domain::i64;
using domain::u32;
using domain::u64;
using std::uint16_t;
using std::uint8_t;

/// A number that has a name: equal symbols are equal numbers, on this path. Symbol 0 is zero.
using Sym = u32;

enum class Kind : uint8_t { Uninit, Scalar, Pointer };

enum class Region : uint8_t {
    None,
    Context,
    Stack,     ///< aux: frame
    Packet,    ///< offset from data
    Meta,      ///< offset from data_meta
    PacketEnd, ///< data_end itself
    MapValue,  ///< aux: map
    Map,       ///< aux: map
    Memory,    ///< aux: bytes
    Socket,    ///< aux: spec::SocketKind, and the instance of its owner << kOwnerShift
    Object,    ///< a kernel object that only helpers look into; aux: kIsSocket, and the owner
    FlowKeys,  ///< struct bpf_flow_keys
    Function,  ///< aux: its first slot
    Iterator,  ///< in a stack cell only; aux: 1 if it may still give a number, else 0
};

/// What a register or a stack cell holds: nothing, a number, or a pointer. The number, or the
/// pointer's distance from the start of its region, is sym + off (mod 2^64).
struct Val {
    Kind kind = Kind::Uninit;
    Region region = Region::None;
    bool nullable = false;
    bool read_only = false;
    u32 aux = 0;
    u32 instance = 0; ///< of pointers that a call returned: one null test tells about all copies
    Sym sym = 0;
    i64 off = 0;

    friend bool operator==(const Val&, const Val&) = default;
};

/// Of sockets and objects: what aux is besides the owner, the instance that was taken when it
/// became the program's (0: it did not).
constexpr u32 kOwnerShift = 2;
constexpr u32 kIsSocket = 1;
[[nodiscard]] inline bool has_owner(const Val& val) {
    return val.kind == Kind::Pointer &&
           (val.region == Region::Socket || val.region == Region::Object);
}
[[nodiscard]] inline u32 owner_of(const Val& val) {
    return has_owner(val) ? val.aux >> kOwnerShift : 0;
}
[[nodiscard]] inline u32 class_of(const Val& val) {
    return has_owner(val) ? val.aux & ((1U << kOwnerShift) - 1) : val.aux;
}

[[nodiscard]] inline Val number(Sym sym, i64 off = 0) {
    return {.kind = Kind::Scalar, .sym = sym, .off = off};
}

} // namespace skep::verifier
