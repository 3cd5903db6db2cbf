// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The load balancer with a frame that is for none of its services.
#include "l4lb.h"

PROGRAM(l4lb_miss) { return balance(ctx, 1 + OPAQUE(ctx)); }
