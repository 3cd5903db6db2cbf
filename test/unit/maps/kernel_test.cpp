// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0

// The same operations on a map of ours and on the kernel's: the same error numbers, the same bytes.

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <linux/bpf.h>
#include <map>
#include <random>
#include <vector>

#include "kernel_bpf.hpp"
#include "maps_support.hpp"

namespace skep::maps::test {
namespace {

using spec::MapKind;
namespace kernel = skep::test::kernel;

constexpr int kOperations = 100'000;
constexpr U32 kNoPrealloc = BPF_F_NO_PREALLOC;

U64 seed_from_environment() {
    const char* text = std::getenv("SKEP_SEED");
    return text == nullptr ? std::random_device{}() : std::strtoull(text, nullptr, 0);
}

kernel::MapAttr attr_of(const spec::MapDef& def, int inner_fd = -1) {
    return {.type = static_cast<U32>(def.kind),
            .key_size = def.key_size,
            .value_size = def.value_size,
            .max_entries = def.max_entries,
            .flags = def.flags,
            .inner_map_fd = inner_fd,
            .numa_node = def.numa_node,
            .extra = def.extra};
}

struct KernelMaps : testing::Test {
    void SetUp() override {
        std::string why;
        if (!kernel::available(&why))
            GTEST_SKIP() << why;
    }
    U64 seed = seed_from_environment();
    std::mt19937_64 random{seed};
    U64 below(U64 limit) { return random() % limit; }
};

/// One map on both sides, and buffers that are large enough for a key and a value.
class Pair {
public:
    explicit Pair(const spec::MapDef& def)
        : map(make(def, {.cpus = kernel::possible_cpus()})), fd(kernel::map_create(attr_of(def))),
          key(std::max(def.key_size, 8U)), ours(map->user_value_size() + 8),
          theirs(map->user_value_size() + 8) {}

    [[nodiscard]] const std::byte* key_or_null() const {
        return map->def().key_size == 0 ? nullptr : key.data();
    }

    std::shared_ptr<Map> map;
    Fd fd;
    std::vector<std::byte> key;
    std::vector<std::byte> ours;
    std::vector<std::byte> theirs;
};

struct Plan {
    spec::MapDef def;
    U64 keys = 64;           ///< distinct keys that are tried
    bool ordered = false;    ///< both sides iterate in the same order
    bool lossy_read = false; ///< reading takes the value to look for (bloom filter)
};

class Walk : public KernelMaps {
protected:
    void random_key(const Plan& plan, std::vector<std::byte>& key) {
        std::ranges::fill(key, std::byte{0});
        U64 number = below(plan.keys);
        if (plan.def.kind == MapKind::LpmTrie) {
            const U32 bits = (plan.def.key_size - 4) * 8;
            store(key.data(), static_cast<U32>(below(16) == 0 ? below(bits + 3) : below(bits + 1)));
            // Few distinct bytes make prefixes that contain each other.
            for (U32 at = 4; at < plan.def.key_size; at++)
                key[at] = static_cast<std::byte>(below(4) * 0x41);
            return;
        }
        if (below(50) == 0)
            number = random();
        std::memcpy(key.data(), &number, std::min<std::size_t>(8, key.size()));
        for (U32 at = 8; at < plan.def.key_size; at++)
            key[at] = static_cast<std::byte>(number * at);
    }
    void random_value(const Plan& plan, std::vector<std::byte>& value) {
        for (auto& byte : value)
            byte = static_cast<std::byte>(plan.lossy_read ? below(3) : random());
    }
    U64 random_flags() {
        static constexpr U64 kFlags[] = {0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 8, U64{1} << 40};
        return kFlags[below(std::size(kFlags))];
    }

    void step(const Plan& plan, Pair& both) {
        random_key(plan, both.key);
        const U64 flags = random_flags();
        const std::byte* key = both.key_or_null();
        Map& map = *both.map;
        switch (below(10)) {
        case 0:
        case 1:
        case 2:
        case 3:
            random_value(plan, both.ours);
            ASSERT_EQ(map.write(key, both.ours.data(), flags),
                      kernel::map_update(both.fd.get(), key, both.ours.data(), flags))
                << "update with flags " << flags;
            break;
        case 4:
        case 5:
        case 6:
            random_value(plan, both.ours);
            both.theirs = both.ours;
            ASSERT_EQ(map.read(key, both.ours.data(), flags & 5),
                      kernel::map_lookup(both.fd.get(), key, both.theirs.data(), flags & 5))
                << "lookup";
            ASSERT_EQ(both.ours, both.theirs);
            break;
        case 7:
            ASSERT_EQ(map.remove(key), kernel::map_delete(both.fd.get(), key)) << "delete";
            break;
        case 8:
            both.theirs = both.ours;
            ASSERT_EQ(
                map.take(key, both.ours.data(), flags & 5),
                kernel::map_lookup_and_delete(both.fd.get(), key, both.theirs.data(), flags & 5))
                << "lookup and delete with flags " << (flags & 5);
            ASSERT_EQ(both.ours, both.theirs);
            break;
        default:
            next(plan, both, below(5) == 0 ? nullptr : key);
        }
    }

