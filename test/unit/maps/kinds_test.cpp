// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cerrno>
#include <linux/bpf.h>
#include <random>
#include <vector>

#include "maps_support.hpp"
#include "skep/maps/epoch.hpp"
#include "skep/maps/slots.hpp"
#include "skep/maps/storage.hpp"

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

struct Prefix {
    U32 length;
    std::array<unsigned char, 4> address;
};

TEST(lpm_trie, longest_prefix_wins) {
    const auto map = make(def(MapKind::LpmTrie, 8, 4, 10, BPF_F_NO_PREALLOC));
    const auto add = [&](const Prefix& prefix, U32 value) {
        ASSERT_EQ(map->update(bytes(prefix), bytes(value), 0, 0), 0);
    };
    add({0, {0, 0, 0, 0}}, 1);
    add({8, {10, 0, 0, 0}}, 2);
    add({24, {10, 1, 2, 0}}, 3);
    add({32, {10, 1, 2, 3}}, 4);
    const auto find = [&](const Prefix& prefix) {
        const std::byte* value = map->lookup(bytes(prefix), 0);
        return value == nullptr ? 0 : load<U32>(value);
    };
    EXPECT_EQ(find({32, {10, 1, 2, 3}}), 4U);
    EXPECT_EQ(find({32, {10, 1, 2, 4}}), 3U);
    EXPECT_EQ(find({24, {10, 1, 2, 3}}), 3U);
    EXPECT_EQ(find({23, {10, 1, 2, 3}}), 2U);
    EXPECT_EQ(find({32, {10, 9, 9, 9}}), 2U);
    EXPECT_EQ(find({32, {11, 0, 0, 0}}), 1U);
    EXPECT_EQ(find({33, {10, 1, 2, 3}}), 0U);
}

/// The table by 16 bits must never disagree with a search through all prefixes.
TEST(lpm_trie, agrees_with_a_linear_search_while_it_changes) {
    const auto map = make(def(MapKind::LpmTrie, 8, 4, 500, BPF_F_NO_PREALLOC));
    std::mt19937 random(20);                   // NOLINT(cert-msc51-cpp): the same test every time
    std::vector<std::pair<U32, U32>> prefixes; // length, address
    const auto raw = [](U32 length, U32 address) {
        return std::array<U32, 2>{length, to_big(address)};
    };
    const auto mask = [](U32 length) { return length == 0 ? 0 : ~U32{0} << (32 - length); };
    const auto random_address = [&] { return static_cast<U32>(random() & 0x03030303); };
    for (int i = 0; i < 20'000; i++) {
        const U32 length = random() % 33;
        const U32 address = random_address() & mask(length);
        const std::pair<U32, U32> prefix{length, address};
        const auto at = std::find(prefixes.begin(), prefixes.end(), prefix);
        const U32 value = address ^ length;
        if (random() % 2 == 0 && prefixes.size() < 400) {
            ASSERT_EQ(map->update(bytes(raw(length, address)), bytes(value), 0, 0), 0);
            if (at == prefixes.end())
                prefixes.push_back(prefix);
        } else {
            ASSERT_EQ(map->erase(bytes(raw(length, address))), at == prefixes.end() ? -ENOENT : 0);
            if (at != prefixes.end())
                prefixes.erase(at);
        }
        const U32 wanted = random_address();
        const std::pair<U32, U32>* best = nullptr;
        for (const auto& known : prefixes)
            if ((wanted & mask(known.first)) == known.second &&
                (best == nullptr || known.first > best->first))
                best = &known;
        const EpochGuard guard;
        const std::byte* found = map->lookup(bytes(raw(32, wanted)), 0);
        ASSERT_EQ(found == nullptr, best == nullptr) << "operation " << i;
        if (best != nullptr) {
            ASSERT_EQ(load<U32>(found), best->second ^ best->first) << "operation " << i;
        }
    }
}

TEST(queue, is_first_in_first_out_and_can_drop_the_oldest) {
    const auto map = make(def(MapKind::Queue, 0, 4, 2));
    for (U32 value = 1; value <= 2; value++)
        EXPECT_EQ(map->push(bytes(value), BPF_ANY), 0);
    const U32 three = 3;
    EXPECT_EQ(map->push(bytes(three), BPF_ANY), -E2BIG);
    EXPECT_EQ(map->push(bytes(three), BPF_EXIST), 0);
    U32 out = 0;
    EXPECT_EQ(map->peek(bytes(out)), 0);
    EXPECT_EQ(out, 2U);
    EXPECT_EQ(map->pop(bytes(out)), 0);
    EXPECT_EQ(map->pop(bytes(out)), 0);
    EXPECT_EQ(out, 3U);
    EXPECT_EQ(map->pop(bytes(out)), -ENOENT);
    EXPECT_EQ(out, 0U) << "a failed pop zeroes the program's buffer";
}

