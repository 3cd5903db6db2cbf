// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Insertion sort of numbers on the stack.
#include "suite.h"

#define COUNT 24

PROGRAM(isort) {
    u32 a[32];
    u32 seed = OPAQUE(ctx) + 9, sum = 0;
    LOOP for (int i = 0; i < COUNT; i++) {
        seed = seed * 1103515245 + 12345;
        a[i] = seed >> 8;
    }
    LOOP for (int i = 1 + (OPAQUE(ctx) & 1); i < COUNT; i++) {
        u32 x = a[i];
        int j = i;
        LOOP while (j > 0 && a[(j - 1) & 31] > x) {
            a[j & 31] = a[(j - 1) & 31];
            j--;
        }
        a[j & 31] = x;
    }
    LOOP for (int i = 0; i < COUNT; i++)
        sum = sum * 31 + a[i];
    return sum;
}
