// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Operations on maps, OPERATIONS of one kind a run, with random keys that go on from run to run.
// Every program returns how many operations did not do what they should. The driver sets `mask`,
// one less than the number of elements, and the size of the map that it measures.
#include "suite/suite.h"

#define OPERATIONS 128

MAP(seeds, BPF_MAP_TYPE_PERCPU_ARRAY, u32, u64, 1, 0);
MAP(array, BPF_MAP_TYPE_ARRAY, u32, u64, 1, 0);
MAP(hash, BPF_MAP_TYPE_HASH, u64, u64, 1, 0);
MAP(percpu_array, BPF_MAP_TYPE_PERCPU_ARRAY, u32, u64, 1, 0);
MAP(percpu_hash, BPF_MAP_TYPE_PERCPU_HASH, u64, u64, 1, 0);
MAP(lru, BPF_MAP_TYPE_LRU_HASH, u64, u64, 1, 0);
MAP(trie, BPF_MAP_TYPE_LPM_TRIE, struct lpm_key, u64, 1, BPF_F_NO_PREALLOC);
RING(ring, 1 << 19);

const volatile u32 mask = 0;

#define MEASURE(name)                                                                              \
    static __always_inline u32 name##_one(u32 index);                                              \
    SEC("xdp") int name(struct xdp_md *ctx) {                                                      \
        u32 zero = 0, failed = 0;                                                                  \
        u64 *seed = bpf_map_lookup_elem(&seeds, &zero);                                            \
        if (!seed)                                                                                 \
            return 1;                                                                              \
        u64 x = *seed;                                                                             \
        LOOP for (int i = 0; i < OPERATIONS; i++) {                                                \
            x = x * 6364136223846793005 + 1442695040888963407;                                     \
            failed += name##_one((x >> 33) & mask);                                                \
        }                                                                                          \
        *seed = x;                                                                                 \
        return failed;                                                                             \
    }                                                                                              \
    static __always_inline u32 name##_one(u32 index)

#define LOOKUP(map, key_type, key_value)                                                           \
    key_type key = key_value;                                                                      \
    u64 *value = bpf_map_lookup_elem(&map, &key)
#define UPDATE(map, key_type)                                                                      \
    key_type key = index;                                                                          \
    u64 value = index;                                                                             \
    return bpf_map_update_elem(&map, &key, &value, BPF_ANY) != 0

// What the loop costs.
MEASURE(base) { return index > mask; }

MEASURE(array_lookup) {
    LOOKUP(array, u32, index);
    return !value || *value != index;
}

MEASURE(array_update) { UPDATE(array, u32); }

MEASURE(hash_lookup) {
    LOOKUP(hash, u64, index);
    return !value || *value != index;
}

MEASURE(hash_miss) {
    LOOKUP(hash, u64, index | 1ULL << 40);
    return value != 0;
}

MEASURE(hash_update) { UPDATE(hash, u64); }

MEASURE(hash_delete_insert) {
    u64 key = index, value = index;
    u32 failed = bpf_map_delete_elem(&hash, &key) != 0;
    return failed + (bpf_map_update_elem(&hash, &key, &value, BPF_NOEXIST) != 0);
}

MEASURE(percpu_array_lookup) {
    LOOKUP(percpu_array, u32, index);
    return !value || *value != index;
}

MEASURE(percpu_array_count) {
    LOOKUP(percpu_array, u32, index);
    if (!value)
        return 1;
    *value += 1;
    return 0;
}

MEASURE(percpu_hash_lookup) {
    LOOKUP(percpu_hash, u64, index);
    return !value || *value != index;
}

MEASURE(percpu_hash_update) { UPDATE(percpu_hash, u64); }

MEASURE(lru_lookup) {
    LOOKUP(lru, u64, index);
    return !value || *value != index;
}

MEASURE(lru_update) { UPDATE(lru, u64); }

MEASURE(trie_lookup) {
    LOOKUP(trie, struct lpm_key, ((struct lpm_key){32, BIG32(index * 2654435761u)}));
    return !value;
}

MEASURE(ring_reserve_submit) {
    u64 *record = bpf_ringbuf_reserve(&ring, 16, 0);
    if (!record)
        return 1;
    record[0] = index;
    record[1] = 0;
    bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
    return 0;
}

MEASURE(ring_output) {
    u64 record[2] = {index, 0};
    return bpf_ringbuf_output(&ring, record, sizeof record, BPF_RB_NO_WAKEUP) != 0;
}
