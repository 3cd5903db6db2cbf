// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "skep/spec/program_type.hpp"

namespace skep::spec {

/// What a helper wants in an argument register (kernel: enum bpf_arg_type).
enum class ArgKind : std::uint8_t {
    None,             ///< not an argument; the helper takes fewer
    Anything,         ///< any initialised value
    Scalar,           ///< same, but meaningless for a pointer
    Context,          ///< the program's context, unmodified
    MapPointer,       ///< a map
    MapKey,           ///< readable memory of the map's key_size
    MapValue,         ///< readable memory of the map's value_size
    MapValueOut,      ///< writable memory of the map's value_size; initialised by the helper
    Memory,           ///< readable memory; the next argument is its size
    MemoryOut,        ///< writable memory; the next argument is its size; initialised by the helper
    MemoryInOut,      ///< readable and writable memory; the next argument is its size
    FixedMemory,      ///< readable memory of `fixed_size` bytes
    FixedMemoryOut,   ///< writable memory of `fixed_size` bytes; initialised by the helper
    FixedMemoryInOut, ///< readable and writable memory of `fixed_size` bytes
    Size,             ///< bytes of the memory argument before it; must not be 0
    SizeOrZero,       ///< the same; 0 allowed
    ConstSize,        ///< size of memory that the helper returns (ringbuf_reserve)
    ConstString,      ///< NUL-terminated string in read-only map memory
    Function,         ///< a callback, as loaded by lddw with src 4
    StackPointerOrNull, ///< callback context
    SpinLock,           ///< struct bpf_spin_lock in a map value
    Timer,
    KptrSlot,
    RingbufRecord, ///< memory returned by ringbuf_reserve; released by the call
    Dynptr,        ///< an initialised struct bpf_dynptr on the stack
    DynptrOut,     ///< struct bpf_dynptr on the stack, initialised by the helper
    Socket,        ///< any socket pointer
    BtfPointer,    ///< a typed kernel pointer
};

/// What r0 holds afterwards (kernel: enum bpf_return_type).
enum class RetKind : std::uint8_t {
    Scalar,
    Void,           ///< r0 is unreadable
    MapValueOrNull, ///< value_size bytes of the map in the MapPointer argument
    MapValue,       ///< the same, never null
    MemoryOrNull,   ///< exec::RunContext::returned describes it
    Memory,
    SocketOrNull,
    BtfPointer,
    BtfPointerOrNull,
    Never, ///< tail_call: does not return when it succeeds
};

/// One helper function of Linux 6.18 (linux/bpf.h: __BPF_FUNC_MAPPER).
struct HelperProto {
    std::uint32_t id = 0;
    std::string_view name; ///< without "bpf_": "map_lookup_elem"
    RetKind ret = RetKind::Scalar;
    std::array<ArgKind, 5> args{};
    std::array<bool, 5> nullable{};            ///< argument may be NULL
    std::array<std::uint16_t, 5> fixed_size{}; ///< bytes, for FixedMemory and FixedMemoryOut
    bool gpl_only = false;
    bool moves_packet = false;  ///< packet pointers are stale afterwards
    std::string_view signature; ///< C prototype, for headers and docs
};

/// All helpers, by id, from 1.
[[nodiscard]] std::span<const HelperProto> helpers() noexcept;
/// C declarations of all helpers for BPF programs, as function pointers with the helper's id.
[[nodiscard]] std::string helper_header();

/// Whether Linux 6.18 lets programs of a type call a helper; nothing where it is not known (types
/// that only attach by BTF). `attach_type` is enum bpf_attach_type.
[[nodiscard]] std::optional<bool> helper_available(ProgramType type, std::uint32_t attach_type,
                                                   std::uint32_t id) noexcept;

/// The row of an id, or nullptr.
[[nodiscard]] const HelperProto* find_helper(std::uint32_t id) noexcept;
/// The row of a name, with or without "bpf_", or nullptr.
[[nodiscard]] const HelperProto* find_helper(std::string_view name) noexcept;

} // namespace skep::spec
