// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Updates of what is in a hash, and a deletion with an insertion.
#include "suite.h"

MAP(entries, BPF_MAP_TYPE_HASH, u32, u64, 2 * SUITE_ENTRIES, 0);

PROGRAM(hash_update) {
    u64 value = 5;
    LOOP for (u32 i = 0; i < 10; i++) {
        u32 key = i * 101 + OPAQUE(ctx);
        value += (u64)bpf_map_update_elem(&entries, &key, &value, BPF_EXIST) + key;
    }
    u32 key = OPAQUE(ctx) + 1023;
    value += (u64)bpf_map_delete_elem(&entries, &key);
    value += (u64)bpf_map_update_elem(&entries, &key, &value, BPF_NOEXIST);
    return value;
}
