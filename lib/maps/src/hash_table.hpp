// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The table behind every hash kind: chains of preallocated elements, readers without locks.
//
// A bucket is one 64-bit word: the index of its first element, and a version that grows whenever
// an element leaves the bucket. An element is {next, hash, key, value}, named by a 32-bit index;
// 0 is "none". Writers hold the lock of a stripe (a fixed share of the buckets); a stripe also
// owns a stack of free elements, so that an update usually takes one lock and nothing else.
//
// Invariants:
// 1. Elements never move and are never freed while the table lives: a stale index is harmless.
// 2. An element leaves its bucket (the version grows) before it can be given to another key.
// 3. Hence a reader whose bucket has the same version after its walk saw only elements that
//    belonged to the bucket; otherwise it starts again. Hits are confirmed the same way.
// 4. A freed element rests in its stripe's quarantine first, so that a program that deleted or
//    replaced it can normally still read the old value, as in the kernel.

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <linux/bpf.h>
#include <memory>

#include "area.hpp"
#include "hash_key.hpp"
#include "skep/maps/spin.hpp"

namespace skep::maps {

struct HashConfig {
    std::uint32_t key_size = 0;
    std::uint32_t value_size = 0;
    std::uint32_t max_entries = 0;
    std::uint32_t cpus = 0; ///< > 0: a value per CPU, outside the elements
    bool lru = false;       ///< a full table forgets what was not looked up lately
    bool zero_seed = false;
};

/// Everything that does not depend on the key size.
class HashStorage {
public:
    static constexpr std::uint32_t kQuarantine = 4;
    static constexpr std::uint32_t kMaxStripes = 64;

    /// Bytes that a table of this configuration reserves; saturates.
    [[nodiscard]] static std::uint64_t bytes_for(const HashConfig& config) noexcept;
    [[nodiscard]] Result<void> reserve(const HashConfig& config);

    [[nodiscard]] std::byte* key_of(std::uint32_t index) const noexcept {
        return element(index) + kHeader;
    }
    [[nodiscard]] std::byte* value_of(std::uint32_t index) const noexcept {
        return element(index) + value_offset_;
    }
    [[nodiscard]] std::byte* value_of(std::uint32_t index, std::uint32_t cpu) const noexcept {
        return percpu_.data() + cpu * cpu_stride_ + std::uint64_t{index} * value_stride_;
    }
    [[nodiscard]] std::uint32_t size() const noexcept {
        return count_.load(std::memory_order_relaxed);
    }
    /// LRU: the element was used.
    void touch(std::uint32_t index) const noexcept {
        auto& state = states_[index];
        if (state.load(std::memory_order_relaxed) == State::Live)
            state.store(State::Used, std::memory_order_relaxed);
    }

protected:
    static constexpr std::uint32_t kHeader = 8;
    enum State : std::uint8_t { Free = 0, Live = 1, Used = 2 };

    struct alignas(64) Stripe {
        SpinLock lock;
        std::uint32_t free_head = 0;
        std::uint32_t resting[kQuarantine] = {};
        std::uint32_t next_resting = 0;
    };

    [[nodiscard]] std::byte* element(std::uint32_t index) const noexcept {
        return elements_.data() + std::uint64_t{index} * element_stride_;
    }
    [[nodiscard]] std::atomic<std::uint32_t>& next_of(std::uint32_t index) const noexcept {
        return *reinterpret_cast<std::atomic<std::uint32_t>*>(element(index));
    }
    [[nodiscard]] std::atomic<std::uint32_t>& hash_of(std::uint32_t index) const noexcept {
        return *reinterpret_cast<std::atomic<std::uint32_t>*>(element(index) + 4);
    }
    [[nodiscard]] std::atomic<std::uint64_t>& bucket(std::uint32_t hash) const noexcept {
        return reinterpret_cast<std::atomic<std::uint64_t>*>(buckets_.data())[hash & bucket_mask_];
    }
    [[nodiscard]] Stripe& stripe(std::uint32_t hash) const noexcept {
        return stripes_[hash & bucket_mask_ & (kMaxStripes - 1)];
    }
    [[nodiscard]] static std::uint32_t head(std::uint64_t word) noexcept {
        return static_cast<std::uint32_t>(word);
    }
    [[nodiscard]] static std::uint32_t version(std::uint64_t word) noexcept {
        return static_cast<std::uint32_t>(word >> 32);
    }
    [[nodiscard]] static std::uint64_t pack(std::uint32_t first, std::uint32_t version) noexcept {
        return std::uint64_t{version} << 32 | first;
    }

    /// True if nothing left the bucket since `before` was loaded.
    [[nodiscard]] static bool unchanged(const std::atomic<std::uint64_t>& bucket,
                                        std::uint64_t before) noexcept {
        std::atomic_thread_fence(std::memory_order_acquire);
        return version(bucket.load(std::memory_order_relaxed)) == version(before);
    }

