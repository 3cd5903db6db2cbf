// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Tracing programs on synthetic input: counts and prints what it is shown. Run with, for example,
//   skep run trace.bpf.c --program on_exit --ctx '{"di": 3}'
//   skep run trace.bpf.c --program on_syscall --ctx '[0, 59]'
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u64);
} exits SEC(".maps");

// Counts the codes that do_exit() is called with.
SEC("kprobe/do_exit")
int on_exit(struct pt_regs *ctx) {
    __u32 code = PT_REGS_PARM1(ctx);
    __u64 one = 1, *count = bpf_map_lookup_elem(&exits, &code);
    if (count)
        __sync_fetch_and_add(count, 1);
    else
        bpf_map_update_elem(&exits, &code, &one, BPF_ANY);
    bpf_printk("pid %d exits with %d", (int)(bpf_get_current_pid_tgid() >> 32), code);
    return 0;
}

// The arguments of a raw tracepoint are in an array: sys_enter has the registers and the number.
SEC("raw_tracepoint/sys_enter")
int on_syscall(struct bpf_raw_tracepoint_args *ctx) {
    return ctx->args[1] == 59; // execve
}

char _license[] SEC("license") = "GPL";
