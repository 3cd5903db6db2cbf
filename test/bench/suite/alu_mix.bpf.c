// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// 64-bit arithmetic: shifts, rotations, multiplications, in a chain.
#include "suite.h"

PROGRAM(alu_mix) {
    u64 a = OPAQUE(ctx) + 1, b = 0x9e3779b97f4a7c15;
    LOOP for (int i = 0; i < 100; i++) {
        a ^= b >> 7;
        b += a * 31;
        a = ROTATE64(a, 5);
        b -= a & 0xffff;
    }
    return a ^ b;
}
