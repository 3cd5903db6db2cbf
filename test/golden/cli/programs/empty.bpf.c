// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
// The smallest program.
__attribute__((section("xdp"), used)) int pass(void *ctx) { return 2; }
