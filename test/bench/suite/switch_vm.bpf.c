// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// A machine with eight registers whose code is in a map: a switch for each operation.
#include "suite.h"

MAP(codes, BPF_MAP_TYPE_ARRAY, u32, struct code, 1, 0);

PROGRAM(switch_vm) {
    u32 key = 0, pc = OPAQUE(ctx) & 63;
    u64 r[8] = {OPAQUE(ctx), 1, 2, 3, 5, 7, 11, 13};
    struct code *code = bpf_map_lookup_elem(&codes, &key);
    if (!code)
        return 0;
    LOOP for (int step = 0; step < 100; step++) {
        u32 op = code->bytes[pc], operands = code->bytes[(pc + 1) & 63];
        u32 a = operands & 7, b = (operands >> 3) & 7;
        pc = (pc + 2) & 63;
        switch (op) {
        case 0:
            r[a] += r[b];
            break;
        case 1:
            r[a] ^= r[b];
            break;
        case 2:
            r[a] = r[b] * 31;
            break;
        case 3:
            r[a] >>= operands >> 6;
            break;
        case 4:
            r[a] -= r[b];
            break;
        case 5:
            if (r[a] & 1)
                pc = (pc + 4) & 63;
            break;
        case 6:
            r[a] = r[b];
            break;
        case 7:
            r[a] |= r[b] << 3;
            break;
        default:
            pc = operands & 63;
            break;
        }
    }
    return r[0] ^ r[1] ^ r[2] ^ r[3] ^ r[4] ^ r[5] ^ r[6] ^ r[7];
}
