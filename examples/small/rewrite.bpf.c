// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Programs that change packets: addresses with their checksums, headers, lengths.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IP_OFFSET ETH_HLEN
#define L4_OFFSET (IP_OFFSET + sizeof(struct iphdr))

const volatile __be32 public_address = bpf_htonl(0x0a090001);   // 10.9.0.1
const volatile __be32 internal_address = bpf_htonl(0xc0a80107); // 192.168.1.7

// Sends what is for the public address to the internal one.
SEC("tc")
int nat(struct __sk_buff *skb) {
    struct iphdr ip;
    if (skb->protocol != bpf_htons(ETH_P_IP) ||
        bpf_skb_load_bytes(skb, IP_OFFSET, &ip, sizeof(ip)) || ip.ihl != 5 ||
        ip.daddr != public_address)
        return TC_ACT_OK;
    __be32 from = ip.daddr, to = internal_address;
    int checksum = -1;
    __u64 flags = BPF_F_PSEUDO_HDR | sizeof(to);
    if (ip.protocol == IPPROTO_TCP) {
        checksum = L4_OFFSET + offsetof(struct tcphdr, check);
    } else if (ip.protocol == IPPROTO_UDP) {
        checksum = L4_OFFSET + offsetof(struct udphdr, check);
        flags |= BPF_F_MARK_MANGLED_0;
    }
    if (checksum >= 0 && bpf_l4_csum_replace(skb, checksum, from, to, flags))
        return TC_ACT_SHOT;
    if (bpf_l3_csum_replace(skb, IP_OFFSET + offsetof(struct iphdr, check), from, to, sizeof(to)) ||
        bpf_skb_store_bytes(skb, IP_OFFSET + offsetof(struct iphdr, daddr), &to, sizeof(to), 0))
        return TC_ACT_SHOT;
    return TC_ACT_OK;
}

static __always_inline __u16 folded(__u32 sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    return ~(sum + (sum >> 16));
}

// Puts IPv4 packets into IPv4 packets.
SEC("xdp")
int tunnel(struct xdp_md *ctx) {
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data, saved;
    struct iphdr *inner = (void *)(eth + 1);
    if ((void *)(inner + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
        return XDP_PASS;
    saved = *eth;
    __u16 length = bpf_ntohs(inner->tot_len) + sizeof(struct iphdr);
    if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr)))
        return XDP_DROP;
    data = (void *)(long)ctx->data;
    end = (void *)(long)ctx->data_end;
    eth = data;
    struct iphdr *outer = (void *)(eth + 1);
    if ((void *)(outer + 1) > end)
        return XDP_ABORTED;
    *eth = saved;
    __builtin_memset(outer, 0, sizeof(*outer));
    outer->version = 4;
    outer->ihl = sizeof(*outer) / 4;
    outer->tot_len = bpf_htons(length);
    outer->ttl = 64;
    outer->protocol = IPPROTO_IPIP;
    outer->saddr = public_address;
    outer->daddr = internal_address;
    outer->check = folded(bpf_csum_diff(0, 0, (__be32 *)outer, sizeof(*outer), 0));
    return XDP_TX;
}

// Cuts packets to 96 bytes, as a sampler does.
SEC("xdp")
int trim(struct xdp_md *ctx) {
    int length = ctx->data_end - ctx->data;
    if (length > 96 && bpf_xdp_adjust_tail(ctx, 96 - length))
        return XDP_ABORTED;
    return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
