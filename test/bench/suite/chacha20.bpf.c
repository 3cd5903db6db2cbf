// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// One block of ChaCha20 (RFC 8439): sixteen words, more than there are registers.
#include "suite.h"

#define QUARTER(a, b, c, d)                                                                        \
    do {                                                                                           \
        a += b, d ^= a, d = ROTATE32(d, 16);                                                       \
        c += d, b ^= c, b = ROTATE32(b, 12);                                                       \
        a += b, d ^= a, d = ROTATE32(d, 8);                                                        \
        c += d, b ^= c, b = ROTATE32(b, 7);                                                        \
    } while (0)

PROGRAM(chacha20) {
    FRAME(ctx, data);
    const u32 *key = (const u32 *)(data + SUITE_BYTES_OFFSET);
    u32 s[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, key[0], key[1],
                 key[2],     key[3],     key[4],     key[5],     key[6], key[7],
                 1,          key[8],     key[9],     key[10]};
    u32 x[16];
    for (int i = 0; i < 16; i++)
        x[i] = s[i];
    LOOP for (int i = 0; i < 10; i++) {
        QUARTER(x[0], x[4], x[8], x[12]);
        QUARTER(x[1], x[5], x[9], x[13]);
        QUARTER(x[2], x[6], x[10], x[14]);
        QUARTER(x[3], x[7], x[11], x[15]);
        QUARTER(x[0], x[5], x[10], x[15]);
        QUARTER(x[1], x[6], x[11], x[12]);
        QUARTER(x[2], x[7], x[8], x[13]);
        QUARTER(x[3], x[4], x[9], x[14]);
    }
    u32 sum = 0;
    for (int i = 0; i < 16; i++)
        sum = ROTATE32(sum, 3) ^ (x[i] + s[i]);
    return sum;
}
