// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// A histogram of values by their logarithm, in an array.
#include "suite.h"

MAP(buckets, BPF_MAP_TYPE_ARRAY, u32, u64, 32, 0);

PROGRAM(hist) {
    FRAME(ctx, data);
    u32 sum = 0;
    LOOP for (int i = 0; i < 20; i++) {
        u32 x = *(u32 *)(data + SUITE_BYTES_OFFSET + 4 * i) >> (i & 15), bucket = 0;
        if (x >= 1 << 16)
            bucket += 16, x >>= 16;
        if (x >= 1 << 8)
            bucket += 8, x >>= 8;
        if (x >= 1 << 4)
            bucket += 4, x >>= 4;
        if (x >= 1 << 2)
            bucket += 2, x >>= 2;
        bucket += x >> 1;
        u64 *count = bpf_map_lookup_elem(&buckets, &bucket);
        if (count)
            *count += 1;
        sum = sum * 33 + bucket;
    }
    return sum;
}
