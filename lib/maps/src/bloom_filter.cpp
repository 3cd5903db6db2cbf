// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cerrno>
#include <linux/bpf.h>

#include "area.hpp"
#include "hash_key.hpp"
#include "kinds.hpp"

namespace skep::maps {
namespace {

/// Bits are only ever set, so that readers and writers need no lock.
class BloomFilter final : public Map {
public:
    BloomFilter(const spec::MapDef& def, const CreateOptions& options, Area bits)
        : Map(def, options), bits_(std::move(bits)),
          seed_(make_seed((def.flags & BPF_F_ZERO_SEED) != 0)),
          functions_(def.extra == 0 ? 5 : static_cast<std::uint32_t>(def.extra)),
          mask_(bytes_for(def, options) * 8 - 1) {}

    int push(const std::byte* value, std::uint64_t flags) noexcept override {
        if (flags != BPF_ANY)
            return -EINVAL;
        const Probe probe = start(value);
        for (std::uint32_t i = 0; i < functions_; i++)
            word(probe, i).fetch_or(bit(probe, i), std::memory_order_relaxed);
        return 0;
    }

    int peek(std::byte* value) noexcept override {
        const Probe probe = start(value);
        for (std::uint32_t i = 0; i < functions_; i++)
            if ((word(probe, i).load(std::memory_order_relaxed) & bit(probe, i)) == 0)
                return -ENOENT;
        return 0;
    }

    int erase(const std::byte* /*key*/) noexcept override { return -EOPNOTSUPP; }

protected:
    int do_read(const std::byte* /*key*/, std::byte* value,
                std::uint64_t /*flags*/) noexcept override {
        return peek(value);
    }
    int do_write(const std::byte* /*key*/, const std::byte* value,
                 std::uint64_t flags) noexcept override {
        return push(value, flags);
    }
    int do_next_key(const std::byte* /*key*/, std::byte* /*next*/) noexcept override {
        return -EOPNOTSUPP;
    }

private:
    /// Two hashes make all the others (Kirsch and Mitzenmacher, 2006).
    struct Probe {
        std::uint64_t first;
        std::uint64_t step;
    };
    [[nodiscard]] Probe start(const std::byte* value) const noexcept {
        const HashSeed other{seed_.b, seed_.a | 1U};
        const std::uint64_t a = hash_bytes(value, def().value_size, seed_);
        const std::uint64_t b = hash_bytes(value, def().value_size, other);
        return {a, b | 1U};
    }
    [[nodiscard]] std::uint64_t position(const Probe& probe, std::uint32_t i) const noexcept {
        return (probe.first + i * probe.step) & mask_;
    }
    [[nodiscard]] std::atomic<std::uint64_t>& word(const Probe& probe,
                                                   std::uint32_t i) const noexcept {
        return reinterpret_cast<std::atomic<std::uint64_t>*>(bits_.data())[position(probe, i) / 64];
    }
    [[nodiscard]] std::uint64_t bit(const Probe& probe, std::uint32_t i) const noexcept {
        return std::uint64_t{1} << (position(probe, i) % 64);
    }

    Area bits_;
    HashSeed seed_;
    std::uint32_t functions_;
    std::uint64_t mask_;
};

} // namespace

Made make_bloom_filter(const spec::MapDef& def, const CreateOptions& options) {
    Area bits = SKEP_TRY(Area::create(bytes_for(def, options)));
    return std::make_shared<BloomFilter>(def, options, std::move(bits));
}

} // namespace skep::maps
