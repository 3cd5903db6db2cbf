// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "skep/maps/map.hpp"

namespace skep::maps {

/// Memory attached to objects: SkStorage, TaskStorage, InodeStorage, CgrpStorage, CgroupStorage
/// and PercpuCgroupStorage. An object is any number that the host uses for it (a pointer, an id).
/// As a Map: a key is the object's number in the first 4 or 8 bytes of the key.
class StorageMap : public Map {
public:
    using Map::Map;
    [[nodiscard]] static StorageMap* from(Map& map) noexcept;

    /// The value of an object (the CPU's slot of the per-CPU kind), or nullptr. With `create` a
    /// missing value is made, from `init` or from zeros; nullptr then means that
    /// CreateOptions::storage_objects are in use.
    virtual std::byte* get(std::uint64_t object, bool create, const std::byte* init,
                           std::uint32_t cpu) noexcept = 0;
    /// Forgets an object. -ENOENT if it has no value. To be called also when the object ends.
    virtual int drop(std::uint64_t object) noexcept = 0;
};

/// Kind StackTrace.
class StackTraceMap : public Map {
public:
    using Map::Map;
    [[nodiscard]] static StackTraceMap* from(Map& map) noexcept;

    /// bpf_get_stackid(): keeps a call stack (innermost frame first) and returns its id.
    /// `flags`: BPF_F_FAST_STACK_CMP and BPF_F_REUSE_STACKID; others -EINVAL.
    /// -EEXIST if another stack has that id and may not be replaced; -EFAULT for an empty stack.
    virtual int record(std::span<const std::uint64_t> frames, std::uint64_t flags) noexcept = 0;
};

/// Kind Arena: pages that program and host share. Addresses are the host's.
class ArenaMap : public Map {
public:
    using Map::Map;
    [[nodiscard]] static ArenaMap* from(Map& map) noexcept;

    /// Start of the reservation of max_entries pages.
    [[nodiscard]] virtual std::byte* base() const noexcept = 0;
    [[nodiscard]] virtual std::uint64_t size() const noexcept = 0;
    /// bpf_arena_alloc_pages(): zeroed pages, at `wanted` if it is not null; nullptr if not free.
    virtual std::byte* alloc_pages(std::byte* wanted, std::uint32_t count) noexcept = 0;
    /// bpf_arena_free_pages(): pages that are not allocated are passed over.
    virtual void free_pages(std::byte* start, std::uint32_t count) noexcept = 0;
};

} // namespace skep::maps
