// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hash_table.hpp"
#include "kinds.hpp"

namespace skep::maps {

[[nodiscard]] inline HashConfig hash_config(const spec::MapDef& def, std::uint32_t cpus,
                                            bool lru) noexcept {
    return {.key_size = def.key_size,
            .value_size = def.value_size,
            .max_entries = def.max_entries,
            .cpus = cpus,
            .lru = lru,
            .zero_seed = (def.flags & BPF_F_ZERO_SEED) != 0};
}

/// Hash, LRU hash and their per-CPU forms, specialised so that a lookup has no branch on the kind.
template <unsigned K, bool PerCpu, bool Lru>
class HashMap final : public Map {
public:
    HashMap(const spec::MapDef& def, const CreateOptions& options) : Map(def, options) {}

    Result<void> reserve() { return table_.reserve(hash_config(def(), PerCpu ? cpus() : 0, Lru)); }

    std::byte* lookup(const std::byte* key, std::uint32_t cpu) noexcept override {
        const std::uint32_t index = table_.find(key);
        if (index == 0)
            return nullptr;
        if constexpr (Lru)
            table_.touch(index);
        return value(index, cpu);
    }

    int update(const std::byte* key, const std::byte* from, std::uint64_t flags,
               std::uint32_t cpu) noexcept override {
        if (const int error = check_flags(flags); error != 0)
            return error;
        if constexpr (PerCpu) {
            return table_.update(key, flags, true, [&](std::uint32_t index, bool is_new) {
                for (std::uint32_t c = 0; is_new && c < cpus(); c++)
                    zero_out(table_.value_of(index, c), rounded());
                store_value(table_.value_of(index, cpu), from);
            });
        } else {
            if ((flags & BPF_F_LOCK) != 0)
                return update_locked(key, from, flags);
            return table_.update(key, flags, false, [&](std::uint32_t index, bool /*is_new*/) {
                init_fields(table_.value_of(index));
                store_value(table_.value_of(index), from);
            });
        }
    }

    int erase(const std::byte* key) noexcept override {
        return table_.erase(key, [](std::uint32_t /*index*/) {});
    }

    int for_each(ForEachFn fn, void* arg, std::uint32_t cpu) noexcept override {
        return table_.for_each(
            [&](std::uint32_t index) { return fn(arg, table_.key_of(index), value(index, cpu)); });
    }

    [[nodiscard]] std::uint32_t user_value_size() const noexcept override {
        return PerCpu ? rounded() * cpus() : def().value_size;
    }

    [[nodiscard]] DirectOps direct_ops() const noexcept override {
        return make_direct_ops<HashMap>();
    }

protected:
    int do_read(const std::byte* key, std::byte* to, std::uint64_t flags) noexcept override {
        const std::uint32_t index = table_.find(key); // User space does not make a key "used".
        if (index == 0)
            return -ENOENT;
        copy_to_user(index, to, flags);
        return 0;
    }

    int do_write(const std::byte* key, const std::byte* from,
                 std::uint64_t flags) noexcept override {
        if constexpr (PerCpu) {
            if (const int error = check_flags(flags); error != 0)
                return error;
            return table_.update(key, flags, true, [&](std::uint32_t index, bool /*is_new*/) {
                for (std::uint32_t c = 0; c < cpus(); c++)
                    copy_in(table_.value_of(index, c), from + std::uint64_t{c} * rounded(),
                            rounded());
            });
        } else {
            return update(key, from, flags, 0);
        }
    }

    int do_take(const std::byte* key, std::byte* to, std::uint64_t flags) noexcept override {
        return table_.erase(key, [&](std::uint32_t index) { copy_to_user(index, to, flags); });
    }

    int do_next_key(const std::byte* key, std::byte* next) noexcept override {
        return table_.next_key(key, next);
    }

private:
    [[nodiscard]] std::uint32_t rounded() const noexcept {
        return static_cast<std::uint32_t>(round_up(def().value_size, 8));
    }
    [[nodiscard]] std::byte* value(std::uint32_t index, std::uint32_t cpu) noexcept {
        if constexpr (PerCpu)
            return table_.value_of(index, cpu);
        return table_.value_of(index);
    }

    [[nodiscard]] int check_flags(std::uint64_t flags) const noexcept {
        const std::uint64_t allowed = PerCpu || Lru ? 0 : std::uint64_t{BPF_F_LOCK};
        if ((flags & ~allowed) > BPF_EXIST)
            return -EINVAL;
        return (flags & BPF_F_LOCK) != 0 && !has_spin_lock() ? -EINVAL : 0;
    }

    /// BPF_F_LOCK writes an existing element where it is, under its own lock.
    int update_locked(const std::byte* key, const std::byte* from, std::uint64_t flags) noexcept {
        return table_.update(key, flags, true, [&](std::uint32_t index, bool is_new) {
            if (is_new)
                init_fields(table_.value_of(index));
            store_value(table_.value_of(index), from, is_new ? 0 : flags);
        });
    }

    void copy_to_user(std::uint32_t index, std::byte* to, std::uint64_t flags) noexcept {
        if constexpr (PerCpu) {
            for (std::uint32_t c = 0; c < cpus(); c++)
                copy_out(to + std::uint64_t{c} * rounded(), table_.value_of(index, c), rounded());
        } else {
            load_value(to, table_.value_of(index), flags);
        }
    }

    HashTable<K> table_;
};

template <unsigned K, bool PerCpu, bool Lru>
Made make_hash_map(const spec::MapDef& def, const CreateOptions& options) {
    auto map = std::make_shared<HashMap<K, PerCpu, Lru>>(def, options);
    SKEP_TRY(map->reserve());
    return map;
}

template <bool PerCpu, bool Lru>
Made make_hash_map(const spec::MapDef& def, const CreateOptions& options) {
    switch (def.key_size) {
    case 4:
        return make_hash_map<4, PerCpu, Lru>(def, options);
    case 8:
        return make_hash_map<8, PerCpu, Lru>(def, options);
    case 16:
        return make_hash_map<16, PerCpu, Lru>(def, options);
    default:
        return make_hash_map<0, PerCpu, Lru>(def, options);
    }
}

} // namespace skep::maps
