// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The load balancer with a frame of a flow that it knows.
#include "l4lb.h"

PROGRAM(l4lb) { return balance(ctx, OPAQUE(ctx)); }
