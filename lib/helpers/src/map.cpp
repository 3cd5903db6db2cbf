// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "helper.hpp"
#include "skep/maps/spin.hpp"
#include "skep/maps/storage.hpp"

namespace skep::helpers {
namespace {

bool holds_maps(const maps::Map& map) noexcept {
    return map.def().kind == spec::MapKind::ArrayOfMaps ||
           map.def().kind == spec::MapKind::HashOfMaps;
}

SKEP_HELPER_FN(map_lookup_elem) {
    maps::Map& map = map_at(r1);
    std::byte* found = map.lookup(bytes_at(r2), run->cpu);
    if (holds_maps(map) && found != nullptr) { // The value is a map.
        const auto& inner = *reinterpret_cast<const maps::Map*>(found);
        run->returned = {.base = reinterpret_cast<std::uint64_t>(&inner.def()),
                         .kind = exec::RegionKind::Map};
    }
    return reinterpret_cast<std::uint64_t>(found);
}

SKEP_HELPER_FN(map_update_elem) {
    return result(map_at(r1).update(bytes_at(r2), bytes_at(r3), r4, run->cpu));
}

SKEP_HELPER_FN(map_delete_elem) {
    return result(map_at(r1).erase(bytes_at(r2)));
}

SKEP_HELPER_FN(map_push_elem) {
    return result(map_at(r1).push(bytes_at(r2), r3));
}

SKEP_HELPER_FN(map_pop_elem) {
    return result(map_at(r1).pop(bytes_at(r2)));
}

SKEP_HELPER_FN(map_peek_elem) {
    return result(map_at(r1).peek(bytes_at(r2)));
}

SKEP_HELPER_FN(map_lookup_percpu_elem) {
    maps::Map& map = map_at(r1);
    const auto cpu = static_cast<std::uint32_t>(r3);
    return cpu < map.cpus() ? reinterpret_cast<std::uint64_t>(map.lookup(bytes_at(r2), cpu)) : 0;
}

// The kernel finds the lock by BTF and the verifier proves that it is the map value's only one, so
// the address of the lock is all there is. The same word as Map::lock_value() uses.
SKEP_HELPER_FN(spin_lock) {
    auto* word = reinterpret_cast<std::uint32_t*>(r1);
    std::uint32_t spins = 0;
    while (__atomic_exchange_n(word, 1U, __ATOMIC_ACQUIRE) != 0)
        maps::spin_pause(spins);
    return 0;
}

SKEP_HELPER_FN(spin_unlock) {
    __atomic_store_n(reinterpret_cast<std::uint32_t*>(r1), 0U, __ATOMIC_RELEASE);
    return 0;
}

constexpr std::uint64_t kCreate = 1; // BPF_LOCAL_STORAGE_GET_F_CREATE

std::uint64_t storage_get(std::uint64_t map, std::uint64_t owner, std::uint64_t init,
                          std::uint64_t flags, const exec::RunContext* run) noexcept {
    maps::StorageMap* storage = maps::StorageMap::from(map_at(map));
    if (storage == nullptr || owner == 0 || (flags & ~kCreate) != 0)
        return 0;
    return reinterpret_cast<std::uint64_t>(
        storage->get(owner, (flags & kCreate) != 0, bytes_at(init), run->cpu));
}

SKEP_HELPER_FN(object_storage_get) {
    return storage_get(r1, r2, r3, r4, run);
}

SKEP_HELPER_FN(object_storage_delete) {
    maps::StorageMap* storage = maps::StorageMap::from(map_at(r1));
    return storage == nullptr || r2 == 0 ? error(EINVAL) : result(storage->drop(r2));
}

SKEP_HELPER_FN(get_local_storage) {
    // One cgroup is attached to: the host's own, number 1.
    return r2 != 0 ? 0 : storage_get(r1, 1, 0, kCreate, run);
}

constexpr Entry kEntries[] = {
    {"map_lookup_elem", map_lookup_elem},
    {"map_update_elem", map_update_elem},
    {"map_delete_elem", map_delete_elem},
    {"map_push_elem", map_push_elem},
    {"map_pop_elem", map_pop_elem},
    {"map_peek_elem", map_peek_elem},
    {"map_lookup_percpu_elem", map_lookup_percpu_elem},
    {"spin_lock", spin_lock},
    {"spin_unlock", spin_unlock},
    {"sk_storage_get", object_storage_get},
    {"sk_storage_delete", object_storage_delete},
    {"task_storage_get", object_storage_get},
    {"task_storage_delete", object_storage_delete},
    {"inode_storage_get", object_storage_get},
    {"inode_storage_delete", object_storage_delete},
    {"cgrp_storage_get", object_storage_get},
    {"cgrp_storage_delete", object_storage_delete},
    {"get_local_storage", get_local_storage},
};

} // namespace

std::span<const Entry> map_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
