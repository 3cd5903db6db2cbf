// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "lpm_trie.hpp"
#include "skep/base/check.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <mutex>
#include <new>
#include <vector>

#include "atomic_copy.hpp"
#include "kinds.hpp"
#include "skep/maps/epoch.hpp"

namespace skep::maps {
namespace {

constexpr auto kRead = std::memory_order_acquire;
constexpr auto kOwn = std::memory_order_relaxed; ///< under the lock, or not yet published
constexpr auto kPublish = std::memory_order_release;

} // namespace

LpmTrie::LpmTrie(const spec::MapDef& def, const CreateOptions& options)
    : Map(def, options), data_size_(def.key_size - 4), words_((data_size_ + 7) / 8),
      max_prefix_(data_size_ * 8) {}

LpmTrie::~LpmTrie() {
    std::vector<Node*> left;
    if (Node* root = root_.load(kOwn); root != nullptr)
        left.push_back(root);
    while (!left.empty()) {
        Node* node = left.back();
        left.pop_back();
        for (const auto& child : node->child)
            if (Node* next = child.load(kOwn); next != nullptr)
                left.push_back(next);
        drop_node(node);
    }
}

void LpmTrie::parse(const std::byte* key, Key& out) const noexcept {
    out.prefix = load<std::uint32_t>(key);
    const std::byte* data = key + 4;
    std::uint32_t at = 0;
    for (; at + 8 <= data_size_; at += 8)
        out.words[at / 8] = from_big(load<std::uint64_t>(data + at));
    if (data_size_ == 4) {
        out.words[0] = std::uint64_t{from_big(load<std::uint32_t>(data))} << 32;
    } else if (at < data_size_) {
        std::uint64_t word = 0;
        std::memcpy(&word, data + at, data_size_ - at);
        out.words[at / 8] = from_big(word);
    }
}

std::uint32_t LpmTrie::common(const std::uint64_t* a, const std::uint64_t* b,
                              std::uint32_t limit) noexcept {
    for (std::uint32_t at = 0; at < limit; at += 64) {
        const std::uint64_t different = a[at / 64] ^ b[at / 64];
        if (different != 0)
            return std::min(limit, at + static_cast<std::uint32_t>(std::countl_zero(different)));
    }
    return limit;
}

const LpmTrie::Node* LpmTrie::descend(const Node* node, const Node* found,
                                      const Key& key) const noexcept {
    while (node != nullptr && node->prefix <= key.prefix &&
           common(node->words, key.words.data(), node->prefix) == node->prefix) {
        if (!node->branch.load(kRead))
            found = node;
        if (node->prefix == max_prefix_)
            break;
        node = node->child[bit(key.words.data(), node->prefix) ? 1 : 0].load(kRead);
    }
    return found;
}

std::byte* LpmTrie::lookup(const std::byte* raw, std::uint32_t /*cpu*/) noexcept {
    Key key;
    parse(raw, key);
    if (key.prefix > max_prefix_)
        return nullptr;
    const Node* found = nullptr;
    const Slot* table = table_.load(kRead);
    if (table != nullptr && key.prefix >= kTableBits) {
        const Slot& slot = table[key.words[0] >> (64 - kTableBits)];
        found = descend(slot.start.load(kRead), slot.found.load(kRead), key);
    } else {
        found = descend(root_.load(kRead), nullptr, key);
    }
    return found == nullptr ? nullptr : value_of(const_cast<Node*>(found));
}

LpmTrie::Node* LpmTrie::make_node(const std::uint64_t* words, std::uint32_t prefix,
                                  const std::byte* value) noexcept {
    const std::size_t extra = (words_ - 1) * std::size_t{8};
    const std::size_t size = sizeof(Node) + extra + (value == nullptr ? 0 : def().value_size);
    void* memory = ::operator new(size, std::nothrow);
    if (memory == nullptr)
        return nullptr;
    auto* node = new (memory) Node{};
    node->prefix = prefix;
    node->branch.store(value == nullptr, kOwn);
    std::memcpy(node->words, words, words_ * std::size_t{8});
    if (value != nullptr)
        copy_in(value_of(node), value, def().value_size);
    return node;
}

void LpmTrie::drop_node(Node* node) noexcept {
    ::operator delete(node);
}

int LpmTrie::count_in(std::uint64_t flags) noexcept {
    if (flags == BPF_EXIST)
        return -ENOENT;
    if (entries_ == def().max_entries)
        return -ENOSPC;
    entries_++;
    return 0;
}

int LpmTrie::update(const std::byte* raw, const std::byte* value, std::uint64_t flags,
                    std::uint32_t /*cpu*/) noexcept {
    Key key;
    parse(raw, key);
    if (flags > BPF_EXIST || key.prefix > max_prefix_)
        return -EINVAL;
    Node* fresh = make_node(key.words.data(), key.prefix, value);
    if (fresh == nullptr)
        return -ENOMEM;
    Node* replaced = nullptr;
    int error = 0;
    {
        const std::lock_guard guard(lock_);
        error = insert(fresh, flags, replaced);
        if (error == 0)
            refresh(key.words.data(), key.prefix);
        if (error == 0 && entries_ >= kTableEntries && table_.load(kOwn) == nullptr)
            build_table();
    }
    if (error != 0)
        drop_node(fresh);
    if (replaced != nullptr)
        retire(replaced, [](void* node) noexcept { drop_node(static_cast<Node*>(node)); });
    return error;
}

int LpmTrie::insert(Node* fresh, std::uint64_t flags, Node*& replaced) noexcept {
    std::atomic<Node*>* slot = &root_;
    Node* node = nullptr;
    std::uint32_t match = 0;
    while ((node = slot->load(kOwn)) != nullptr) {
        match = common(node->words, fresh->words, std::min(node->prefix, fresh->prefix));
        if (node->prefix != match || node->prefix == fresh->prefix)
            break;
        slot = &node->child[bit(fresh->words, node->prefix) ? 1 : 0];
    }
    if (node != nullptr && node->prefix == match) { // The same prefix: takes its place.
        const bool branch = node->branch.load(kOwn);
        if (!branch && flags == BPF_NOEXIST)
            return -EEXIST;
        if (branch)
            if (const int error = count_in(flags); error != 0)
                return error;
        for (int side = 0; side < 2; side++)
            fresh->child[side].store(node->child[side].load(kOwn), kOwn);
        slot->store(fresh, kPublish);
        replaced = node;
        return 0;
    }
    if (const int error = count_in(flags); error != 0)
        return error;
    if (node == nullptr) {
        slot->store(fresh, kPublish);
        return 0;
    }
    if (match == fresh->prefix) { // A prefix of the node: goes in between.
        fresh->child[bit(node->words, match) ? 1 : 0].store(node, kOwn);
        slot->store(fresh, kPublish);
        return 0;
    }
    Node* branch = make_node(node->words, match, nullptr);
    if (branch == nullptr) {
        entries_--;
        return -ENOMEM;
    }
    const int side = bit(fresh->words, match) ? 1 : 0;
    branch->child[side].store(fresh, kOwn);
    branch->child[1 - side].store(node, kOwn);
    slot->store(branch, kPublish);
    return 0;
}

int LpmTrie::erase(const std::byte* raw) noexcept {
    Key key;
    parse(raw, key);
    if (key.prefix > max_prefix_)
        return -EINVAL;
    Node* gone = nullptr;
    Node* gone_parent = nullptr;
    int error = 0;
    {
        const std::lock_guard guard(lock_);
        error = remove(key, gone, gone_parent);
        if (error == 0)
            refresh(key.words.data(), key.prefix);
    }
    for (Node* node : {gone, gone_parent})
        if (node != nullptr)
            retire(node, [](void* dead) noexcept { drop_node(static_cast<Node*>(dead)); });
    return error;
}

int LpmTrie::remove(const Key& key, Node*& gone, Node*& gone_parent) noexcept {
    std::atomic<Node*>* slot = &root_;
    std::atomic<Node*>* parent_slot = nullptr;
    Node* parent = nullptr;
    Node* node = nullptr;
    std::uint32_t match = 0;
    while ((node = slot->load(kOwn)) != nullptr) {
        match = common(node->words, key.words.data(), std::min(node->prefix, key.prefix));
        if (node->prefix != match || node->prefix == key.prefix)
            break;
        parent = node;
        parent_slot = slot;
        slot = &node->child[bit(key.words.data(), node->prefix) ? 1 : 0];
    }
    if (node == nullptr || node->prefix != key.prefix || node->prefix != match ||
        node->branch.load(kOwn))
        return -ENOENT;
    entries_--;
    Node* left = node->child[0].load(kOwn);
    Node* right = node->child[1].load(kOwn);
    if (left != nullptr && right != nullptr) {
        node->branch.store(true, kPublish);
        return 0;
    }
    gone = node;
    if (parent != nullptr && parent->branch.load(kOwn) && left == nullptr && right == nullptr) {
        // A branch with one child has no use: the sibling takes its place.
        const int side = slot == parent->child ? 1 : 0;
        parent_slot->store(parent->child[side].load(kOwn), kPublish);
        gone_parent = parent;
        return 0;
    }
    slot->store(left != nullptr ? left : right, kPublish);
    return 0;
}

const LpmTrie::Node* LpmTrie::leftmost(const Node* node) noexcept {
    for (;;) {
        const Node* left = node->child[0].load(kOwn);
        const Node* next = left != nullptr ? left : node->child[1].load(kOwn);
        if (next == nullptr)
            return node; // A node without children has a value.
        node = next;
    }
}

const LpmTrie::Node* LpmTrie::successor(const Key& key) const noexcept {
    std::vector<const Node*> path;
    const Node* root = root_.load(kOwn);
    SKEP_CHECK(root != nullptr); // do_next_key() has returned for an empty trie.
    const Node* node = root;
    std::uint32_t match = 0;
    while (node != nullptr) {
        path.push_back(node);
        match = common(node->words, key.words.data(), std::min(node->prefix, key.prefix));
        if (node->prefix != match || node->prefix == key.prefix)
            break;
        node = node->child[bit(key.words.data(), node->prefix) ? 1 : 0].load(kOwn);
    }
    if (node == nullptr || node->prefix != match || node->branch.load(kOwn))
        return leftmost(root); // As in the kernel, a key that is not there starts again.
    for (std::size_t depth = path.size() - 1; depth > 0; depth--) { // Children before parents.
        const Node* parent = path[depth - 1];
        const Node* right = parent->child[1].load(kOwn);
        if (parent->child[0].load(kOwn) == path[depth] && right != nullptr)
            return leftmost(right);
        if (!parent->branch.load(kOwn))
            return parent;
    }
    return nullptr;
}

int LpmTrie::do_next_key(const std::byte* raw, std::byte* next) noexcept {
    const std::lock_guard guard(lock_);
    if (root_.load(kOwn) == nullptr)
        return -ENOENT;
    Key key;
    key.prefix = UINT32_MAX;
    if (raw != nullptr)
        parse(raw, key);
    const Node* result = key.prefix > max_prefix_ ? leftmost(root_.load(kOwn)) : successor(key);
    if (result == nullptr)
        return -ENOENT;
    store(next, result->prefix);
    for (std::uint32_t at = 0; at < data_size_; at += 8) {
        const std::uint64_t word = to_big(result->words[at / 8]);
        std::memcpy(next + 4 + at, &word, std::min<std::size_t>(8, data_size_ - at));
    }
    return 0;
}

void LpmTrie::build_table() noexcept {
    if (data_size_ * 8 < kTableBits)
        return;
    auto area = Area::create(sizeof(Slot) << kTableBits);
    if (!area)
        return; // Lookups start at the root then.
    table_area_ = *std::move(area);
    fill(root_.load(kOwn), nullptr, 0, 1U << kTableBits, 0, 1U << kTableBits);
    table_.store(reinterpret_cast<Slot*>(table_area_.data()), kPublish);
}

void LpmTrie::refresh(const std::uint64_t* words, std::uint32_t prefix) noexcept {
    if (table_.load(kOwn) == nullptr)
        return;
    const auto index = static_cast<std::uint32_t>(words[0] >> (64 - kTableBits));
    const std::uint32_t span = prefix >= kTableBits ? 1 : 1U << (kTableBits - prefix);
    const std::uint32_t low = index & ~(span - 1);
    fill(root_.load(kOwn), nullptr, 0, 1U << kTableBits, low, low + span);
}

void LpmTrie::set_slots(std::uint32_t from, std::uint32_t to, Node* start, Node* found) noexcept {
    auto* table = reinterpret_cast<Slot*>(table_area_.data()); // Not yet public in build_table().
    for (std::uint32_t s = from; s < to; s++) {
        table[s].found.store(found, kPublish);
        table[s].start.store(start, kPublish);
    }
}

void LpmTrie::fill(Node* node, Node* found, std::uint32_t first, std::uint32_t count,
                   std::uint32_t low, std::uint32_t high) noexcept {
    const std::uint32_t from = std::max(first, low);
    const std::uint32_t to = std::min(first + count, high);
    if (from >= to)
        return;
    if (node == nullptr) {
        set_slots(from, to, nullptr, found);
        return;
    }
    const auto index = static_cast<std::uint32_t>(node->words[0] >> (64 - kTableBits));
    const std::uint32_t span = node->prefix >= kTableBits ? 1 : 1U << (kTableBits - node->prefix);
    const std::uint32_t mine = index & ~(span - 1);
    set_slots(from, std::clamp(mine, from, to), nullptr, found);
    set_slots(std::clamp(mine + span, from, to), to, nullptr, found);
    if (node->prefix >= kTableBits) {
        if (from <= mine && mine < to)
            set_slots(mine, mine + 1, node, found);
        return;
    }
    Node* best = node->branch.load(kOwn) ? found : node;
    const std::uint32_t half = span / 2;
    fill(node->child[0].load(kOwn), best, mine, half, low, high);
    fill(node->child[1].load(kOwn), best, mine + half, half, low, high);
}

Made make_lpm_trie(const spec::MapDef& def, const CreateOptions& options) {
    return std::make_shared<LpmTrie>(def, options);
}

} // namespace skep::maps
