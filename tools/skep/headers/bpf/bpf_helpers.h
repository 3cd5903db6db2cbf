/* skep: the eBPF system, in C++
 * SPDX-License-Identifier: Apache-2.0
 *
 * What BPF programs include first: section and map macros, helper prototypes, printing, loops.
 * The names are libbpf's, so that programs compile unchanged.
 */
#ifndef SKEP_BPF_HELPERS_H
#define SKEP_BPF_HELPERS_H

#include "bpf_helper_defs.h"

/* Members of a map definition in SEC(".maps"). */
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __ulong(name, val)                                                                         \
    enum { ___bpf_concat(___skep_value_, __COUNTER__) = val } name

/* Puts a function or variable into an ELF section; `used` keeps it although nothing refers to it. */
#define SEC(name)                                                                                  \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wignored-attributes\"")      \
        __attribute__((section(name), used)) _Pragma("GCC diagnostic pop")

/* The kernel's headers define some of these too. */
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif
#ifndef __weak
#define __weak __attribute__((weak))
#endif
#ifndef __hidden
#define __hidden __attribute__((visibility("hidden")))
#endif
#ifndef NULL
#define NULL ((void *)0)
#endif
#ifndef KERNEL_VERSION
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#endif
#ifndef offsetof
#define offsetof(TYPE, MEMBER) __builtin_offsetof(TYPE, MEMBER)
#endif
#ifndef container_of
#define container_of(ptr, type, member)                                                            \
    ((type *)((void *)(ptr) - __builtin_offsetof(type, member)))
#endif

/* Stops the compiler from moving memory accesses, or from knowing a variable's value. */
#ifndef barrier
#define barrier() __asm__ volatile("" ::: "memory")
#endif
#ifndef barrier_var
#define barrier_var(var) __asm__ volatile("" : "+r"(var))
#endif
#ifndef __bpf_unreachable
#define __bpf_unreachable() __builtin_trap()
#endif

