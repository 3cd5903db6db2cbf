// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <linux/bpf.h>

#include "area.hpp"
#include "atomic_copy.hpp"
#include "hash_map.hpp"
#include "kinds.hpp"
#include "skep/maps/slots.hpp"

namespace skep::maps {

using spec::MapKind;

namespace {

constexpr std::uint32_t kMaxQueue = 16384; ///< packets of a cpumap entry

std::uint64_t read_value(const std::byte* value, std::uint32_t size) noexcept {
    return size == 8 ? load<std::uint64_t>(value) : load<std::uint32_t>(value);
}
/// The first member of the value: ifindex of a devmap, queue size of a cpumap.
std::uint32_t first_word(std::uint64_t value) noexcept {
    return static_cast<std::uint32_t>(value);
}

/// One 16-byte entry per index: the value and whether it is there.
class TargetArray final : public TargetMap {
public:
    TargetArray(const spec::MapDef& def, const CreateOptions& options, Area entries)
        : TargetMap(def, options), entries_(std::move(entries)) {}

    std::byte* lookup(const std::byte* key, std::uint32_t /*cpu*/) noexcept override {
        const auto index = load<std::uint32_t>(key);
        return index < def().max_entries && present(index) ? entry(index) : nullptr;
    }

    int update(const std::byte* key, const std::byte* value, std::uint64_t flags,
               std::uint32_t /*cpu*/) noexcept override {
        const auto index = load<std::uint32_t>(key);
        const std::uint64_t word = read_value(value, def().value_size);
        if (flags > BPF_EXIST)
            return -EINVAL;
        if (index >= def().max_entries)
            return -E2BIG;
        if (const int error = check_entry(index, word, flags); error != 0)
            return error;
        const bool keeps = !empty_value(word);
        if (keeps)
            store_word(entry(index), word);
        __atomic_store_n(flag(index), keeps ? 1U : 0U, __ATOMIC_RELEASE);
        return 0;
    }

    int erase(const std::byte* key) noexcept override {
        const auto index = load<std::uint32_t>(key);
        const bool counts =
            def().kind == MapKind::CgroupArray || def().kind == MapKind::ReuseportSockarray;
        if (index >= def().max_entries)
            return counts ? -E2BIG : -EINVAL;
        const bool was = __atomic_exchange_n(flag(index), 0U, __ATOMIC_ACQ_REL) != 0;
        if (was)
            return 0;
        if (def().kind == MapKind::Sockmap)
            return -EINVAL;
        return counts ? -ENOENT : 0;
    }

    bool target(const std::byte* key, std::uint64_t& value) noexcept override {
        const std::byte* found = lookup(key, 0);
        if (found == nullptr)
            return false;
        value = load_word(found);
        return true;
    }

protected:
    int do_read(const std::byte* key, std::byte* value, std::uint64_t flags) noexcept override {
        const MapKind kind = def().kind;
        if (kind == MapKind::Xskmap)
            return -EOPNOTSUPP;
        if (kind == MapKind::CgroupArray)
            return -kNotSupported;
        // User space reads a socket's cookie, which has 8 bytes.
        if ((kind == MapKind::Sockmap || kind == MapKind::ReuseportSockarray) &&
            def().value_size != 8)
            return -ENOSPC;
        return Map::do_read(key, value, flags);
    }
    int do_next_key(const std::byte* key, std::byte* next) noexcept override {
        return next_index(key, next, def().max_entries);
    }

private:
    [[nodiscard]] std::byte* entry(std::uint32_t index) const noexcept {
        return entries_.data() + std::uint64_t{index} * 16;
    }
    [[nodiscard]] std::uint32_t* flag(std::uint32_t index) const noexcept {
        return reinterpret_cast<std::uint32_t*>(entry(index) + 8);
    }
    [[nodiscard]] bool present(std::uint32_t index) const noexcept {
        return __atomic_load_n(flag(index), __ATOMIC_ACQUIRE) != 0;
    }
    /// Storing such a value empties the entry.
    [[nodiscard]] bool empty_value(std::uint64_t word) const noexcept {
        const MapKind kind = def().kind;
        return (kind == MapKind::Devmap || kind == MapKind::Cpumap) && first_word(word) == 0;
    }

