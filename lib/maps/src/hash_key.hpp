// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "atomic_copy.hpp"
#include "skep/base/bytes.hpp"

namespace skep::maps {

/// Secret of a hash table: programs must not be able to choose keys that collide.
struct HashSeed {
    std::uint64_t a = 0;
    std::uint64_t b = 0;
};

/// Random, or fixed for BPF_F_ZERO_SEED.
[[nodiscard]] HashSeed make_seed(bool zero) noexcept;

/// The two halves of a 128-bit product, mixed (Wang Yi, wyhash).
[[nodiscard]] inline std::uint64_t fold_multiply(std::uint64_t x, std::uint64_t y) noexcept {
    const auto product = static_cast<unsigned __int128>(x) * y;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// The last size % 8 bytes of a key, as a word padded with zeros.
[[nodiscard]] inline std::uint64_t key_tail(const std::byte* key, std::uint32_t size) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, key + (size & ~7U), size & 7U);
    return word;
}

/// Any key size: hash, compare and store, in 8-byte words. Stored keys are padded with zeros.
[[nodiscard]] inline std::uint32_t hash_bytes(const std::byte* key, std::uint32_t size,
                                              const HashSeed& seed) noexcept {
    std::uint64_t h = seed.a ^ (size * 0x9e3779b97f4a7c15U);
    std::uint32_t at = 0;
    for (; at + 8 <= size; at += 8)
        h = fold_multiply(h ^ load<std::uint64_t>(key + at), seed.b);
    if ((size & 7U) != 0)
        h = fold_multiply(h ^ key_tail(key, size), seed.b);
    h = fold_multiply(h, seed.b ^ 0xd6e8feb86659fd93U);
    return static_cast<std::uint32_t>(h >> 32) ^ static_cast<std::uint32_t>(h);
}

/// Operations on a key of K bytes; K == 0: of any size.
template <unsigned K>
struct KeyOps {
    static std::uint32_t hash(const std::byte* key, std::uint32_t size,
                              const HashSeed& seed) noexcept {
        if constexpr (K == 4) {
            const auto h = fold_multiply(load<std::uint32_t>(key) ^ seed.a, seed.b);
            return static_cast<std::uint32_t>(h >> 32) ^ static_cast<std::uint32_t>(h);
        } else if constexpr (K == 8) {
            const auto h = fold_multiply(load<std::uint64_t>(key) ^ seed.a, seed.b);
            return static_cast<std::uint32_t>(h >> 32) ^ static_cast<std::uint32_t>(h);
        } else if constexpr (K == 16) {
            const auto first = fold_multiply(load<std::uint64_t>(key) ^ seed.a, seed.b);
            const auto h = fold_multiply(first ^ load<std::uint64_t>(key + 8), seed.b);
            return static_cast<std::uint32_t>(h >> 32) ^ static_cast<std::uint32_t>(h);
        } else {
            return hash_bytes(key, size, seed);
        }
    }

    static bool equal(const std::byte* stored, const std::byte* key, std::uint32_t size) noexcept {
        if constexpr (K == 4) {
            return load_half(stored) == load<std::uint32_t>(key);
        } else if constexpr (K == 8) {
            return load_word(stored) == load<std::uint64_t>(key);
        } else if constexpr (K == 16) {
            return ((load_word(stored) ^ load<std::uint64_t>(key)) |
                    (load_word(stored + 8) ^ load<std::uint64_t>(key + 8))) == 0;
        } else {
            std::uint32_t at = 0;
            for (; at + 8 <= size; at += 8)
                if (load_word(stored + at) != load<std::uint64_t>(key + at))
                    return false;
            return (size & 7U) == 0 || load_word(stored + at) == key_tail(key, size);
        }
    }

    static void put(std::byte* stored, const std::byte* key, std::uint32_t size) noexcept {
        std::uint32_t at = 0;
        for (; at + 8 <= size; at += 8)
            store_word(stored + at, load<std::uint64_t>(key + at));
        if ((size & 7U) != 0)
            store_word(stored + at, key_tail(key, size));
    }
};

} // namespace skep::maps
