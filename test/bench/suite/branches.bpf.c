// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Branches that a predictor has to learn.
#include "suite.h"

PROGRAM(branches) {
    u32 state = OPAQUE(ctx) + 7, sum = 0;
    LOOP for (int i = 0; i < 100; i++) {
        state = state * 1103515245 + 12345;
        u32 r = state >> 28;
        if (r < 3)
            sum += 1;
        else if (r < 7)
            sum ^= state;
        else if (r == 9)
            sum += state & 0xff;
        else
            sum -= 3;
    }
    return sum;
}
