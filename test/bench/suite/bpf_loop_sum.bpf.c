// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// bpf_loop: a function called back a hundred times.
#include "suite.h"

struct state {
    u64 sum, x;
};

static __noinline long add(u64 i, struct state *state) {
    state->x = state->x * 6364136223846793005 + i;
    state->sum += state->x >> 40;
    return 0;
}

PROGRAM(bpf_loop_sum) {
    struct state state = {0, OPAQUE(ctx)};
    long rounds = bpf_loop(100, (void *)add, &state, 0);
    return state.sum + rounds;
}
