// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Calls helpers with good and bad arguments; what they return is folded into `results`, so that one
// comparison of the map at the end tells of every call on every packet.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define EINVAL 22

__u64 results[64];

#define MAP(name, kind, key_type, value_type, entries)                                             \
    struct {                                                                                       \
        __uint(type, kind);                                                                        \
        __uint(max_entries, entries);                                                              \
        __type(key, key_type);                                                                     \
        __type(value, value_type);                                                                 \
    } name SEC(".maps")

MAP(numbers, BPF_MAP_TYPE_ARRAY, __u32, __u64, 8);
MAP(table, BPF_MAP_TYPE_HASH, __u32, __u64, 16);
MAP(recent, BPF_MAP_TYPE_LRU_HASH, __u32, __u64, 64);
MAP(per_cpu, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, 4);
MAP(devices, BPF_MAP_TYPE_DEVMAP, __u32, __u32, 4);
MAP(cpus, BPF_MAP_TYPE_CPUMAP, __u32, __u32, 2);
MAP(perf_events, BPF_MAP_TYPE_PERF_EVENT_ARRAY, __u32, __u32, 4);

struct {
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, 4);
    __type(value, __u64);
} queue SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_STACK);
    __uint(max_entries, 4);
    __type(value, __u64);
} stack SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
    __uint(max_entries, 64);
    __type(value, __u32);
} bloom SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} ring SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u32);
} empty_table SEC(".maps");

// Results of one program lie side by side: `at` counts them at compile time.
#define BEGIN __u32 at = 0
#define PUT(value) (results[at] = results[at] * 31 + (__u64)(value), at++)

static __always_inline __u64 fold(const void *bytes, __u32 size) {
    __u64 sum = 0;
    for (__u32 i = 0; i < size; i++)
        sum = sum * 131 + ((const __u8 *)bytes)[i];
    return sum;
}

SEC("xdp")
int text(struct xdp_md *ctx) {
    BEGIN;
    long number = 0;
    unsigned long natural = 0;
    static const char texts[][24] = {"42",     "-42",   "  17x", "0x1F",  "0777", "9223372036854775807",
                                     "9223372036854775808", "18446744073709551615", "-", "", "+5", "zz"};
#pragma unroll
    for (int i = 0; i < 12; i++) {
        char copy[24];
        __builtin_memcpy(copy, texts[i], sizeof(copy));
        PUT(bpf_strtol(copy, sizeof(copy), 0, &number));
        PUT(number);
        PUT(bpf_strtoul(copy, sizeof(copy), i & 1 ? 10 : 16, &natural));
        PUT(natural);
    }
    PUT(bpf_strncmp("abcdef", 6, "abcxyz"));
    PUT(bpf_strncmp("abc", 3, "abcxyz"));
    PUT(bpf_strncmp("b", 1, "a"));
    return XDP_PASS;
}

SEC("xdp")
int format(struct xdp_md *ctx) {
    BEGIN;
    char out[64];
    __u64 args[] = {42, (__u64)-7, 0xdeadbeef, 0x1122334455667788};
    __u64 one[] = {(__u64)-5};
#define FORMAT(text, data)                                                                         \
    do {                                                                                           \
        static const char spec[] = text;                                                           \
        __builtin_memset(out, 0x55, sizeof(out));                                                  \
        PUT(bpf_snprintf(out, sizeof(out), spec, data, sizeof(data)));                             \
        PUT(fold(out, sizeof(out)));                                                               \
    } while (0)
    FORMAT("%d %d %x %llx", args);
    FORMAT("%u|%i|%X|%lld", args);
    FORMAT("%5d|%-5d|%08x|%20llx", args);
    FORMAT("%ld %lu %lx %%%llu", args);
    FORMAT("[%c][%03d]%x %llu", args);
    FORMAT("%d", one);
    FORMAT("%llu and a tail that does not fit into the buffer of sixty-four bytes", one);
    static const char plain[] = "no arguments at all";
    char small[8];
    PUT(bpf_snprintf(small, sizeof(small), plain, 0, 0));
    PUT(fold(small, sizeof(small)));
    static const char ip4[] = "%pI4 %pi4";
    __u32 address = bpf_htonl(0x0a090102);
    __u64 addresses[] = {(__u64)&address, (__u64)&address};
    PUT(bpf_snprintf(out, sizeof(out), ip4, addresses, sizeof(addresses)));
    return XDP_PASS;
}

