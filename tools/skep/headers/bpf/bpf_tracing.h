/* skep: the eBPF system, in C++
 * SPDX-License-Identifier: Apache-2.0
 *
 * Arguments of traced functions: registers of struct pt_regs, and wrappers that give a program
 * typed parameters. The names are libbpf's. x86-64 and arm64; say which with -D__TARGET_ARCH_<x>.
 */
#ifndef SKEP_BPF_TRACING_H
#define SKEP_BPF_TRACING_H

#include "bpf_helpers.h"

#if !defined(__TARGET_ARCH_x86) && !defined(__TARGET_ARCH_arm64)
#if defined(__aarch64__)
#define __TARGET_ARCH_arm64
#else
#define __TARGET_ARCH_x86
#endif
#endif

#if defined(__TARGET_ARCH_x86)
/* vmlinux.h and the kernel's own headers call the registers di, si...; user space calls them rdi... */
#if defined(__KERNEL__) || defined(__VMLINUX_H__)

#define __PT_PARM1_REG di
#define __PT_PARM2_REG si
#define __PT_PARM3_REG dx
#define __PT_PARM4_REG cx
#define __PT_PARM5_REG r8
#define __PT_PARM6_REG r9
#define __PT_RET_REG sp
#define __PT_FP_REG bp
#define __PT_RC_REG ax
#define __PT_SP_REG sp
#define __PT_IP_REG ip
#define PT_REGS_SYSCALL_REGS(ctx) ((struct pt_regs *)PT_REGS_PARM1(ctx))
#else
#define __PT_PARM1_REG rdi
#define __PT_PARM2_REG rsi
#define __PT_PARM3_REG rdx
#define __PT_PARM4_REG rcx
#define __PT_PARM5_REG r8
#define __PT_PARM6_REG r9
#define __PT_RET_REG rsp
#define __PT_FP_REG rbp
#define __PT_RC_REG rax
#define __PT_SP_REG rsp
#define __PT_IP_REG rip
#endif
#define __PT_PARM4_SYSCALL_REG r10
#define __PT_REGS_CAST(x) (x)
#define ___skep_syscall_prefix "x64"
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs___arm64 {
    unsigned long orig_x0;
};
#define __PT_REGS_CAST(x) ((const struct user_pt_regs *)(x))
#define __PT_PARM1_REG regs[0]
#define __PT_PARM2_REG regs[1]
#define __PT_PARM3_REG regs[2]
#define __PT_PARM4_REG regs[3]
#define __PT_PARM5_REG regs[4]
#define __PT_PARM6_REG regs[5]
#define __PT_PARM4_SYSCALL_REG regs[3]
#define __PT_RET_REG regs[30]
#define __PT_FP_REG regs[29]
#define __PT_RC_REG regs[0]
#define __PT_SP_REG sp
#define __PT_IP_REG pc
#define ___skep_syscall_prefix "arm64"
#endif

#define PT_REGS_PARM1(x) (__PT_REGS_CAST(x)->__PT_PARM1_REG)
#define PT_REGS_PARM2(x) (__PT_REGS_CAST(x)->__PT_PARM2_REG)
#define PT_REGS_PARM3(x) (__PT_REGS_CAST(x)->__PT_PARM3_REG)
#define PT_REGS_PARM4(x) (__PT_REGS_CAST(x)->__PT_PARM4_REG)
#define PT_REGS_PARM5(x) (__PT_REGS_CAST(x)->__PT_PARM5_REG)
#define PT_REGS_PARM6(x) (__PT_REGS_CAST(x)->__PT_PARM6_REG)
#define PT_REGS_RET(x) (__PT_REGS_CAST(x)->__PT_RET_REG)
#define PT_REGS_FP(x) (__PT_REGS_CAST(x)->__PT_FP_REG)
#define PT_REGS_RC(x) (__PT_REGS_CAST(x)->__PT_RC_REG)
#define PT_REGS_SP(x) (__PT_REGS_CAST(x)->__PT_SP_REG)
#define PT_REGS_IP(x) (__PT_REGS_CAST(x)->__PT_IP_REG)
#define PT_REGS_PARM1_SYSCALL(x) PT_REGS_PARM1(x)
#define PT_REGS_PARM2_SYSCALL(x) PT_REGS_PARM2(x)
#define PT_REGS_PARM3_SYSCALL(x) PT_REGS_PARM3(x)
#define PT_REGS_PARM4_SYSCALL(x) (__PT_REGS_CAST(x)->__PT_PARM4_SYSCALL_REG)
#define PT_REGS_PARM5_SYSCALL(x) PT_REGS_PARM5(x)
#define PT_REGS_PARM6_SYSCALL(x) PT_REGS_PARM6(x)
#ifndef PT_REGS_SYSCALL_REGS
#define PT_REGS_SYSCALL_REGS(ctx) ((struct pt_regs *)PT_REGS_PARM1(ctx))
#endif

