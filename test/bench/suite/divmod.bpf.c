// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Divisions and remainders, 32 and 64 bits, by variables and by constants.
#include "suite.h"

PROGRAM(divmod) {
    u64 a = 0xfedcba9876543210 + OPAQUE(ctx), sum = 0;
    LOOP for (u32 i = 1; i < 17; i++) {
        u64 divisor = (a >> 40) + i;
        u32 half = (u32)a, small = (u32)(a >> 50) + 3;
        sum += a / divisor + a % 1000003 + a / 10;
        sum += half / small + half % 60;
        a = a * 6364136223846793005 + sum;
    }
    return sum;
}
