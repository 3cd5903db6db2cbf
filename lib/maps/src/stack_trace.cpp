// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <mutex>
#include <vector>

#include "area.hpp"
#include "hash_key.hpp"
#include "kinds.hpp"
#include "skep/maps/spin.hpp"
#include "skep/maps/storage.hpp"

namespace skep::maps {
namespace {

/// One slot per id: {hash, number of frames, frames}. An id is the hash of its stack.
class StackTrace final : public StackTraceMap {
public:
    StackTrace(const spec::MapDef& def, const CreateOptions& options, Area slots)
        : StackTraceMap(def, options), slots_(std::move(slots)), seed_(make_seed(true)),
          buckets_(static_cast<std::uint32_t>(std::bit_ceil(std::uint64_t{def.max_entries}))) {}

    int record(std::span<const std::uint64_t> frames, std::uint64_t flags) noexcept override {
        if ((flags & ~std::uint64_t{BPF_F_FAST_STACK_CMP | BPF_F_REUSE_STACKID}) != 0)
            return -EINVAL;
        if (frames.empty())
            return -EFAULT;
        const auto depth = std::min<std::size_t>(frames.size(), def().value_size / 8);
        const auto size = static_cast<std::uint32_t>(depth * 8);
        const auto* bytes = reinterpret_cast<const std::byte*>(frames.data());
        const std::uint32_t hash = hash_bytes(bytes, size, seed_);
        const std::uint32_t id = hash & (buckets_ - 1);
        const std::lock_guard guard(lock_);
        std::byte* slot = at(id);
        if (used(slot)) {
            const bool same_hash = load<std::uint32_t>(slot + 8) == hash;
            if (same_hash && (flags & BPF_F_FAST_STACK_CMP) != 0)
                return static_cast<int>(id);
            if (same_hash && load<std::uint32_t>(slot) == depth &&
                std::memcmp(slot + kHeader, bytes, size) == 0)
                return static_cast<int>(id);
            if ((flags & BPF_F_REUSE_STACKID) == 0)
                return -EEXIST;
        } else if (count_ == def().max_entries) {
            return -ENOMEM;
        } else {
            count_++;
        }
        store(slot, static_cast<std::uint32_t>(depth));
        store(slot + 8, hash);
        std::memcpy(slot + kHeader, bytes, size);
        return static_cast<int>(id);
    }

    /// Programs cannot look into a stack trace map.
    std::byte* lookup(const std::byte* /*key*/, std::uint32_t /*cpu*/) noexcept override {
        return nullptr;
    }
    int erase(const std::byte* key) noexcept override {
        const auto id = load<std::uint32_t>(key);
        if (id >= buckets_)
            return -E2BIG;
        const std::lock_guard guard(lock_);
        if (!used(at(id)))
            return -ENOENT;
        store(at(id), std::uint32_t{0});
        count_--;
        return 0;
    }

protected:
    int do_read(const std::byte* key, std::byte* value, std::uint64_t /*flags*/) noexcept override {
        const auto id = load<std::uint32_t>(key);
        if (id >= buckets_)
            return -ENOENT;
        const std::lock_guard guard(lock_);
        const std::byte* slot = at(id);
        if (!used(slot))
            return -ENOENT;
        const std::uint32_t size = load<std::uint32_t>(slot) * 8;
        std::memcpy(value, slot + kHeader, size);
        std::memset(value + size, 0, def().value_size - size);
        return 0;
    }
    int do_next_key(const std::byte* key, std::byte* next) noexcept override {
        const std::lock_guard guard(lock_);
        std::uint32_t id = 0;
        if (key != nullptr) {
            id = load<std::uint32_t>(key);
            id = id >= buckets_ || !used(at(id)) ? 0 : id + 1;
        }
        while (id < buckets_ && !used(at(id)))
            id++;
        if (id >= buckets_)
            return -ENOENT;
        store(next, id);
        return 0;
    }

private:
    static constexpr std::uint32_t kHeader = 16;

    [[nodiscard]] std::byte* at(std::uint32_t id) const noexcept {
        return slots_.data() + std::uint64_t{id} * (kHeader + def().value_size);
    }
    [[nodiscard]] static bool used(const std::byte* slot) noexcept {
        return load<std::uint32_t>(slot) != 0;
    }

    SpinLock lock_;
    Area slots_;
    HashSeed seed_;
    std::uint32_t buckets_;
    std::uint32_t count_ = 0;
};

} // namespace

StackTraceMap* StackTraceMap::from(Map& map) noexcept {
    return map.def().kind == spec::MapKind::StackTrace ? static_cast<StackTraceMap*>(&map)
                                                       : nullptr;
}

Made make_stack_trace(const spec::MapDef& def, const CreateOptions& options) {
    Area slots = SKEP_TRY(Area::create(bytes_for(def, options)));
    return std::make_shared<StackTrace>(def, options, std::move(slots));
}

} // namespace skep::maps