SEC("xdp")
int checksums(struct xdp_md *ctx) {
    BEGIN;
    __u8 bytes[128];
    if (bpf_xdp_load_bytes(ctx, 0, bytes, 14))
        return XDP_ABORTED;
    for (int i = 14; i < 128; i++)
        bytes[i] = i * 7;
    __be32 *words = (__be32 *)bytes;
    PUT(bpf_csum_diff(0, 0, words, 4, 0));
    PUT(bpf_csum_diff(0, 0, words, 64, 0xffff));
    PUT(bpf_csum_diff(words, 16, 0, 0, 0));
    PUT(bpf_csum_diff(words, 16, words + 4, 16, 0x1234));
    PUT(bpf_csum_diff(words, 16, words + 4, 64, 0xffffffff));
    PUT(bpf_csum_diff(0, 0, 0, 0, 7));
    PUT(bpf_csum_diff(words, 128, words, 128, 1));
    PUT(bpf_csum_diff(0, 0, words, 3, 0));
    return XDP_PASS;
}

static long add_index(__u32 index, __u64 *sum) {
    *sum += index;
    return index == 20;
}

struct bpf_map;
static long add_element(struct bpf_map *map, __u32 *key, __u64 *value, __u64 *sum) {
    *sum += *key * 3 + *value;
    return 0;
}

SEC("xdp")
int maps(struct xdp_md *ctx) {
    BEGIN;
    __u32 key = ctx->data_end - ctx->data, small = key & 7, absent = 99;
    __u64 value = key * 5ULL, sum = 0, *found;
    PUT(bpf_map_update_elem(&numbers, &small, &value, BPF_ANY));
    PUT(bpf_map_update_elem(&numbers, &absent, &value, BPF_ANY));
    PUT(bpf_map_update_elem(&numbers, &small, &value, BPF_NOEXIST));
    PUT(bpf_map_update_elem(&numbers, &small, &value, 77));
    PUT(bpf_map_delete_elem(&numbers, &small));
    PUT(bpf_map_update_elem(&table, &key, &value, BPF_NOEXIST));
    PUT(bpf_map_update_elem(&table, &key, &value, BPF_EXIST));
    found = bpf_map_lookup_elem(&table, &key);
    PUT(found ? *found : 1);
    PUT(bpf_map_delete_elem(&table, &absent));
    if (key & 1)
        PUT(bpf_map_delete_elem(&table, &key));
    else
        at++;
    PUT(bpf_map_update_elem(&recent, &key, &value, BPF_ANY));
    PUT(bpf_map_delete_elem(&recent, &key));
    PUT(bpf_map_update_elem(&per_cpu, &(__u32){1}, &value, BPF_ANY));
    found = bpf_map_lookup_percpu_elem(&per_cpu, &(__u32){1}, 0);
    PUT(found ? *found : 1);
    found = bpf_map_lookup_percpu_elem(&per_cpu, &(__u32){1}, 4000);
    PUT(found ? *found : 1);
    PUT(bpf_loop(10, add_index, &sum, 0));
    PUT(bpf_loop(30, add_index, &sum, 0));
    PUT(bpf_loop(0, add_index, &sum, 0));
    PUT((int)bpf_loop(1 << 24, add_index, &sum, 0)); // Inlined, the kernel's has 32 bits.
    PUT(bpf_loop(1, add_index, &sum, 1));
    PUT(sum);
    sum = 0;
    PUT(bpf_for_each_map_elem(&numbers, add_element, &sum, 0));
    PUT(bpf_for_each_map_elem(&per_cpu, add_element, &sum, 0));
    PUT(bpf_for_each_map_elem(&numbers, add_element, &sum, 1));
    PUT(sum);
    return XDP_PASS;
}

