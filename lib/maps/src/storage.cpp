// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/maps/storage.hpp"

#include "hash_map.hpp"

namespace skep::maps {

using spec::MapKind;

namespace {

bool is_cgroup(MapKind kind) {
    return kind == MapKind::CgroupStorage || kind == MapKind::PercpuCgroupStorage;
}

/// A hash by object number, with room for CreateOptions::storage_objects.
class Storage final : public StorageMap {
public:
    Storage(const spec::MapDef& def, const CreateOptions& options) : StorageMap(def, options) {}

    Result<void> reserve() {
        return table_.reserve({.key_size = 8,
                               .value_size = def().value_size,
                               .max_entries = options().storage_objects,
                               .cpus = percpu() ? cpus() : 0});
    }

    std::byte* get(std::uint64_t object, bool create, const std::byte* init,
                   std::uint32_t cpu) noexcept override {
        const auto* key = reinterpret_cast<const std::byte*>(&object);
        std::uint32_t index = table_.find(key);
        if (index == 0 && create) {
            // Another thread may have been first: then its value stays.
            table_.update(key, BPF_NOEXIST, true,
                          [&](std::uint32_t fresh, bool) { fill(fresh, init); });
            index = table_.find(key);
        }
        return index == 0 ? nullptr : value(index, cpu);
    }

    int drop(std::uint64_t object) noexcept override {
        return table_.erase(reinterpret_cast<const std::byte*>(&object), [](std::uint32_t) {});
    }

    std::byte* lookup(const std::byte* key, std::uint32_t cpu) noexcept override {
        return get(object_of(key), false, nullptr, cpu);
    }
    int erase(const std::byte* key) noexcept override {
        return is_cgroup(def().kind) ? -EINVAL : drop(object_of(key));
    }

    [[nodiscard]] std::uint32_t user_value_size() const noexcept override {
        return percpu() ? rounded() * cpus() : def().value_size;
    }

protected:
    int do_read(const std::byte* key, std::byte* to, std::uint64_t flags) noexcept override {
        const std::uint64_t object = object_of(key);
        const std::uint32_t index = table_.find(reinterpret_cast<const std::byte*>(&object));
        if (index == 0)
            return -ENOENT;
        if (!percpu()) {
            load_value(to, table_.value_of(index), flags);
            return 0;
        }
        for (std::uint32_t cpu = 0; cpu < cpus(); cpu++)
            copy_out(to + std::uint64_t{cpu} * rounded(), table_.value_of(index, cpu), rounded());
        return 0;
    }

    int do_write(const std::byte* key, const std::byte* from,
                 std::uint64_t flags) noexcept override {
        const std::uint64_t object = object_of(key);
        const auto* number = reinterpret_cast<const std::byte*>(&object);
        if ((flags & ~std::uint64_t{BPF_F_LOCK}) > BPF_EXIST)
            return -EINVAL;
        if (is_cgroup(def().kind)) {
            // User space changes what an attachment made; it does not make any.
            if (flags == BPF_NOEXIST)
                return -EINVAL;
            if (table_.find(number) == 0)
                return -ENOENT;
            flags = BPF_ANY;
        }
        const int error = table_.update(number, flags, true, [&](std::uint32_t index, bool is_new) {
            if (!percpu())
                store_value(table_.value_of(index), from, is_new ? 0 : flags);
            for (std::uint32_t cpu = 0; percpu() && cpu < cpus(); cpu++)
                copy_in(table_.value_of(index, cpu), from + std::uint64_t{cpu} * rounded(),
                        rounded());
        });
        return error == -E2BIG ? -ENOMEM : error;
    }

    int do_next_key(const std::byte* key, std::byte* next) noexcept override {
        if (!is_cgroup(def().kind))
            return -kNotSupported;
        const std::uint64_t object = key == nullptr ? 0 : object_of(key);
        std::uint64_t found = 0;
        const int error =
            table_.next_key(key == nullptr ? nullptr : reinterpret_cast<const std::byte*>(&object),
                            reinterpret_cast<std::byte*>(&found));
        if (error == 0) {
            std::memset(next, 0, def().key_size);
            store(next, found);
        }
        return error;
    }

private:
    [[nodiscard]] bool percpu() const noexcept {
        return def().kind == MapKind::PercpuCgroupStorage;
    }
    [[nodiscard]] std::uint32_t rounded() const noexcept {
        return static_cast<std::uint32_t>(round_up(def().value_size, 8));
    }
    [[nodiscard]] std::uint64_t object_of(const std::byte* key) const noexcept {
        return def().key_size == 4 ? load<std::uint32_t>(key) : load<std::uint64_t>(key);
    }
    [[nodiscard]] std::byte* value(std::uint32_t index, std::uint32_t cpu) const noexcept {
        return percpu() ? table_.value_of(index, cpu) : table_.value_of(index);
    }
    void fill(std::uint32_t index, const std::byte* init) const noexcept {
        const std::uint32_t slots = percpu() ? cpus() : 1;
        for (std::uint32_t cpu = 0; cpu < slots; cpu++) {
            zero_out(value(index, cpu), rounded());
            if (init != nullptr)
                store_value(value(index, cpu), init);
        }
    }

    HashTable<8> table_;
};

} // namespace

StorageMap* StorageMap::from(Map& map) noexcept {
    switch (map.def().kind) {
    case MapKind::SkStorage:
    case MapKind::InodeStorage:
    case MapKind::TaskStorage:
    case MapKind::CgrpStorage:
    case MapKind::CgroupStorage:
    case MapKind::PercpuCgroupStorage:
        return static_cast<StorageMap*>(&map);
    default:
        return nullptr;
    }
}

Made make_storage(const spec::MapDef& def, const CreateOptions& options) {
    auto map = std::make_shared<Storage>(def, options);
    SKEP_TRY(map->reserve());
    return map;
}

} // namespace skep::maps
