// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Integer logarithms by comparing and shifting.
#include "suite.h"

PROGRAM(log2_int) {
    u64 x = 0x9e3779b97f4a7c15 + OPAQUE(ctx);
    u32 sum = 0;
    LOOP for (int i = 0; i < 32; i++) {
        u64 y = x >> (x & 63);
        u32 r = (y > 0xffffffff) << 5;
        y >>= r;
        u32 s = (y > 0xffff) << 4;
        y >>= s, r |= s;
        s = (y > 0xff) << 3;
        y >>= s, r |= s;
        s = (y > 0xf) << 2;
        y >>= s, r |= s;
        s = (y > 3) << 1;
        y >>= s, r |= s;
        sum = sum * 3 + (r | y >> 1);
        x = x * 6364136223846793005 + 1442695040888963407;
    }
    return sum;
}
