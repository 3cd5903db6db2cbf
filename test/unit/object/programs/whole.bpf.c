// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// One of everything that the linker handles.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

char _license[] SEC("license") = "Dual MIT/GPL";
__u32 _version SEC("version") = 0x060c00;

struct bpf_map;
struct pair {
    __u32 a, b;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(pinning, LIBBPF_PIN_BY_NAME);
    __type(key, __u32);
    __type(value, struct pair);
} table SEC(".maps");

struct inner {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u64);
} first SEC(".maps"), second SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 4);
    __type(key, __u32);
    __array(values, struct inner);
} outer SEC(".maps") = {.values = {[1] = &first, [3] = &second}};

int last(struct xdp_md* ctx);

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 3);
    __uint(key_size, 4);
    __array(values, int(struct xdp_md*));
} jumps SEC(".maps") = {.values = {[2] = (void*)&last}};

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 5000);
} events SEC(".maps");

const volatile __u32 limit = 7;
__u64 seen;
__u32 state = 5;
__u16 other SEC(".data.other") = 9;

extern bool CONFIG_PRESENT __kconfig __weak;
extern int LINUX_KERNEL_VERSION __kconfig;
extern const char CONFIG_NAME[8] __kconfig __weak;
extern void bpf_absent(void) __ksym __weak;

static __noinline __u64 inner_most(__u64 x) {
    return x + state;
}

__noinline int checked(struct xdp_md* ctx) {
    return ctx->ingress_ifindex + inner_most(seen);
}

static long each(struct bpf_map* map, __u32* key, struct pair* value, void* ctx) {
    return inner_most(value->a);
}

SEC("xdp.frags")
int main_program(struct xdp_md* ctx) {
    bpf_for_each_map_elem(&table, each, NULL, 0);
    if (bpf_absent)
        bpf_absent();
    bpf_tail_call(ctx, &jumps, 2);
    return checked(ctx) + limit + other + CONFIG_PRESENT + LINUX_KERNEL_VERSION + CONFIG_NAME[0];
}

SEC("xdp")
int last(struct xdp_md* ctx) {
    return XDP_PASS;
}

SEC("?lsm.s/file_open")
int optional(void* ctx) {
    return inner_most(3);
}

SEC("sokcet")
int misspelt(struct __sk_buff* skb) {
    return 0;
}