SEC("xdp")
int queues(struct xdp_md *ctx) {
    BEGIN;
    __u64 value = ctx->data_end - ctx->data;
    __u32 word = value & 63;
    PUT(bpf_map_push_elem(&queue, &value, BPF_ANY));
    PUT(bpf_map_push_elem(&stack, &value, BPF_ANY));
    value++;
    PUT(bpf_map_push_elem(&queue, &value, BPF_EXIST));
    PUT(bpf_map_push_elem(&stack, &value, BPF_EXIST));
    PUT(bpf_map_push_elem(&queue, &value, 99));
    PUT(bpf_map_peek_elem(&queue, &value));
    PUT(value);
    if (value & 1) {
        PUT(bpf_map_pop_elem(&queue, &value));
        PUT(value);
        PUT(bpf_map_pop_elem(&stack, &value));
        PUT(bpf_map_pop_elem(&stack, &value));
        PUT(value);
    }
    at = 12;
    PUT(bpf_map_peek_elem(&bloom, &word));
    PUT(bpf_map_push_elem(&bloom, &word, BPF_ANY));
    PUT(bpf_map_peek_elem(&bloom, &word));
    PUT(bpf_map_push_elem(&bloom, &word, BPF_EXIST));
    return XDP_PASS;
}

SEC("xdp")
int rings(struct xdp_md *ctx) {
    BEGIN;
    __u64 record[2] = {ctx->data_end - ctx->data, 7};
    PUT(bpf_ringbuf_output(&ring, record, sizeof(record), 0));
    PUT(bpf_ringbuf_output(&ring, record, sizeof(record), BPF_RB_FORCE_WAKEUP | BPF_RB_NO_WAKEUP));
    PUT(bpf_ringbuf_output(&ring, record, sizeof(record), 8));
    __u64 *slot = bpf_ringbuf_reserve(&ring, 24, 0);
    PUT(slot != 0);
    if (slot)
        bpf_ringbuf_discard(slot, 0);
    slot = bpf_ringbuf_reserve(&ring, 8192, 0);
    PUT(slot != 0);
    if (slot)
        bpf_ringbuf_discard(slot, 0);
    PUT(bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE));
    PUT(bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA));
    PUT(bpf_ringbuf_query(&ring, BPF_RB_PROD_POS));
    PUT(bpf_ringbuf_query(&ring, BPF_RB_CONS_POS));
    PUT(bpf_ringbuf_query(&ring, 9));
    // Without events in the map the kernel has nowhere to write to; skep always has a reader.
    PUT(bpf_perf_event_output(ctx, &perf_events, 1ULL << 60, record, sizeof(record)));
    bpf_tail_call(ctx, &empty_table, 1);
    bpf_tail_call(ctx, &empty_table, 9);
    PUT(bpf_get_smp_processor_id());
    PUT(bpf_get_numa_node_id());
    return XDP_PASS;
}

SEC("xdp")
int dynptrs(struct xdp_md *ctx) {
    BEGIN;
    struct bpf_dynptr pointer, reserved;
    __u8 bytes[16] = {};
    __u32 one = 1;
    __u64 *value = bpf_map_lookup_elem(&numbers, &one);
    if (!value)
        return XDP_ABORTED;
    PUT(bpf_dynptr_from_mem(value, sizeof(*value), 0, &pointer));
    PUT(bpf_dynptr_write(&pointer, 2, "ab", 2, 0));
    PUT(bpf_dynptr_write(&pointer, 7, "ab", 2, 0));
    PUT(bpf_dynptr_write(&pointer, 0, "ab", 2, 1));
    PUT(bpf_dynptr_read(bytes, 4, &pointer, 2, 0));
    PUT(bpf_dynptr_read(bytes, 4, &pointer, 5, 0));
    PUT(bpf_dynptr_read(bytes, 4, &pointer, 0, 3));
    PUT(fold(bytes, 4));
    __u16 *data = bpf_dynptr_data(&pointer, 4, 2);
    PUT(data != 0);
    if (data)
        *data = 0x4321;
    PUT(bpf_dynptr_data(&pointer, 7, 2) != 0);
    PUT(bpf_dynptr_from_mem(value, sizeof(*value), 1, &pointer));
    PUT(bpf_dynptr_read(bytes, 4, &pointer, 0, 0));
    PUT(bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &reserved));
    PUT(bpf_dynptr_write(&reserved, 0, bytes, 16, 0));
    bpf_ringbuf_discard_dynptr(&reserved, 0);
    PUT(bpf_ringbuf_reserve_dynptr(&ring, 1 << 20, 0, &reserved));
    bpf_ringbuf_submit_dynptr(&reserved, 0);
    PUT(*value);
    return XDP_PASS;
}

