// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The same with 32 bits, whose results must be zero-extended.
#include "suite.h"

PROGRAM(alu32) {
    u32 a = OPAQUE(ctx) + 1, b = 0x9e3779b9;
    LOOP for (int i = 0; i < 100; i++) {
        a ^= b >> 3;
        b += a * 17;
        a -= b | 0x55;
        b = ROTATE32(b, 7);
    }
    return a ^ b;
}
