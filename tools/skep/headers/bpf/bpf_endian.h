/* skep: the eBPF system, in C++
 * SPDX-License-Identifier: Apache-2.0
 *
 * Byte order: network values to the host's order and back. Constants fold at compile time.
 */
#ifndef SKEP_BPF_ENDIAN_H
#define SKEP_BPF_ENDIAN_H

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ___skep_be16(x) __builtin_bswap16(x)
#define ___skep_be32(x) __builtin_bswap32(x)
#define ___skep_be64(x) __builtin_bswap64(x)
#define ___skep_le16(x) (x)
#define ___skep_le32(x) (x)
#define ___skep_le64(x) (x)
#else
#define ___skep_be16(x) (x)
#define ___skep_be32(x) (x)
#define ___skep_be64(x) (x)
#define ___skep_le16(x) __builtin_bswap16(x)
#define ___skep_le32(x) __builtin_bswap32(x)
#define ___skep_le64(x) __builtin_bswap64(x)
#endif

#define bpf_htons(x) ((__be16)___skep_be16((__u16)(x)))
#define bpf_ntohs(x) ((__u16)___skep_be16((__u16)(x)))
#define bpf_htonl(x) ((__be32)___skep_be32((__u32)(x)))
#define bpf_ntohl(x) ((__u32)___skep_be32((__u32)(x)))
#define bpf_cpu_to_be64(x) ((__be64)___skep_be64((__u64)(x)))
#define bpf_be64_to_cpu(x) ((__u64)___skep_be64((__u64)(x)))
#define bpf_cpu_to_le16(x) ((__le16)___skep_le16((__u16)(x)))
#define bpf_cpu_to_le32(x) ((__le32)___skep_le32((__u32)(x)))
#define bpf_cpu_to_le64(x) ((__le64)___skep_le64((__u64)(x)))

#endif /* SKEP_BPF_ENDIAN_H */
