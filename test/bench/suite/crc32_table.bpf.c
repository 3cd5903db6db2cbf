// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// CRC-32 of 256 bytes, a table lookup for each.
#include "suite.h"

// The table is linear: an entry is the exclusive or of those of its bits.
#define BIT(i, bit, entry) (((i) >> (bit)) & 1 ? (entry) : 0)
#define E(i)                                                                                       \
    (BIT(i, 0, 0x77073096u) ^ BIT(i, 1, 0xee0e612cu) ^ BIT(i, 2, 0x076dc419u) ^                    \
     BIT(i, 3, 0x0edb8832u) ^ BIT(i, 4, 0x1db71064u) ^ BIT(i, 5, 0x3b6e20c8u) ^                    \
     BIT(i, 6, 0x76dc4190u) ^ BIT(i, 7, 0xedb88320u))
#define E4(i) E(i), E((i) + 1), E((i) + 2), E((i) + 3)
#define E16(i) E4(i), E4((i) + 4), E4((i) + 8), E4((i) + 12)
#define E64(i) E16(i), E16((i) + 16), E16((i) + 32), E16((i) + 48)
static const u32 table[256] = {E64(0), E64(64), E64(128), E64(192)};

PROGRAM(crc32_table) {
    FRAME(ctx, data);
    u32 crc = ~OPAQUE(ctx);
    LOOP for (int i = 0; i < 256; i++)
        crc = (crc >> 8) ^ table[(crc ^ data[SUITE_BYTES_OFFSET + i]) & 0xff];
    return ~crc;
}
