// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Pieces of the frame copied to the stack, and words of them summed.
#include "suite.h"

PROGRAM(memcpy_stack) {
    FRAME(ctx, data);
    u64 sum = OPAQUE(ctx);
    LOOP for (int i = 0; i < 16; i++) {
        u64 copy[8];
        __builtin_memcpy(copy, data + 48 * i, sizeof copy);
        LOOP for (int j = 0; j < 3; j++)
            sum = ROTATE64(sum, 9) + copy[(sum + j) & 7];
    }
    return sum;
}
