// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// A layer 4 load balancer: which server does the frame go to?
#include "suite.h"

struct total {
    u64 packets, bytes;
};

MAP(vips, BPF_MAP_TYPE_HASH, struct vip_key, struct vip, 64, 0);
MAP(flows, BPF_MAP_TYPE_LRU_HASH, struct flow_key, u32, 4 * SUITE_ENTRIES, 0);
MAP(ring, BPF_MAP_TYPE_ARRAY, u32, u32, SUITE_ENTRIES, 0);
MAP(servers, BPF_MAP_TYPE_ARRAY, u32, struct server, 64, 0);
MAP(totals, BPF_MAP_TYPE_PERCPU_ARRAY, u32, struct total, 64, 0);

static __always_inline u32 hash_flow(const struct flow_key *flow) {
    u64 h = ((u64)flow->source << 32 | flow->target) * 0x9e3779b97f4a7c15;
    h ^= h >> 29;
    h += ((u64)flow->source_port << 48 | (u64)flow->target_port << 32 | flow->protocol);
    h *= 0xbf58476d1ce4e5b9;
    return h >> 32;
}

// `shift` is added to the destination, in host order.
static __always_inline int balance(struct xdp_md *ctx, u32 shift) {
    u8 *data = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;
    if (data + 54 > end || *(u16 *)(data + 12) != BIG16(0x0800))
        return 2;
    u32 header = (data[14] & 15) * 4, protocol = data[23];
    if (header != 20 || (protocol != 6 && protocol != 17) ||
        (*(u16 *)(data + 20) & BIG16(0x3fff)) != 0)
        return 2;
    struct flow_key flow = {.source = *(u32 *)(data + 26),
                            .target = BIG32(BIG32(*(u32 *)(data + 30)) + shift),
                            .source_port = *(u16 *)(data + 34),
                            .target_port = *(u16 *)(data + 36),
                            .protocol = protocol};
    struct vip_key key = {flow.target, flow.target_port, protocol};
    struct vip *vip = bpf_map_lookup_elem(&vips, &key);
    if (!vip) {
        key.port = 0; // A service may have all ports.
        vip = bpf_map_lookup_elem(&vips, &key);
        if (!vip)
            return 2;
    }
    u32 *known = bpf_map_lookup_elem(&flows, &flow);
    u32 number;
    if (known) {
        number = *known;
    } else {
        u32 slot = (vip->first_slot + (hash_flow(&flow) & (vip->slots - 1))) & (SUITE_ENTRIES - 1);
        u32 *chosen = bpf_map_lookup_elem(&ring, &slot);
        if (!chosen)
            return 1;
        number = *chosen;
        bpf_map_update_elem(&flows, &flow, &number, BPF_ANY);
    }
    struct server *server = bpf_map_lookup_elem(&servers, &number);
    if (!server)
        return 1;
    struct total *total = bpf_map_lookup_elem(&totals, &number);
    if (total) {
        total->packets += 1;
        total->bytes += end - data;
    }
    return server->address & 0xffffff;
}