SEC("xdp")
int probes(struct xdp_md *ctx) {
    BEGIN;
    __u64 out = 7;
    char text[16] = "probe me", copy[16];
    PUT(bpf_probe_read_kernel(&out, sizeof(out), text));
    PUT(out);
    PUT(bpf_probe_read_kernel_str(copy, sizeof(copy), text));
    PUT(bpf_probe_read_kernel_str(copy, 4, text));
    PUT(fold(copy, 4));
    PUT(bpf_probe_read_kernel(&out, sizeof(out), (void *)8));
    PUT(out);
    PUT(bpf_probe_read_kernel_str(copy, sizeof(copy), (void *)8));
    static const char spec[] = "%d %s";
    PUT(bpf_trace_printk(spec, sizeof(spec), 5, text) > 0);
    return XDP_PASS;
}

SEC("xdp")
int xdp_bytes(struct xdp_md *ctx) {
    BEGIN;
    __u8 bytes[32] = {};
    PUT(bpf_xdp_get_buff_len(ctx));
    PUT(bpf_xdp_load_bytes(ctx, 0, bytes, 14));
    PUT(bpf_xdp_load_bytes(ctx, 40, bytes, 32));
    PUT(fold(bytes, 32));
    PUT(bpf_xdp_load_bytes(ctx, 60000, bytes, 8));
    PUT(bpf_xdp_store_bytes(ctx, 2, bytes, 4));
    PUT(bpf_xdp_store_bytes(ctx, 9000, bytes, 4));
    PUT(bpf_xdp_adjust_meta(ctx, -8));
    PUT(bpf_xdp_adjust_meta(ctx, -3));
    PUT(bpf_xdp_adjust_meta(ctx, -400));
    PUT(bpf_xdp_adjust_meta(ctx, 4));
    PUT(ctx->data - ctx->data_meta);
    PUT(bpf_xdp_adjust_head(ctx, -500));
    PUT(bpf_xdp_adjust_head(ctx, 5000));
    PUT(bpf_xdp_adjust_head(ctx, 4));
    PUT(bpf_xdp_adjust_head(ctx, -20));
    PUT(bpf_xdp_adjust_tail(ctx, 10));
    PUT(bpf_xdp_adjust_tail(ctx, 5000));
    PUT(bpf_xdp_adjust_tail(ctx, -5000));
    PUT(bpf_xdp_adjust_tail(ctx, -6));
    PUT(bpf_xdp_get_buff_len(ctx));
    return XDP_PASS;
}

SEC("xdp")
int xdp_redirects(struct xdp_md *ctx) {
    BEGIN;
    PUT(bpf_redirect(7, 0));
    PUT(bpf_redirect(7, 1));
    PUT(bpf_redirect_map(&devices, 1, 0));
    PUT(bpf_redirect_map(&devices, 1, XDP_PASS));
    PUT(bpf_redirect_map(&devices, 1, XDP_TX));
    PUT(bpf_redirect_map(&devices, 1, 9));
    PUT(bpf_redirect_map(&devices, 77, XDP_DROP));
    PUT(bpf_redirect_map(&cpus, 0, XDP_PASS));
    return XDP_DROP;
}

