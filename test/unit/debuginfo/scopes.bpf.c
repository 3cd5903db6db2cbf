// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#define SEC(name) __attribute__((section(name), used))

struct context {
    unsigned int length;
    unsigned char bytes[4];
};

static void (*consume)(void*, unsigned long) = (void*)6;

static inline __attribute__((always_inline)) unsigned int doubled(unsigned int input) {
    unsigned int result = input * 2;
    return result + 1;
}

static __attribute__((noinline)) unsigned int helper(unsigned int level) {
    return level * 3;
}

SEC("xdp")
int entry(struct context* ctx) {
    unsigned long table[2] = {1, ctx->length};
    const unsigned int always = 42;
    consume(table, sizeof(table));
    return doubled(ctx->length) + helper(always + table[0]);
}

SEC("tc")
int other(struct context* ctx) {
    return ctx->bytes[1];
}
