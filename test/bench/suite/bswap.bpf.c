// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Byte swaps of 16, 32 and 64 bits.
#include "suite.h"

PROGRAM(bswap) {
    FRAME(ctx, data);
    u64 x = OPAQUE(ctx) + 0x0123456789abcdef;
    LOOP for (int i = 0; i < 256; i += 8) {
        u64 word = *(u64 *)(data + SUITE_BYTES_OFFSET + i);
        x = __builtin_bswap64(x ^ word) + i;
        x ^= (u64)__builtin_bswap32(x) << 16;
        x += __builtin_bswap16(x);
    }
    return x;
}