SEC("tc")
int skb_bytes(struct __sk_buff *skb) {
    BEGIN;
    __u8 bytes[32] = {};
    PUT(bpf_skb_load_bytes(skb, 0, bytes, 14));
    PUT(bpf_skb_load_bytes(skb, 30, bytes, 20));
    PUT(fold(bytes, 32));
    PUT(bpf_skb_load_bytes(skb, 60000, bytes, 4));
    PUT(fold(bytes, 32));
    PUT(bpf_skb_load_bytes(skb, 0x80000000, bytes, 4));
    PUT(bpf_skb_load_bytes_relative(skb, 2, bytes, 4, BPF_HDR_START_NET));
    PUT(fold(bytes, 32));
    PUT(bpf_skb_load_bytes_relative(skb, 0, bytes, 4, BPF_HDR_START_MAC));
    PUT(bpf_skb_load_bytes_relative(skb, 9999, bytes, 4, BPF_HDR_START_NET));
    PUT(bpf_skb_load_bytes_relative(skb, 0, bytes, 4, 5));
    PUT(bpf_skb_store_bytes(skb, 20, bytes, 6, 0));
    PUT(bpf_skb_store_bytes(skb, 26, bytes, 4, BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH));
    PUT(bpf_skb_store_bytes(skb, 60000, bytes, 4, 0));
    PUT(bpf_skb_store_bytes(skb, 20, bytes, 4, 64));
    PUT(bpf_skb_pull_data(skb, 0));
    PUT(bpf_skb_pull_data(skb, skb->len));
    PUT(bpf_skb_pull_data(skb, 70000));
    PUT(skb->len);
    PUT(skb->data_end - skb->data);
    return TC_ACT_OK;
}

SEC("tc")
int skb_checksums(struct __sk_buff *skb) {
    BEGIN;
    PUT(bpf_l3_csum_replace(skb, 24, 0x1234, 0x4321, 2));
    PUT(bpf_l3_csum_replace(skb, 24, 0x12345678, 0x87654321, 4));
    PUT(bpf_l3_csum_replace(skb, 24, 0, 0xabcd, 0));
    PUT(bpf_l3_csum_replace(skb, 24, 1, 2, 3));
    PUT(bpf_l3_csum_replace(skb, 25, 1, 2, 2));
    PUT(bpf_l3_csum_replace(skb, 60000, 1, 2, 2));
    PUT(bpf_l4_csum_replace(skb, 40, 0x1234, 0x4321, 2));
    PUT(bpf_l4_csum_replace(skb, 40, 0x12345678, 0x87654321, BPF_F_PSEUDO_HDR | 4));
    PUT(bpf_l4_csum_replace(skb, 40, 0, 0x1717, BPF_F_MARK_MANGLED_0));
    PUT(bpf_l4_csum_replace(skb, 40, 1, 2, BPF_F_MARK_ENFORCE | 2));
    PUT(bpf_l4_csum_replace(skb, 40, 1, 2, 3));
    PUT(bpf_l4_csum_replace(skb, 60000, 1, 2, 2));
    PUT(bpf_csum_update(skb, 0x1234));
    PUT(bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY));
    PUT(bpf_csum_level(skb, BPF_CSUM_LEVEL_INC));
    PUT(bpf_csum_level(skb, 9));
    return TC_ACT_OK;
}

SEC("tc")
int skb_lengths(struct __sk_buff *skb) {
    BEGIN;
    __u32 length = skb->len;
    PUT(bpf_skb_change_tail(skb, length + 12, 0));
    PUT(skb->len);
    PUT(bpf_skb_change_tail(skb, 8, 0));
    PUT(bpf_skb_change_tail(skb, length - 3, 0));
    PUT(bpf_skb_change_tail(skb, 1 << 20, 0));
    PUT(bpf_skb_change_tail(skb, length, 1));
    PUT(bpf_skb_change_head(skb, 16, 0));
    PUT(skb->len);
    PUT(bpf_skb_change_head(skb, 16, 1));
    PUT(bpf_skb_change_head(skb, 1 << 20, 0));
    return TC_ACT_OK;
}

