// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// A few kernel types whose BTF stands for a kernel's: the same on every machine.
#include <linux/types.h>
#include <linux/bpf.h>

struct bpf_insn *used_insn;
enum xdp_action used_enum;
__kernel_fsid_t used_fsid;
