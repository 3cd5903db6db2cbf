// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "compile.hpp"

namespace skep::tool {
namespace {

struct Known {
    std::string_view needle; ///< in clang's messages
    std::string_view note;
};

// In the order in which they should be read: a cause comes before what follows from it.
constexpr std::array kKnown{
    Known{"'vmlinux.h' file not found",
          "vmlinux.h is made from the kernel's BTF, and no BTF could be read: give --btf FILE, or "
          "run a kernel with CONFIG_DEBUG_INFO_BTF (see `skep doctor`)"},
    Known{"asm/types.h' file not found",
          "the machine's own headers are missing: install linux-libc-dev"},
    Known{"asm/byteorder.h' file not found",
          "the machine's own headers are missing: install linux-libc-dev"},
    Known{"bits/libc-header-start.h' file not found",
          "a libc header is included: BPF programs have no libc; use linux/*.h or vmlinux.h"},
    Known{"gnu/stubs-32.h' file not found",
          "a libc header is included: BPF programs have no libc; use linux/*.h or vmlinux.h"},
    Known{"redefinition of '",
          "if the same type comes from vmlinux.h and from linux/*.h: vmlinux.h has all kernel "
          "types, so drop the other includes and define the macros you need yourself"},
    Known{"redefinition of enumerator",
          "vmlinux.h and linux/*.h define the same enumerators: include only one of them"},
    Known{"typedef redefinition with different types",
          "vmlinux.h and linux/*.h define the same types: include only one of them"},
    Known{"BPF stack limit",
          "a BPF function may use 512 bytes of stack: move big variables to a map "
          "(a per-CPU array with one element is a scratch buffer)"},
    Known{"stack arguments are not supported",
          "a BPF function takes at most 5 arguments: pass a pointer to a struct"},
    Known{"too many args", "a BPF function takes at most 5 arguments: pass a pointer to a struct"},
    Known{"defined with too many args",
          "a BPF function takes at most 5 arguments: pass a pointer to a struct"},
    Known{"A call to built-in function 'memcpy'",
          "memcpy, memset and memcmp work only for small constant sizes, as __builtin_memcpy: use "
          "a bounded loop, or bpf_probe_read_kernel for big copies"},
    Known{"A call to built-in function 'memset'",
          "memcpy, memset and memcmp work only for small constant sizes, as __builtin_memset: use "
          "a bounded loop, or clear a map value"},
    Known{"A call to built-in function",
          "there is no C library in BPF: write the function yourself, inline"},
    Known{"is not a recognized processor",
          "this clang does not know that --cpu: v1, v2 and v3 work everywhere, v4 needs clang 18"},
    Known{"unknown target CPU",
          "this clang does not know that --cpu: v1, v2 and v3 work everywhere, v4 needs clang 18"},
    Known{"unsupported signed division",
          "signed division needs --cpu v4 (clang 18, Linux 6.6), or make the operands unsigned"},
    Known{"Unsupport signed division",
          "signed division needs --cpu v4 (clang 18, Linux 6.6), or make the operands unsigned"},
    Known{"call to undeclared function 'bpf_",
          "BPF helpers are declared in <bpf/bpf_helpers.h>; helpers that are younger than these "
          "headers are kfuncs: declare them `extern ... __ksym`"},
    Known{"implicit declaration of function 'bpf_",
          "BPF helpers are declared in <bpf/bpf_helpers.h>"},
    Known{"call to undeclared function 'PT_REGS_",
          "PT_REGS_PARM1 and its kind are in <bpf/bpf_tracing.h>"},
    Known{"call to undeclared function 'BPF_CORE_READ",
          "BPF_CORE_READ and its kind are in <bpf/bpf_core_read.h>"},
    Known{"unknown type name 'bool'", "bool comes with vmlinux.h, or with <stdbool.h>"},
    Known{"undeclared identifier 'bool'", "bool comes with vmlinux.h, or with <stdbool.h>"},
    Known{"unknown type name '__u",
          "__u8 to __u64 come with <linux/types.h> or vmlinux.h; include it first"},
    Known{"unknown type name 'u",
          "u8 to u64 are kernel types: they come with vmlinux.h; with linux/*.h write __u64"},
    Known{"unknown type name 'uint",
          "uint8_t to uint64_t come with <stdint.h>; BPF programs usually write __u8 to __u64"},
    Known{"undeclared identifier 'ETH_P_",
          "macros are not in BTF and so not in vmlinux.h: define ETH_P_IP and its kind yourself, "
          "or include <linux/if_ether.h> instead of vmlinux.h"},
    Known{"undeclared identifier 'TC_ACT_",
          "macros are not in BTF and so not in vmlinux.h: define TC_ACT_OK and its kind yourself, "
          "or include <linux/pkt_cls.h> instead of vmlinux.h"},
    Known{"undeclared identifier 'NULL'", "NULL comes with <bpf/bpf_helpers.h> or <stddef.h>"},
    Known{"incomplete definition of type",
          "the type is only declared: include the header that defines it, or vmlinux.h"},
    Known{"no member named",
          "the kernel that vmlinux.h was made from has no such field: give the BTF of another one "
          "with --btf, or declare a type of your own with preserve_access_index"},
    Known{"loop not unrolled",
          "loops need no unrolling from Linux 5.3 on: drop the pragma, or give the loop a "
          "constant bound"},
    Known{"preserve_access_index", "CO-RE needs debug information: keep -g"},
};

} // namespace

std::vector<std::string> explain_messages(std::string_view messages) {
    std::vector<std::string> notes;
    for (const Known& known : kKnown) {
        if (messages.find(known.needle) == std::string_view::npos)
            continue;
        if (std::ranges::find(notes, known.note) == notes.end())
            notes.emplace_back(known.note);
    }
    return notes;
}

} // namespace skep::tool