    [[nodiscard]] int check_entry(std::uint32_t index, std::uint64_t word,
                                  std::uint64_t flags) const noexcept {
        switch (def().kind) {
        case MapKind::Devmap:
            if (flags == BPF_NOEXIST)
                return -EEXIST;
            return first_word(word) == 0 && static_cast<std::int32_t>(word >> 32) > 0 ? -EINVAL : 0;
        case MapKind::Cpumap:
            if (flags == BPF_NOEXIST)
                return -EEXIST;
            if (first_word(word) > kMaxQueue)
                return -EOVERFLOW;
            return index >= cpus() ? -ENODEV : 0;
        case MapKind::CgroupArray:
            return flags != BPF_ANY ? -EINVAL : 0;
        default:
            break;
        }
        if (def().value_size == 8 && word > INT32_MAX)
            return -EINVAL;
        if (flags == BPF_NOEXIST && present(index))
            return -EEXIST;
        return flags == BPF_EXIST && !present(index) ? -ENOENT : 0;
    }

    Area entries_;
};

/// DevmapHash and Sockhash: a hash whose values are targets.
class TargetHash final : public TargetMap {
public:
    TargetHash(const spec::MapDef& def, const CreateOptions& options) : TargetMap(def, options) {}

    Result<void> reserve() {
        HashConfig config = hash_config(def(), 0, false);
        config.value_size = 8;
        return table_.reserve(config);
    }

    std::byte* lookup(const std::byte* key, std::uint32_t /*cpu*/) noexcept override {
        const std::uint32_t index = table_.find(key);
        return index == 0 ? nullptr : table_.value_of(index);
    }
    int update(const std::byte* key, const std::byte* value, std::uint64_t flags,
               std::uint32_t /*cpu*/) noexcept override {
        const std::uint64_t word = read_value(value, def().value_size);
        const bool device = def().kind == MapKind::DevmapHash;
        if (flags > BPF_EXIST || (device && first_word(word) == 0))
            return -EINVAL;
        if (!device && def().value_size == 8 && word > INT32_MAX)
            return -EINVAL;
        const int error = table_.update(key, flags, false, [&](std::uint32_t index, bool) {
            store_word(table_.value_of(index), word);
        });
        // The kernel's devmap_hash answers BPF_EXIST on a missing key as it does BPF_ANY.
        if (device && error == -ENOENT)
            return update(key, value, BPF_ANY, 0);
        return error;
    }
    int erase(const std::byte* key) noexcept override {
        return table_.erase(key, [](std::uint32_t /*index*/) {});
    }
    bool target(const std::byte* key, std::uint64_t& value) noexcept override {
        const std::byte* found = lookup(key, 0);
        if (found == nullptr)
            return false;
        value = load_word(found);
        return true;
    }

protected:
    int do_read(const std::byte* key, std::byte* value, std::uint64_t flags) noexcept override {
        if (def().kind == MapKind::Sockhash && def().value_size != 8)
            return -ENOSPC;
        return Map::do_read(key, value, flags);
    }
    int do_next_key(const std::byte* key, std::byte* next) noexcept override {
        return table_.next_key(key, next);
    }

private:
    HashTable<0> table_;
};

} // namespace

TargetMap* TargetMap::from(Map& map) noexcept {
    switch (map.def().kind) {
    case MapKind::Devmap:
    case MapKind::DevmapHash:
    case MapKind::Cpumap:
    case MapKind::Xskmap:
    case MapKind::Sockmap:
    case MapKind::Sockhash:
    case MapKind::ReuseportSockarray:
    case MapKind::CgroupArray:
        return static_cast<TargetMap*>(&map);
    default:
        return nullptr;
    }
}

Made make_target_array(const spec::MapDef& def, const CreateOptions& options) {
    Area entries = SKEP_TRY(Area::create(std::uint64_t{def.max_entries} * 16));
    return std::make_shared<TargetArray>(def, options, std::move(entries));
}

Made make_target_hash(const spec::MapDef& def, const CreateOptions& options) {
    auto map = std::make_shared<TargetHash>(def, options);
    SKEP_TRY(map->reserve());
    return map;
}

} // namespace skep::maps
