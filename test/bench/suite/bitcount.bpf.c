// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Population counts by masks and shifts.
#include "suite.h"

static __always_inline u64 ones(u64 x) {
    x -= (x >> 1) & 0x5555555555555555;
    x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (x * 0x0101010101010101) >> 56;
}

PROGRAM(bitcount) {
    u64 x = 0x0123456789abcdef + OPAQUE(ctx), sum = 0;
    LOOP for (int i = 0; i < 48; i++) {
        sum += ones(x);
        x = x * 6364136223846793005 + 1442695040888963407;
    }
    return sum;
}