/* The same through CO-RE: for a pt_regs that is not the context itself. */
#define ___skep_core_reg(x, reg) BPF_CORE_READ(__PT_REGS_CAST(x), reg)
#define PT_REGS_PARM1_CORE(x) ___skep_core_reg(x, __PT_PARM1_REG)
#define PT_REGS_PARM2_CORE(x) ___skep_core_reg(x, __PT_PARM2_REG)
#define PT_REGS_PARM3_CORE(x) ___skep_core_reg(x, __PT_PARM3_REG)
#define PT_REGS_PARM4_CORE(x) ___skep_core_reg(x, __PT_PARM4_REG)
#define PT_REGS_PARM5_CORE(x) ___skep_core_reg(x, __PT_PARM5_REG)
#define PT_REGS_PARM6_CORE(x) ___skep_core_reg(x, __PT_PARM6_REG)
#define PT_REGS_RET_CORE(x) ___skep_core_reg(x, __PT_RET_REG)
#define PT_REGS_FP_CORE(x) ___skep_core_reg(x, __PT_FP_REG)
#define PT_REGS_RC_CORE(x) ___skep_core_reg(x, __PT_RC_REG)
#define PT_REGS_SP_CORE(x) ___skep_core_reg(x, __PT_SP_REG)
#define PT_REGS_IP_CORE(x) ___skep_core_reg(x, __PT_IP_REG)
#define PT_REGS_PARM1_CORE_SYSCALL(x) PT_REGS_PARM1_CORE(x)
#define PT_REGS_PARM2_CORE_SYSCALL(x) PT_REGS_PARM2_CORE(x)
#define PT_REGS_PARM3_CORE_SYSCALL(x) PT_REGS_PARM3_CORE(x)
#define PT_REGS_PARM4_CORE_SYSCALL(x) ___skep_core_reg(x, __PT_PARM4_SYSCALL_REG)
#define PT_REGS_PARM5_CORE_SYSCALL(x) PT_REGS_PARM5_CORE(x)
#define PT_REGS_PARM6_CORE_SYSCALL(x) PT_REGS_PARM6_CORE(x)

#define BPF_KPROBE_READ_RET_IP(ip, ctx)                                                            \
    ({ bpf_probe_read_kernel(&(ip), sizeof(ip), (void *)PT_REGS_RET(ctx)); })
#define BPF_KRETPROBE_READ_RET_IP(ip, ctx)                                                         \
    ({ bpf_probe_read_kernel(&(ip), sizeof(ip), (void *)(PT_REGS_FP(ctx) + sizeof(ip))); })

/* Each wrapper defines the program `name(ctx)`, which hands the context's words to a function with
 * the parameters that the user declared. ___<kind>_cast<n> lists the context and n arguments. */
#define ___bpf_ctx_cast0() ctx
#define ___bpf_ctx_cast1(x) ___bpf_ctx_cast0(), (void *)ctx[0]
#define ___bpf_ctx_cast2(x, args...) ___bpf_ctx_cast1(args), (void *)ctx[1]
#define ___bpf_ctx_cast3(x, args...) ___bpf_ctx_cast2(args), (void *)ctx[2]
#define ___bpf_ctx_cast4(x, args...) ___bpf_ctx_cast3(args), (void *)ctx[3]
#define ___bpf_ctx_cast5(x, args...) ___bpf_ctx_cast4(args), (void *)ctx[4]
#define ___bpf_ctx_cast6(x, args...) ___bpf_ctx_cast5(args), (void *)ctx[5]
#define ___bpf_ctx_cast7(x, args...) ___bpf_ctx_cast6(args), (void *)ctx[6]
#define ___bpf_ctx_cast8(x, args...) ___bpf_ctx_cast7(args), (void *)ctx[7]
#define ___bpf_ctx_cast9(x, args...) ___bpf_ctx_cast8(args), (void *)ctx[8]
#define ___bpf_ctx_cast10(x, args...) ___bpf_ctx_cast9(args), (void *)ctx[9]
#define ___bpf_ctx_cast11(x, args...) ___bpf_ctx_cast10(args), (void *)ctx[10]
#define ___bpf_ctx_cast12(x, args...) ___bpf_ctx_cast11(args), (void *)ctx[11]

