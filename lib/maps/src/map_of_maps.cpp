// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <new>

#include "hash_map.hpp"
#include "skep/maps/slots.hpp"
#include "slot_array.hpp"

namespace skep::maps {
namespace {

using Inner = std::shared_ptr<Map>;

void free_box(void* box) noexcept {
    delete static_cast<Inner*>(box);
}

std::byte* as_value(const Inner* box) noexcept {
    return box == nullptr ? nullptr : reinterpret_cast<std::byte*>(box->get());
}

class ArrayOfMaps final : public SlotArray<MapOfMaps, Inner> {
public:
    using SlotArray::SlotArray;

    std::byte* lookup(const std::byte* key, std::uint32_t /*cpu*/) noexcept override {
        return as_value(box(load<std::uint32_t>(key)));
    }
    int set_inner(const std::byte* key, Inner inner, std::uint64_t flags) noexcept override {
        const auto index = load<std::uint32_t>(key);
        if (flags != BPF_ANY)
            return -EINVAL;
        if (index >= def().max_entries)
            return -E2BIG;
        if (inner == nullptr || !fits_template(*def().inner, inner->def()))
            return -EINVAL;
        auto* fresh = new (std::nothrow) Inner(std::move(inner));
        if (fresh == nullptr)
            return -ENOMEM;
        replace(index, fresh);
        return 0;
    }
    Inner inner(const std::byte* key) noexcept override {
        const EpochGuard guard;
        const Inner* found = box(load<std::uint32_t>(key));
        return found == nullptr ? nullptr : *found;
    }

protected:
    int do_read(const std::byte* key, std::byte* value, std::uint64_t /*flags*/) noexcept override {
        const Inner* found = box(load<std::uint32_t>(key));
        if (found == nullptr)
            return -ENOENT;
        store(value, (*found)->id());
        return 0;
    }
};

/// The value of the table is a pointer to the box that owns the inner map.
template <unsigned K>
class HashOfMaps final : public MapOfMaps {
public:
    HashOfMaps(const spec::MapDef& def, const CreateOptions& options) : MapOfMaps(def, options) {}
    HashOfMaps(const HashOfMaps&) = delete;
    HashOfMaps& operator=(const HashOfMaps&) = delete;
    ~HashOfMaps() override {
        table_.for_each([this](std::uint32_t index) {
            delete box(index);
            return true;
        });
    }

    Result<void> reserve() {
        HashConfig config = hash_config(def(), 0, false);
        config.value_size = sizeof(Inner*);
        return table_.reserve(config);
    }

    std::byte* lookup(const std::byte* key, std::uint32_t /*cpu*/) noexcept override {
        const std::uint32_t index = table_.find(key);
        return index == 0 ? nullptr : as_value(box(index));
    }
    int update(const std::byte* /*key*/, const std::byte* /*value*/, std::uint64_t /*flags*/,
               std::uint32_t /*cpu*/) noexcept override {
        return -EINVAL;
    }
    int erase(const std::byte* key) noexcept override {
        Inner* old = nullptr;
        const int error = table_.erase(key, [&](std::uint32_t index) { old = box(index); });
        if (old != nullptr)
            retire(old, free_box); // Only now can no new reader find it.
        return error;
    }
    int set_inner(const std::byte* key, Inner inner, std::uint64_t flags) noexcept override {
        if (inner == nullptr || !fits_template(*def().inner, inner->def()))
            return -EINVAL;
        if (flags > BPF_EXIST)
            return -EINVAL;
        auto* fresh = new (std::nothrow) Inner(std::move(inner));
        if (fresh == nullptr)
            return -ENOMEM;
        Inner* old = nullptr;
        const int error = table_.update(key, flags, true, [&](std::uint32_t index, bool is_new) {
            old = is_new ? nullptr : box(index);
            // Readers may reach the box through this word alone: the element stays in place.
            __atomic_store_n(reinterpret_cast<std::uint64_t*>(table_.value_of(index)),
                             reinterpret_cast<std::uint64_t>(fresh), __ATOMIC_RELEASE);
        });
        if (error != 0)
            delete fresh;
        if (old != nullptr)
            retire(old, free_box);
        return error;
    }
    Inner inner(const std::byte* key) noexcept override {
        const EpochGuard guard;
        const std::uint32_t index = table_.find(key);
        return index == 0 ? nullptr : *box(index);
    }

protected:
    int do_read(const std::byte* key, std::byte* value, std::uint64_t /*flags*/) noexcept override {
        const std::uint32_t index = table_.find(key);
        if (index == 0)
            return -ENOENT;
        store(value, (*box(index))->id());
        return 0;
    }
    int do_write(const std::byte* /*key*/, const std::byte* /*value*/,
                 std::uint64_t /*flags*/) noexcept override {
        return -EBADF;
    }
    int do_next_key(const std::byte* key, std::byte* next) noexcept override {
        return table_.next_key(key, next);
    }

private:
    [[nodiscard]] Inner* box(std::uint32_t index) const noexcept {
        return reinterpret_cast<Inner*>(__atomic_load_n(
            reinterpret_cast<const std::uint64_t*>(table_.value_of(index)), __ATOMIC_ACQUIRE));
    }

    HashTable<K> table_;
};

template <unsigned K>
Made make_hash_of(const spec::MapDef& def, const CreateOptions& options) {
    auto map = std::make_shared<HashOfMaps<K>>(def, options);
    SKEP_TRY(map->reserve());
    return map;
}

} // namespace

MapOfMaps* MapOfMaps::from(Map& map) noexcept {
    const auto kind = map.def().kind;
    return kind == spec::MapKind::ArrayOfMaps || kind == spec::MapKind::HashOfMaps
               ? static_cast<MapOfMaps*>(&map)
               : nullptr;
}

Made make_array_of_maps(const spec::MapDef& def, const CreateOptions& options) {
    return make_slots<ArrayOfMaps>(def, options);
}

Made make_hash_of_maps(const spec::MapDef& def, const CreateOptions& options) {
    return def.key_size == 4 ? make_hash_of<4>(def, options) : make_hash_of<0>(def, options);
}

} // namespace skep::maps
