/* skep: the eBPF system, in C++
 * SPDX-License-Identifier: Apache-2.0
 *
 * CO-RE: reads and questions that the loader adapts to the types of the running kernel.
 * The names are libbpf's; the numbers are the relocation kinds of BTF.ext.
 */
#ifndef SKEP_BPF_CORE_READ_H
#define SKEP_BPF_CORE_READ_H

#include "bpf_helpers.h"

enum bpf_field_info_kind {
    BPF_FIELD_BYTE_OFFSET = 0,
    BPF_FIELD_BYTE_SIZE = 1,
    BPF_FIELD_EXISTS = 2,
    BPF_FIELD_SIGNED = 3,
    BPF_FIELD_LSHIFT_U64 = 4,
    BPF_FIELD_RSHIFT_U64 = 5,
};

enum bpf_type_id_kind {
    BPF_TYPE_ID_LOCAL = 0,
    BPF_TYPE_ID_TARGET = 1,
};

enum bpf_type_info_kind {
    BPF_TYPE_EXISTS = 0,
    BPF_TYPE_SIZE = 1,
    BPF_TYPE_MATCHES = 2,
};

enum bpf_enum_value_kind {
    BPF_ENUMVAL_EXISTS = 0,
    BPF_ENUMVAL_VALUE = 1,
};

/* A field named as (type, member) or as an expression. */
#define ___skep_field1(field) (field)
#define ___skep_field2(type, field) (((typeof(type) *)0)->field)
#define ___skep_field(args...) ___bpf_apply(___skep_field, ___bpf_narg(args))(args)

#define bpf_core_field_exists(field...)                                                            \
    __builtin_preserve_field_info(___skep_field(field), BPF_FIELD_EXISTS)
#define bpf_core_field_size(field...)                                                              \
    __builtin_preserve_field_info(___skep_field(field), BPF_FIELD_BYTE_SIZE)
#define bpf_core_field_offset(field...)                                                            \
    __builtin_preserve_field_info(___skep_field(field), BPF_FIELD_BYTE_OFFSET)

#define bpf_core_type_id_local(type) __builtin_btf_type_id(*(typeof(type) *)0, BPF_TYPE_ID_LOCAL)
#define bpf_core_type_id_kernel(type) __builtin_btf_type_id(*(typeof(type) *)0, BPF_TYPE_ID_TARGET)
#define bpf_core_type_exists(type)                                                                 \
    __builtin_preserve_type_info(*(typeof(type) *)0, BPF_TYPE_EXISTS)
#define bpf_core_type_matches(type)                                                                \
    __builtin_preserve_type_info(*(typeof(type) *)0, BPF_TYPE_MATCHES)
#define bpf_core_type_size(type) __builtin_preserve_type_info(*(typeof(type) *)0, BPF_TYPE_SIZE)
#define bpf_core_enum_value_exists(type, value)                                                    \
    __builtin_preserve_enum_value(*(typeof(type) *)value, BPF_ENUMVAL_EXISTS)
#define bpf_core_enum_value(type, value)                                                           \
    __builtin_preserve_enum_value(*(typeof(type) *)value, BPF_ENUMVAL_VALUE)

#define bpf_core_cast(ptr, type)                                                                   \
    ((typeof(type) *)bpf_rdonly_cast((ptr), bpf_core_type_id_kernel(type)))
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;

