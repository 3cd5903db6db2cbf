// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Counters in a per-CPU array and in a per-CPU hash.
#include "suite.h"

MAP(counters, BPF_MAP_TYPE_PERCPU_ARRAY, u32, u64, 64, 0);
MAP(by_key, BPF_MAP_TYPE_PERCPU_HASH, u32, u64, SUITE_ENTRIES, 0);

PROGRAM(percpu_count) {
    FRAME(ctx, data);
    u32 sum = 0;
    LOOP for (int i = 0; i < 16; i++) {
        u32 key = (data[SUITE_BYTES_OFFSET + i] + OPAQUE(ctx)) & 63;
        u64 *count = bpf_map_lookup_elem(&counters, &key);
        if (count)
            *count += 1;
        sum = sum * 3 + key;
    }
    LOOP for (int i = 0; i < 4; i++) {
        u32 key = data[SUITE_BYTES_OFFSET + 32 + i];
        u64 *count = bpf_map_lookup_elem(&by_key, &key);
        if (count) {
            *count += sum & 0xff;
            sum += key;
        }
    }
    return sum;
}
