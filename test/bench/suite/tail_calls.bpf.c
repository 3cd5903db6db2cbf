// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Twelve programs in a row, by tail calls through a program array.
#include "suite.h"

struct progress {
    u32 calls;
    u32 sum;
};

MAP(state, BPF_MAP_TYPE_ARRAY, u32, struct progress, 1, 0);

int odd(struct xdp_md *ctx);
int even(struct xdp_md *ctx);

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 4);
    __uint(key_size, sizeof(u32));
    __array(values, int(void *));
} hops SEC(".maps") = {.values = {[0] = (void *)&odd, [1] = (void *)&even}};

static __always_inline int hop(struct xdp_md *ctx, u32 factor, u32 next) {
    u32 key = 0;
    struct progress *progress = bpf_map_lookup_elem(&state, &key);
    if (!progress)
        return 0;
    progress->sum = progress->sum * factor + next;
    if (progress->calls++ < 12)
        bpf_tail_call(ctx, &hops, next);
    return progress->sum;
}

SEC("xdp") int odd(struct xdp_md *ctx) { return hop(ctx, 31, 1); }

SEC("xdp") int even(struct xdp_md *ctx) { return hop(ctx, 33, 0); }

PROGRAM(tail_calls) {
    u32 key = 0;
    struct progress *progress = bpf_map_lookup_elem(&state, &key);
    if (progress) {
        progress->calls = 0;
        progress->sum = OPAQUE(ctx);
    }
    return hop(ctx, 3, 0);
}
