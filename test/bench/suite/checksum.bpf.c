// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The Internet checksum (RFC 1071) of the whole frame.
#include "suite.h"

PROGRAM(checksum) {
    FRAME(ctx, data);
    u64 sum = OPAQUE(ctx);
    LOOP for (int i = 0; i < SUITE_FRAME; i += 4)
        sum += *(u32 *)(data + i);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (u16)~((sum & 0xffff) + (sum >> 16));
}
