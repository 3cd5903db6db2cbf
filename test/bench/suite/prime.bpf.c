// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Primes by trial division: remainders of 32 bits.
#include "suite.h"

PROGRAM(prime) {
    u32 count = 0, first = 3 + OPAQUE(ctx);
    LOOP for (u32 i = 0; i < 40; i++) {
        u32 n = first + 2 * i, is_prime = 1;
        LOOP for (u32 d = 3; d < 11; d += 2)
            if (n % d == 0 && n != d)
                is_prime = 0;
        count += is_prime;
    }
    return count;
}