    void next(const Plan& plan, Pair& both, const std::byte* key) {
        std::vector<std::byte> mine(both.key.size());
        std::vector<std::byte> other(both.key.size());
        const int ours = both.map->next_key(key, mine.data());
        const int theirs = kernel::map_next_key(both.fd.get(), key, other.data());
        // Hash kinds: whether a key is the last one depends on the order.
        if (plan.ordered || key == nullptr) {
            ASSERT_EQ(ours, theirs) << "next key";
        }
        if (plan.ordered) {
            ASSERT_EQ(mine, other);
        }
    }

    /// The same elements, whatever their order.
    void compare_all(Pair& both) {
        std::map<std::vector<std::byte>, std::vector<std::byte>> mine;
        std::map<std::vector<std::byte>, std::vector<std::byte>> other;
        std::vector<std::byte> key(both.key.size());
        std::vector<std::byte> value(both.ours.size());
        for (bool first = true; both.map->next_key(first ? nullptr : key.data(), key.data()) == 0;
             first = false) {
            ASSERT_EQ(both.map->read(key.data(), value.data()), 0);
            ASSERT_TRUE(mine.emplace(key, value).second) << "a key was seen twice";
        }
        std::ranges::fill(key, std::byte{0});
        std::ranges::fill(value, std::byte{0});
        for (bool first = true;
             kernel::map_next_key(both.fd.get(), first ? nullptr : key.data(), key.data()) == 0;
             first = false) {
            ASSERT_EQ(kernel::map_lookup(both.fd.get(), key.data(), value.data()), 0);
            other.emplace(key, value);
        }
        ASSERT_EQ(mine.size(), other.size());
        for (auto& [k, v] : mine)
            v.resize(both.map->user_value_size());
        for (auto& [k, v] : other)
            v.resize(both.map->user_value_size());
        ASSERT_EQ(mine, other);
    }

    void run(const Plan& plan) {
        Pair both(plan.def);
        ASSERT_GE(both.fd.get(), 0) << "the kernel refuses the map: " << both.fd.get();
        SCOPED_TRACE("SKEP_SEED=" + std::to_string(seed));
        for (int i = 0; i < kOperations; i++) {
            step(plan, both);
            if (HasFatalFailure())
                FAIL() << "operation " << i;
            if (i % 10'000 == 9'999 && !plan.ordered) {
                compare_all(both);
                if (HasFatalFailure())
                    FAIL() << "after operation " << i;
            }
        }
    }

