// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Accesses that depend on the target's types; the test builds targets of its own.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

char _license[] SEC("license") = "GPL";

#define CORE __attribute__((preserve_access_index))

struct node___local {
    int head;
    __u32 count;
    struct {
        __u16 port;
    };
    __u32 low : 3, high : 5;
} CORE;

enum color___local { RED___local = 1, BLUE___local = 2 };

SEC("raw_tp/offset")
int offset(struct node___local* n) {
    return __builtin_preserve_field_info(n->count, BPF_FIELD_BYTE_OFFSET);
}

SEC("raw_tp/load")
int load(struct node___local* n) {
    return n->count;
}

SEC("raw_tp/anonymous")
int anonymous(struct node___local* n) {
    return n->port;
}

SEC("raw_tp/size")
int size(struct node___local* n) {
    return bpf_core_field_size(n->count);
}

SEC("raw_tp/exists")
int exists(struct node___local* n) {
    return bpf_core_field_exists(n->port) * 2 + bpf_core_field_exists(n->head);
}

SEC("raw_tp/sign")
int sign(struct node___local* n) {
    return __builtin_preserve_field_info(n->head, BPF_FIELD_SIGNED);
}

SEC("raw_tp/bits")
int bits(struct node___local* n) {
    return __builtin_preserve_field_info(n->high, BPF_FIELD_LSHIFT_U64) * 256 +
           __builtin_preserve_field_info(n->high, BPF_FIELD_RSHIFT_U64);
}

SEC("raw_tp/types")
int types(void* ctx) {
    return bpf_core_type_exists(struct node___local) +
           bpf_core_type_size(struct node___local) * 256;
}

#if __clang_major__ >= 15 // Clang 14 cannot ask this.
SEC("raw_tp/matches")
int matches(void* ctx) {
    return bpf_core_type_matches(struct node___local);
}
#endif

SEC("raw_tp/ids")
long ids(void* ctx) {
    return bpf_core_type_id_kernel(struct node___local);
}

SEC("raw_tp/enums")
long enums(void* ctx) {
    return bpf_core_enum_value_exists(enum color___local, BLUE___local) * 1000 +
           bpf_core_enum_value(enum color___local, BLUE___local);
}
