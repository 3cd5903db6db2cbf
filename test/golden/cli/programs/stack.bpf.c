// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Does not compile: more stack than BPF has.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int big(struct xdp_md *ctx)
{
    volatile char buffer[1024];
    for (int i = 0; i < 1024; i++)
        buffer[i] = i;
    return buffer[ctx->rx_queue_index & 1023];
}
