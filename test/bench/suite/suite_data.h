// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// What the programs and the driver must agree on: the frame and the layouts of keys and values.
#ifndef SKEP_SUITE_DATA_H
#define SKEP_SUITE_DATA_H

#include <linux/types.h>

#define SUITE_FRAME 1024       // bytes of the frame
#define SUITE_PAYLOAD 66       // Ethernet 14, IPv4 20, TCP 32 with its options
#define SUITE_TEXT_OFFSET 512  // SUITE_TEXT stands here in the frame
#define SUITE_BYTES_OFFSET 768 // from here on: bytes without a pattern
#define SUITE_ENTRIES 1024     // of the larger maps; those with __u32 keys hold 0 .. 1023
#define SUITE_VIP 0xc0000201   // 192.0.2.1, the destination of the frame
#define SUITE_SOURCE 0xc6336407
#define SUITE_SOURCE_PORT 51234
#define SUITE_PORT 80

// 256 characters.
#define SUITE_TEXT                                                                                 \
    "A frame carries a text of two hundred and fifty six characters, so that a program wh"         \
    "ich compares strings byte by byte has something to do until its end: there is no ear"         \
    "ly way out, as every single character is what it should be, down to the last full st"         \
    "op.."

// http_scan's request; the bytes up to SUITE_TEXT_OFFSET follow as "x".
#define SUITE_REQUEST                                                                              \
    "GET /catalogue/items/42?sort=price&page=3 HTTP/1.1\r\n"                                       \
    "User-Agent: suite/1.0 (bench; x86_64)\r\n"                                                    \
    "Accept: text/html,application/json;q=0.9,*/*;q=0.8\r\n"                                       \
    "Accept-Encoding: gzip, deflate, br\r\n"                                                       \
    "Connection: keep-alive\r\n"                                                                   \
    "Host: shop.example.org\r\n"                                                                   \
    "X-Request-Id: 7b1d0c5e-9f43-4a2e-8a51-6d1f0e9b2c33\r\n"                                       \
    "Cookie: session=0123456789abcdef; theme=dark\r\n"                                             \
    "\r\n"

// Of bsearch and switch_vm.
struct table {
    __u32 sorted[256];
};

struct code {
    __u8 bytes[64];
};

struct lpm_key {
    __u32 prefix;
    __u32 address; // network order
};

struct vip_key {
    __u32 address; // network order, as the port
    __u16 port;
    __u16 protocol;
};

struct vip {
    __u32 first_slot; // of its part of the ring
    __u32 slots;      // a power of two
};

struct flow_key {
    __u32 source, target; // network order, as the ports
    __u16 source_port, target_port;
    __u32 protocol;
};

struct server {
    __u32 address;
    __u32 weight;
};

#endif
