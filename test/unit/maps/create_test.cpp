// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <linux/bpf.h>

#include "maps_support.hpp"

namespace skep::maps::test {
namespace {

using spec::MapKind;

spec::MapDef def(MapKind kind, U32 key, U32 value, U32 entries, U32 flags = 0) {
    return {.name = "m",
            .kind = kind,
            .key_size = key,
            .value_size = value,
            .max_entries = entries,
            .flags = flags};
}

TEST(create, says_what_is_wrong_and_what_was_expected) {
    EXPECT_EQ(refusal(def(MapKind::Hash, 4, 8, 0)),
              "map \"m\" (hash): max_entries is 0, expected at least 1");
    EXPECT_EQ(refusal(def(MapKind::Array, 8, 8, 1)),
              "map \"m\" (array): key_size is 8, expected 4");
    EXPECT_EQ(refusal(def(MapKind::Array, 4, 0, 1)),
              "map \"m\" (array): value_size is 0, expected at least 1");
    EXPECT_EQ(refusal(def(MapKind::LpmTrie, 8, 8, 1)),
              "map \"m\" (lpm_trie): BPF_F_NO_PREALLOC is missing, this kind needs it");
    EXPECT_EQ(refusal(def(MapKind::LpmTrie, 4, 8, 1, BPF_F_NO_PREALLOC)),
              "map \"m\" (lpm_trie): key_size is 4, expected 5..260 "
              "(a prefix length and up to 256 bytes)");
    EXPECT_EQ(refusal(def(MapKind::Ringbuf, 0, 0, 5000)),
              "map \"m\" (ringbuf): max_entries is 5000, expected a power of two and a multiple of "
              "the page size, 4096");
    EXPECT_EQ(refusal(def(MapKind::LruHash, 4, 8, 1, BPF_F_NO_PREALLOC)),
              "map \"m\" (lru_hash): BPF_F_NO_PREALLOC does not go with LRU kinds");
    EXPECT_EQ(refusal(def(MapKind::Queue, 0, 8, 1, BPF_F_MMAPABLE)),
              "map \"m\" (queue): map_flags contain 0x400, expected only 0x19c");
    EXPECT_EQ(refusal(def(MapKind::Unspec, 4, 4, 1)),
              "map \"m\" (unknown kind): map type 0 is not known, expected 1..33");
    EXPECT_EQ(refusal(def(MapKind::HashOfMaps, 4, 4, 1)),
              "map \"m\" (hash_of_maps): a map of maps needs the definition of the maps inside");
    EXPECT_EQ(refusal(def(MapKind::PercpuArray, 4, 40000, 1)),
              "map \"m\" (percpu_array): value_size is 40000, expected at most 32768");
}

TEST(create, map_of_a_terabyte_is_refused_before_it_is_allocated) {
    EXPECT_EQ(refusal(def(MapKind::Array, 4, 1U << 20, 1U << 20)),
              "map \"m\" (array): needs 1099511627776 bytes, limit is 4294967296");
    EXPECT_EQ(refusal(def(MapKind::Array, 4, 0x7fffffff, 0xffffffff)),
              "map \"m\" (array): needs 9223372034707292160 bytes, limit is 4294967296");
    EXPECT_EQ(refusal(def(MapKind::PercpuArray, 4, 32768, 0xffffffff), {.cpus = 8192}),
              "map \"m\" (percpu_array): needs 1152921504338411520 bytes, limit is 4294967296");
    const auto result = create(def(MapKind::Hash, 4, 1U << 20, 1U << 20));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::Limit);
}

TEST(create, limit_is_the_callers) {
    EXPECT_EQ(refusal(def(MapKind::Array, 4, 8, 100), {.max_bytes = 799}),
              "map \"m\" (array): needs 800 bytes, limit is 799");
    EXPECT_EQ(refusal(def(MapKind::Array, 4, 8, 100), {.max_bytes = 800}), "");
}

TEST(create, every_kind_can_be_made) {
    const auto inner = std::make_shared<const spec::MapDef>(def(MapKind::Array, 4, 4, 1));
    for (int number = 1; number <= 33; number++) {
        const auto kind = static_cast<MapKind>(number);
        auto wanted = def(kind, 4, 4, 8);
        wanted.inner = inner;
        wanted.key_type = wanted.value_type = 1;
        switch (kind) {
        case MapKind::LpmTrie:
            wanted = def(kind, 8, 4, 8, BPF_F_NO_PREALLOC);
            break;
        case MapKind::Queue:
        case MapKind::Stack:
        case MapKind::BloomFilter:
            wanted.key_size = 0;
            break;
        case MapKind::Ringbuf:
        case MapKind::UserRingbuf:
            wanted = def(kind, 0, 0, 8192);
            break;
        case MapKind::Arena:
            wanted = def(kind, 0, 0, 8, BPF_F_MMAPABLE);
            break;
        case MapKind::StackTrace:
            wanted.value_size = 80;
            break;
        case MapKind::StructOps:
            wanted.max_entries = 1;
            break;
        case MapKind::CgroupStorage:
        case MapKind::PercpuCgroupStorage:
            wanted = def(kind, 8, 4, 0);
            break;
        case MapKind::SkStorage:
        case MapKind::TaskStorage:
        case MapKind::InodeStorage:
        case MapKind::CgrpStorage:
            wanted.flags = BPF_F_NO_PREALLOC;
            wanted.max_entries = 0;
            break;
        default:
            break;
        }
        EXPECT_EQ(refusal(wanted, {.cpus = 2}), "") << "kind " << number;
    }
}

TEST(create, special_fields_must_lie_inside_the_value) {
    const CreateOptions outside{.fields = {{FieldKind::SpinLock, 8, 4}}};
    EXPECT_EQ(refusal(def(MapKind::Array, 4, 8, 1), outside),
              "map \"m\" (array): special fields of the value overlap or lie outside of it");
}

TEST(create, devmap_is_read_only_for_programs) {
    EXPECT_NE(make(def(MapKind::Devmap, 4, 4, 1))->def().flags & BPF_F_RDONLY_PROG, 0U);
}

} // namespace
} // namespace skep::maps::test
