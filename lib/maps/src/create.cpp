// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <limits>
#include <linux/bpf.h>

#include "hash_map.hpp"
#include "kinds.hpp"
#include "skep/base/bytes.hpp"

namespace skep::maps {

using spec::MapDef;
using spec::MapKind;

namespace {

using Maker = Made (*)(const MapDef&, const CreateOptions&);

struct Kind {
    MapKind kind;
    const char* name; ///< as bpftool prints it
    Maker make;
};

constexpr Kind kKinds[] = {
    {MapKind::Hash, "hash", make_hash},
    {MapKind::Array, "array", make_array},
    {MapKind::ProgArray, "prog_array", make_prog_array},
    {MapKind::PerfEventArray, "perf_event_array", make_perf_array},
    {MapKind::PercpuHash, "percpu_hash", make_percpu_hash},
    {MapKind::PercpuArray, "percpu_array", make_percpu_array},
    {MapKind::StackTrace, "stack_trace", make_stack_trace},
    {MapKind::CgroupArray, "cgroup_array", make_target_array},
    {MapKind::LruHash, "lru_hash", make_lru_hash},
    {MapKind::LruPercpuHash, "lru_percpu_hash", make_lru_percpu_hash},
    {MapKind::LpmTrie, "lpm_trie", make_lpm_trie},
    {MapKind::ArrayOfMaps, "array_of_maps", make_array_of_maps},
    {MapKind::HashOfMaps, "hash_of_maps", make_hash_of_maps},
    {MapKind::Devmap, "devmap", make_target_array},
    {MapKind::Sockmap, "sockmap", make_target_array},
    {MapKind::Cpumap, "cpumap", make_target_array},
    {MapKind::Xskmap, "xskmap", make_target_array},
    {MapKind::Sockhash, "sockhash", make_target_hash},
    {MapKind::CgroupStorage, "cgroup_storage", make_storage},
    {MapKind::ReuseportSockarray, "reuseport_sockarray", make_target_array},
    {MapKind::PercpuCgroupStorage, "percpu_cgroup_storage", make_storage},
    {MapKind::Queue, "queue", make_queue},
    {MapKind::Stack, "stack", make_queue},
    {MapKind::SkStorage, "sk_storage", make_storage},
    {MapKind::DevmapHash, "devmap_hash", make_target_hash},
    {MapKind::StructOps, "struct_ops", make_array},
    {MapKind::Ringbuf, "ringbuf", make_ringbuf},
    {MapKind::InodeStorage, "inode_storage", make_storage},
    {MapKind::TaskStorage, "task_storage", make_storage},
    {MapKind::BloomFilter, "bloom_filter", make_bloom_filter},
    {MapKind::UserRingbuf, "user_ringbuf", make_user_ringbuf},
    {MapKind::CgrpStorage, "cgrp_storage", make_storage},
    {MapKind::Arena, "arena", make_arena},
};

const Kind* find_kind(MapKind kind) {
    const auto* found = std::ranges::find(kKinds, kind, &Kind::kind);
    return found == std::end(kKinds) ? nullptr : found;
}

/// What the kernel changes in a definition while it creates the map.
MapDef adjusted(MapDef def, const CreateOptions& options) {
    if (def.kind == MapKind::Devmap || def.kind == MapKind::DevmapHash)
        def.flags |= BPF_F_RDONLY_PROG; // A lookup gives the program the entry itself.
    if ((def.flags & BPF_F_NO_COMMON_LRU) != 0) {
        // Every CPU's list gets the same number of elements, at least one.
        const std::uint64_t cpus = options.cpus;
        const std::uint64_t whole = (def.max_entries + cpus - 1) / cpus * cpus;
        def.max_entries = static_cast<std::uint32_t>(std::min<std::uint64_t>(whole, 1U << 31));
    }
    return def;
}

ErrorCode code_of(int error) {
    switch (-error) {
    case E2BIG:
        return ErrorCode::Limit;
    case kNotSupported:
        return ErrorCode::Unsupported;
    default:
        return ErrorCode::Invalid;
    }
}

std::string title(const MapDef& def) {
    const Kind* kind = find_kind(def.kind);
    return "map \"" + def.name + "\" (" + (kind == nullptr ? "unknown kind" : kind->name) + "): ";
}

std::uint64_t product(std::uint64_t a, std::uint64_t b) {
    std::uint64_t result = 0;
    return mul_overflows(a, b, result) ? std::numeric_limits<std::uint64_t>::max() : result;
}

std::uint64_t bloom_bytes(const MapDef& def) {
    const std::uint64_t functions = def.extra == 0 ? 5 : def.extra;
    return std::bit_ceil(std::max<std::uint64_t>(functions * def.max_entries / 5 * 7, 64)) / 8;
}

} // namespace

std::uint64_t bytes_for(const MapDef& def, const CreateOptions& options) {
    const std::uint64_t value = round_up(def.value_size, 8);
    switch (def.kind) {
    case MapKind::Array:
    case MapKind::StructOps:
        return product(def.max_entries, value);
    case MapKind::PercpuArray:
        return product(product(def.max_entries, value), options.cpus);
    case MapKind::Hash:
        return HashStorage::bytes_for(hash_config(def, 0, false));
    case MapKind::PercpuHash:
        return HashStorage::bytes_for(hash_config(def, options.cpus, false));
    case MapKind::LruHash:
        return HashStorage::bytes_for(hash_config(def, 0, true));
    case MapKind::LruPercpuHash:
        return HashStorage::bytes_for(hash_config(def, options.cpus, true));
    case MapKind::HashOfMaps:
    case MapKind::DevmapHash:
    case MapKind::Sockhash: {
        HashConfig config = hash_config(def, 0, false);
        config.value_size = 16;
        return HashStorage::bytes_for(config);
    }
    case MapKind::LpmTrie:
        return 0; // Grows with its entries, like the kernel's.
    case MapKind::Queue:
    case MapKind::Stack:
        return product(std::uint64_t{def.max_entries} + 1, def.value_size);
    case MapKind::BloomFilter:
        return bloom_bytes(def);
    case MapKind::Ringbuf:
    case MapKind::UserRingbuf:
        return def.max_entries;
    case MapKind::Arena:
        return product(def.max_entries, 4096);
    case MapKind::SkStorage:
    case MapKind::InodeStorage:
    case MapKind::TaskStorage:
    case MapKind::CgrpStorage:
    case MapKind::CgroupStorage:
        return product(options.storage_objects, value);
    case MapKind::PercpuCgroupStorage:
        return product(product(options.storage_objects, value), options.cpus);
    case MapKind::StackTrace:
        return product(std::bit_ceil(std::uint64_t{def.max_entries}), value + 16);
    default:
        return product(def.max_entries, std::max<std::uint64_t>(value, 16));
    }
}

Result<std::shared_ptr<Map>> create(const MapDef& def, const CreateOptions& options) {
    std::string reason;
    if (const int error = check_def(def, options, &reason); error != 0)
        return fail(code_of(error), title(def) + reason);
    const MapDef final_def = adjusted(def, options);
    if (const std::uint64_t bytes = bytes_for(final_def, options); bytes > options.max_bytes)
        return fail(ErrorCode::Limit, title(def) + "needs " + std::to_string(bytes) +
                                          " bytes, limit is " + std::to_string(options.max_bytes));
    auto made = find_kind(def.kind)->make(final_def, options);
    if (!made)
        made.error().message = title(def) + made.error().message;
    return made;
}

} // namespace skep::maps
