// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <linux/bpf.h>

#include "area.hpp"
#include "skep/maps/map.hpp"

// What each kind accepts at creation, with the kernel's error numbers in the kernel's order
// (Linux 6.18: map_create() and each kind's map_alloc_check and map_alloc).
namespace skep::maps {

using spec::MapDef;
using spec::MapKind;

namespace {

// Flags newer than the installed linux/bpf.h.
constexpr std::uint32_t kLink = 1U << 13;
constexpr std::uint32_t kVtypeBtfObjFd = 1U << 15;
constexpr std::uint32_t kSegvOnFault = 1U << 17;
constexpr std::uint32_t kNoUserConv = 1U << 18;

constexpr std::uint32_t kAccess =
    BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
constexpr std::uint32_t kProgAccess = BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
constexpr std::uint32_t kUserAccess = BPF_F_RDONLY | BPF_F_WRONLY;

constexpr std::uint64_t kMaxAllocation = std::uint64_t{4} << 20; ///< KMALLOC_MAX_SIZE
constexpr std::uint64_t kHashElement = 48;                       ///< sizeof(struct htab_elem)
constexpr std::uint64_t kMaxPercpuValue = 32 << 10;              ///< PCPU_MIN_UNIT_SIZE
constexpr std::uint64_t kLpmNode = 24;                           ///< sizeof(struct lpm_trie_node)
constexpr std::uint32_t kMaxStorageValue = 65407; ///< BPF_LOCAL_STORAGE_MAX_VALUE_SIZE
constexpr std::uint32_t kMaxStackDepth = 127;     ///< kernel.perf_event_max_stack
constexpr std::uint32_t kMaxKeyOnStack = 512;     ///< MAX_BPF_STACK
constexpr std::uint32_t kMaxCpus = 8192;          ///< NR_CPUS of distribution kernels
constexpr std::uint32_t kPage = 4096;
constexpr std::uint32_t kMaxNumaNodes = 1024;

struct Refusal {
    int error = 0;
    std::string reason{};
};

Refusal ok() {
    return {};
}

std::string number(std::uint64_t value) {
    return std::to_string(value);
}

Refusal wrong(const char* field, std::uint64_t found, const std::string& expected,
              int error = -EINVAL) {
    return {error, std::string(field) + " is " + number(found) + ", expected " + expected};
}

Refusal check_entries(const MapDef& def) {
    return def.max_entries == 0 ? wrong("max_entries", 0, "at least 1") : ok();
}
Refusal check_key(const MapDef& def, std::uint32_t size) {
    return def.key_size != size ? wrong("key_size", def.key_size, number(size)) : ok();
}
Refusal check_has_value(const MapDef& def) {
    return def.value_size == 0 ? wrong("value_size", 0, "at least 1") : ok();
}
Refusal check_value(const MapDef& def, std::uint32_t first, std::uint32_t second) {
    if (def.value_size == first || def.value_size == second)
        return ok();
    return wrong("value_size", def.value_size,
                 first == second ? number(first) : number(first) + " or " + number(second));
}

std::string hex(std::uint32_t value) {
    std::string text;
    for (; value != 0; value >>= 4)
        text.insert(text.begin(), "0123456789abcdef"[value & 15]);
    return "0x" + (text.empty() ? "0" : text);
}

Refusal check_flags(const MapDef& def, std::uint32_t allowed) {
    if (const std::uint32_t bad = def.flags & ~allowed; bad != 0)
        return {-EINVAL, "map_flags contain " + hex(bad) + ", expected only " + hex(allowed)};
    if ((def.flags & kProgAccess) == kProgAccess)
        return {-EINVAL, "BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG exclude each other"};
    return ok();
}

/// The first refusal of several checks.
template <class... Checks>
Refusal first_of(const Refusal& head, const Checks&... rest) {
    if (head.error != 0)
        return head;
    if constexpr (sizeof...(rest) == 0)
        return ok();
    else
        return first_of(rest...);
}

bool is_percpu(MapKind kind) {
    return kind == MapKind::PercpuArray || kind == MapKind::PercpuHash ||
           kind == MapKind::LruPercpuHash;
}

Refusal check_percpu(const MapDef& def) {
    if (!is_percpu(def.kind))
        return ok();
    if (round_up(def.value_size, 8) > kMaxPercpuValue)
        return wrong("value_size", def.value_size, "at most " + number(kMaxPercpuValue), -E2BIG);
    return ok();
}

Refusal check_percpu_numa(const MapDef& def, bool percpu) {
    if (percpu && (def.flags & BPF_F_NUMA_NODE) != 0)
        return {-EINVAL, "BPF_F_NUMA_NODE does not go with per-CPU memory"};
    return ok();
}

Refusal check_array(const MapDef& def) {
    std::uint32_t allowed = BPF_F_NUMA_NODE | kAccess;
    if (def.kind == MapKind::Array)
        allowed |= BPF_F_MMAPABLE | BPF_F_INNER_MAP;
    if (def.kind == MapKind::PerfEventArray)
        allowed |= BPF_F_PRESERVE_ELEMS;
    Refusal refusal = first_of(check_entries(def), check_key(def, 4), check_has_value(def),
                               check_flags(def, allowed),
                               check_percpu_numa(def, def.kind == MapKind::PercpuArray));
    if (refusal.error == 0 && def.value_size > INT32_MAX)
        return wrong("value_size", def.value_size, "at most 2147483647", -E2BIG);
    return refusal.error != 0 ? refusal : check_percpu(def);
}

/// Arrays of descriptors: of programs, perf events, cgroups, maps.
Refusal check_fd_array(const MapDef& def) {
    return first_of(check_value(def, 4, 4), check_flags(def, ~kProgAccess), check_array(def));
}

Refusal check_hash(const MapDef& def) {
    const bool lru = def.kind == MapKind::LruHash || def.kind == MapKind::LruPercpuHash;
    const bool percpu_lru = (def.flags & BPF_F_NO_COMMON_LRU) != 0;
    if (Refusal refusal = check_flags(def, BPF_F_NO_PREALLOC | BPF_F_NO_COMMON_LRU |
                                               BPF_F_NUMA_NODE | kAccess | BPF_F_ZERO_SEED);
        refusal.error != 0)
        return refusal;
    if (!lru && percpu_lru)
        return {-EINVAL, "BPF_F_NO_COMMON_LRU is only for LRU kinds"};
    if (lru && (def.flags & BPF_F_NO_PREALLOC) != 0)
        return {-kNotSupported, "BPF_F_NO_PREALLOC does not go with LRU kinds"};
    if (Refusal refusal = first_of(
            check_percpu_numa(def, is_percpu(def.kind) || percpu_lru), check_entries(def),
            def.key_size == 0 ? wrong("key_size", 0, "at least 1") : ok(), check_has_value(def));
        refusal.error != 0)
        return refusal;
    if (std::uint64_t{def.key_size} + def.value_size >= kMaxAllocation - kHashElement)
        return wrong("key_size + value_size", std::uint64_t{def.key_size} + def.value_size,
                     "less than " + number(kMaxAllocation - kHashElement), -E2BIG);
    if (def.max_entries > 1U << 31)
        return wrong("max_entries", def.max_entries, "at most 2147483648", -E2BIG);
    return check_percpu(def);
}

Refusal check_lpm(const MapDef& def) {
    if ((def.flags & BPF_F_NO_PREALLOC) == 0)
        return {-EINVAL, "BPF_F_NO_PREALLOC is missing, this kind needs it"};
    constexpr std::uint64_t kMaxValue = kMaxAllocation - 256 - kLpmNode;
    return first_of(
        check_entries(def), check_flags(def, BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | kAccess),
        def.key_size < 5 || def.key_size > 260
            ? wrong("key_size", def.key_size, "5..260 (a prefix length and up to 256 bytes)")
            : ok(),
        def.value_size == 0 || def.value_size > kMaxValue
            ? wrong("value_size", def.value_size, "1.." + number(kMaxValue))
            : ok());
}

Refusal check_queue(const MapDef& def) {
    Refusal refusal = first_of(check_entries(def), check_key(def, 0), check_has_value(def),
                               check_flags(def, BPF_F_NUMA_NODE | kAccess));
    if (refusal.error != 0)
        return refusal;
    if (def.value_size > kMaxAllocation)
        return wrong("value_size", def.value_size, "at most " + number(kMaxAllocation), -E2BIG);
    if (def.max_entries >= UINT32_MAX / def.value_size)
        return wrong("max_entries", def.max_entries,
                     "less than " + number(UINT32_MAX / def.value_size), -E2BIG);
    return ok();
}

Refusal check_bloom(const MapDef& def) {
    if (def.value_size > kMaxAllocation)
        return wrong("value_size", def.value_size, "at most " + number(kMaxAllocation), -E2BIG);
    return first_of(check_key(def, 0), check_has_value(def), check_entries(def),
                    check_flags(def, BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | kAccess),
                    (def.extra & ~std::uint64_t{15}) != 0
                        ? wrong("map_extra", def.extra, "0..15 hash functions")
                        : ok());
}

Refusal check_ringbuf(const MapDef& def) {
    const bool power = def.max_entries != 0 && (def.max_entries & (def.max_entries - 1)) == 0;
    return first_of(check_flags(def, BPF_F_NUMA_NODE), check_key(def, 0),
                    def.value_size != 0 ? wrong("value_size", def.value_size, "0") : ok(),
                    !power || def.max_entries % kPage != 0
                        ? wrong("max_entries", def.max_entries,
                                "a power of two and a multiple of the page size, 4096")
                        : ok());
}

Refusal check_devmap(const MapDef& def) {
    return first_of(check_entries(def), check_key(def, 4), check_value(def, 4, 8),
                    check_flags(def, BPF_F_NUMA_NODE | kUserAccess),
                    def.kind == MapKind::DevmapHash && def.max_entries > 1U << 31
                        ? wrong("max_entries", def.max_entries, "at most 2147483648")
                        : ok());
}

Refusal check_cpumap(const MapDef& def) {
    Refusal refusal = first_of(check_entries(def), check_key(def, 4), check_value(def, 4, 8),
                               check_flags(def, BPF_F_NUMA_NODE));
    if (refusal.error == 0 && def.max_entries > kMaxCpus)
        return wrong("max_entries", def.max_entries, "at most " + number(kMaxCpus), -E2BIG);
    return refusal;
}

Refusal check_xskmap(const MapDef& def) {
    return first_of(check_entries(def), check_key(def, 4), check_value(def, 4, 4),
                    check_flags(def, BPF_F_NUMA_NODE | kUserAccess));
}

Refusal check_sockmap(const MapDef& def) {
    const bool hash = def.kind == MapKind::Sockhash;
    Refusal refusal =
        first_of(check_entries(def),
                 !hash && def.max_entries > INT32_MAX
                     ? wrong("max_entries", def.max_entries, "at most 2147483647")
                     : ok(),
                 hash ? ok() : check_key(def, 4),
                 def.key_size == 0 ? wrong("key_size", 0, "at least 1") : ok(),
                 check_value(def, 4, 8), check_flags(def, BPF_F_NUMA_NODE | kUserAccess));
    if (refusal.error == 0 && hash && def.key_size > kMaxKeyOnStack)
        return wrong("key_size", def.key_size, "at most 512", -E2BIG);
    if (refusal.error == 0 && hash && def.max_entries > 1U << 27)
        return wrong("max_entries", def.max_entries, "at most 134217728");
    return refusal;
}

Refusal check_reuseport(const MapDef& def) {
    return first_of(check_value(def, 4, 8), check_array(def));
}

Refusal check_local_storage(const MapDef& def) {
    Refusal refusal = first_of(
        check_flags(def, BPF_F_NO_PREALLOC | BPF_F_CLONE),
        (def.flags & BPF_F_NO_PREALLOC) == 0
            ? Refusal{-EINVAL, "BPF_F_NO_PREALLOC is missing, this kind needs it"}
            : ok(),
        def.max_entries != 0 ? wrong("max_entries", def.max_entries, "0") : ok(), check_key(def, 4),
        check_has_value(def),
        def.key_type == 0 || def.value_type == 0
            ? Refusal{-EINVAL, "BTF types of key and value are missing, this kind needs them"}
            : ok());
    if (refusal.error == 0 && def.value_size > kMaxStorageValue)
        return wrong("value_size", def.value_size, "at most " + number(kMaxStorageValue), -E2BIG);
    return refusal;
}

Refusal check_cgroup_storage(const MapDef& def) {
    const std::uint64_t max_value = def.kind == MapKind::PercpuCgroupStorage
                                        ? kMaxPercpuValue
                                        : std::uint64_t{kMaxStorageValue};
    if (def.key_size != 16 && def.key_size != 8)
        return wrong("key_size", def.key_size, "8 or 16");
    if (Refusal refusal = check_has_value(def); refusal.error != 0)
        return refusal;
    if (def.value_size > max_value)
        return wrong("value_size", def.value_size, "at most " + number(max_value), -E2BIG);
    return first_of(check_flags(def, BPF_F_NUMA_NODE | kAccess),
                    def.max_entries != 0 ? wrong("max_entries", def.max_entries, "0") : ok());
}

Refusal check_stack_trace(const MapDef& def) {
    const std::uint32_t frame = (def.flags & BPF_F_STACK_BUILD_ID) != 0 ? 32 : 8;
    Refusal refusal =
        first_of(check_flags(def, BPF_F_NUMA_NODE | kUserAccess | BPF_F_STACK_BUILD_ID),
                 check_entries(def), check_key(def, 4));
    if (refusal.error != 0)
        return refusal;
    if (def.value_size < 8 || def.value_size % frame != 0 ||
        def.value_size / frame > kMaxStackDepth)
        return wrong("value_size", def.value_size,
                     number(frame) + " times 1.." + number(kMaxStackDepth) + " frames");
    if (def.max_entries > 1U << 31)
        return wrong("max_entries", def.max_entries, "at most 2147483648", -E2BIG);
    return ok();
}

Refusal check_arena(const MapDef& def) {
    if ((def.flags & BPF_F_MMAPABLE) == 0)
        return {-EINVAL, "BPF_F_MMAPABLE is missing, this kind needs it"};
    Refusal refusal = first_of(
        check_key(def, 0), def.value_size != 0 ? wrong("value_size", def.value_size, "0") : ok(),
        check_entries(def), check_flags(def, kSegvOnFault | BPF_F_MMAPABLE | kNoUserConv),
        def.extra % kPage != 0 ? wrong("map_extra", def.extra, "a page address") : ok());
    if (refusal.error != 0)
        return refusal;
    const std::uint64_t bytes = std::uint64_t{def.max_entries} * kPage;
    if (bytes > std::uint64_t{1} << 32)
        return wrong("max_entries", def.max_entries, "at most 1048576 pages", -E2BIG);
    if (def.extra >> 32 != (def.extra + bytes - 1) >> 32)
        return {-ERANGE, "map_extra and max_entries make a range that crosses a 4 GiB boundary"};
    return ok();
}

Refusal check_struct_ops(const MapDef& def) {
    return first_of(check_key(def, 4), check_has_value(def),
                    def.max_entries != 1 ? wrong("max_entries", def.max_entries, "1") : ok(),
                    check_flags(def, kLink | kVtypeBtfObjFd));
}

Refusal check_kind(const MapDef& def);

Refusal check_template(const MapDef& def) {
    if (def.inner == nullptr)
        return {-EINVAL, "a map of maps needs the definition of the maps inside"};
    const MapDef& inner = *def.inner;
    switch (inner.kind) {
    case MapKind::ArrayOfMaps:
    case MapKind::HashOfMaps:
        return {-EINVAL, "a map of maps cannot contain maps of maps"};
    case MapKind::ProgArray:
    case MapKind::StructOps:
    case MapKind::CgroupStorage:
    case MapKind::PercpuCgroupStorage:
        return {-kNotSupported, "maps of this kind cannot be inside a map of maps"};
    default:
        break;
    }
    Refusal refusal = check_kind(inner);
    if (refusal.error != 0)
        refusal.reason = "inner map: " + refusal.reason;
    return refusal;
}

Refusal check_kind(const MapDef& def) {
    switch (def.kind) {
    case MapKind::Array:
    case MapKind::PercpuArray:
        return check_array(def);
    case MapKind::ProgArray:
    case MapKind::PerfEventArray:
    case MapKind::CgroupArray:
        return check_fd_array(def);
    case MapKind::ArrayOfMaps:
        return first_of(check_fd_array(def), check_template(def));
    case MapKind::HashOfMaps:
        return first_of(check_value(def, 4, 4), check_hash(def), check_template(def));
    case MapKind::Hash:
    case MapKind::PercpuHash:
    case MapKind::LruHash:
    case MapKind::LruPercpuHash:
        return check_hash(def);
    case MapKind::LpmTrie:
        return check_lpm(def);
    case MapKind::Queue:
    case MapKind::Stack:
        return check_queue(def);
    case MapKind::BloomFilter:
        return check_bloom(def);
    case MapKind::Ringbuf:
    case MapKind::UserRingbuf:
        return check_ringbuf(def);
    case MapKind::Devmap:
    case MapKind::DevmapHash:
        return check_devmap(def);
    case MapKind::Cpumap:
        return check_cpumap(def);
    case MapKind::Xskmap:
        return check_xskmap(def);
    case MapKind::Sockmap:
    case MapKind::Sockhash:
        return check_sockmap(def);
    case MapKind::ReuseportSockarray:
        return check_reuseport(def);
    case MapKind::SkStorage:
    case MapKind::InodeStorage:
    case MapKind::TaskStorage:
    case MapKind::CgrpStorage:
        return check_local_storage(def);
    case MapKind::CgroupStorage:
    case MapKind::PercpuCgroupStorage:
        return check_cgroup_storage(def);
    case MapKind::StackTrace:
        return check_stack_trace(def);
    case MapKind::Arena:
        return check_arena(def);
    case MapKind::StructOps:
        return check_struct_ops(def);
    case MapKind::Unspec:
        break;
    }
    return {-EINVAL, "map type " + number(static_cast<std::uint64_t>(def.kind)) +
                         " is not known, expected 1..33"};
}

Refusal check_common(const MapDef& def) {
    if (def.kind != MapKind::BloomFilter && def.kind != MapKind::Arena && def.extra != 0)
        return {-EINVAL, "map_extra is " + number(def.extra) + ", expected 0 for this kind"};
    if ((def.flags & kUserAccess) == kUserAccess)
        return {-EINVAL, "BPF_F_RDONLY and BPF_F_WRONLY exclude each other"};
    if ((def.flags & BPF_F_NUMA_NODE) != 0 && def.numa_node >= kMaxNumaNodes)
        return wrong("numa_node", def.numa_node, "less than " + number(kMaxNumaNodes));
    return ok();
}

Refusal check_options(const MapDef& def, const CreateOptions& options) {
    if (options.cpus == 0 || options.cpus > kMaxCpus)
        return wrong("number of CPUs", options.cpus, "1.." + number(kMaxCpus));
    std::uint64_t end = 0;
    for (const ValueField& field : options.fields) {
        const std::uint64_t stop = std::uint64_t{field.offset} + field.size;
        if (field.offset < end || field.offset % 4 != 0 || stop > def.value_size)
            return {-EINVAL, "special fields of the value overlap or lie outside of it"};
        if (field.kind == FieldKind::SpinLock && field.size != 4)
            return wrong("size of bpf_spin_lock", field.size, "4");
        end = stop;
    }
    if (!options.fields.empty() && (def.flags & kProgAccess) != 0)
        return {-EACCES, "a value with special fields cannot be read-only or write-only"};
    return ok();
}

} // namespace

int check_def(const MapDef& def, const CreateOptions& options, std::string* reason) {
    Refusal refusal = check_common(def);
    if (refusal.error == 0)
        refusal = check_kind(def);
    if (refusal.error == 0)
        refusal = check_options(def, options);
    if (reason != nullptr)
        *reason = std::move(refusal.reason);
    return refusal.error;
}

} // namespace skep::maps
