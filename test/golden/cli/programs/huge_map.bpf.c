// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
// A map of 2^40 bytes.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1 << 30);
    __uint(key_size, 4);
    __uint(value_size, 1024);
} huge SEC(".maps");

SEC("syscall") int pass(void *ctx) {
    __u32 key = 0;
    return bpf_map_lookup_elem(&huge, &key) != 0;
}
