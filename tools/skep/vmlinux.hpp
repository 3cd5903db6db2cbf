// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "skep/base/result.hpp"

namespace skep::btf {
class Btf;
}

namespace skep::tool {

/// Where a kernel shows its types.
inline constexpr const char* kKernelBtf = "/sys/kernel/btf/vmlinux";

/// bpf_helper_defs.h: the prototype of every helper.
[[nodiscard]] std::string helper_definitions();

/// The types of a BTF file (raw, or in an ELF file's .BTF section) as one C header.
Result<std::string> vmlinux_header(const std::filesystem::path& btf);

/// The BTF to relocate CO-RE accesses against: a file; empty: the running kernel's, null if it has
/// none; "none": null.
Result<std::shared_ptr<const btf::Btf>> target_btf(const std::string& btf);

} // namespace skep::tool