    static spec::MapDef def(MapKind kind, U32 key, U32 value, U32 entries, U32 flags = 0) {
        return {.name = "m",
                .kind = kind,
                .key_size = key,
                .value_size = value,
                .max_entries = entries,
                .flags = flags};
    }
};

TEST_F(Walk, array) {
    run({.def = def(MapKind::Array, 4, 12, 50), .ordered = true});
}
TEST_F(Walk, percpu_array) {
    run({.def = def(MapKind::PercpuArray, 4, 5, 50), .ordered = true});
}
TEST_F(Walk, hash_with_4_byte_keys) {
    run({.def = def(MapKind::Hash, 4, 8, 40)});
}
TEST_F(Walk, hash_with_8_byte_keys) {
    run({.def = def(MapKind::Hash, 8, 20, 64), .keys = 80});
}
TEST_F(Walk, hash_with_16_byte_keys) {
    run({.def = def(MapKind::Hash, 16, 3, 40)});
}
TEST_F(Walk, hash_with_odd_keys) {
    run({.def = def(MapKind::Hash, 7, 13, 1), .keys = 3});
}
TEST_F(Walk, hash_with_long_keys) {
    run({.def = def(MapKind::Hash, 61, 100, 1000), .keys = 2000});
}
TEST_F(Walk, hash_without_preallocation) {
    run({.def = def(MapKind::Hash, 4, 8, 40, kNoPrealloc)});
}
TEST_F(Walk, percpu_hash) {
    run({.def = def(MapKind::PercpuHash, 4, 12, 40)});
}
TEST_F(Walk, percpu_hash_without_preallocation) {
    run({.def = def(MapKind::PercpuHash, 8, 8, 40, kNoPrealloc)});
}
// Both evict only what does not fit; which element goes is not the same, so nothing may have to go.
TEST_F(Walk, lru_hash) {
    run({.def = def(MapKind::LruHash, 4, 8, 1000), .keys = 64});
}
TEST_F(Walk, lru_percpu_hash) {
    run({.def = def(MapKind::LruPercpuHash, 8, 8, 1000), .keys = 64});
}
TEST_F(Walk, lpm_trie_of_ipv4) {
    run({.def = def(MapKind::LpmTrie, 8, 8, 200, kNoPrealloc), .ordered = true});
}
TEST_F(Walk, small_lpm_trie) {
    run({.def = def(MapKind::LpmTrie, 8, 8, 20, kNoPrealloc), .ordered = true});
}
TEST_F(Walk, lpm_trie_of_ipv6) {
    run({.def = def(MapKind::LpmTrie, 20, 1, 300, kNoPrealloc), .ordered = true});
}
TEST_F(Walk, lpm_trie_with_odd_keys) {
    run({.def = def(MapKind::LpmTrie, 7, 3, 300, kNoPrealloc), .ordered = true});
}
TEST_F(Walk, lpm_trie_of_single_bytes) {
    run({.def = def(MapKind::LpmTrie, 5, 1, 30, kNoPrealloc), .ordered = true});
}
TEST_F(Walk, queue) {
    run({.def = def(MapKind::Queue, 0, 12, 5), .ordered = true});
}
TEST_F(Walk, stack) {
    run({.def = def(MapKind::Stack, 0, 12, 5), .ordered = true});
}
TEST_F(Walk, ring_buffer) {
    run({.def = def(MapKind::Ringbuf, 0, 0, 4096), .ordered = true});
}
TEST_F(Walk, user_ring_buffer) {
    run({.def = def(MapKind::UserRingbuf, 0, 0, 4096), .ordered = true});
}
TEST_F(Walk, cpumap_of_the_machine) {
    Plan plan{.def = def(MapKind::Cpumap, 4, 4, 8), .keys = 10, .ordered = true};
    Pair both(plan.def);
    ASSERT_GE(both.fd.get(), 0);
    // Entries start kernel threads: few of them, and nothing is redirected to them.
    for (U32 key = 0; key < 10; key++)
        for (const U32 size : {0U, 1U, 16384U, 16385U})
            for (const U64 flags : {0U, 1U, 2U, 3U}) {
                U32 mine = 0;
                U32 other = 0;
                EXPECT_EQ(both.map->write(bytes(key), bytes(size), flags),
                          kernel::map_update(both.fd.get(), &key, &size, flags));
                EXPECT_EQ(both.map->read(bytes(key), bytes(mine)),
                          kernel::map_lookup(both.fd.get(), &key, &other));
                EXPECT_EQ(mine, other);
            }
    for (U32 key = 0; key < 10; key++)
        EXPECT_EQ(both.map->remove(bytes(key)), kernel::map_delete(both.fd.get(), &key));
}

TEST_F(Walk, bloom_filter_has_no_false_negatives) {
    Pair both(def(MapKind::BloomFilter, 0, 8, 1000));
    ASSERT_GE(both.fd.get(), 0);
    U64 out = 0;
    EXPECT_EQ(both.map->remove(nullptr), kernel::map_delete(both.fd.get(), nullptr));
    EXPECT_EQ(both.map->next_key(nullptr, bytes(out)),
              kernel::map_next_key(both.fd.get(), nullptr, &out));
    EXPECT_EQ(both.map->take(nullptr, bytes(out)),
              kernel::map_lookup_and_delete(both.fd.get(), nullptr, &out));
    for (U64 i = 0; i < 1000; i++) {
        const U64 value = i * 2654435761;
        ASSERT_EQ(both.map->write(nullptr, bytes(value), i % 3),
                  kernel::map_update(both.fd.get(), nullptr, &value, i % 3));
        if (i % 3 == 0) {
            out = value;
            ASSERT_EQ(both.map->read(nullptr, bytes(out)), 0);
        }
    }
}

/// False if the kernel might really allocate much memory for such a map: that would have other
/// processes killed. (And 6.18 crashes when a per-CPU array of more than 2^31 elements fails.)
bool cheap_for_the_kernel(const spec::MapDef& def) {
    const U64 bytes = U64{def.max_entries} * (U64{def.value_size} + def.key_size + 64);
    if (bytes <= 128 << 10)
        return true;
    switch (def.kind) { // These look at max_entries before they allocate.
    case MapKind::Hash:
    case MapKind::LruHash:
    case MapKind::PercpuHash:
    case MapKind::LruPercpuHash:
    case MapKind::DevmapHash:
    case MapKind::StackTrace:
    case MapKind::Arena:
    case MapKind::Sockhash:
        return def.max_entries > 1U << 31;
    case MapKind::Cpumap:
        return def.max_entries > 1U << 20;
    case MapKind::LpmTrie: // Fills a pool of nodes, which costs time when they are large.
        return def.value_size < 1U << 12 || def.value_size > 4194024 || def.max_entries == 2;
    case MapKind::CgroupStorage:
    case MapKind::PercpuCgroupStorage:
        return true;
    case MapKind::Queue:
    case MapKind::Stack:
        return bytes >= U64{1} << 42; // More than any machine has: refused before it is tried.
    default:
        return def.max_entries <= 8192 && def.value_size == 0;
    }
}

/// Definitions around every limit: the kernel's answer and ours.
TEST_F(Walk, creation_has_the_kernels_error_numbers) {
    SCOPED_TRACE("SKEP_SEED=" + std::to_string(seed));
    static constexpr U32 kKeys[] = {0, 1, 3, 4, 4, 4, 5, 8, 16, 20, 260, 261, 512, 513, 1U << 20};
    static constexpr U32 kValues[] = {
        0,     1,     3,     4,     4,       8,       8,       16,      1016,       1024,
        32768, 32769, 65407, 65408, 4194024, 4194025, 4194304, 4194305, 0x7fffffff, 0xffffffff};
    static constexpr U32 kEntries[] = {0, 1, 1, 2, 7, 4096, 8192, 4095, 0xffffffff, 0x80000001};
    const Fd inner(
        kernel::map_create({.type = 2, .key_size = 4, .value_size = 4, .max_entries = 1}));
    int compared = 0;
    std::map<int, int> seen;
    for (int i = 0; i < 6'000; i++) {
        spec::MapDef random_def =
            def(static_cast<MapKind>(below(35)), kKeys[below(std::size(kKeys))],
                kValues[below(std::size(kValues))], kEntries[below(std::size(kEntries))]);
        if (below(2) == 0)
            random_def.flags = 1U << below(20);
        if (below(4) == 0)
            random_def.flags |= 1U << below(20);
        if (random_def.kind == MapKind::LpmTrie || random_def.kind == MapKind::Arena)
            random_def.flags |= random_def.kind == MapKind::LpmTrie ? 1U : 1U << 10;
        if (below(10) == 0)
            random_def.extra = U64{1} << below(40);
        random_def.flags &= ~(1U << 16); // BPF_F_TOKEN_FD: an attribute, not a flag of the map.
        if (!cheap_for_the_kernel(random_def))
            continue;
        if (random_def.kind == MapKind::StructOps)
            continue; // Needs a type of the kernel.
        random_def.inner = std::make_shared<const spec::MapDef>(def(MapKind::Array, 4, 4, 1));
        const int theirs = kernel::map_create(attr_of(random_def, inner.get()));
        const Fd fd(theirs);
        if (theirs == -ENOMEM)
            continue;
        // NR_CPUS is a matter of the kernel's configuration.
        if (random_def.kind == MapKind::Cpumap && theirs == -E2BIG && random_def.max_entries < 8192)
            continue;
        const int ours = check_def(random_def);
        ASSERT_EQ(ours, std::min(theirs, 0))
            << "kind " << static_cast<int>(random_def.kind) << " key " << random_def.key_size
            << " value " << random_def.value_size << " entries " << random_def.max_entries
            << " flags " << random_def.flags << " extra " << random_def.extra;
        compared++;
        seen[ours]++;
    }
    EXPECT_GT(compared, 1500);
    EXPECT_GT(seen[0], 50) << "too few maps were created for the comparison to mean much";
    EXPECT_GT(seen[-E2BIG], 20);
}

TEST_F(Walk, inner_maps_must_fit_the_template) {
    const auto inner_def = def(MapKind::Hash, 4, 8, 10);
    const Fd inner(kernel::map_create(attr_of(inner_def)));
    auto outer_def = def(MapKind::ArrayOfMaps, 4, 4, 2);
    outer_def.inner = std::make_shared<const spec::MapDef>(inner_def);
    const Fd outer(kernel::map_create(attr_of(outer_def, inner.get())));
    ASSERT_GE(outer.get(), 0);
    const spec::MapDef candidates[] = {def(MapKind::Hash, 4, 8, 10),
                                       def(MapKind::Hash, 4, 8, 99),
                                       def(MapKind::Hash, 8, 8, 10),
                                       def(MapKind::Hash, 4, 4, 10),
                                       def(MapKind::Hash, 4, 8, 10, kNoPrealloc),
                                       def(MapKind::LruHash, 4, 8, 10),
                                       def(MapKind::Array, 4, 8, 10),
                                       def(MapKind::Hash, 4, 8, 10, BPF_F_RDONLY)};
    for (const auto& candidate : candidates) {
        const Fd fd(kernel::map_create(attr_of(candidate)));
        const U32 key = 0;
        const int number = fd.get();
        const int theirs = kernel::map_update(outer.get(), &key, &number, 0);
        EXPECT_EQ(fits_template(inner_def, candidate) ? 0 : -EINVAL, theirs);
    }
}

} // namespace
} // namespace skep::maps::test
