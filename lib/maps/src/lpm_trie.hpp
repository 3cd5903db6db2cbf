// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Longest-prefix match: a path-compressed binary trie, and in front of it a table by the first 16
// bits of the key, so that a lookup starts near the end of its path.
//
// Invariants:
// 1. A node matches its prefix; its children's prefixes extend it, child[b] with bit b next.
// 2. A branch node (no value) has two children, as in the kernel, so that next_key agrees.
// 3. Table slot s, for the 16 bits s: `found` is the longest value node with a prefix of less than
//    16 bits on the path of s; `start` is the first node of at least 16 bits on that path if its
//    first 16 bits are s, else null. So a node of at least 16 bits is in one slot, and a change of
//    a prefix touches only the slots that the prefix covers.
// 4. Writers hold the lock; a node that leaves the trie and the table is retired, never reused.

#include <array>
#include <atomic>
#include <cstdint>

#include "area.hpp"
#include "kinds.hpp"
#include "skep/maps/map.hpp"
#include "skep/maps/spin.hpp"

namespace skep::maps {

class LpmTrie final : public Map {
public:
    LpmTrie(const spec::MapDef& def, const CreateOptions& options);
    LpmTrie(const LpmTrie&) = delete;
    LpmTrie& operator=(const LpmTrie&) = delete;
    ~LpmTrie() override;

    std::byte* lookup(const std::byte* key, std::uint32_t cpu) noexcept override;
    [[nodiscard]] DirectOps direct_ops() const noexcept override {
        return make_direct_ops<LpmTrie>();
    }
    int update(const std::byte* key, const std::byte* value, std::uint64_t flags,
               std::uint32_t cpu) noexcept override;
    int erase(const std::byte* key) noexcept override;

protected:
    int do_next_key(const std::byte* key, std::byte* next) noexcept override;

private:
    static constexpr std::uint32_t kMaxWords = 32; ///< 256 bytes of key
    static constexpr std::uint32_t kTableBits = 16;
    static constexpr std::uint32_t kTableEntries = 32; ///< entries that make the table worthwhile

    struct Node {
        std::atomic<Node*> child[2];
        std::uint32_t prefix;
        std::atomic<bool> branch; ///< has no value
        std::uint64_t words[1];   ///< the key's bits, first bit highest; then the value
    };
    struct Slot {
        std::atomic<Node*> start;
        std::atomic<Node*> found;
    };
    struct Key {
        std::uint32_t prefix = 0;
        std::array<std::uint64_t, kMaxWords> words; ///< only the map's number of words is set
    };

    void parse(const std::byte* key, Key& out) const noexcept;
    [[nodiscard]] static bool bit(const std::uint64_t* words, std::uint32_t index) noexcept {
        return (words[index / 64] >> (63 - index % 64) & 1) != 0;
    }
    /// Leading bits that both have, at most `limit`.
    [[nodiscard]] static std::uint32_t common(const std::uint64_t* a, const std::uint64_t* b,
                                              std::uint32_t limit) noexcept;
    [[nodiscard]] std::byte* value_of(Node* node) const noexcept {
        return reinterpret_cast<std::byte*>(node->words + words_);
    }
    [[nodiscard]] const Node* descend(const Node* node, const Node* found,
                                      const Key& key) const noexcept;
    [[nodiscard]] Node* make_node(const std::uint64_t* words, std::uint32_t prefix,
                                  const std::byte* value) noexcept;
    static void drop_node(Node* node) noexcept;
    [[nodiscard]] int count_in(std::uint64_t flags) noexcept;
    int insert(Node* fresh, std::uint64_t flags, Node*& replaced) noexcept;
    int remove(const Key& key, Node*& gone, Node*& gone_parent) noexcept;

    /// The first key of a subtree in post-order; as the kernel walks, never a node with a child.
    [[nodiscard]] static const Node* leftmost(const Node* node) noexcept;
    [[nodiscard]] const Node* successor(const Key& key) const noexcept;

    void refresh(const std::uint64_t* words, std::uint32_t prefix) noexcept;
    void fill(Node* node, Node* found, std::uint32_t first, std::uint32_t count, std::uint32_t low,
              std::uint32_t high) noexcept;
    void set_slots(std::uint32_t from, std::uint32_t to, Node* start, Node* found) noexcept;
    void build_table() noexcept;

    std::uint32_t data_size_; ///< bytes of a key after the prefix length
    std::uint32_t words_;
    std::uint32_t max_prefix_;
    SpinLock lock_;
    std::uint32_t entries_ = 0;
    std::atomic<Node*> root_{nullptr};
    Area table_area_;
    std::atomic<Slot*> table_{nullptr};
};

} // namespace skep::maps
