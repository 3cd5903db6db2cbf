// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "skep/base/result.hpp"
#include "skep/btf/btf.hpp"

namespace skep::btf {

/// What BPF_BTF_LOAD refuses beyond Btf::parse(). Object files may break these rules (extern
/// linkage, sections whose sizes the loader fills in, names that are no identifiers): libbpf mends
/// them before it loads. Covers the types of this BTF, not those of its base.
Result<void> check_kernel_rules(const Btf& btf);

} // namespace skep::btf
