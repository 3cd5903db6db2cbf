// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Binary searches in a sorted table.
#include "suite.h"

MAP(tables, BPF_MAP_TYPE_ARRAY, u32, struct table, 1, 0);

PROGRAM(bsearch) {
    u32 zero = 0, key = 77 + OPAQUE(ctx), sum = 0;
    struct table *table = bpf_map_lookup_elem(&tables, &zero);
    if (!table)
        return 0;
    LOOP for (int n = 0; n < 8; n++) {
        u32 low = OPAQUE(ctx) & 255;
        LOOP for (u32 half = 128; half != 0; half >>= 1)
            if (table->sorted[(low + half) & 255] < key)
                low = (low + half) & 255;
        sum = sum * 31 + low;
        key = (key * 1103515245 + 12345) & 0x3ffff;
    }
    return sum;
}
