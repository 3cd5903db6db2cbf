// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Packet reads at offsets that the packet gives, each with its own bounds test.
#include "suite.h"

PROGRAM(bounds) {
    u8 *data = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;
    u32 at = OPAQUE(ctx) & 0xff, sum = 0;
    LOOP for (int i = 0; i < 40; i++) {
        u8 *p = data + (at & 0x3ff);
        if (p + 8 > end) {
            at >>= 1;
            continue;
        }
        sum += *(u32 *)p ^ p[6];
        at = at * 5 + p[5] + p[7];
    }
    return sum;
}
