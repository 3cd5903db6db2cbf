// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Lookups in an array, with keys that are not known.
#include "suite.h"

MAP(numbers, BPF_MAP_TYPE_ARRAY, u32, u64, SUITE_ENTRIES, 0);

PROGRAM(array_lookup) {
    u64 sum = 0;
    LOOP for (u32 i = 0; i < 32; i++) {
        u32 key = (i * 37 + OPAQUE(ctx)) & (SUITE_ENTRIES - 1);
        u64 *value = bpf_map_lookup_elem(&numbers, &key);
        if (value)
            sum += *value + key;
    }
    return sum;
}