/* One read of a field at a relocated offset. */
#define bpf_core_read(dst, size, src)                                                              \
    bpf_probe_read_kernel(dst, size, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_user(dst, size, src)                                                         \
    bpf_probe_read_user(dst, size, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_str(dst, size, src)                                                          \
    bpf_probe_read_kernel_str(dst, size, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_user_str(dst, size, src)                                                     \
    bpf_probe_read_user_str(dst, size, (const void *)__builtin_preserve_access_index(src))

/* a->b->c as a chain of reads. ___skep_to<n> names the type of the pointer after n members,
 * ___skep_chain<n> reads the pointers on the way into __t, and the last member is read by `last`. */
#define ___skep_arrow1(a) a
#define ___skep_arrow2(a, b) a->b
#define ___skep_arrow3(a, b, c) a->b->c
#define ___skep_arrow4(a, b, c, d) a->b->c->d
#define ___skep_arrow5(a, b, c, d, e) a->b->c->d->e
#define ___skep_arrow6(a, b, c, d, e, f) a->b->c->d->e->f
#define ___skep_arrow7(a, b, c, d, e, f, g) a->b->c->d->e->f->g
#define ___skep_arrow8(a, b, c, d, e, f, g, h) a->b->c->d->e->f->g->h
#define ___skep_arrow9(a, b, c, d, e, f, g, h, i) a->b->c->d->e->f->g->h->i
#define ___skep_arrow10(a, b, c, d, e, f, g, h, i, j) a->b->c->d->e->f->g->h->i->j
#define ___arrow(args...) ___bpf_apply(___skep_arrow, ___bpf_narg(args))(args)
#define ___type(args...) typeof(___arrow(args))

#define ___skep_first(read, src, a) read(&__t, sizeof(__t), &((typeof(src))(src))->a)
#define ___skep_next(read, type, a) read(&__t, sizeof(__t), &((type)(__t))->a)
#define ___skep_end0(read, dst, src, a) read(dst, sizeof(*(dst)), &((typeof(src))(src))->a)
#define ___skep_end(read, dst, type, a) read(dst, sizeof(*(dst)), &((type)(__t))->a)

#define ___skep_walk1(r, s, a) ___skep_first(r, s, a);
#define ___skep_walk2(r, s, a, b) ___skep_walk1(r, s, a) ___skep_next(r, ___type(s, a), b);
#define ___skep_walk3(r, s, a, b, c)                                                               \
    ___skep_walk2(r, s, a, b) ___skep_next(r, ___type(s, a, b), c);
#define ___skep_walk4(r, s, a, b, c, d)                                                            \
    ___skep_walk3(r, s, a, b, c) ___skep_next(r, ___type(s, a, b, c), d);
#define ___skep_walk5(r, s, a, b, c, d, e)                                                         \
    ___skep_walk4(r, s, a, b, c, d) ___skep_next(r, ___type(s, a, b, c, d), e);
#define ___skep_walk6(r, s, a, b, c, d, e, f)                                                      \
    ___skep_walk5(r, s, a, b, c, d, e) ___skep_next(r, ___type(s, a, b, c, d, e), f);
#define ___skep_walk7(r, s, a, b, c, d, e, f, g)                                                   \
    ___skep_walk6(r, s, a, b, c, d, e, f) ___skep_next(r, ___type(s, a, b, c, d, e, f), g);
#define ___skep_walk8(r, s, a, b, c, d, e, f, g, h)                                                \
    ___skep_walk7(r, s, a, b, c, d, e, f, g) ___skep_next(r, ___type(s, a, b, c, d, e, f, g), h);

/* ___skep_chain<n>(walk reader, last reader, destination, source, n members) */
#define ___skep_chain1(r, l, dst, s, a) ___skep_end0(l, dst, s, a)
#define ___skep_chain2(r, l, dst, s, a, b)                                                         \
    const void *__t; ___skep_walk1(r, s, a) ___skep_end(l, dst, ___type(s, a), b)
#define ___skep_chain3(r, l, dst, s, a, b, c)                                                      \
    const void *__t; ___skep_walk2(r, s, a, b) ___skep_end(l, dst, ___type(s, a, b), c)
#define ___skep_chain4(r, l, dst, s, a, b, c, d)                                                   \
    const void *__t; ___skep_walk3(r, s, a, b, c) ___skep_end(l, dst, ___type(s, a, b, c), d)
#define ___skep_chain5(r, l, dst, s, a, b, c, d, e)                                                \
    const void *__t; ___skep_walk4(r, s, a, b, c, d) ___skep_end(l, dst, ___type(s, a, b, c, d), e)
#define ___skep_chain6(r, l, dst, s, a, b, c, d, e, f)                                             \
    const void *__t; ___skep_walk5(r, s, a, b, c, d, e)                                            \
    ___skep_end(l, dst, ___type(s, a, b, c, d, e), f)
#define ___skep_chain7(r, l, dst, s, a, b, c, d, e, f, g)                                          \
    const void *__t; ___skep_walk6(r, s, a, b, c, d, e, f)                                         \
    ___skep_end(l, dst, ___type(s, a, b, c, d, e, f), g)
#define ___skep_chain8(r, l, dst, s, a, b, c, d, e, f, g, h)                                       \
    const void *__t; ___skep_walk7(r, s, a, b, c, d, e, f, g)                                      \
    ___skep_end(l, dst, ___type(s, a, b, c, d, e, f, g), h)
#define ___skep_chain9(r, l, dst, s, a, b, c, d, e, f, g, h, i)                                    \
    const void *__t; ___skep_walk8(r, s, a, b, c, d, e, f, g, h)                                   \
    ___skep_end(l, dst, ___type(s, a, b, c, d, e, f, g, h), i)
#define ___skep_chain(r, l, dst, src, a, ...)                                                      \
    ___bpf_apply(___skep_chain, ___bpf_narg(a, ##__VA_ARGS__))(r, l, dst, src, a, ##__VA_ARGS__)

#define BPF_CORE_READ_INTO(dst, src, a, ...)                                                       \
    ({ ___skep_chain(bpf_core_read, bpf_core_read, dst, src, a, ##__VA_ARGS__); })
#define BPF_CORE_READ_USER_INTO(dst, src, a, ...)                                                  \
    ({ ___skep_chain(bpf_core_read_user, bpf_core_read_user, dst, src, a, ##__VA_ARGS__); })
#define BPF_PROBE_READ_INTO(dst, src, a, ...)                                                      \
    ({ ___skep_chain(bpf_probe_read_kernel, bpf_probe_read_kernel, dst, src, a, ##__VA_ARGS__); })
#define BPF_PROBE_READ_USER_INTO(dst, src, a, ...)                                                 \
    ({ ___skep_chain(bpf_probe_read_user, bpf_probe_read_user, dst, src, a, ##__VA_ARGS__); })
#define BPF_CORE_READ_STR_INTO(dst, src, a, ...)                                                   \
    ({ ___skep_chain(bpf_core_read, bpf_core_read_str, dst, src, a, ##__VA_ARGS__); })
#define BPF_CORE_READ_USER_STR_INTO(dst, src, a, ...)                                              \
    ({ ___skep_chain(bpf_core_read_user, bpf_core_read_user_str, dst, src, a, ##__VA_ARGS__); })
#define BPF_PROBE_READ_STR_INTO(dst, src, a, ...)                                                  \
    ({ ___skep_chain(bpf_probe_read_kernel, bpf_probe_read_kernel_str, dst, src, a, ##__VA_ARGS__); })
#define BPF_PROBE_READ_USER_STR_INTO(dst, src, a, ...)                                             \
    ({ ___skep_chain(bpf_probe_read_user, bpf_probe_read_user_str, dst, src, a, ##__VA_ARGS__); })

#define ___skep_value(into, src, a, ...)                                                           \
    ({                                                                                             \
        ___type((src), a, ##__VA_ARGS__) __r;                                                      \
        into(&__r, (src), a, ##__VA_ARGS__);                                                       \
        __r;                                                                                       \
    })
#define BPF_CORE_READ(src, a, ...) ___skep_value(BPF_CORE_READ_INTO, src, a, ##__VA_ARGS__)
#define BPF_CORE_READ_USER(src, a, ...)                                                            \
    ___skep_value(BPF_CORE_READ_USER_INTO, src, a, ##__VA_ARGS__)
#define BPF_PROBE_READ(src, a, ...) ___skep_value(BPF_PROBE_READ_INTO, src, a, ##__VA_ARGS__)
#define BPF_PROBE_READ_USER(src, a, ...)                                                           \
    ___skep_value(BPF_PROBE_READ_USER_INTO, src, a, ##__VA_ARGS__)

/* Bit-fields: the loader gives byte offset, byte size, the two shifts and the sign. */
#define ___skep_info(s, field, kind) __builtin_preserve_field_info((s)->field, BPF_FIELD_##kind)
#define ___skep_extract(s, field, val)                                                             \
    val <<= ___skep_info(s, field, LSHIFT_U64);                                                    \
    if (___skep_info(s, field, SIGNED))                                                            \
        val = ((long long)val) >> ___skep_info(s, field, RSHIFT_U64);                              \
    else                                                                                           \
        val = val >> ___skep_info(s, field, RSHIFT_U64);
#define BPF_CORE_READ_BITFIELD_PROBED(s, field)                                                    \
    ({                                                                                             \
        unsigned long long val = 0;                                                                \
        bpf_probe_read_kernel(&val, ___skep_info(s, field, BYTE_SIZE),                             \
                              (const void *)(s) + ___skep_info(s, field, BYTE_OFFSET));            \
        ___skep_extract(s, field, val) val;                                                        \
    })
#define BPF_CORE_READ_BITFIELD(s, field)                                                           \
    ({                                                                                             \
        const void *p = (const void *)(s) + ___skep_info(s, field, BYTE_OFFSET);                   \
        unsigned long long val;                                                                    \
        __asm__ volatile("" : "+r"(p));                                                            \
        switch (___skep_info(s, field, BYTE_SIZE)) {                                               \
        case 1: val = *(const unsigned char *)p; break;                                            \
        case 2: val = *(const unsigned short *)p; break;                                           \
        case 4: val = *(const unsigned int *)p; break;                                             \
        case 8: val = *(const unsigned long long *)p; break;                                       \
        default: val = 0; break;                                                                   \
        }                                                                                          \
        ___skep_extract(s, field, val) val;                                                        \
    })
#define ___skep_put(type, p, mask, val) *(type *)(p) = (type)((*(type *)(p) & ~(mask)) | ((val) & (mask)))
#define BPF_CORE_WRITE_BITFIELD(s, field, new_val)                                                 \
    ({                                                                                             \
        void *p = (void *)(s) + ___skep_info(s, field, BYTE_OFFSET);                               \
        unsigned int size = ___skep_info(s, field, BYTE_SIZE);                                     \
        unsigned int lshift = ___skep_info(s, field, LSHIFT_U64);                                  \
        unsigned int rshift = ___skep_info(s, field, RSHIFT_U64);                                  \
        unsigned long long mask = (~0ULL << rshift) >> lshift;                                     \
        unsigned long long val = ((unsigned long long)(new_val) << rshift) >> lshift;              \
        __asm__ volatile("" : "+r"(p));                                                            \
        switch (size) {                                                                            \
        case 1: ___skep_put(unsigned char, p, mask, val); break;                                   \
        case 2: ___skep_put(unsigned short, p, mask, val); break;                                  \
        case 4: ___skep_put(unsigned int, p, mask, val); break;                                    \
        case 8: ___skep_put(unsigned long long, p, mask, val); break;                              \
        }                                                                                          \
    })

#endif /* SKEP_BPF_CORE_READ_H */
