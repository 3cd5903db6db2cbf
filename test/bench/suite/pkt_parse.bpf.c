// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Headers: Ethernet, VLAN tags, IPv4 or IPv6 with extensions, TCP with its options.
#include "suite.h"

static __always_inline u32 parse(u8 *p, u8 *end, u32 hash) {
    if (p + 14 > end)
        return 1;
    u32 type = BIG16(*(u16 *)(p + 12));
    p += 14;
    LOOP for (int tags = 0; tags < 2; tags++) {
        if (type != 0x8100 && type != 0x88a8)
            break;
        if (p + 4 > end)
            return 1;
        hash = hash * 31 + (BIG16(*(u16 *)p) & 0xfff);
        type = BIG16(*(u16 *)(p + 2));
        p += 4;
    }
    u32 protocol;
    if (type == 0x0800) {
        if (p + 20 > end || p[0] >> 4 != 4 || (p[0] & 15) < 5)
            return 1;
        protocol = p[9];
        hash = (hash ^ *(u32 *)(p + 12)) * 0x85ebca6b;
        hash = (hash ^ *(u32 *)(p + 16)) * 0xc2b2ae35;
        if (BIG16(*(u16 *)(p + 6)) & 0x1fff)
            return 2;
        p += (p[0] & 15) * 4;
    } else if (type == 0x86dd) {
        if (p + 40 > end || p[0] >> 4 != 6)
            return 1;
        protocol = p[6];
        for (int i = 8; i < 40; i += 4)
            hash = (hash ^ *(u32 *)(p + i)) * 0x85ebca6b;
        p += 40;
        LOOP for (int n = 0; n < 2; n++) {
            if (protocol != 0 && protocol != 43 && protocol != 60)
                break;
            if (p + 8 > end)
                return 1;
            protocol = p[0];
            p += p[1] * 8 + 8;
        }
    } else {
        return 2;
    }
    if (protocol != 6 && protocol != 17)
        return 2;
    if (p + 8 > end)
        return 1;
    hash = (hash ^ *(u32 *)p) * 0xcc9e2d51;
    if (protocol == 17)
        return hash;
    if (p + 20 > end)
        return 1;
    u32 length = (p[12] >> 4) * 4, at = 20, options = 0;
    LOOP for (int n = 0; n < 8 && at < length; n++) {
        u8 *option = p + (at & 63);
        if (option + 2 > end)
            return 1;
        options++;
        if (option[0] == 0)
            break;
        if (option[0] == 1) {
            at++;
            continue;
        }
        if (option[0] == 2 && option + 4 <= end)
            hash += BIG16(*(u16 *)(option + 2));
        if (option[1] < 2)
            return 1;
        at += option[1];
    }
    return (hash ^ options) & 0x7fffffff;
}

// Several times: once is less than the kernel's clock can tell.
PROGRAM(pkt_parse) {
    u32 hash = OPAQUE(ctx);
    LOOP for (u32 i = 0; i < 4; i++)
        hash = parse((u8 *)(long)ctx->data, (u8 *)(long)ctx->data_end, hash + i);
    return hash;
}
