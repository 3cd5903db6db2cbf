// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Atomic operations on a map value: with and without a result, 32 and 64 bits.
#include "suite.h"

struct cell {
    u64 a, b;
    u32 c, d;
};

MAP(cells, BPF_MAP_TYPE_ARRAY, u32, struct cell, 4, 0);

PROGRAM(atomic) {
    u32 key = OPAQUE(ctx) & 3;
    struct cell *cell = bpf_map_lookup_elem(&cells, &key);
    if (!cell)
        return 0;
    cell->a = 1;
    cell->b = 2;
    cell->c = 3;
    cell->d = 4;
    u64 sum = 0;
    LOOP for (u32 i = 0; i < 6; i++) {
        __sync_fetch_and_add(&cell->a, i + 5);
        sum += __sync_fetch_and_add(&cell->b, sum | 1);
        sum ^= __sync_lock_test_and_set(&cell->a, sum + i);
        sum += __sync_val_compare_and_swap(&cell->b, sum, 7);
        __sync_fetch_and_xor(&cell->c, (u32)sum);
        __sync_fetch_and_or(&cell->d, i);
    }
    return sum + cell->a + cell->b + cell->c + cell->d;
}