TEST(bloom_filter, says_no_to_nearly_all_strangers) {
    const auto map = make(def(MapKind::BloomFilter, 0, 8, 1000));
    for (U64 value = 0; value < 1000; value++)
        map->push(bytes(value), 0);
    int wrong = 0;
    for (U64 value = 1000; value < 11'000; value++)
        wrong += map->peek(bytes(value)) == 0 ? 1 : 0;
    EXPECT_LT(wrong, 500) << "5 hash functions at 7 bits an entry: about 1 %";
}

TEST(map_of_maps, holds_maps_that_fit) {
    const auto inner_def = def(MapKind::Array, 4, 8, 3);
    for (const MapKind kind : {MapKind::ArrayOfMaps, MapKind::HashOfMaps}) {
        auto outer_def = def(kind, 4, 4, 2);
        outer_def.inner = std::make_shared<const spec::MapDef>(inner_def);
        const auto map = make(outer_def);
        MapOfMaps& outer = *MapOfMaps::from(*map);
        const auto inner = make(inner_def, {.id = 17});
        const U32 key = 1;
        EXPECT_EQ(map->lookup(bytes(key), 0), nullptr);
        EXPECT_EQ(outer.set_inner(bytes(key), make(def(MapKind::Array, 4, 8, 4)), 0), -EINVAL);
        EXPECT_EQ(outer.set_inner(bytes(key), inner, 0), 0);
        EXPECT_EQ(reinterpret_cast<Map*>(map->lookup(bytes(key), 0)), inner.get());
        EXPECT_EQ(outer.inner(bytes(key)), inner);
        U32 id = 0;
        EXPECT_EQ(map->read(bytes(key), bytes(id)), 0);
        EXPECT_EQ(id, 17U);
        EXPECT_EQ(map->write(bytes(key), bytes(id), 0), -EBADF);
        EXPECT_EQ(map->erase(bytes(key)), 0);
        EXPECT_EQ(map->erase(bytes(key)), -ENOENT);
        synchronize();
        EXPECT_EQ(inner.use_count(), 1) << "the reference of the outer map is gone";
    }
}

TEST(prog_array, remembers_program_and_name) {
    const auto map = make(def(MapKind::ProgArray, 4, 4, 2));
    ProgArrayMap& programs = *ProgArrayMap::from(*map);
    const auto program = std::make_shared<const int>(7);
    EXPECT_EQ(programs.set(2, program, "x"), -E2BIG);
    EXPECT_EQ(programs.set(1, program, "second"), 0);
    EXPECT_EQ(programs.get(1), program.get());
    EXPECT_EQ(programs.name_of(1), "second");
    EXPECT_EQ(programs.get(0), nullptr);
    EXPECT_EQ(programs.get(9), nullptr);
    const U32 key = 1;
    EXPECT_EQ(map->erase(bytes(key)), 0);
    EXPECT_EQ(programs.get(1), nullptr);
}

TEST(perf_event_array, delivers_to_the_slot_that_the_flags_name) {
    const auto map = make(def(MapKind::PerfEventArray, 4, 4, 2));
    PerfEventArrayMap& perf = *PerfEventArrayMap::from(*map);
    std::vector<std::pair<U32, std::size_t>> got;
    perf.set_sink(1, [&](U32 slot, std::span<const std::byte> record) {
        got.emplace_back(slot, record.size());
    });
    const std::array<std::byte, 24> record{};
    EXPECT_EQ(perf.output(BPF_F_CURRENT_CPU, 1, record), 0);
    EXPECT_EQ(perf.output(1, 0, std::span(record).first(5)), 0);
    EXPECT_EQ(perf.output(0, 0, record), -ENOENT);
    EXPECT_EQ(perf.output(2, 0, record), -E2BIG);
    EXPECT_EQ(perf.output(U64{1} << 33, 0, record), -EINVAL);
    EXPECT_EQ(got, (std::vector<std::pair<U32, std::size_t>>{{1, 24}, {1, 5}}));
}

TEST(devmap, stores_targets) {
    const auto map = make(def(MapKind::Devmap, 4, 8, 4));
    TargetMap& devices = *TargetMap::from(*map);
    const U32 key = 2;
    U64 value = 3 | U64{9} << 32;
    U64 out = 0;
    EXPECT_FALSE(devices.target(bytes(key), out));
    EXPECT_EQ(map->write(bytes(key), bytes(value), BPF_NOEXIST), -EEXIST);
    EXPECT_EQ(map->write(bytes(key), bytes(value), 0), 0);
    EXPECT_TRUE(devices.target(bytes(key), out));
    EXPECT_EQ(out, value);
    value = 0;
    EXPECT_EQ(map->write(bytes(key), bytes(value), 0), 0) << "ifindex 0 empties the entry";
    EXPECT_EQ(map->lookup(bytes(key), 0), nullptr);
    EXPECT_EQ(map->remove(bytes(key)), 0);
}

TEST(xskmap, honours_existence_flags) {
    const auto map = make(def(MapKind::Xskmap, 4, 4, 4));
    const U32 key = 1;
    U32 value = 5;
    EXPECT_EQ(map->write(bytes(key), bytes(value), BPF_EXIST), -ENOENT);
    EXPECT_EQ(map->write(bytes(key), bytes(value), BPF_NOEXIST), 0);
    EXPECT_EQ(map->write(bytes(key), bytes(value), BPF_NOEXIST), -EEXIST);
    EXPECT_NE(map->lookup(bytes(key), 0), nullptr);
    EXPECT_EQ(map->read(bytes(key), bytes(value)), -EOPNOTSUPP);
}

TEST(sockhash, keys_have_any_size) {
    const auto map = make(def(MapKind::Sockhash, 12, 8, 4));
    const std::array<U32, 3> key{1, 2, 3};
    const U64 socket = 44;
    EXPECT_EQ(map->write(bytes(key), bytes(socket), 0), 0);
    U64 out = 0;
    EXPECT_TRUE(TargetMap::from(*map)->target(bytes(key), out));
    EXPECT_EQ(out, 44U);
    EXPECT_EQ(map->remove(bytes(key)), 0);
    EXPECT_EQ(map->remove(bytes(key)), -ENOENT);
}

TEST(storage, is_made_on_demand_and_forgotten) {
    auto wanted = def(MapKind::TaskStorage, 4, 8, 0, BPF_F_NO_PREALLOC);
    wanted.key_type = wanted.value_type = 1;
    const auto map = make(wanted, {.storage_objects = 2});
    StorageMap& storage = *StorageMap::from(*map);
    const U64 init = 5;
    EXPECT_EQ(storage.get(77, false, nullptr, 0), nullptr);
    EXPECT_EQ(load<U64>(storage.get(77, true, bytes(init), 0)), 5U);
    EXPECT_EQ(load<U64>(storage.get(78, true, nullptr, 0)), 0U);
    EXPECT_EQ(storage.get(79, true, nullptr, 0), nullptr) << "storage_objects are in use";
    EXPECT_EQ(storage.drop(77), 0);
    EXPECT_EQ(storage.drop(77), -ENOENT);
    EXPECT_EQ(load<U64>(storage.get(79, true, nullptr, 0)), 0U);
}

TEST(storage, per_cpu_slots_are_separate) {
    const auto map = make(def(MapKind::PercpuCgroupStorage, 8, 8, 0), {.cpus = 2});
    StorageMap& storage = *StorageMap::from(*map);
    store(storage.get(1, true, nullptr, 1), U64{6});
    EXPECT_EQ(load<U64>(storage.get(1, false, nullptr, 0)), 0U);
    const U64 key = 1;
    U64 all[2] = {};
    EXPECT_EQ(map->read(bytes(key), bytes(all)), 0);
    EXPECT_EQ(all[1], 6U);
}

TEST(stack_trace, same_stack_has_the_same_id) {
    const auto map = make(def(MapKind::StackTrace, 4, 24, 16));
    StackTraceMap& stacks = *StackTraceMap::from(*map);
    const std::array<U64, 2> frames{11, 22};
    const int id = stacks.record(frames, 0);
    ASSERT_GE(id, 0);
    EXPECT_EQ(stacks.record(frames, 0), id);
    EXPECT_EQ(stacks.record({}, 0), -EFAULT);
    EXPECT_EQ(stacks.record(frames, 1), -EINVAL);
    std::array<U64, 3> out{};
    EXPECT_EQ(map->read(bytes(id), bytes(out)), 0);
    EXPECT_EQ(out, (std::array<U64, 3>{11, 22, 0}));
    U32 next = 0;
    EXPECT_EQ(map->next_key(nullptr, bytes(next)), 0);
    EXPECT_EQ(next, static_cast<U32>(id));
    EXPECT_EQ(map->remove(bytes(id)), 0);
    EXPECT_EQ(map->read(bytes(id), bytes(out)), -ENOENT);
}

TEST(stack_trace, collision_is_refused_or_replaces) {
    const auto map = make(def(MapKind::StackTrace, 4, 8, 1));
    StackTraceMap& stacks = *StackTraceMap::from(*map);
    const std::array<U64, 1> one{1};
    const std::array<U64, 1> two{2};
    ASSERT_EQ(stacks.record(one, 0), 0);
    EXPECT_EQ(stacks.record(two, 0), -EEXIST);
    EXPECT_EQ(stacks.record(two, BPF_F_REUSE_STACKID), 0);
}

TEST(arena, pages_are_zeroed_each_time) {
    const auto map = make(def(MapKind::Arena, 0, 0, 4, BPF_F_MMAPABLE));
    ArenaMap& arena = *ArenaMap::from(*map);
    std::byte* pages = arena.alloc_pages(nullptr, 3);
    ASSERT_EQ(pages, arena.base());
    EXPECT_EQ(arena.alloc_pages(nullptr, 2), nullptr);
    EXPECT_EQ(arena.alloc_pages(arena.base() + 4096, 1), nullptr) << "that page is taken";
    pages[4096] = std::byte{7};
    arena.free_pages(pages + 4096, 1);
    EXPECT_EQ(arena.alloc_pages(nullptr, 1), pages + 4096);
    EXPECT_EQ(pages[4096], std::byte{0});
}

} // namespace
} // namespace skep::maps::test
