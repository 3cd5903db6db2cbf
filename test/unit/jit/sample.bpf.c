// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
// What the code in sample_code.hpp says that it was compiled from. Its line numbers matter.
static int hash(void) {
    return 37;
}

static int spin(void) {
    for (unsigned i = 1U << 30; i != 0; --i)
        ;
    return 1;
}

int count_packets(void) {
    int count = 5;
    return count + hash();
}
