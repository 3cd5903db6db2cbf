// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// A packet filter for XDP: deny lists by source prefix, a packet rate for each source, counters by
// rule, and an event in a ring buffer for each dropped packet.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum rule {
    RULE_PASS,
    RULE_MALFORMED,
    RULE_DENY_V4,
    RULE_DENY_V6,
    RULE_RATE,
    RULE_BAD_TCP_FLAGS,
    RULE_NOT_IP,
    RULES,
};

struct address {
    __u8 bytes[16]; // IPv4: the first four bytes, the rest zero
    __u32 family;   // 4 or 6
};

struct prefix_v4 {
    __u32 length;
    __u8 bytes[4];
};

struct prefix_v6 {
    __u32 length;
    __u8 bytes[16];
};

struct bucket {
    __u64 tokens; // in nanoseconds: a packet costs ns_per_packet
    __u64 last_ns;
};

struct counter {
    __u64 packets;
    __u64 bytes;
};

struct event {
    struct address source;
    __u32 rule;
    __u16 source_port; // host order; 0 if there is none
    __u16 destination_port;
    __u8 protocol;
    __u8 padding[3];
};

// Keeps the type in BTF, so that readers of `events` can show its fields.
const struct event *event_type __attribute__((unused));

struct packet {
    struct address source;
    __u16 source_port;
    __u16 destination_port;
    __u8 protocol;
};

const volatile __u64 ns_per_packet = 1000000; // 1000 packets a second
const volatile __u64 burst_packets = 64;

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, 1024);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct prefix_v4);
    __type(value, __u32);
} deny_v4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, 1024);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct prefix_v6);
    __type(value, __u32);
} deny_v6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct address);
    __type(value, struct bucket);
} buckets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, RULES);
    __type(key, __u32);
    __type(value, struct counter);
} counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 65536);
} events SEC(".maps");

struct vlan {
    __be16 tag;
    __be16 protocol;
};

struct extension {
    __u8 next;
    __u8 length;
};

static __always_inline int parse_ports(struct packet *packet, void *at, void *end) {
    if (packet->protocol == IPPROTO_TCP) {
        struct tcphdr *tcp = at;
        if ((void *)(tcp + 1) > end)
            return RULE_MALFORMED;
        packet->source_port = bpf_ntohs(tcp->source);
        packet->destination_port = bpf_ntohs(tcp->dest);
        // Nobody's stack sends these: they are probes.
        if ((tcp->syn && tcp->fin) || (!tcp->syn && !tcp->ack && !tcp->rst))
            return RULE_BAD_TCP_FLAGS;
    } else if (packet->protocol == IPPROTO_UDP) {
        struct udphdr *udp = at;
        if ((void *)(udp + 1) > end)
            return RULE_MALFORMED;
        packet->source_port = bpf_ntohs(udp->source);
        packet->destination_port = bpf_ntohs(udp->dest);
    }
    return RULE_PASS;
}

static __always_inline int parse_v4(struct packet *packet, void *at, void *end) {
    struct iphdr *ip = at;
    if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
        return RULE_MALFORMED;
    packet->source.family = 4;
    __builtin_memcpy(packet->source.bytes, &ip->saddr, 4);
    packet->protocol = ip->protocol;

    struct prefix_v4 key = {.length = 32};
    __builtin_memcpy(key.bytes, &ip->saddr, 4);
    if (bpf_map_lookup_elem(&deny_v4, &key))
        return RULE_DENY_V4;
    if (ip->frag_off & bpf_htons(0x1fff))
        return RULE_PASS; // Ports are in the first fragment only.
    return parse_ports(packet, at + ip->ihl * 4, end);
}

static __always_inline int parse_v6(struct packet *packet, void *at, void *end) {
    struct ipv6hdr *ip = at;
    if ((void *)(ip + 1) > end || ip->version != 6)
        return RULE_MALFORMED;
    packet->source.family = 6;
    __builtin_memcpy(packet->source.bytes, &ip->saddr, 16);

    struct prefix_v6 key = {.length = 128};
    __builtin_memcpy(key.bytes, &ip->saddr, 16);
    if (bpf_map_lookup_elem(&deny_v6, &key))
        return RULE_DENY_V6;

    __u8 next = ip->nexthdr;
    at = ip + 1;
    for (int i = 0; i < 6; i++) {
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
            next != IPPROTO_FRAGMENT)
            break;
        struct extension *header = at;
        if (at + 8 > end)
            return RULE_MALFORMED;
        if (next == IPPROTO_FRAGMENT) {
            __be16 offset = *(__be16 *)(at + 2);
            packet->protocol = header->next;
            if (offset & bpf_htons(0xfff8))
                return RULE_PASS;
            at += 8;
        } else {
            at += (header->length + 1) * 8;
        }
        next = header->next;
    }
    packet->protocol = next;
    return parse_ports(packet, at, end);
}

static __always_inline int parse(struct packet *packet, void *at, void *end) {
    struct ethhdr *eth = at;
    if ((void *)(eth + 1) > end)
        return RULE_MALFORMED;
    __be16 protocol = eth->h_proto;
    at = eth + 1;
    for (int i = 0; i < 2; i++) {
        if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD))
            break;
        struct vlan *vlan = at;
        if ((void *)(vlan + 1) > end)
            return RULE_MALFORMED;
        protocol = vlan->protocol;
        at = vlan + 1;
    }
    if (protocol == bpf_htons(ETH_P_IP))
        return parse_v4(packet, at, end);
    if (protocol == bpf_htons(ETH_P_IPV6))
        return parse_v6(packet, at, end);
    return RULE_NOT_IP;
}

/* A token bucket: true if the source has spent what it may. */
static __always_inline int over_rate(const struct address *source) {
    __u64 now = bpf_ktime_get_ns();
    __u64 full = burst_packets * ns_per_packet;
    struct bucket *bucket = bpf_map_lookup_elem(&buckets, source);
    if (!bucket) {
        struct bucket fresh = {.tokens = full - ns_per_packet, .last_ns = now};
        bpf_map_update_elem(&buckets, source, &fresh, BPF_ANY);
        return 0;
    }
    __u64 tokens = bucket->tokens + (now - bucket->last_ns);
    bucket->last_ns = now;
    if (tokens > full)
        tokens = full;
    if (tokens < ns_per_packet) {
        bucket->tokens = tokens;
        return 1;
    }
    bucket->tokens = tokens - ns_per_packet;
    return 0;
}

static __always_inline void report(const struct packet *packet, __u32 rule) {
    struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
    if (!event)
        return; // The reader is behind; the counters still tell.
    event->source = packet->source;
    event->rule = rule;
    event->source_port = packet->source_port;
    event->destination_port = packet->destination_port;
    event->protocol = packet->protocol;
    __builtin_memset(event->padding, 0, sizeof(event->padding));
    bpf_ringbuf_submit(event, 0);
}

SEC("xdp")
int firewall(struct xdp_md *ctx) {
    void *data = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    struct packet packet = {};

    __u32 rule = parse(&packet, data, end);
    if (rule == RULE_PASS && over_rate(&packet.source))
        rule = RULE_RATE;

    struct counter *counter = bpf_map_lookup_elem(&counters, &rule);
    if (counter) {
        counter->packets++;
        counter->bytes += end - data;
    }
    if (rule == RULE_PASS || rule == RULE_NOT_IP)
        return XDP_PASS;
    report(&packet, rule);
    return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
