// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Longest prefixes in a trie of 1,024.
#include "suite.h"

MAP(routes, BPF_MAP_TYPE_LPM_TRIE, struct lpm_key, u32, 2 * SUITE_ENTRIES, BPF_F_NO_PREALLOC);

PROGRAM(lpm_lookup) {
    u32 sum = 0, address = 0x0a000001 + OPAQUE(ctx);
    LOOP for (int i = 0; i < 8; i++) {
        struct lpm_key key = {32, BIG32(address)};
        u32 *hop = bpf_map_lookup_elem(&routes, &key);
        sum = sum * 31 + (hop ? *hop : 7);
        address = address * 1664525 + 1013904223;
    }
    return sum;
}
