// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// An HTTP request, byte by byte: its lines, the header Host and its value's hash.
#include "suite.h"

PROGRAM(http_scan) {
    FRAME(ctx, data);
    const u8 *text = data + SUITE_PAYLOAD;
    u64 last = OPAQUE(ctx); // The last eight characters, in lower case.
    u32 lines = 0, host = 0, in_host = 0, escaped = 0;
    if (*(u32 *)text != BIG32(0x47455420)) // "GET "
        return 2;
    LOOP for (u32 i = 0; i < 440; i++) {
        u32 c = text[i];
        if (c >= 'A' && c <= 'Z')
            c += 32;
        last = last << 8 | c;
        if (c == '\n') {
            if ((u32)last == 0x0d0a0d0a)
                return (host ^ lines << 8 ^ escaped << 16 ^ i) & 0x7fffffff;
            lines++;
            in_host = 0;
        } else if (in_host) {
            if (c != ' ' && c != '\r')
                host = (host ^ c) * 16777619;
        } else if (c == ':') {
            in_host = (last & 0xffffffffffff) == 0x0a686f73743a; // "\nhost:"
        } else if (c == '%') {
            escaped++;
        }
    }
    return 1;
}
