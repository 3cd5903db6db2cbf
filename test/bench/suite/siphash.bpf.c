// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// SipHash-2-4 (Aumasson, Bernstein) of 128 bytes.
#include "suite.h"

#define ROUND                                                                                      \
    do {                                                                                           \
        v0 += v1, v1 = ROTATE64(v1, 13) ^ v0, v0 = ROTATE64(v0, 32);                               \
        v2 += v3, v3 = ROTATE64(v3, 16) ^ v2;                                                      \
        v0 += v3, v3 = ROTATE64(v3, 21) ^ v0;                                                      \
        v2 += v1, v1 = ROTATE64(v1, 17) ^ v2, v2 = ROTATE64(v2, 32);                               \
    } while (0)

PROGRAM(siphash) {
    FRAME(ctx, data);
    u64 k0 = 0x0706050403020100 + OPAQUE(ctx), k1 = 0x0f0e0d0c0b0a0908;
    u64 v0 = 0x736f6d6570736575 ^ k0, v1 = 0x646f72616e646f6d ^ k1;
    u64 v2 = 0x6c7967656e657261 ^ k0, v3 = 0x7465646279746573 ^ k1;
    LOOP for (int i = 0; i < 128; i += 8) {
        u64 m = *(u64 *)(data + SUITE_BYTES_OFFSET + i);
        v3 ^= m;
        ROUND;
        ROUND;
        v0 ^= m;
    }
    v3 ^= (u64)128 << 56;
    ROUND;
    ROUND;
    v0 ^= (u64)128 << 56;
    v2 ^= 0xff;
    ROUND;
    ROUND;
    ROUND;
    ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}
