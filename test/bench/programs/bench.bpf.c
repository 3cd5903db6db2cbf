// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// What interp_bench measures: small programs with one kind of work each. All are XDP programs on a
// frame of 1,024 bytes; each returns a number that every engine must agree on.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, __u64);
} numbers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, __u64);
} table SEC(".maps");

SEC("xdp") int empty(struct xdp_md *ctx) { return 2; }

SEC("xdp") int alu_mix(struct xdp_md *ctx) {
    __u64 a = ctx->rx_queue_index + 1, b = 0x9e3779b97f4a7c15;
    for (int i = 0; i < 100; i++) {
        a ^= b >> 7;
        b += a * 31;
        a = (a << 5) | (a >> 59);
        b -= a & 0xffff;
    }
    return a ^ b;
}

SEC("xdp") int alu32(struct xdp_md *ctx) {
    __u32 a = ctx->rx_queue_index + 1, b = 0x9e3779b9;
    for (int i = 0; i < 100; i++) {
        a ^= b >> 3;
        b += a * 17;
        a -= b | 0x55;
        b = (b << 7) | (b >> 25);
    }
    return a ^ b;
}

SEC("xdp") int bitcount(struct xdp_md *ctx) {
    __u32 count = 0;
    __u64 x = 0x0123456789abcdef + ctx->rx_queue_index;
    for (int i = 0; i < 64; i++) {
        count += x & 1;
        x >>= 1;
    }
    return count;
}

SEC("xdp") int branches(struct xdp_md *ctx) {
    __u32 state = ctx->rx_queue_index + 7, sum = 0;
    for (int i = 0; i < 100; i++) {
        state = state * 1103515245 + 12345;
        __u32 r = state >> 28;
        if (r < 3)
            sum += 1;
        else if (r < 7)
            sum ^= state;
        else if (r == 9)
            sum += state & 0xff;
        else
            sum -= 3;
    }
    return sum;
}

SEC("xdp") int packet(struct xdp_md *ctx) {
    unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    __u32 sum = 0;
    // Sixteen headers, one behind the other: one alone takes less than the kernel's clock tells.
    for (int n = 0; n < 16; n++, data += 54) {
        if (data + 54 > end)
            return 1;
        sum += data[12] << 8 | data[13];
        for (int i = 26; i < 34; i += 2)
            sum += data[i] << 8 | data[i + 1];
        sum += *(__u16 *)(data + 34) + *(__u16 *)(data + 36) + *(__u32 *)(data + 38);
    }
    return sum;
}

SEC("xdp") int checksum(struct xdp_md *ctx) {
    unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    __u64 sum = 0;
    if (data + 1024 > end)
        return 1;
    for (int i = 0; i < 1024; i += 4)
        sum += *(__u32 *)(data + i);
    sum = (sum & 0xffffffff) + (sum >> 32);
    return sum + (sum >> 32);
}

SEC("xdp") int array_lookup(struct xdp_md *ctx) {
    __u64 sum = 0;
    for (__u32 i = 0; i < 50; i++) {
        __u32 key = i * 7 + ctx->rx_queue_index;
        __u64 *value = bpf_map_lookup_elem(&numbers, &key);
        if (value)
            sum += *value + key;
    }
    return sum;
}

SEC("xdp") int hash_lookup(struct xdp_md *ctx) {
    __u64 sum = 0;
    for (__u32 i = 0; i < 50; i++) {
        __u32 key = i * 13 + ctx->rx_queue_index;
        __u64 *value = bpf_map_lookup_elem(&table, &key);
        if (value)
            sum += *value + key;
    }
    return sum;
}

SEC("xdp") int hash_update(struct xdp_md *ctx) {
    __u64 value = 5;
    for (__u32 i = 0; i < 20; i++) {
        __u32 key = i + ctx->rx_queue_index;
        bpf_map_update_elem(&table, &key, &value, BPF_ANY);
        value += key;
    }
    return value;
}

SEC("xdp") int primes(struct xdp_md *ctx) {
    __u32 count = 0, first = 3 + ctx->rx_queue_index; // Not known to the compiler.
    for (__u32 i = 0; i < 49; i++) {
        __u32 n = first + 2 * i;
        __u32 prime = 1;
        for (__u32 d = 3; d < 10; d += 2)
            if (n % d == 0 && n != d)
                prime = 0;
        count += prime;
    }
    return count;
}

#define ROTATE(x, n) (((x) << (n)) | ((x) >> (64 - (n))))
#define ROUND                                                                                      \
    do {                                                                                           \
        v0 += v1, v1 = ROTATE(v1, 13) ^ v0, v0 = ROTATE(v0, 32);                                   \
        v2 += v3, v3 = ROTATE(v3, 16) ^ v2;                                                        \
        v0 += v3, v3 = ROTATE(v3, 21) ^ v0;                                                        \
        v2 += v1, v1 = ROTATE(v1, 17) ^ v2, v2 = ROTATE(v2, 32);                                   \
    } while (0)

SEC("xdp") int siphash(struct xdp_md *ctx) {
    __u64 v0 = 0x736f6d6570736575, v1 = 0x646f72616e646f6d, v2 = 0x6c7967656e657261, v3 = 0x7465646279746573;
    for (__u64 i = 0; i < 16; i++) {
        __u64 m = i * 0x0101010101010101 + ctx->rx_queue_index;
        v3 ^= m;
        ROUND;
        ROUND;
        v0 ^= m;
    }
    v2 ^= 0xff;
    ROUND;
    ROUND;
    ROUND;
    ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

SEC("xdp") int byte_swaps(struct xdp_md *ctx) {
    __u64 x = 0x0123456789abcdef + ctx->rx_queue_index;
    for (int i = 0; i < 50; i++) {
        x = __builtin_bswap64(x) + i;
        x ^= (__u64)__builtin_bswap32(x) << 16;
        x += __builtin_bswap16(x);
    }
    return x;
}

static __attribute__((noinline)) __u64 step(__u64 a, __u64 b) {
    return (a ^ b) * 3 + (a >> 3);
}

SEC("xdp") int bpf_to_bpf(struct xdp_md *ctx) {
    __u64 x = ctx->rx_queue_index + 1;
    for (int i = 0; i < 50; i++)
        x = step(x, i);
    return x;
}

SEC("xdp") int insertion_sort(struct xdp_md *ctx) {
    volatile __u32 a[32];
    __u32 seed = ctx->rx_queue_index + 9, sum = 0;
    for (int i = 0; i < 32; i++) {
        seed = seed * 1103515245 + 12345;
        a[i] = seed >> 8;
    }
    for (int pass = 0; pass < 8; pass++)
        for (int i = 0; i < 31; i++)
            if (a[i] > a[i + 1]) {
                __u32 t = a[i];
                a[i] = a[i + 1];
                a[i + 1] = t;
            }
    for (int i = 0; i < 32; i++)
        sum = sum * 31 + a[i];
    return sum;
}

char LICENSE[] SEC("license") = "GPL";
