// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Faults that people make, for what the verifier says of them.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, __u32);
    __type(value, __u64[4]);
    __uint(max_entries, 4);
} counters SEC(".maps");

SEC("xdp")
int three_faults(struct xdp_md *ctx) {
    void *data = (void *)(long)ctx->data;
    void *data_end = (void *)(long)ctx->data_end;
    struct iphdr *ip = data + sizeof(struct ethhdr);
    if ((void *)(ip + 1) > data_end)
        return XDP_PASS;
    struct tcphdr *tcp = data + sizeof(struct ethhdr) + ip->ihl * 4;
    if ((void *)(tcp + 1) > data_end)
        return XDP_DROP;
    __u32 option = *(__u32 *)((void *)tcp + 20); // The test covers 20 bytes.
    __u32 key = 1;
    __u64 *counter = bpf_map_lookup_elem(&counters, &key);
    counter[0] += option; // There may be none.
    counter[1] += option;
    bpf_xdp_adjust_head(ctx, 4);
    return ip->protocol == IPPROTO_TCP ? XDP_PASS : XDP_DROP; // The packet has moved.
}

SEC("xdp")
int one_too_far(struct xdp_md *ctx) {
    __u32 key = 1;
    __u64 *counter = bpf_map_lookup_elem(&counters, &key);
    if (!counter)
        return XDP_PASS;
    __u32 i = ctx->rx_queue_index;
    if (i > 4)
        return XDP_PASS;
    return counter[i];
}

static __noinline int first_byte(struct xdp_md *ctx, __u8 *at) {
    return *at;
}

SEC("xdp")
int untested_in_a_function(struct xdp_md *ctx) {
    __u8 *data = (__u8 *)(long)ctx->data;
    if (ctx->rx_queue_index == 3)
        data += 10;
    return first_byte(ctx, data);
}

SEC("tc")
int leaks_a_socket(struct __sk_buff *skb) {
    struct bpf_sock_tuple tuple = {};
    struct bpf_sock *sk = bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), 0, 0);
    return sk != 0;
}

struct bpf_iter_num {
    __u64 opaque[1];
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __weak __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __weak __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __weak __ksym;

SEC("xdp")
int for_ever(struct xdp_md *ctx) {
    for (;;) { // Each inner loop ends, but they come again and again.
        struct bpf_iter_num it;
        volatile int more = 0;
        bpf_iter_num_new(&it, 0, 3);
        while (bpf_iter_num_next(&it))
            more = 1;
        bpf_iter_num_destroy(&it);
        if (!more)
            return XDP_PASS;
    }
}

char _license[] SEC("license") = "GPL";
