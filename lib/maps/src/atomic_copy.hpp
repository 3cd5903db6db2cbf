// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "skep/base/bytes.hpp"

// Programs read and write values without locks, as in the kernel. What the library itself moves
// into or out of a value is moved by relaxed atomic words, so that it is never a data race in the
// language's sense. `map` sides are aligned to 4 bytes; the other side has any alignment.
namespace skep::maps {

[[nodiscard]] inline std::uint64_t load_word(const std::byte* map) noexcept {
    return __atomic_load_n(reinterpret_cast<const std::uint64_t*>(map), __ATOMIC_RELAXED);
}
inline void store_word(std::byte* map, std::uint64_t word) noexcept {
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(map), word, __ATOMIC_RELAXED);
}

[[nodiscard]] inline std::uint32_t load_half(const std::byte* map) noexcept {
    return __atomic_load_n(reinterpret_cast<const std::uint32_t*>(map), __ATOMIC_RELAXED);
}
inline void store_half(std::byte* map, std::uint32_t half) noexcept {
    __atomic_store_n(reinterpret_cast<std::uint32_t*>(map), half, __ATOMIC_RELAXED);
}
/// Bytes to move before 8-byte words are aligned: 0 or 4.
[[nodiscard]] inline std::uint32_t lead_in(const std::byte* map, std::uint32_t size) noexcept {
    return (reinterpret_cast<std::uintptr_t>(map) & 4) != 0 && size >= 4 ? 4 : 0;
}

inline void copy_in(std::byte* map, const std::byte* from, std::uint32_t size) noexcept {
    std::uint32_t at = lead_in(map, size);
    if (at != 0)
        store_half(map, load<std::uint32_t>(from));
    for (; at + 8 <= size; at += 8)
        store_word(map + at, load<std::uint64_t>(from + at));
    if (at + 4 <= size) {
        store_half(map + at, load<std::uint32_t>(from + at));
        at += 4;
    }
    for (; at < size; at++)
        __atomic_store_n(reinterpret_cast<unsigned char*>(map + at),
                         static_cast<unsigned char>(from[at]), __ATOMIC_RELAXED);
}

inline void copy_out(std::byte* to, const std::byte* map, std::uint32_t size) noexcept {
    std::uint32_t at = lead_in(map, size);
    if (at != 0)
        store(to, load_half(map));
    for (; at + 8 <= size; at += 8)
        store(to + at, load_word(map + at));
    if (at + 4 <= size) {
        store(to + at, load_half(map + at));
        at += 4;
    }
    for (; at < size; at++)
        to[at] = static_cast<std::byte>(
            __atomic_load_n(reinterpret_cast<const unsigned char*>(map + at), __ATOMIC_RELAXED));
}

inline void zero_out(std::byte* map, std::uint32_t size) noexcept {
    std::uint32_t at = lead_in(map, size);
    if (at != 0)
        store_half(map, 0);
    for (; at + 8 <= size; at += 8)
        store_word(map + at, 0);
    for (; at < size; at++)
        __atomic_store_n(reinterpret_cast<unsigned char*>(map + at), 0, __ATOMIC_RELAXED);
}

} // namespace skep::maps
