// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The smallest programs of each packet hook.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>

#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx) {
    return XDP_PASS;
}

SEC("xdp")
int drop(struct xdp_md *ctx) {
    return XDP_DROP;
}

// Sends every frame back to where it came from.
SEC("xdp")
int reflect(struct xdp_md *ctx) {
    void *data = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    __u8 saved[ETH_ALEN];
    if ((void *)(eth + 1) > end)
        return XDP_ABORTED;
    __builtin_memcpy(saved, eth->h_dest, ETH_ALEN);
    __builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
    __builtin_memcpy(eth->h_source, saved, ETH_ALEN);
    return XDP_TX;
}

// Drops what is neither IPv4 nor IPv6 nor ARP and marks the rest by its length.
SEC("tc")
int classify(struct __sk_buff *skb) {
    if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6) &&
        skb->protocol != bpf_htons(ETH_P_ARP))
        return TC_ACT_SHOT;
    skb->mark = skb->len;
    return TC_ACT_OK;
}

// Keeps the first 64 bytes of UDP over IPv4 and nothing else.
SEC("socket")
int udp_only(struct __sk_buff *skb) {
    __u8 protocol = 0;
    if (skb->protocol != bpf_htons(ETH_P_IP))
        return 0;
    if (bpf_skb_load_bytes(skb, offsetof(struct iphdr, protocol), &protocol, 1))
        return 0;
    return protocol == 17 ? 64 : 0;
}

// Lets a cgroup receive small packets only.
SEC("cgroup_skb/ingress")
int small_only(struct __sk_buff *skb) {
    return skb->len <= 600;
}

char _license[] SEC("license") = "GPL";