#define ___skep_program(kind, first, name, args...)                                                \
    name(first);                                                                                   \
    static __always_inline typeof(name(0)) ____##name(first, ##args);                              \
    typeof(name(0)) name(first) {                                                                  \
        _Pragma("GCC diagnostic push")                                                             \
            _Pragma("GCC diagnostic ignored \"-Wint-conversion\"") return ____##name(              \
                ___bpf_apply(___##kind##_cast, ___bpf_narg(args))(args));                          \
        _Pragma("GCC diagnostic pop")                                                              \
    }                                                                                              \
    static __always_inline typeof(name(0)) ____##name(first, ##args)

/* raw_tp, tp_btf, fentry, fexit, fmod_ret, lsm, struct_ops: the context is an array of u64. */
#define BPF_PROG(name, args...) ___skep_program(bpf_ctx, unsigned long long *ctx, name, ##args)

#define ___bpf_kprobe_cast0() ctx
#define ___bpf_kprobe_cast1(x) ___bpf_kprobe_cast0(), (void *)PT_REGS_PARM1(ctx)
#define ___bpf_kprobe_cast2(x, args...) ___bpf_kprobe_cast1(args), (void *)PT_REGS_PARM2(ctx)
#define ___bpf_kprobe_cast3(x, args...) ___bpf_kprobe_cast2(args), (void *)PT_REGS_PARM3(ctx)
#define ___bpf_kprobe_cast4(x, args...) ___bpf_kprobe_cast3(args), (void *)PT_REGS_PARM4(ctx)
#define ___bpf_kprobe_cast5(x, args...) ___bpf_kprobe_cast4(args), (void *)PT_REGS_PARM5(ctx)
#define ___bpf_kprobe_cast6(x, args...) ___bpf_kprobe_cast5(args), (void *)PT_REGS_PARM6(ctx)

/* kprobe, uprobe: the arguments of the function. */
#define BPF_KPROBE(name, args...) ___skep_program(bpf_kprobe, struct pt_regs *ctx, name, ##args)
#define BPF_UPROBE(name, args...) BPF_KPROBE(name, ##args)

#define ___bpf_kretprobe_cast0() ctx
#define ___bpf_kretprobe_cast1(x) ctx, (void *)PT_REGS_RC(ctx)
/* kretprobe, uretprobe: the return value. */
#define BPF_KRETPROBE(name, args...)                                                               \
    ___skep_program(bpf_kretprobe, struct pt_regs *ctx, name, ##args)
#define BPF_URETPROBE(name, args...) BPF_KRETPROBE(name, ##args)

#define ___bpf_syscall_core_cast0() ctx
#define ___bpf_syscall_core_cast1(x) ___bpf_syscall_core_cast0(), (void *)PT_REGS_PARM1_CORE_SYSCALL(regs)
#define ___bpf_syscall_core_cast2(x, args...) ___bpf_syscall_core_cast1(args), (void *)PT_REGS_PARM2_CORE_SYSCALL(regs)
#define ___bpf_syscall_core_cast3(x, args...) ___bpf_syscall_core_cast2(args), (void *)PT_REGS_PARM3_CORE_SYSCALL(regs)
#define ___bpf_syscall_core_cast4(x, args...) ___bpf_syscall_core_cast3(args), (void *)PT_REGS_PARM4_CORE_SYSCALL(regs)
#define ___bpf_syscall_core_cast5(x, args...) ___bpf_syscall_core_cast4(args), (void *)PT_REGS_PARM5_CORE_SYSCALL(regs)
#define ___bpf_syscall_core_cast6(x, args...) ___bpf_syscall_core_cast5(args), (void *)PT_REGS_PARM6_CORE_SYSCALL(regs)

#define ___bpf_syscall_cast0() ctx
#define ___bpf_syscall_cast1(x) ___bpf_syscall_cast0(), (void *)PT_REGS_PARM1_SYSCALL(regs)
#define ___bpf_syscall_cast2(x, args...) ___bpf_syscall_cast1(args), (void *)PT_REGS_PARM2_SYSCALL(regs)
#define ___bpf_syscall_cast3(x, args...) ___bpf_syscall_cast2(args), (void *)PT_REGS_PARM3_SYSCALL(regs)
#define ___bpf_syscall_cast4(x, args...) ___bpf_syscall_cast3(args), (void *)PT_REGS_PARM4_SYSCALL(regs)
#define ___bpf_syscall_cast5(x, args...) ___bpf_syscall_cast4(args), (void *)PT_REGS_PARM5_SYSCALL(regs)
#define ___bpf_syscall_cast6(x, args...) ___bpf_syscall_cast5(args), (void *)PT_REGS_PARM6_SYSCALL(regs)

/* System call entry: the arguments lie in a pt_regs that the first argument points to where the
 * kernel wraps its system calls (x86-64 and arm64 of 4.17 and later), else in ctx. */
extern _Bool LINUX_HAS_SYSCALL_WRAPPER __kconfig __weak;
#define BPF_KSYSCALL(name, args...)                                                                \
    name(struct pt_regs *ctx);                                                                     \
    static __always_inline typeof(name(0)) ____##name(struct pt_regs *ctx, ##args);                \
    typeof(name(0)) name(struct pt_regs *ctx) {                                                    \
        struct pt_regs *regs =                                                                     \
            LINUX_HAS_SYSCALL_WRAPPER ? (struct pt_regs *)PT_REGS_PARM1(ctx) : ctx;                \
        _Pragma("GCC diagnostic push")                                                             \
            _Pragma("GCC diagnostic ignored \"-Wint-conversion\"") if (LINUX_HAS_SYSCALL_WRAPPER)   \
                return ____##name(___bpf_apply(___bpf_syscall_core_cast, ___bpf_narg(args))(args)); \
        else return ____##name(___bpf_apply(___bpf_syscall_cast, ___bpf_narg(args))(args));        \
        _Pragma("GCC diagnostic pop")                                                              \
    }                                                                                              \
    static __always_inline typeof(name(0)) ____##name(struct pt_regs *ctx, ##args)
#define BPF_KPROBE_SYSCALL BPF_KSYSCALL

#endif /* SKEP_BPF_TRACING_H */
