// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Records of 32 bytes into a ring buffer, without waking anybody.
#include "suite.h"

RING(events, 1 << 19);

PROGRAM(ringbuf_output) {
    FRAME(ctx, data);
    u64 failed = 0;
    LOOP for (u32 i = 0; i < 4; i++) {
        u64 record[4] = {i, OPAQUE(ctx), *(u64 *)(data + 26), *(u64 *)(data + 34)};
        failed |= (u64)bpf_ringbuf_output(&events, record, sizeof record, BPF_RB_NO_WAKEUP);
    }
    return failed != 0;
}
