// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Calls of functions, two deep.
#include "suite.h"

static __noinline u64 mix(u64 a, u64 b) {
    return (a ^ b) * 0x9e3779b97f4a7c15 + (a >> 3);
}

static __noinline u64 twice(u64 a, u64 b, u64 c) {
    return mix(a, b) ^ mix(b, c);
}

PROGRAM(bpf2bpf) {
    u64 x = OPAQUE(ctx) + 1, y = 3;
    LOOP for (u32 i = 0; i < 16; i++) {
        x = twice(x, y, i);
        y += x >> 60;
    }
    return x;
}
