// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Lookups in an LRU hash, half of them misses.
#include "suite.h"

MAP(recent, BPF_MAP_TYPE_LRU_HASH, u32, u64, 8 * SUITE_ENTRIES, 0);

PROGRAM(lru_lookup) {
    u64 sum = 0;
    LOOP for (u32 i = 0; i < 16; i++) {
        u32 key = i * 131 + OPAQUE(ctx); // Up to 1965; there are 1024.
        u64 *value = bpf_map_lookup_elem(&recent, &key);
        if (value)
            sum += *value + key;
    }
    return sum;
}