    /// An element for this stripe, or 0 if the stripe has none. Requires the stripe's lock.
    std::uint32_t take_free(Stripe& stripe) noexcept;
    /// Requires the stripe's lock; the element has left its bucket.
    void give_back(Stripe& stripe, std::uint32_t index) noexcept;
    /// Moves free elements from other stripes to this one. Requires no lock.
    void refill(Stripe& stripe) noexcept;
    /// Makes room in a full LRU table. Requires no lock. False: found nothing to forget.
    bool evict() noexcept;
    /// Counts a new element in; false if the table is full.
    bool count_in() noexcept {
        if (count_.fetch_add(1, std::memory_order_relaxed) < config_.max_entries)
            return true;
        count_.fetch_sub(1, std::memory_order_relaxed);
        return false;
    }
    void count_out() noexcept { count_.fetch_sub(1, std::memory_order_relaxed); }
    void set_state(std::uint32_t index, State state) const noexcept {
        if (states_ != nullptr)
            states_[index].store(state, std::memory_order_relaxed);
    }
    /// Takes `index` out of its bucket. Requires the stripe's lock; `previous` is 0 for the first.
    void unlink(std::atomic<std::uint64_t>& bucket, std::uint32_t previous,
                std::uint32_t index) noexcept;

    HashConfig config_;
    HashSeed seed_;
    std::uint32_t bucket_mask_ = 0;
    std::uint64_t element_stride_ = 0;
    std::uint32_t value_offset_ = 0;
    std::uint64_t value_stride_ = 0;
    std::uint64_t cpu_stride_ = 0;
    std::uint32_t total_ = 0; ///< elements, numbered 1 to total_
    Area buckets_;
    Area elements_;
    Area percpu_;
    Area state_bytes_;
    std::atomic<std::uint8_t>* states_ = nullptr; ///< by element; LRU only
    std::unique_ptr<Stripe[]> stripes_;
    alignas(64) std::atomic<std::uint32_t> count_{0};
    std::atomic<std::uint32_t> never_used_{1}; ///< elements from here on were never taken
    std::atomic<std::uint32_t> hand_{0};       ///< of the LRU clock
};

/// The operations, for keys of K bytes (0: any size). Elements are named by index; 0 is none.
template <unsigned K>
class HashTable : public HashStorage {
public:
    /// The element of a key. Lock-free.
    [[nodiscard]] std::uint32_t find(const std::byte* key) const noexcept {
        const std::uint32_t hash = KeyOps<K>::hash(key, config_.key_size, seed_);
        const auto& chain = bucket(hash);
        for (;;) {
            const std::uint64_t word = chain.load(std::memory_order_acquire);
            std::uint32_t steps = 0;
            std::uint32_t index = head(word);
            while (index != 0 && !matches(index, hash, key)) {
                // A walk that strayed into the free elements could be long.
                if (++steps % 64 == 0 && !unchanged(chain, word))
                    break;
                index = next_of(index).load(std::memory_order_acquire);
            }
            if (unchanged(chain, word))
                return index;
        }
    }

    /// Inserts or replaces. `fill(index, is_new)` writes the value before the element can be
    /// found; with `in_place` an existing element is kept and filled where it is.
    template <class Fill>
    int update(const std::byte* key, std::uint64_t flags, bool in_place, Fill&& fill) noexcept {
        const std::uint32_t hash = KeyOps<K>::hash(key, config_.key_size, seed_);
        Stripe& owner = stripe(hash);
        for (;;) {
            owner.lock.lock();
            const int result = try_update(owner, hash, key, flags, in_place, fill);
            owner.lock.unlock();
            if (result == kNeedsElement)
                refill(owner);
            else if (result != kFull)
                return result;
            else if (!config_.lru)
                return -E2BIG;
            else if (!evict())
                return -ENOMEM;
        }
    }

    /// Deletes; `taken(index)` sees the element before it can be reused.
    template <class Taken>
    int erase(const std::byte* key, Taken&& taken) noexcept {
        const std::uint32_t hash = KeyOps<K>::hash(key, config_.key_size, seed_);
        Stripe& owner = stripe(hash);
        owner.lock.lock();
        std::uint32_t previous = 0;
        const std::uint32_t index = find_locked(hash, key, previous);
        if (index != 0) {
            taken(index);
            unlink(bucket(hash), previous, index);
            set_state(index, State::Free);
            give_back(owner, index);
            count_out();
        }
        owner.lock.unlock();
        return index == 0 ? -ENOENT : 0;
    }

