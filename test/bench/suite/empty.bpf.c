// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Nothing: what it takes is the harness's own cost, the floor.
#include "suite.h"

PROGRAM(empty) { return 2; }