/* Externs that the loader resolves, and annotations that it reads from BTF. */
#define __kconfig __attribute__((section(".kconfig")))
#define __ksym __attribute__((section(".ksyms")))
#define __kptr_untrusted __attribute__((btf_type_tag("kptr_untrusted")))
#define __kptr __attribute__((btf_type_tag("kptr")))
#define __percpu_kptr __attribute__((btf_type_tag("percpu_kptr")))
#define __uptr __attribute__((btf_type_tag("uptr")))
#if defined(__clang__) && __clang_major__ >= 12
#define bpf_ksym_exists(sym)                                                                       \
    ({                                                                                             \
        _Static_assert(!__builtin_constant_p(!!sym), #sym " should be declared __weak");           \
        !!sym;                                                                                     \
    })
#endif
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute__((btf_decl_tag("arg:nonnull")))
#define __arg_nullable __attribute__((btf_decl_tag("arg:nullable")))
#define __arg_trusted __attribute__((btf_decl_tag("arg:trusted")))
#define __arg_untrusted __attribute__((btf_decl_tag("arg:untrusted")))
#define __arg_arena __attribute__((btf_decl_tag("arg:arena")))

enum libbpf_pin_type {
    LIBBPF_PIN_NONE,
    LIBBPF_PIN_BY_NAME,
};

enum libbpf_tristate {
    TRI_NO = 0,
    TRI_YES = 1,
    TRI_MODULE = 2,
};

/* Argument counting: ___bpf_apply(f, n) is f##n; ___bpf_narg counts 0 to 12 arguments. */
#ifndef ___bpf_concat
#define ___bpf_concat(a, b) a##b
#endif
#ifndef ___bpf_apply
#define ___bpf_apply(fn, n) ___bpf_concat(fn, n)
#endif
#ifndef ___bpf_nth
#define ___bpf_nth(_, _1, _2, _3, _4, _5, _6, _7, _8, _9, _a, _b, _c, N, ...) N
#endif
#ifndef ___bpf_narg
#define ___bpf_narg(...) ___bpf_nth(_, ##__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#endif

#define ___bpf_fill0(arr, p, x)
#define ___bpf_fill1(arr, p, x) arr[p] = (unsigned long long)(x)
#define ___bpf_fill2(arr, p, x, args...) ___bpf_fill1(arr, p, x); ___bpf_fill1(arr, p + 1, args)
#define ___bpf_fill3(arr, p, x, args...) ___bpf_fill1(arr, p, x); ___bpf_fill2(arr, p + 1, args)
#define ___bpf_fill4(arr, p, x, args...) ___bpf_fill1(arr, p, x); ___bpf_fill3(arr, p + 1, args)
#define ___bpf_fill5(arr, p, x, args...) ___bpf_fill1(arr, p, x); ___bpf_fill4(arr, p + 1, args)
#define ___bpf_fill6(arr, p, x, args...) ___bpf_fill1(arr, p, x); ___bpf_fill5(arr, p + 1, args)
#define ___bpf_fill7(arr, p, x, args...) ___bpf_fill1(arr, p, x); ___bpf_fill6(arr, p + 1, args)
#define ___bpf_fill8(arr, p, x, args...) ___bpf_fill1(arr, p, x); ___bpf_fill7(arr, p + 1, args)
#define ___bpf_fill9(arr, p, x, args...) ___bpf_fill1(arr, p, x); ___bpf_fill8(arr, p + 1, args)
#define ___bpf_fill10(arr, p, x, args...) ___bpf_fill1(arr, p, x); ___bpf_fill9(arr, p + 1, args)
#define ___bpf_fill11(arr, p, x, args...) ___bpf_fill1(arr, p, x); ___bpf_fill10(arr, p + 1, args)
#define ___bpf_fill12(arr, p, x, args...) ___bpf_fill1(arr, p, x); ___bpf_fill11(arr, p + 1, args)
#define ___bpf_fill(arr, args...) ___bpf_apply(___bpf_fill, ___bpf_narg(args))(arr, 0, args)

/* bpf_printk("x %d", x): one line of the trace. Up to three arguments go to bpf_trace_printk,
 * more of them, as an array, to bpf_trace_vprintk. */
#define ___skep_printk(fmt, args...)                                                               \
    ({                                                                                             \
        static const char ___fmt[] = fmt;                                                          \
        bpf_trace_printk(___fmt, sizeof(___fmt), ##args);                                          \
    })
#define ___skep_vprintk(fmt, args...)                                                              \
    ({                                                                                             \
        static const char ___fmt[] = fmt;                                                          \
        unsigned long long ___param[___bpf_narg(args)];                                            \
        ___bpf_fill(___param, args);                                                               \
        bpf_trace_vprintk(___fmt, sizeof(___fmt), ___param, sizeof(___param));                     \
    })
#define ___skep_pick_printk(...)                                                                   \
    ___bpf_nth(_, ##__VA_ARGS__, ___skep_vprintk, ___skep_vprintk, ___skep_vprintk,                \
               ___skep_vprintk, ___skep_vprintk, ___skep_vprintk, ___skep_vprintk,                 \
               ___skep_vprintk, ___skep_vprintk, ___skep_printk, ___skep_printk, ___skep_printk,   \
               ___skep_printk)
#define bpf_printk(fmt, args...) ___skep_pick_printk(args)(fmt, ##args)

#define BPF_SEQ_PRINTF(seq, fmt, args...)                                                          \
    ({                                                                                             \
        static const char ___fmt[] = fmt;                                                          \
        unsigned long long ___param[___bpf_narg(args)];                                            \
        ___bpf_fill(___param, args);                                                               \
        bpf_seq_printf(seq, ___fmt, sizeof(___fmt), ___param, sizeof(___param));                   \
    })
#define BPF_SNPRINTF(out, out_size, fmt, args...)                                                  \
    ({                                                                                             \
        static const char ___fmt[] = fmt;                                                          \
        unsigned long long ___param[___bpf_narg(args)];                                            \
        ___bpf_fill(___param, args);                                                               \
        bpf_snprintf(out, out_size, ___fmt, ___param, sizeof(___param));                           \
    })

/* A tail call whose map and slot are constants: engines can turn it into a jump. */
#if defined(__bpf__)
static __always_inline void bpf_tail_call_static(void *ctx, const void *map, const __u32 slot) {
    if (!__builtin_constant_p(slot))
        __bpf_unreachable();
    __asm__ volatile("r1 = %[ctx]\n\t"
                     "r2 = %[map]\n\t"
                     "r3 = %[slot]\n\t"
                     "call 12"
                     :
                     : [ctx] "r"(ctx), [map] "r"(map), [slot] "i"(slot)
                     : "r0", "r1", "r2", "r3", "r4", "r5");
}
#endif

/* Open-coded numeric iterators (kernel 6.4 and later). */
struct bpf_iter_num;
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __weak __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __weak __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __weak __ksym;

#ifndef bpf_for_each
/* for each `cur` of the iterator kind `type`: the iterator is destroyed however the loop is left. */
#define bpf_for_each(type, cur, args...)                                                           \
    for (struct bpf_iter_##type ___it __attribute__((aligned(8),                                   \
                                                     cleanup(bpf_iter_##type##_destroy))),         \
         *___p __attribute__((unused)) =                                                           \
             (bpf_iter_##type##_new(&___it, ##args),                                               \
              (void)bpf_iter_##type##_destroy, (void *)0);                                         \
         ((cur) = bpf_iter_##type##_next(&___it));)
#endif
#ifndef bpf_for
/* for i in start .. end - 1 */
#define bpf_for(i, start, end)                                                                     \
    for (struct bpf_iter_num ___it __attribute__((aligned(8), cleanup(bpf_iter_num_destroy))),     \
         *___p __attribute__((unused)) = (bpf_iter_num_new(&___it, (start), (end)),                \
                                          (void)bpf_iter_num_destroy, (void *)0);                  \
         ({                                                                                        \
             int *___t = bpf_iter_num_next(&___it);                                                \
             (___t && ((i) = *___t, (i) >= (start) && (i) < (end)));                               \
         });)
#endif
#ifndef bpf_repeat
#define bpf_repeat(N)                                                                              \
    for (struct bpf_iter_num ___it __attribute__((aligned(8), cleanup(bpf_iter_num_destroy))),     \
         *___p __attribute__((unused)) = (bpf_iter_num_new(&___it, 0, (N)),                        \
                                          (void)bpf_iter_num_destroy, (void *)0);                  \
         bpf_iter_num_next(&___it);)
#endif

#endif /* SKEP_BPF_HELPERS_H */
