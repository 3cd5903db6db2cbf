// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// A list of rules, tried in turn against the headers; the last one but one matches.
#include "suite.h"

struct rule {
    u32 source, source_mask, target, target_mask;
    u16 first_port, last_port;
    u8 protocol, verdict;
};

#define TCP 6
#define UDP 17
#define OFFICE(n, port) {0x0a000000 + ((n) << 16), 0xffff0000, 0, 0, port, port, TCP, 2}
static const struct rule rules[] = {
    {0x7f000000, 0xff000000, 0, 0, 0, 65535, 0, 1},
    {0, 0, 0x7f000000, 0xff000000, 0, 65535, 0, 1},
    {0, 0, 0, 0, 53, 53, UDP, 2},
    {0, 0, 0, 0, 123, 123, UDP, 2},
    OFFICE(1, 22), OFFICE(2, 22), OFFICE(3, 22), OFFICE(4, 22),
    OFFICE(9, 443), OFFICE(10, 443), OFFICE(11, 443), OFFICE(12, 8443),
    OFFICE(13, 636), OFFICE(14, 636), OFFICE(15, 5222), OFFICE(16, 5222),
    OFFICE(17, 9100), OFFICE(18, 9100), OFFICE(19, 9200), OFFICE(20, 9200),
    OFFICE(21, 6379), OFFICE(22, 6379), OFFICE(23, 11211), OFFICE(24, 11211),
    OFFICE(5, 3306), OFFICE(6, 3306), OFFICE(7, 5432), OFFICE(8, 5432),
    {0xc6336400, 0xffffff00, 0xc0000200, 0xffffff00, 1, 79, TCP, 1},
    {0xc6336400, 0xffffff00, 0xc0000200, 0xffffff00, 8080, 8090, TCP, 2},
    {0xcb007100, 0xffffff00, 0, 0, 0, 65535, 0, 1},
    {0, 0, 0xc0000280, 0xffffff80, 80, 80, TCP, 2},
    {0, 0, 0xc0000202, 0xffffffff, 443, 443, TCP, 2},
    {0, 0, 0xc0000202, 0xffffffff, 80, 80, TCP, 2},
    {0xc6336480, 0xffffff80, 0xc0000201, 0xffffffff, 80, 80, TCP, 1},
    {0, 0, 0xc0000201, 0xffffffff, 25, 25, TCP, 1},
    {0, 0, 0xc0000201, 0xffffffff, 443, 443, TCP, 2},
    {0, 0, 0xc0000201, 0xffffffff, 80, 80, UDP, 1},
    {0xc6336400, 0xffffff00, 0xc0000201, 0xffffffff, 80, 80, TCP, 3},
    {0, 0, 0, 0, 0, 65535, 0, 1},
};

PROGRAM(firewall) {
    u8 *data = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;
    if (data + 54 > end || *(u16 *)(data + 12) != BIG16(0x0800) || data[14] != 0x45)
        return 2;
    u8 protocol = data[23];
    u32 source = BIG32(*(u32 *)(data + 26)), target = BIG32(*(u32 *)(data + 30));
    u32 port = BIG16(*(u16 *)(data + 36));
    LOOP for (u32 i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const struct rule *rule = &rules[i];
        if (rule->protocol != 0 && rule->protocol != protocol)
            continue;
        if ((source & rule->source_mask) != rule->source ||
            (target & rule->target_mask) != rule->target)
            continue;
        if (port >= rule->first_port && port <= rule->last_port)
            return rule->verdict + (i << 8);
    }
    return 1;
}
