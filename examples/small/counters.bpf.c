// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Counts packets by IPv4 protocol; shows a tail call, a callback and a function of our own.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

int sum_bytes(struct xdp_md *ctx);

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 256);
    __type(key, __u32);
    __type(value, __u64);
} by_protocol SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(__u32));
    __array(values, int(void *));
} stages SEC(".maps") = {.values = {(void *)&sum_bytes}};

__u64 total = 0;

struct sum {
    __u8 bytes[16];
    __u32 value;
};

static long add_byte(__u32 index, struct sum *sum) {
    sum->value += sum->bytes[index & 15];
    return 0;
}

static __noinline int protocol_of(struct xdp_md *ctx) {
    void *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)(long)ctx->data;
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
        return -1;
    return ip->protocol;
}

SEC("xdp")
int count(struct xdp_md *ctx) {
    int protocol = protocol_of(ctx);
    if (protocol >= 0) {
        __u32 key = protocol;
        __u64 *value = bpf_map_lookup_elem(&by_protocol, &key);
        if (value)
            __sync_fetch_and_add(value, 1);
    }
    bpf_tail_call(ctx, &stages, 0);
    return XDP_ABORTED; // Only if the stage is missing.
}

// Adds up the first 16 bytes of the frame.
SEC("xdp")
int sum_bytes(struct xdp_md *ctx) {
    struct sum sum = {};
    if (bpf_xdp_load_bytes(ctx, 0, sum.bytes, sizeof(sum.bytes)))
        return XDP_DROP;
    bpf_loop(16, add_byte, &sum, 0);
    total += sum.value;
    return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
