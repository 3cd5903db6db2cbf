// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Does not compile: the same types twice.
#include <vmlinux.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int clash(struct xdp_md *ctx)
{
    return XDP_PASS;
}
