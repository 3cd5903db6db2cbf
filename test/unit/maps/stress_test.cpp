// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0

// Every kind under concurrent readers, writers, deleters and walkers. The assertions are about
// values that must never be seen; ThreadSanitizer watches the rest.

#include <atomic>
#include <cerrno>
#include <functional>
#include <linux/bpf.h>
#include <thread>
#include <vector>

#include "maps_support.hpp"
#include "skep/maps/epoch.hpp"
#include "skep/maps/ringbuf.hpp"
#include "skep/maps/slots.hpp"
#include "skep/maps/storage.hpp"

namespace skep::maps::test {
namespace {

using spec::MapKind;

constexpr int kRounds = 20'000;
constexpr U64 kMark = 0x5a5a5a5a00000000; ///< every value is kMark + key

void in_parallel(const std::vector<std::function<void()>>& jobs) {
    std::vector<std::thread> threads;
    threads.reserve(jobs.size());
    for (const auto& job : jobs)
        threads.emplace_back(job);
    for (auto& thread : threads)
        thread.join();
}

U64 read_word(const std::byte* value) {
    return __atomic_load_n(reinterpret_cast<const U64*>(value), __ATOMIC_RELAXED);
}

/// A key of the map's size whose first 4 bytes are `number`.
struct KeyBuffer {
    std::byte data[32] = {};
    explicit KeyBuffer(const Map& map, U32 number) {
        if (map.def().kind == MapKind::LpmTrie) {
            store(data, U32{32});
            store(data + 4, number);
        } else {
            store(data, number);
        }
    }
};

bool plausible(U64 value, U32 keys) {
    return value == 0 || (value >= kMark && value < kMark + keys);
}

void hammer(const spec::MapDef& def, U32 keys) {
    const auto map = make(def, {.cpus = 4});
    std::atomic<int> wrong{0};
    const auto writer = [&](U32 cpu) {
        for (int i = 0; i < kRounds; i++) {
            const U32 number = static_cast<U32>(i * 7 + cpu) % keys;
            const EpochGuard guard;
            std::vector<std::byte> value(std::max<std::size_t>(map->def().value_size, 8));
            store(value.data(), kMark + number);
            map->update(KeyBuffer(*map, number).data, value.data(), BPF_ANY, cpu);
            if (i % 3 == 0)
                map->erase(KeyBuffer(*map, (number + 1) % keys).data);
        }
    };
    const auto reader = [&] {
        for (int i = 0; i < kRounds; i++) {
            const U32 number = static_cast<U32>(i) % keys;
            const EpochGuard guard;
            const std::byte* found = map->lookup(KeyBuffer(*map, number).data, 0);
            if (found != nullptr && !plausible(read_word(found), keys))
                wrong++;
        }
    };
    const auto walker = [&] {
        std::byte key[32];
        std::vector<std::byte> value(map->user_value_size());
        for (int round = 0; round < kRounds / 200; round++) {
            const EpochGuard guard;
            map->for_each(
                [](void* arg, const std::byte* /*key*/, std::byte* found) {
                    if (!plausible(read_word(found), 1U << 20))
                        ++*static_cast<std::atomic<int>*>(arg);
                    return true;
                },
                &wrong, 0);
            int steps = 0;
            for (bool first = true; steps < 500 && map->next_key(first ? nullptr : key, key) == 0;
                 first = false, steps++)
                map->read(key, value.data());
        }
    };
    in_parallel({[&] { writer(0); }, [&] { writer(1); }, reader, walker});
    EXPECT_EQ(wrong, 0);
}

spec::MapDef def(MapKind kind, U32 key, U32 value, U32 entries, U32 flags = 0) {
    return {.name = "m",
            .kind = kind,
            .key_size = key,
            .value_size = value,
            .max_entries = entries,
            .flags = flags};
}

TEST(stress, array) {
    hammer(def(MapKind::Array, 4, 8, 64), 64);
}
TEST(stress, percpu_array) {
    hammer(def(MapKind::PercpuArray, 4, 8, 64), 64);
}
TEST(stress, hash) {
    hammer(def(MapKind::Hash, 4, 8, 64), 64);
}
TEST(stress, full_hash_with_long_keys) {
    hammer(def(MapKind::Hash, 20, 16, 30), 64);
}
TEST(stress, percpu_hash) {
    hammer(def(MapKind::PercpuHash, 8, 8, 64), 64);
}
TEST(stress, lru_hash_that_evicts) {
    hammer(def(MapKind::LruHash, 4, 8, 20), 64);
}
TEST(stress, lru_percpu_hash_that_evicts) {
    hammer(def(MapKind::LruPercpuHash, 8, 8, 20), 64);
}
TEST(stress, lpm_trie) {
    hammer(def(MapKind::LpmTrie, 8, 8, 100, BPF_F_NO_PREALLOC), 64);
}
TEST(stress, devmap_hash) {
    hammer(def(MapKind::DevmapHash, 4, 8, 64), 64);
}
TEST(stress, devmap) {
    hammer(def(MapKind::Devmap, 4, 8, 64), 64);
}

TEST(stress, nothing_is_lost_in_a_hash_of_disjoint_writers) {
    const auto map = make(def(MapKind::Hash, 4, 8, 4000));
    const auto writer = [&](U32 base) {
        for (int round = 0; round < 4; round++)
            for (U32 i = 0; i < 1000; i++) {
                const U32 key = base + i;
                const U64 value = kMark + key;
                ASSERT_EQ(map->update(bytes(key), bytes(value), BPF_ANY, 0), 0);
                if (round < 3) {
                    ASSERT_EQ(map->erase(bytes(key)), 0);
                }
            }
    };
    in_parallel(
        {[&] { writer(0); }, [&] { writer(1000); }, [&] { writer(2000); }, [&] { writer(3000); }});
    for (U32 key = 0; key < 4000; key++) {
        const std::byte* found = map->lookup(bytes(key), 0);
        ASSERT_NE(found, nullptr) << key;
        EXPECT_EQ(load<U64>(found), kMark + key);
    }
}

TEST(stress, a_key_that_is_only_replaced_is_always_found) {
    const auto map = make(def(MapKind::Hash, 8, 8, 4));
    const U64 key = 7;
    ASSERT_EQ(map->update(bytes(key), bytes(key), BPF_ANY, 0), 0);
    std::atomic<bool> stop{false};
    std::atomic<int> missing{0};
    in_parallel({[&] {
                     for (U64 i = 0; i < kRounds; i++) {
                         map->update(bytes(key), bytes(i), BPF_EXIST, 0);
                         const U64 other = 100 + i % 3; // Traffic in the same few buckets.
                         map->update(bytes(other), bytes(i), BPF_ANY, 0);
                         map->erase(bytes(other));
                     }
                     stop = true;
                 },
                 [&] {
                     while (!stop)
                         if (map->lookup(bytes(key), 0) == nullptr)
                             missing++;
                 }});
    EXPECT_EQ(missing, 0);
}

TEST(stress, queue_hands_every_value_over_once) {
    const auto map = make(def(MapKind::Queue, 0, 8, 16));
    std::atomic<U64> sum{0};
    std::atomic<int> left{2 * kRounds};
    const auto producer = [&](U64 base) {
        for (U64 i = 1; i <= kRounds; i++)
            while (map->push(bytes(base), BPF_ANY) != 0)
                std::this_thread::yield();
    };
    const auto consumer = [&] {
        U64 value = 0;
        while (left > 0)
            if (map->pop(bytes(value)) == 0) {
                sum += value;
                left--;
            } else {
                std::this_thread::yield();
            }
    };
    in_parallel({[&] { producer(1); }, [&] { producer(2); }, consumer, consumer});
    EXPECT_EQ(sum, U64{3} * kRounds);
}

TEST(stress, bloom_filter_never_forgets) {
    const auto map = make(def(MapKind::BloomFilter, 0, 8, 4000));
    std::atomic<int> forgotten{0};
    const auto work = [&](U64 base) {
        for (U64 i = 0; i < 1000; i++) {
            U64 value = base + i;
            map->push(bytes(value), BPF_ANY);
            if (map->peek(bytes(value)) != 0)
                forgotten++;
        }
    };
    in_parallel({[&] { work(0); }, [&] { work(1000); }, [&] { work(2000); }});
    EXPECT_EQ(forgotten, 0);
}

TEST(stress, ring_buffer_keeps_the_order_of_each_producer) {
    const auto map = make(def(MapKind::Ringbuf, 0, 0, 4096));
    RingbufMap& ring = *RingbufMap::from(*map);
    auto reader = RingbufReader::open(*map);
    ASSERT_TRUE(reader) << reader.error().to_string();
    struct Seen {
        U64 next[3] = {};
        U64 records = 0;
        int wrong = 0;
    } seen;
    constexpr U64 kRecords = 5'000;
    const auto producer = [&](U64 id) {
        for (U64 i = 0; i < kRecords; i++) {
            std::byte* room = nullptr;
            while ((room = ring.reserve(16 + i % 40)) == nullptr)
                std::this_thread::yield();
            if (i % 7 == 6) { // A record that never was: the next one has the same number.
                RingbufMap::discard(room, 0);
                while ((room = ring.reserve(16)) == nullptr)
                    std::this_thread::yield();
            }
            store(room, id);
            store(room + 8, i);
            RingbufMap::submit(room, 0);
        }
    };
    const auto take = [](void* arg, std::span<const std::byte> record) {
        auto& state = *static_cast<Seen*>(arg);
        const auto id = load<U64>(record.data());
        if (id >= 3 || load<U64>(record.data() + 8) != state.next[id]++)
            state.wrong++;
        state.records++;
        return true;
    };
    in_parallel({[&] { producer(0); }, [&] { producer(1); }, [&] { producer(2); },
                 [&] {
                     while (seen.records < 3 * kRecords) {
                         reader->consume(take, &seen);
                         reader->wait(1);
                     }
                 }});
    EXPECT_EQ(seen.wrong, 0);
    EXPECT_EQ(ring.query(BPF_RB_AVAIL_DATA), 0U);
}

TEST(stress, replaced_inner_maps_live_until_readers_leave) {
    const auto inner_def = def(MapKind::Array, 4, 8, 1);
    for (const MapKind kind : {MapKind::ArrayOfMaps, MapKind::HashOfMaps}) {
        auto outer_def = def(kind, 4, 4, 4);
        outer_def.inner = std::make_shared<const spec::MapDef>(inner_def);
        const auto map = make(outer_def);
        const U32 key = 1;
        std::atomic<bool> stop{false};
        in_parallel({[&] {
                         for (int i = 0; i < 500; i++) {
                             const auto inner = make(inner_def);
                             MapOfMaps::from(*map)->set_inner(bytes(key), inner, BPF_ANY);
                             if (i % 5 == 0)
                                 map->erase(bytes(key));
                         }
                         stop = true;
                     },
                     [&] {
                         while (!stop) {
                             const EpochGuard guard;
                             auto* inner = reinterpret_cast<Map*>(map->lookup(bytes(key), 0));
                             const U32 zero = 0;
                             if (inner != nullptr) {
                                 EXPECT_EQ(read_word(inner->lookup(bytes(zero), 0)), 0U);
                             }
                         }
                     }});
    }
    synchronize();
}

TEST(stress, program_slots_and_sinks_are_replaced_under_readers) {
    const auto map = make(def(MapKind::ProgArray, 4, 4, 2));
    ProgArrayMap& programs = *ProgArrayMap::from(*map);
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    in_parallel({[&] {
                     for (int i = 0; i < 2000; i++)
                         programs.set(1, std::make_shared<const int>(42), "p");
                     stop = true;
                 },
                 [&] {
                     while (!stop) {
                         const EpochGuard guard;
                         const void* program = programs.get(1);
                         if (program != nullptr && *static_cast<const int*>(program) != 42)
                             wrong++;
                     }
                 }});
    EXPECT_EQ(wrong, 0);
    synchronize();
    EXPECT_EQ(retired_count(), 0U);
}

TEST(stress, storage_is_made_once_per_object) {
    auto storage_def = def(MapKind::TaskStorage, 4, 8, 0, BPF_F_NO_PREALLOC);
    storage_def.key_type = 1;
    storage_def.value_type = 1;
    const auto map = make(storage_def);
    StorageMap& storage = *StorageMap::from(*map);
    const auto count = [&] {
        for (U64 i = 0; i < kRounds; i++) {
            std::byte* value = storage.get(i % 50 + 1, true, nullptr, 0);
            __atomic_fetch_add(reinterpret_cast<U64*>(value), 1, __ATOMIC_RELAXED);
        }
    };
    in_parallel({count, count, count});
    U64 total = 0;
    for (U64 object = 1; object <= 50; object++)
        total += read_word(storage.get(object, false, nullptr, 0));
    EXPECT_EQ(total, U64{3} * kRounds);
}

TEST(stress, locked_values_are_never_torn) {
    auto locked_def = def(MapKind::Hash, 4, 24, 4);
    CreateOptions options;
    options.fields = {{.kind = FieldKind::SpinLock, .offset = 0, .size = 4}};
    const auto map = make(locked_def, options);
    const U32 key = 3;
    std::atomic<int> torn{0};
    std::atomic<int> done{0};
    const auto writer = [&](U64 start) {
        for (U64 i = start; i < start + 5000; i++) {
            const U64 value[3] = {0, i, i};
            map->write(bytes(key), bytes(value), BPF_F_LOCK);
        }
        done++;
    };
    in_parallel({[&] { writer(0); }, [&] { writer(1'000'000); },
                 [&] {
                     U64 value[3] = {};
                     while (done < 2)
                         if (map->read(bytes(key), bytes(value), BPF_F_LOCK) == 0 &&
                             value[1] != value[2])
                             torn++;
                 }});
    EXPECT_EQ(torn, 0);
}

TEST(epoch, retired_memory_waits_for_the_readers_that_may_see_it) {
    static std::atomic<int> freed{0};
    freed = 0;
    std::atomic<bool> inside{false};
    std::atomic<bool> leave{false};
    std::thread reader([&] {
        const EpochGuard guard;
        const EpochGuard nested;
        inside = true;
        while (!leave)
            std::this_thread::yield();
        EXPECT_EQ(freed, 0);
    });
    while (!inside)
        std::this_thread::yield();
    retire(&freed, [](void*) noexcept { freed++; });
    for (int i = 0; i < 2000; i++) // Enough to make the writer look for what is due.
        retire(nullptr, [](void*) noexcept {});
    EXPECT_EQ(freed, 0);
    leave = true;
    reader.join();
    synchronize();
    EXPECT_EQ(freed, 1);
    EXPECT_EQ(retired_count(), 0U);
}

TEST(epoch, threads_come_and_go) {
    for (int round = 0; round < 50; round++) {
        std::thread([] { const EpochGuard guard; }).join();
        retire(nullptr, [](void*) noexcept {});
    }
    synchronize();
    EXPECT_EQ(retired_count(), 0U);
}

} // namespace
} // namespace skep::maps::test
