// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Bob Jenkins' lookup3 (public domain) over a kilobyte.
#include "suite.h"

PROGRAM(jhash1k) {
    FRAME(ctx, data);
    u32 a = 0xdeadbeef + SUITE_FRAME + OPAQUE(ctx), b = a, c = a;
    LOOP for (int i = 0; i + 12 < SUITE_FRAME; i += 12) {
        a += *(u32 *)(data + i);
        b += *(u32 *)(data + i + 4);
        c += *(u32 *)(data + i + 8);
        a -= c, a ^= ROTATE32(c, 4), c += b;
        b -= a, b ^= ROTATE32(a, 6), a += c;
        c -= b, c ^= ROTATE32(b, 8), b += a;
        a -= c, a ^= ROTATE32(c, 16), c += b;
        b -= a, b ^= ROTATE32(a, 19), a += c;
        c -= b, c ^= ROTATE32(b, 4), b += a;
    }
    a += *(u32 *)(data + SUITE_FRAME - 4);
    c ^= b, c -= ROTATE32(b, 14);
    a ^= c, a -= ROTATE32(c, 11);
    b ^= a, b -= ROTATE32(a, 25);
    c ^= b, c -= ROTATE32(b, 16);
    a ^= c, a -= ROTATE32(c, 4);
    b ^= a, b -= ROTATE32(a, 14);
    c ^= b, c -= ROTATE32(b, 24);
    return c;
}
