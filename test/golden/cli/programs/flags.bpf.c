// SPDX-License-Identifier: Apache-2.0
//
// Independent flags, each of which says that a length was limited: more than are told apart.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct value {
    char bytes[16];
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct value);
} values SEC(".maps");

struct length {
    volatile __u64 known;
    volatile __u64 bytes;
};

static __always_inline void limit(struct xdp_md* ctx, struct length* out) {
    __u64 bytes = *(volatile __u32*)&ctx->ingress_ifindex;
    out->known = 0;
    if (bytes < 16)
        out->known = 1;
    out->bytes = bytes;
}

static __always_inline void use(struct value* v, struct length* length) {
    if (!length->known)
        return;
    v->bytes[length->bytes] = 0;
}

SEC("xdp") int many_flags(struct xdp_md* ctx) {
    struct length lengths[16];
    __u32 key = 0;
    struct value* v = bpf_map_lookup_elem(&values, &key);
    if (!v)
        return XDP_DROP;
#pragma unroll
    for (int i = 0; i < 16; i++)
        limit(ctx, &lengths[i]);
#pragma unroll
    for (int i = 0; i < 16; i++)
        use(v, &lengths[i]);
    return XDP_PASS;
}
