// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0

// Nanoseconds of CPU time per map operation, uncontended, in one thread:
// maps_bench [--json] [--small]; --small measures maps of 1024 entries only.

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <linux/bpf.h>
#include <random>
#include <string>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/maps/epoch.hpp"
#include "skep/maps/map.hpp"
#include "skep/maps/ringbuf.hpp"

namespace {

using skep::maps::Map;
using skep::spec::MapKind;
using U32 = std::uint32_t;
using U64 = std::uint64_t;

constexpr int kOperations = 1 << 20;
constexpr int kRepeats = 3;

struct Line {
    std::string name;
    U64 entries;
    double ns;
};

template <class T>
const std::byte* bytes(const T& value) {
    return reinterpret_cast<const std::byte*>(&value);
}

/// CPU time of this thread: other work on the machine counts only through its caches.
double now_ns() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// The median of several rounds of `round`, which does kOperations operations.
double measure(const std::function<void()>& round) {
    std::vector<double> results;
    round();
    for (int i = 0; i < kRepeats; i++) {
        const double start = now_ns();
        round();
        results.push_back((now_ns() - start) / kOperations);
    }
    std::sort(results.begin(), results.end());
    return results[results.size() / 2];
}

std::shared_ptr<Map> make(MapKind kind, U32 key, U32 value, U32 entries, U32 flags = 0) {
    auto made = skep::maps::create({.name = "bench",
                                    .kind = kind,
                                    .key_size = key,
                                    .value_size = value,
                                    .max_entries = entries,
                                    .flags = flags});
    if (!made) {
        std::fprintf(stderr, "%s\n", made.error().to_string().c_str());
        std::exit(1);
    }
    return *made;
}

/// Keys in random order, so that large maps are not walked along memory.
template <class Key>
std::vector<Key> make_keys(U64 count, Key (*make_key)(U64)) {
    std::vector<Key> keys(count);
    for (U64 i = 0; i < count; i++)
        keys[i] = make_key(i);
    std::shuffle(keys.begin(), keys.end(), std::mt19937(1)); // NOLINT(cert-msc51-cpp): repeatable
    return keys;
}

template <class Key>
void lookups(std::vector<Line>& out, const std::string& name, Map& map,
             const std::vector<Key>& keys) {
    U64 found = 0;
    const double ns = measure([&] {
        const skep::maps::EpochGuard guard;
        for (int i = 0; i < kOperations; i++)
            found += map.lookup(bytes(keys[static_cast<U64>(i) & (keys.size() - 1)]), 0) != nullptr;
    });
    if (found == 0)
        std::fprintf(stderr, "%s: nothing was found\n", name.c_str());
    out.push_back({name, keys.size(), ns});
}

template <class Key>
void updates(std::vector<Line>& out, const std::string& name, Map& map,
             const std::vector<Key>& keys) {
    const double ns = measure([&] {
        const skep::maps::EpochGuard guard;
        for (int i = 0; i < kOperations; i++) {
            const U64 value = static_cast<U64>(i);
            map.update(bytes(keys[value & (keys.size() - 1)]), bytes(value), BPF_ANY, 0);
        }
    });
    out.push_back({name, keys.size(), ns});
}

template <class Key>
void hash_lines(std::vector<Line>& out, const std::string& name, MapKind kind, U64 entries,
                Key (*make_key)(U64)) {
    const auto map = make(kind, sizeof(Key), 8, static_cast<U32>(entries));
    const auto keys = make_keys<Key>(entries, make_key);
    for (const Key& key : keys)
        map->update(bytes(key), bytes(entries), BPF_ANY, 0);
    lookups(out, name + " lookup", *map, keys);
    updates(out, name + " update", *map, keys);
    const double ns = measure([&] {
        for (int i = 0; i < kOperations; i++) {
            const Key& key = keys[static_cast<U64>(i) & (keys.size() - 1)];
            map->erase(bytes(key));
            map->update(bytes(key), bytes(entries), BPF_ANY, 0);
        }
    });
    out.push_back({name + " delete+insert", entries, ns});
}

void lpm_lines(std::vector<Line>& out, U64 entries) {
    const auto map = make(MapKind::LpmTrie, 8, 8, static_cast<U32>(entries), BPF_F_NO_PREALLOC);
    std::mt19937 random(3); // NOLINT(cert-msc51-cpp): repeatable
    std::vector<std::array<U32, 2>> keys(entries);
    for (auto& key : keys) {
        key = {16 + static_cast<U32>(random() % 17), static_cast<U32>(random())};
        map->update(bytes(key), bytes(entries), BPF_ANY, 0);
        key[0] = 32;
    }
    std::shuffle(keys.begin(), keys.end(), random);
    lookups(out, "lpm trie lookup (random /16-/32)", *map, keys);
}

void ring_lines(std::vector<Line>& out) {
    const auto map = make(MapKind::Ringbuf, 0, 0, 1 << 20);
    auto& ring = *skep::maps::RingbufMap::from(*map);
    auto reader = skep::maps::RingbufReader::open(*map);
    const auto ignore = [](void*, std::span<const std::byte>) { return true; };
    double consume_ns = 0;
    const auto fill_and_drain = [&](auto&& produce) {
        double total = 0;
        consume_ns = 0;
        constexpr int kChunk = 1 << 14;
        for (int done = 0; done < kOperations; done += kChunk) {
            const auto start = now_ns();
            for (int i = 0; i < kChunk; i++)
                produce();
            const auto middle = now_ns();
            reader->consume(ignore, nullptr);
            const auto end = now_ns();
            total += middle - start;
            consume_ns += end - middle;
        }
        consume_ns /= kOperations;
        return total / kOperations;
    };
    const std::array<std::byte, 16> record{};
    const auto reserve_submit = [&] {
        std::byte* room = ring.reserve(16);
        skep::store(room, U64{1});
        skep::maps::RingbufMap::submit(room, BPF_RB_NO_WAKEUP);
    };
    fill_and_drain(reserve_submit);
    out.push_back({"ring buffer reserve+submit, 16 B", 1, fill_and_drain(reserve_submit)});
    out.push_back({"ring buffer consume", 1, consume_ns});
    out.push_back({"ring buffer output, 16 B", 1,
                   fill_and_drain([&] { ring.output(record, BPF_RB_NO_WAKEUP); })});
}

std::vector<Line> run(bool small) {
    std::vector<Line> out;
    out.push_back({"epoch guard", 1, measure([] {
                       for (int i = 0; i < kOperations; i++)
                           const skep::maps::EpochGuard guard;
                   })});
    for (const U64 entries : {U64{1} << 10, U64{1} << 16, U64{1} << 20}) {
        if (small && entries > 1024)
            break;
        const auto array = make(MapKind::Array, 4, 8, static_cast<U32>(entries));
        const auto indices = make_keys<U32>(entries, [](U64 i) { return static_cast<U32>(i); });
        lookups(out, "array lookup", *array, indices);
        updates(out, "array update", *array, indices);
        hash_lines<U32>(out, "hash, 4 B keys,", MapKind::Hash, entries,
                        [](U64 i) { return static_cast<U32>(i * 2654435761U); });
        hash_lines<U64>(out, "hash, 8 B keys,", MapKind::Hash, entries,
                        [](U64 i) { return i * 0x9e3779b97f4a7c15U; });
        hash_lines<std::array<U64, 2>>(out, "hash, 16 B keys,", MapKind::Hash, entries,
                                       [](U64 i) { return std::array<U64, 2>{i, ~i}; });
        hash_lines<U64>(out, "percpu hash, 8 B keys,", MapKind::PercpuHash, entries,
                        [](U64 i) { return i * 0x9e3779b97f4a7c15U; });
        hash_lines<U64>(out, "lru hash, 8 B keys,", MapKind::LruHash, entries,
                        [](U64 i) { return i * 0x9e3779b97f4a7c15U; });
        lpm_lines(out, entries);
    }
    const auto queue = make(MapKind::Queue, 0, 8, 16);
    U64 value = 0;
    out.push_back({"queue push+pop", 1, measure([&] {
                       for (int i = 0; i < kOperations; i++) {
                           queue->push(bytes(value), BPF_ANY);
                           queue->pop(reinterpret_cast<std::byte*>(&value));
                       }
                   })});
    ring_lines(out);
    return out;
}

} // namespace

int main(int argc, char** argv) {
    bool json = false;
    bool small = false;
    for (int i = 1; i < argc; i++) {
        json |= std::strcmp(argv[i], "--json") == 0;
        small |= std::strcmp(argv[i], "--small") == 0;
    }
    const std::vector<Line> lines = run(small);
    if (json)
        std::printf("[\n");
    for (std::size_t i = 0; i < lines.size(); i++) {
        const Line& line = lines[i];
        if (json)
            std::printf("  {\"name\": \"%s\", \"entries\": %llu, \"ns\": %.2f}%s\n",
                        line.name.c_str(), static_cast<unsigned long long>(line.entries), line.ns,
                        i + 1 == lines.size() ? "" : ",");
        else
            std::printf("%-36s %8llu %8.1f ns\n", line.name.c_str(),
                        static_cast<unsigned long long>(line.entries), line.ns);
    }
    if (json)
        std::printf("]\n");
    return 0;
}
