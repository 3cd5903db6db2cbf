// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// What every program of the suite includes. The same sources are compiled for BPF and, by way of
// native.h, for the host: one file is one program, PROGRAM(name) in name.bpf.c.
#ifndef SKEP_SUITE_H
#define SKEP_SUITE_H

#ifdef __bpf__

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define PROGRAM(name) SEC("xdp") int name(struct xdp_md *ctx)
#define MAP(name, kind, key_type, value_type, entries, flags)                                      \
    struct {                                                                                       \
        __uint(type, kind);                                                                        \
        __uint(max_entries, entries);                                                              \
        __uint(map_flags, flags);                                                                  \
        __type(key, key_type);                                                                     \
        __type(value, value_type);                                                                 \
    } name SEC(".maps")
#define RING(name, bytes)                                                                          \
    struct {                                                                                       \
        __uint(type, BPF_MAP_TYPE_RINGBUF);                                                        \
        __uint(max_entries, bytes);                                                                \
    } name SEC(".maps")
char LICENSE[] SEC("license") = "GPL";

#else
#include "native.h"
#endif

#include "suite_data.h"

// A loop that stays one, in bytecode and on the host.
#define LOOP _Pragma("clang loop unroll(disable)")

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#define ROTATE32(x, n) (((x) << (n)) | ((x) >> (32 - (n))))
#define ROTATE64(x, n) (((x) << (n)) | ((x) >> (64 - (n))))
#define BIG16(x) __builtin_bswap16(x)
#define BIG32(x) __builtin_bswap32(x)

// 0, and neither a compiler nor a verifier knows it.
#define OPAQUE(ctx) ((ctx)->rx_queue_index)

// The frame as bytes, or the program ends.
#define FRAME(ctx, data)                                                                           \
    u8 *data = (u8 *)(long)(ctx)->data;                                                            \
    if (data + SUITE_FRAME > (u8 *)(long)(ctx)->data_end)                                          \
    return 1

#endif
