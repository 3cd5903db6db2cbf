// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <linux/bpf.h>
#include <set>

#include "maps_support.hpp"

namespace skep::maps::test {
namespace {

using spec::MapKind;

spec::MapDef hash(U32 entries, MapKind kind = MapKind::Hash) {
    return {.name = "h", .kind = kind, .key_size = 4, .value_size = 8, .max_entries = entries};
}

U64 get(Map& map, U32 key) {
    const std::byte* value = map.lookup(bytes(key), 0);
    return value == nullptr ? 0 : load<U64>(value);
}
int put(Map& map, U32 key, U64 value, U64 flags = BPF_ANY) {
    return map.update(bytes(key), bytes(value), flags, 0);
}

TEST(hash, holds_exactly_max_entries) {
    for (const U32 entries : {1U, 2U, 3U, 64U, 1000U}) {
        const auto map = make(hash(entries));
        for (U32 key = 0; key < entries; key++)
            ASSERT_EQ(put(*map, key, key + 1), 0);
        EXPECT_EQ(put(*map, entries, 1), -E2BIG);
        EXPECT_EQ(put(*map, 0, 9), 0) << "a full map can still be changed";
        EXPECT_EQ(map->erase(bytes(entries)), -ENOENT);
        const U32 first = 0;
        EXPECT_EQ(map->erase(bytes(first)), 0);
        EXPECT_EQ(put(*map, entries, 1), 0);
    }
}

TEST(hash, a_pointer_from_before_a_replacement_keeps_the_old_value) {
    const auto map = make(hash(10));
    put(*map, 1, 100);
    const U32 key = 1;
    const std::byte* before = map->lookup(bytes(key), 0);
    put(*map, 1, 200);
    EXPECT_EQ(load<U64>(before), 100U);
    EXPECT_EQ(get(*map, 1), 200U);
}

TEST(hash, a_pointer_to_a_deleted_value_stays_readable) {
    const auto map = make(hash(10));
    put(*map, 1, 100);
    const U32 key = 1;
    const std::byte* before = map->lookup(bytes(key), 0);
    map->erase(bytes(key));
    put(*map, 2, 300);
    EXPECT_EQ(load<U64>(before), 100U);
}

TEST(hash, elements_are_recycled_for_ever) {
    const auto map = make(hash(3));
    for (U32 round = 0; round < 10'000; round++) {
        ASSERT_EQ(put(*map, round, round), 0);
        if (round >= 3) {
            const U32 old = round - 2;
            ASSERT_EQ(map->erase(bytes(old)), 0);
        } else if (round == 2) {
            const U32 old = 0;
            ASSERT_EQ(map->erase(bytes(old)), 0);
        }
        if (round == 2) {
            const U32 old = 1;
            ASSERT_EQ(map->erase(bytes(old)), 0);
            ASSERT_EQ(put(*map, 1, 1), 0);
        }
    }
}

TEST(hash, for_each_may_delete_what_it_sees) {
    const auto map = make(hash(100));
    for (U32 key = 0; key < 100; key++)
        put(*map, key, key);
    struct State {
        Map* map;
        std::set<U32> seen;
    } state{map.get(), {}};
    const auto visit = [](void* arg, const std::byte* key, std::byte* /*value*/) {
        auto& s = *static_cast<State*>(arg);
        const auto number = load<U32>(key);
        s.seen.insert(number);
        s.map->erase(bytes(number));
        return true;
    };
    EXPECT_EQ(map->for_each(visit, &state, 0), 100);
    EXPECT_EQ(state.seen.size(), 100U);
    U32 next = 0;
    EXPECT_EQ(map->next_key(nullptr, bytes(next)), -ENOENT);
}

TEST(percpu_hash, new_element_is_zero_on_other_cpus) {
    const auto map = make(hash(4, MapKind::PercpuHash), {.cpus = 2});
    const U32 key = 5;
    const U64 value = 9;
    const U64 both[2] = {1, 2};
    ASSERT_EQ(map->write(bytes(key), bytes(both), 0), 0);
    ASSERT_EQ(map->erase(bytes(key)), 0);
    for (U32 other = 0; other < 4; other++) // Whoever gets the element again must not see 1 or 2.
        ASSERT_EQ(map->update(bytes(other), bytes(value), 0, 1), 0);
    for (U32 other = 0; other < 4; other++) {
        EXPECT_EQ(load<U64>(map->lookup(bytes(other), 0)), 0U);
        EXPECT_EQ(load<U64>(map->lookup(bytes(other), 1)), 9U);
    }
}

TEST(lru_hash, forgets_to_make_room) {
    const auto map = make(hash(50, MapKind::LruHash));
    for (U32 key = 0; key < 5000; key++)
        ASSERT_EQ(put(*map, key, key + 1), 0);
    U32 there = 0;
    for (U32 key = 0; key < 5000; key++)
        there += get(*map, key) != 0 ? 1 : 0;
    EXPECT_EQ(there, 50U);
    EXPECT_NE(get(*map, 4999), 0U) << "the newest element is there";
}

TEST(lru_hash, keeps_what_is_looked_up) {
    const auto map = make(hash(100, MapKind::LruHash));
    for (U32 key = 0; key < 10; key++)
        put(*map, key, key + 1);
    U32 lost = 0;
    for (U32 key = 1000; key < 3000; key++) {
        put(*map, key, 1);
        for (U32 hot = 0; hot < 10; hot++)
            lost += get(*map, hot) == 0 ? 1 : 0;
    }
    EXPECT_EQ(lost, 0U);
}

TEST(lru_hash, reading_from_user_space_does_not_count_as_use) {
    const auto map = make(hash(8, MapKind::LruHash));
    for (U32 key = 0; key < 8; key++)
        put(*map, key, 1);
    const U32 read_key = 0;
    U64 out = 0;
    for (int i = 0; i < 3; i++)
        map->read(bytes(read_key), bytes(out));
    for (U32 used = 1; used < 8; used++)
        get(*map, used);
    put(*map, 100, 1);
    EXPECT_EQ(get(*map, 0), 0U) << "the only element that no program had used is gone";
}

TEST(lru_hash, separate_lists_round_the_size_up_to_the_cpus) {
    auto def = hash(5, MapKind::LruHash);
    def.flags = BPF_F_NO_COMMON_LRU;
    EXPECT_EQ(make(def, {.cpus = 4})->def().max_entries, 8U);
}

} // namespace
} // namespace skep::maps::test
