// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <new>
#include <utility>
#include <vector>

namespace skep {

/// Memory for many small things that live shortly: each thread keeps what it gave back, up to
/// kMost bytes, for the next of the same size. A block may be given back by another thread than the
/// one that took it. Under AddressSanitizer nothing is kept, so that it sees every use after free.
class Pool {
public:
    /// At least `bytes`, aligned as operator new does. Throws std::bad_alloc.
    [[nodiscard]] static void* take(std::size_t bytes) {
        const std::size_t index = index_of(bytes);
        if (index >= kSizes)
            return ::operator new(bytes);
        if (Block* block = kept.heads[index]) {
            kept.heads[index] = block->next;
            kept.bytes -= size_of(index);
            return block;
        }
        return ::operator new(size_of(index));
    }
    /// `bytes`: as they were taken.
    static void give(void* memory, std::size_t bytes) noexcept {
        const std::size_t index = index_of(bytes);
        if (index >= kSizes || kept.bytes + size_of(index) > kept.most)
            return drop(memory, index);
        kept.heads[index] = new (memory) Block{kept.heads[index]};
        kept.bytes += size_of(index);
    }

private:
    struct Block {
        Block* next;
    };
    // Up to 1 KiB in steps of 32 bytes, then by powers of two.
    static constexpr std::size_t kStep = 32;
    static constexpr std::size_t kSmall = 32;
    static constexpr std::size_t kSizes = kSmall + 6;
    static constexpr std::size_t kMost = std::size_t{4} << 20;

    static constexpr std::size_t index_of(std::size_t bytes) noexcept {
        if (bytes <= kStep * kSmall)
            return (bytes + kStep - 1) / kStep - (bytes != 0 ? 1 : 0);
        std::size_t index = kSmall;
        for (std::size_t size = kStep * kSmall * 2; size < bytes; size *= 2)
            ++index;
        return index;
    }
    static constexpr std::size_t size_of(std::size_t index) noexcept {
        return index < kSmall ? (index + 1) * kStep : (kStep * kSmall) << (index - kSmall + 1);
    }
    static void drop(void* memory, std::size_t index) noexcept;

    struct Kept { // Without a destructor: so its use needs no call.
        std::array<Block*, kSizes> heads;
        std::size_t bytes;
        std::size_t most; ///< 0 before the first block is given back, and once the thread ends
    };
    struct Cleaner {
        ~Cleaner();
    };
    static constinit thread_local Kept kept;
};

/// A std allocator over Pool.
template <class T>
struct PoolAllocator {
    using value_type = T;
    PoolAllocator() = default;
    template <class U>
    PoolAllocator(const PoolAllocator<U>& /*other*/) noexcept {
    } // NOLINT: converts, as allocators do
    T* allocate(std::size_t count) { return static_cast<T*>(Pool::take(count * sizeof(T))); }
    void deallocate(T* memory, std::size_t count) noexcept {
        Pool::give(memory, count * sizeof(T));
    }
    friend bool operator==(const PoolAllocator&, const PoolAllocator&) = default;
};

template <class T>
using PoolVector = std::vector<T, PoolAllocator<T>>;
template <class Key, class T>
using PoolMap = std::map<Key, T, std::less<Key>, PoolAllocator<std::pair<const Key, T>>>;

} // namespace skep