    /// The key after `key` in bucket order; of the first element if key is null or gone.
    int next_key(const std::byte* key, std::byte* next) const noexcept {
        std::uint64_t from = 0;
        while (key != nullptr) {
            const std::uint32_t hash = KeyOps<K>::hash(key, config_.key_size, seed_);
            const auto& chain = bucket(hash);
            const std::uint64_t word = chain.load(std::memory_order_acquire);
            std::uint32_t index = head(word);
            while (index != 0 && !matches(index, hash, key) && unchanged(chain, word))
                index = next_of(index).load(std::memory_order_acquire);
            const std::uint32_t after =
                index == 0 ? 0 : next_of(index).load(std::memory_order_acquire);
            if (after != 0)
                copy_out(next, key_of(after), config_.key_size);
            if (!unchanged(chain, word))
                continue;
            if (after != 0)
                return 0;
            from = index == 0 ? 0 : std::uint64_t{hash & bucket_mask_} + 1;
            break;
        }
        return first_key(from, next);
    }

    /// Calls visit(index) for each element until it returns false; the number of calls.
    template <class Visit>
    int for_each(Visit&& visit) const noexcept {
        int calls = 0;
        for (std::uint64_t b = 0; b <= bucket_mask_; b++) {
            std::uint32_t index =
                head(bucket(static_cast<std::uint32_t>(b)).load(std::memory_order_acquire));
            while (index != 0) {
                if ((hash_of(index).load(std::memory_order_relaxed) & bucket_mask_) != b)
                    break; // Deleted and reused meanwhile: the rest of this chain is not ours.
                const std::uint32_t after = next_of(index).load(std::memory_order_acquire);
                calls++;
                if (!visit(index))
                    return calls;
                index = after;
            }
        }
        return calls;
    }

private:
    static constexpr int kNeedsElement = 1;
    static constexpr int kFull = 2;

    [[nodiscard]] bool matches(std::uint32_t index, std::uint32_t hash,
                               const std::byte* key) const noexcept {
        return hash_of(index).load(std::memory_order_relaxed) == hash &&
               KeyOps<K>::equal(key_of(index), key, config_.key_size);
    }

    std::uint32_t find_locked(std::uint32_t hash, const std::byte* key,
                              std::uint32_t& previous) const noexcept {
        previous = 0;
        std::uint32_t index = head(bucket(hash).load(std::memory_order_relaxed));
        while (index != 0 && !matches(index, hash, key)) {
            previous = index;
            index = next_of(index).load(std::memory_order_relaxed);
        }
        return index;
    }

    template <class Fill>
    int try_update(Stripe& owner, std::uint32_t hash, const std::byte* key, std::uint64_t flags,
                   bool in_place, Fill&& fill) noexcept {
        std::uint32_t previous = 0;
        const std::uint32_t old = find_locked(hash, key, previous);
        if (old != 0 && (flags & ~std::uint64_t{BPF_F_LOCK}) == BPF_NOEXIST)
            return -EEXIST;
        if (old == 0 && (flags & ~std::uint64_t{BPF_F_LOCK}) == BPF_EXIST)
            return -ENOENT;
        if (old != 0 && in_place) {
            fill(old, false);
            set_state(old, State::Used);
            return 0;
        }
        if (old == 0 && !count_in())
            return kFull;
        const std::uint32_t fresh = take_free(owner);
        if (fresh == 0) {
            if (old == 0)
                count_out();
            return kNeedsElement;
        }
        // Readers that still walk over this element's former life must see its new version first.
        std::atomic_thread_fence(std::memory_order_release);
        hash_of(fresh).store(hash, std::memory_order_relaxed);
        KeyOps<K>::put(key_of(fresh), key, config_.key_size);
        fill(fresh, true);
        link(owner, hash, previous, old, fresh);
        return 0;
    }

    /// Puts `fresh` where `old` is, or in front.
    void link(Stripe& owner, std::uint32_t hash, std::uint32_t previous, std::uint32_t old,
              std::uint32_t fresh) noexcept {
        auto& chain = bucket(hash);
        const std::uint64_t word = chain.load(std::memory_order_relaxed);
        set_state(fresh, old == 0 ? State::Live : State::Used);
        if (old == 0) {
            next_of(fresh).store(head(word), std::memory_order_relaxed);
            chain.store(pack(fresh, version(word)), std::memory_order_release);
            return;
        }
        next_of(fresh).store(next_of(old).load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
        if (previous != 0)
            next_of(previous).store(fresh, std::memory_order_release);
        chain.store(pack(previous == 0 ? fresh : head(word), version(word) + 1),
                    std::memory_order_release);
        set_state(old, State::Free);
        give_back(owner, old);
    }

    int first_key(std::uint64_t from, std::byte* next) const noexcept {
        for (std::uint64_t b = from; b <= bucket_mask_; b++) {
            const auto& chain = bucket(static_cast<std::uint32_t>(b));
            for (;;) {
                const std::uint64_t word = chain.load(std::memory_order_acquire);
                if (head(word) == 0)
                    break;
                copy_out(next, key_of(head(word)), config_.key_size);
                if (unchanged(chain, word))
                    return 0;
            }
        }
        return -ENOENT;
    }
};

} // namespace skep::maps
