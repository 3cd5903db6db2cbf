// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <linux/bpf.h>
#include <vector>

#include "maps_support.hpp"

namespace skep::maps::test {
namespace {

using spec::MapKind;

spec::MapDef array(U32 entries, U32 value_size = 8) {
    return {.name = "a",
            .kind = MapKind::Array,
            .key_size = 4,
            .value_size = value_size,
            .max_entries = entries};
}

TEST(array, starts_zeroed) {
    const auto map = make(array(3));
    for (U32 key = 0; key < 3; key++)
        EXPECT_EQ(load<U64>(map->lookup(bytes(key), 0)), 0U);
}

TEST(array, key_past_the_end_is_not_found) {
    const auto map = make(array(3));
    const U32 key = 3;
    const U64 value = 7;
    U64 out = 0;
    EXPECT_EQ(map->lookup(bytes(key), 0), nullptr);
    EXPECT_EQ(map->read(bytes(key), bytes(out)), -ENOENT);
    EXPECT_EQ(map->update(bytes(key), bytes(value), BPF_ANY, 0), -E2BIG);
}

TEST(array, elements_cannot_be_added_or_deleted) {
    const auto map = make(array(3));
    const U32 key = 1;
    const U64 value = 7;
    EXPECT_EQ(map->update(bytes(key), bytes(value), BPF_NOEXIST, 0), -EEXIST);
    EXPECT_EQ(map->update(bytes(key), bytes(value), 4, 0), -EINVAL);
    EXPECT_EQ(map->erase(bytes(key)), -EINVAL);
}

TEST(array, values_lie_side_by_side) {
    const auto map = make(array(4, 12));
    EXPECT_EQ(map->direct_stride(), 16U);
    const U32 key = 3;
    EXPECT_EQ(map->lookup(bytes(key), 0), map->direct_values() + 48);
}

TEST(array, next_key_counts_up) {
    const auto map = make(array(2));
    U32 next = 9;
    EXPECT_EQ(map->next_key(nullptr, bytes(next)), 0);
    EXPECT_EQ(next, 0U);
    EXPECT_EQ(map->next_key(bytes(next), bytes(next)), 0);
    EXPECT_EQ(next, 1U);
    EXPECT_EQ(map->next_key(bytes(next), bytes(next)), -ENOENT);
    const U32 far = 100;
    EXPECT_EQ(map->next_key(bytes(far), bytes(next)), 0);
    EXPECT_EQ(next, 0U);
}

TEST(array, frozen_map_refuses_user_space_only) {
    const auto map = make(array(1));
    const U32 key = 0;
    const U64 value = 5;
    EXPECT_EQ(map->freeze(), 0);
    EXPECT_EQ(map->freeze(), -EBUSY);
    EXPECT_EQ(map->write(bytes(key), bytes(value), 0), -EPERM);
    EXPECT_EQ(map->update(bytes(key), bytes(value), 0, 0), 0);
}

TEST(array, access_flags_bind_user_space) {
    auto def = array(1);
    const U32 key = 0;
    U64 value = 5;
    def.flags = BPF_F_RDONLY;
    EXPECT_EQ(make(def)->write(bytes(key), bytes(value), 0), -EPERM);
    def.flags = BPF_F_WRONLY;
    EXPECT_EQ(make(def)->read(bytes(key), bytes(value)), -EPERM);
}

TEST(array, locked_update_spares_the_lock_word) {
    auto def = array(1, 16);
    CreateOptions options;
    options.fields = {{.kind = FieldKind::SpinLock, .offset = 0, .size = 4}};
    const auto map = make(def, options);
    const U32 key = 0;
    const U64 value[2] = {0x11111111'22222222, 42};
    EXPECT_EQ(map->write(bytes(key), bytes(value), BPF_F_LOCK), 0);
    std::byte* stored = map->lookup(bytes(key), 0);
    EXPECT_EQ(load<U32>(stored), 0U);
    EXPECT_EQ(load<U32>(stored + 4), 0x11111111U);
    map->lock_value(stored);
    U64 out[2] = {1, 1};
    EXPECT_EQ(map->read(bytes(key), bytes(out)), 0);
    EXPECT_EQ(out[0], 0x11111111'00000000U);
    EXPECT_EQ(out[1], 42U);
    map->unlock_value(stored);
}

TEST(array, lock_flag_without_lock_is_invalid) {
    const auto map = make(array(1));
    const U32 key = 0;
    U64 value = 1;
    EXPECT_EQ(map->write(bytes(key), bytes(value), BPF_F_LOCK), -EINVAL);
    EXPECT_EQ(map->read(bytes(key), bytes(value), BPF_F_LOCK), -EINVAL);
}

TEST(percpu_array, slots_are_separate) {
    auto def = array(2, 4);
    def.kind = MapKind::PercpuArray;
    const auto map = make(def, {.cpus = 3});
    const U32 key = 1;
    const U32 value = 77;
    EXPECT_EQ(map->update(bytes(key), bytes(value), 0, 2), 0);
    EXPECT_EQ(load<U32>(map->lookup(bytes(key), 0)), 0U);
    EXPECT_EQ(load<U32>(map->lookup(bytes(key), 2)), 77U);
    ASSERT_EQ(map->user_value_size(), 24U);
    U64 all[3] = {9, 9, 9};
    EXPECT_EQ(map->read(bytes(key), bytes(all)), 0);
    EXPECT_EQ(std::vector(all, all + 3), (std::vector<U64>{0, 0, 77}));
}

TEST(array, for_each_visits_in_order_until_told_to_stop) {
    const auto map = make(array(5));
    std::vector<U32> seen;
    const auto visit = [](void* arg, const std::byte* key, std::byte* value) {
        auto& list = *static_cast<std::vector<U32>*>(arg);
        list.push_back(load<U32>(key));
        store(value, U64{list.size()});
        return list.size() < 3;
    };
    EXPECT_EQ(map->for_each(visit, &seen, 0), 3);
    EXPECT_EQ(seen, (std::vector<U32>{0, 1, 2}));
    const U32 key = 2;
    EXPECT_EQ(load<U64>(map->lookup(bytes(key), 0)), 3U);
}

} // namespace
} // namespace skep::maps::test
