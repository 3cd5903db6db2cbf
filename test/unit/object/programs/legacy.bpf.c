// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// A map as sources before 2019 wrote it; it needs no BTF.
#define SEC(name) __attribute__((section(name), used))

struct bpf_map_def {
    unsigned int type, key_size, value_size, max_entries, map_flags;
};

struct bpf_map_def old SEC("maps") = {2, 4, 8, 16, 0};
char _license[] SEC("license") = "GPL";

static void* (*lookup)(void*, const void*) = (void*)1;

SEC("socket")
int reader(void* ctx) {
    unsigned int key = 3;
    return lookup(&old, &key) != 0;
}
