// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// What the golden tests of the tool run: an XDP filter with every kind of output.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct counter {
    __u64 packets;
    __u64 bytes;
};

struct event {
    __u32 source;
    __u8 protocol;
    char why[8];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, struct counter);
} sources SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, struct counter);
} totals SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u8);
} denied SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} events SEC(".maps");

const volatile __u32 blocked_protocol = 17;
__u64 not_ip;

SEC("xdp")
int filter(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    if ((void *)(eth + 1) > end)
        return XDP_DROP;
    __u32 zero = 0;
    struct counter *total = bpf_map_lookup_elem(&totals, &zero);
    if (total) {
        total->packets++;
        total->bytes += end - data;
    }
    struct iphdr *ip = (void *)(eth + 1);
    if (eth->h_proto != bpf_htons(ETH_P_IP) || (void *)(ip + 1) > end) {
        not_ip++;
        return XDP_PASS;
    }
    __u32 source = ip->saddr;
    struct counter *counter = bpf_map_lookup_elem(&sources, &source);
    struct counter first = {.packets = 1, .bytes = end - data};
    if (counter) {
        counter->packets++;
        counter->bytes += end - data;
    } else {
        bpf_map_update_elem(&sources, &source, &first, BPF_ANY);
    }
    if (ip->protocol != blocked_protocol && !bpf_map_lookup_elem(&denied, &source))
        return XDP_PASS;
    bpf_printk("drop protocol %d", ip->protocol);
    struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
    if (event) {
        event->source = source;
        event->protocol = ip->protocol;
        __builtin_memcpy(event->why, "denied\0", 8);
        bpf_ringbuf_submit(event, 0);
    }
    return XDP_DROP;
}

SEC("xdp")
int careless(struct xdp_md *ctx)
{
    unsigned char *data = (void *)(long)ctx->data;
    return data[40] == 6 ? XDP_PASS : XDP_DROP; // No test of data_end.
}

SEC("tc")
int marked(struct __sk_buff *skb)
{
    return skb->mark == 7 ? 2 : 0;
}

char LICENSE[] SEC("license") = "GPL";
