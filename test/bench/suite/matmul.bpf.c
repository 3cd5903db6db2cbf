// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The product of two matrices on the stack.
#include "suite.h"

#define N 6

PROGRAM(matmul) {
    FRAME(ctx, data);
    const u8 *from = data + SUITE_BYTES_OFFSET;
    u32 a[N][N], b[N][N], sum = OPAQUE(ctx);
    LOOP for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = from[i * N + j];
            b[i][j] = from[64 + j * N + i];
        }
    LOOP for (int i = 0; i < N; i++)
        LOOP for (int j = 0; j < N; j++) {
            u32 cell = 0;
            for (int k = 0; k < N; k++)
                cell += a[i][k] * b[k][j];
            sum = sum * 5 + cell;
        }
    return sum;
}
