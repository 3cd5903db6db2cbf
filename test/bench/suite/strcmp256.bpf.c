// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Two strings of 256 bytes, compared byte by byte; they are equal.
#include "suite.h"

static const char expected[] = SUITE_TEXT;

PROGRAM(strcmp256) {
    FRAME(ctx, data);
    const u8 *text = data + SUITE_TEXT_OFFSET;
    u32 i = 0;
    LOOP for (; i < 256; i++) {
        u8 c = expected[i];
        if (c == 0 || text[i] != c)
            break;
    }
    return i;
}