SEC("tc")
int skb_types(struct __sk_buff *skb) {
    BEGIN;
    PUT(bpf_skb_change_type(skb, 3));
    PUT(skb->pkt_type);
    PUT(bpf_skb_change_type(skb, 5));
    PUT(bpf_skb_change_type(skb, 0));
    PUT(skb->pkt_type);
    bpf_set_hash(skb, 0x12345678);
    PUT(skb->hash);
    PUT(bpf_get_hash_recalc(skb));
    bpf_set_hash_invalid(skb);
    PUT(bpf_get_cgroup_classid(skb));
    PUT(bpf_get_route_realm(skb));
    PUT(bpf_skb_ecn_set_ce(skb));
    PUT(skb->vlan_present);
    PUT(bpf_redirect(9, 0));
    PUT(bpf_redirect(9, 1));
    PUT(bpf_redirect(9, 2));
    PUT(bpf_redirect_peer(9, 1));
    PUT(bpf_redirect_neigh(9, 0, 0, 1));
    PUT(bpf_clone_redirect(skb, 0, 0));
    PUT(bpf_clone_redirect(skb, 1, 9));
    return TC_ACT_OK;
}

SEC("tc")
int skb_vlans(struct __sk_buff *skb) {
    BEGIN;
    PUT(bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 42));
    PUT(skb->vlan_present);
    PUT(skb->vlan_tci);
    PUT(skb->protocol);
    PUT(bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021AD), 7));
    PUT(skb->len);
    PUT(bpf_skb_vlan_push(skb, 0x1234, 7));
    PUT(bpf_skb_vlan_pop(skb));
    PUT(skb->vlan_tci);
    PUT(bpf_skb_vlan_pop(skb));
    PUT(bpf_skb_vlan_pop(skb));
    PUT(skb->len);
    return TC_ACT_OK;
}

SEC("tc")
int skb_protocols(struct __sk_buff *skb) {
    BEGIN;
    if (skb->protocol == bpf_htons(ETH_P_IP)) {
        PUT(bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0));
        PUT(skb->protocol);
        PUT(skb->len);
        PUT(bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 1));
    } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
        at = 4;
        PUT(bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 0));
        PUT(skb->len);
    }
    at = 6;
    PUT(bpf_skb_change_proto(skb, bpf_htons(ETH_P_ARP), 0));
    return TC_ACT_OK;
}

SEC("tc")
int skb_rooms(struct __sk_buff *skb) {
    BEGIN;
    PUT(bpf_skb_adjust_room(skb, 8, BPF_ADJ_ROOM_NET, 0));
    PUT(skb->len);
    PUT(bpf_skb_adjust_room(skb, 16, BPF_ADJ_ROOM_MAC, 0));
    PUT(skb->len);
    PUT(bpf_skb_adjust_room(skb, -16, BPF_ADJ_ROOM_MAC, 0));
    PUT(skb->len);
    PUT(bpf_skb_adjust_room(skb, -8, BPF_ADJ_ROOM_NET, 0));
    PUT(bpf_skb_adjust_room(skb, 8, 7, 0));
    PUT(bpf_skb_adjust_room(skb, 8, BPF_ADJ_ROOM_NET, 1ULL << 40));
    PUT(bpf_skb_adjust_room(skb, 9000, BPF_ADJ_ROOM_NET, 0));
    PUT(bpf_skb_adjust_room(skb, -2000, BPF_ADJ_ROOM_NET, 0));
    PUT(skb->len);
    return TC_ACT_OK;
}

SEC("cgroup_skb/egress")
int cgroup_bytes(struct __sk_buff *skb) {
    BEGIN;
    __u8 bytes[8] = {};
    PUT(bpf_skb_load_bytes(skb, 0, bytes, 8));
    PUT(fold(bytes, 8));
    PUT(bpf_skb_load_bytes_relative(skb, 0, bytes, 4, BPF_HDR_START_NET));
    PUT(fold(bytes, 8));
    PUT(bpf_skb_load_bytes_relative(skb, 5, bytes, 8, BPF_HDR_START_MAC));
    PUT(fold(bytes, 8));
    PUT(skb->len);
    return 1;
}

SEC("socket")
int socket_bytes(struct __sk_buff *skb) {
    BEGIN;
    __u8 bytes[8] = {};
    PUT(bpf_skb_load_bytes(skb, 0, bytes, 8));
    PUT(fold(bytes, 8));
    PUT(bpf_skb_load_bytes_relative(skb, 4, bytes, 4, BPF_HDR_START_NET));
    PUT(bpf_get_socket_uid(skb));
    PUT(skb->protocol);
    PUT(skb->pkt_type);
    return skb->len;
}

char _license[] SEC("license") = "GPL";
