// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "skep/base/result.hpp"
#include "skep/btf/btf.hpp"

namespace skep::btf {

struct DumpOptions {
    /// Types to declare, with all that they need; empty: every type of this BTF (not of its base).
    std::vector<std::uint32_t> roots;
    /// The include guard and the preserve_access_index pragmas of a vmlinux.h.
    bool vmlinux_header = true;
};

/// The types as C that compiles to the same sizes and offsets: what a type needs comes before it,
/// padding and packing are explicit, a name taken twice gets "___2". Functions and variables are
/// left out. ErrorCode::Limit where the types nest or the text grows beyond any compiler's output.
Result<std::string> dump_c(const Btf& btf, const DumpOptions& options = {});

/// The type as a C declaration without a name: "const struct foo *", "int (*)(void)", "u32[4]".
/// Anonymous structs are "struct {...}"-less: shown as "struct (anonymous)".
[[nodiscard]] std::string type_text(const Btf& btf, std::uint32_t id);

} // namespace skep::btf
