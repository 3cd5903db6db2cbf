// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <limits>
#include <sys/random.h>

#include "hash_table.hpp"
#include "skep/base/bytes.hpp"

namespace skep::maps {

HashSeed make_seed(bool zero) noexcept {
    HashSeed seed;
    if (!zero && getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = {};
    seed.a ^= 0x2d358dccaa6c78a5U;
    seed.b = (seed.b ^ 0x8bb84b93962eacc9U) | 1U; // A zero multiplier would forget the key.
    return seed;
}

namespace {

/// a * b + c in 64 bits, or the largest number.
std::uint64_t saturating(std::uint64_t a, std::uint64_t b, std::uint64_t c) noexcept {
    std::uint64_t result = 0;
    if (mul_overflows(a, b, result) || add_overflows(result, c, result))
        return std::numeric_limits<std::uint64_t>::max();
    return result;
}

std::uint64_t bucket_count(const HashConfig& config) noexcept {
    return std::bit_ceil(std::uint64_t{config.max_entries});
}

std::uint32_t stripe_count(const HashConfig& config) noexcept {
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(bucket_count(config), HashStorage::kMaxStripes));
}

/// Elements, counting number 0, which is never used.
std::uint64_t element_count(const HashConfig& config) noexcept {
    return std::uint64_t{config.max_entries} +
           std::uint64_t{stripe_count(config)} * (HashStorage::kQuarantine + 1) + 1;
}

std::uint64_t element_bytes(const HashConfig& config) noexcept {
    return 8 + round_up(config.key_size, 8) +
           (config.cpus == 0 ? round_up(config.value_size, 8) : 0);
}

/// Bytes of one CPU's values; whole cache lines, so that CPUs do not share any.
std::uint64_t cpu_bytes(const HashConfig& config) noexcept {
    return round_up(element_count(config) * round_up(config.value_size, 8), 64);
}

} // namespace

std::uint64_t HashStorage::bytes_for(const HashConfig& config) noexcept {
    std::uint64_t total = bucket_count(config) * 8;
    total = saturating(element_count(config), element_bytes(config), total);
    return saturating(config.cpus, cpu_bytes(config), total);
}

Result<void> HashStorage::reserve(const HashConfig& config) {
    config_ = config;
    seed_ = make_seed(config.zero_seed);
    bucket_mask_ = static_cast<std::uint32_t>(bucket_count(config) - 1);
    element_stride_ = element_bytes(config);
    value_offset_ = static_cast<std::uint32_t>(kHeader + round_up(config.key_size, 8));
    value_stride_ = round_up(config.value_size, 8);
    cpu_stride_ = cpu_bytes(config);
    total_ = static_cast<std::uint32_t>(element_count(config) - 1);
    buckets_ = SKEP_TRY(Area::create(bucket_count(config) * 8));
    elements_ = SKEP_TRY(Area::create(element_count(config) * element_stride_));
    if (config.cpus != 0)
        percpu_ = SKEP_TRY(Area::create(config.cpus * cpu_stride_));
    if (config.lru) {
        state_bytes_ = SKEP_TRY(Area::create(element_count(config)));
        states_ = reinterpret_cast<std::atomic<std::uint8_t>*>(state_bytes_.data());
    }
    stripes_ = std::make_unique<Stripe[]>(stripe_count(config));
    return {};
}

std::uint32_t HashStorage::take_free(Stripe& stripe) noexcept {
    if (const std::uint32_t index = stripe.free_head; index != 0) {
        stripe.free_head = next_of(index).load(std::memory_order_relaxed);
        return index;
    }
    if (never_used_.load(std::memory_order_relaxed) <= total_) {
        const std::uint32_t index = never_used_.fetch_add(1, std::memory_order_relaxed);
        if (index <= total_)
            return index;
        never_used_.fetch_sub(1, std::memory_order_relaxed);
    }
    for (std::uint32_t i = 0; i < kQuarantine; i++) {
        std::uint32_t& oldest = stripe.resting[(stripe.next_resting + i) % kQuarantine];
        if (oldest != 0)
            return std::exchange(oldest, 0);
    }
    return 0;
}

void HashStorage::give_back(Stripe& stripe, std::uint32_t index) noexcept {
    std::uint32_t& slot = stripe.resting[stripe.next_resting];
    stripe.next_resting = (stripe.next_resting + 1) % kQuarantine;
    const std::uint32_t rested = std::exchange(slot, index);
    if (rested == 0)
        return;
    next_of(rested).store(stripe.free_head, std::memory_order_release);
    stripe.free_head = rested;
}

void HashStorage::refill(Stripe& stripe) noexcept {
    constexpr std::uint32_t kBatch = 8;
    const std::uint32_t stripes = stripe_count(config_);
    for (std::uint32_t i = 0; i < stripes; i++) {
        Stripe& other = stripes_[i];
        if (&other == &stripe)
            continue;
        std::uint32_t found[kBatch];
        std::uint32_t count = 0;
        other.lock.lock();
        while (count < kBatch && other.free_head != 0)
            found[count++] = take_free(other);
        if (count == 0) { // Then what rests there.
            found[0] = take_free(other);
            count = found[0] == 0 ? 0 : 1;
        }
        other.lock.unlock();
        if (count == 0)
            continue;
        stripe.lock.lock();
        for (std::uint32_t k = 0; k < count; k++) {
            next_of(found[k]).store(stripe.free_head, std::memory_order_release);
            stripe.free_head = found[k];
        }
        stripe.lock.unlock();
        return;
    }
    sched_yield(); // Another thread holds the element that is free, between two locks.
}

void HashStorage::unlink(std::atomic<std::uint64_t>& bucket, std::uint32_t previous,
                         std::uint32_t index) noexcept {
    const std::uint64_t word = bucket.load(std::memory_order_relaxed);
    const std::uint32_t after = next_of(index).load(std::memory_order_relaxed);
    if (previous != 0)
        next_of(previous).store(after, std::memory_order_release);
    bucket.store(pack(previous == 0 ? after : head(word), version(word) + 1),
                 std::memory_order_release);
}

bool HashStorage::evict() noexcept {
    // Two rounds clear every mark; a third meets what was inserted meanwhile.
    for (std::uint64_t tries = 0; tries < std::uint64_t{3} * total_; tries++) {
        if (size() < config_.max_entries)
            return true;
        const std::uint32_t index = hand_.fetch_add(1, std::memory_order_relaxed) % total_ + 1;
        const auto state = states_[index].load(std::memory_order_relaxed);
        if (state == State::Used)
            states_[index].store(State::Live, std::memory_order_relaxed);
        if (state != State::Live)
            continue;
        const std::uint32_t hash = hash_of(index).load(std::memory_order_relaxed);
        Stripe& owner = stripe(hash);
        owner.lock.lock();
        auto& chain = bucket(hash);
        std::uint32_t previous = 0;
        std::uint32_t at = head(chain.load(std::memory_order_relaxed));
        while (at != 0 && at != index) {
            previous = at;
            at = next_of(at).load(std::memory_order_relaxed);
        }
        if (at != 0) {
            unlink(chain, previous, index);
            set_state(index, State::Free);
            give_back(owner, index);
            count_out();
        }
        owner.lock.unlock();
        if (at != 0)
            return true;
    }
    return false;
}

} // namespace skep::maps
