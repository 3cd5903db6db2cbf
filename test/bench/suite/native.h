// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The programs of the suite as functions of the driver. Maps are skep's, set by the driver; helpers
// are those of skep's table, called through it. SUITE_PROGRAM is the program's name, a string.
#ifndef SKEP_SUITE_NATIVE_H
#define SKEP_SUITE_NATIVE_H

#define xdp_md uapi_xdp_md // Its packet pointers have 32 bits.
#include <linux/bpf.h>
#undef xdp_md
#undef __always_inline // linux/stddef.h's does not insist.

struct xdp_md {
    unsigned long data, data_end, data_meta;
    __u32 ingress_ifindex, rx_queue_index, egress_ifindex;
};

struct suite_map {
    void *map; // maps::Map
};

// What the driver finds between __start_ and __stop_ of the sections.
struct suite_program_entry {
    const char *name;
    int (*run)(struct xdp_md *);
};
struct suite_map_entry {
    const char *program, *name;
    struct suite_map *map;
};

typedef unsigned long (*suite_helper)(unsigned long, unsigned long, unsigned long, unsigned long,
                                      unsigned long, void *);
extern suite_helper suite_helpers[];
extern __thread void *suite_run __attribute__((tls_model("initial-exec"))); // exec::RunContext

#define PROGRAM(name)                                                                              \
    static int run_##name(struct xdp_md *ctx);                                                     \
    __attribute__((section("suite_programs"), used)) static struct suite_program_entry             \
        entry_##name = {#name, run_##name};                                                        \
    static int run_##name(struct xdp_md *ctx __attribute__((unused)))
#define MAP(name, kind, key_type, value_type, entries, flags)                                      \
    static struct suite_map name;                                                                  \
    __attribute__((section("suite_maps"), used)) static struct suite_map_entry entry_##name = {    \
        SUITE_PROGRAM, #name, &name}
#define RING(name, bytes) MAP(name, , , , , )
#define __noinline __attribute__((noinline))
#define __always_inline inline __attribute__((always_inline))

static inline unsigned long suite_call(int helper, const void *map, unsigned long a,
                                       unsigned long b, unsigned long c) {
    return suite_helpers[helper]((unsigned long)((const struct suite_map *)map)->map, a, b, c, 0,
                                 suite_run);
}

static inline void *bpf_map_lookup_elem(const void *map, const void *key) {
    return (void *)suite_call(BPF_FUNC_map_lookup_elem, map, (unsigned long)key, 0, 0);
}

static inline long bpf_map_update_elem(const void *map, const void *key, const void *value,
                                       unsigned long flags) {
    return (long)suite_call(BPF_FUNC_map_update_elem, map, (unsigned long)key,
                            (unsigned long)value, flags);
}

static inline long bpf_map_delete_elem(const void *map, const void *key) {
    return (long)suite_call(BPF_FUNC_map_delete_elem, map, (unsigned long)key, 0, 0);
}

static inline long bpf_ringbuf_output(const void *ring, const void *record, unsigned long size,
                                      unsigned long flags) {
    return (long)suite_call(BPF_FUNC_ringbuf_output, ring, (unsigned long)record, size, flags);
}

// On the host a loop is a loop.
static inline long bpf_loop(__u32 rounds, void *callback, void *arg, unsigned long flags) {
    (void)flags;
    for (__u32 i = 0; i < rounds; i++)
        if (((long (*)(__u64, void *))callback)(i, arg) != 0)
            return i + 1;
    return rounds;
}

#endif
