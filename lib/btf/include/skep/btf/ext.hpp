// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/base/result.hpp"
#include "skep/btf/btf.hpp"

namespace skep::btf {

/// A function starts here (struct bpf_func_info).
struct FunctionInfo {
    std::string_view section; ///< ELF section, owned by the Btf
    std::uint32_t offset = 0; ///< bytes into the section
    std::uint32_t type = 0;   ///< a Func
};

/// A source line starts here (struct bpf_line_info).
struct SourceLine {
    std::string_view section;
    std::uint32_t offset = 0;
    std::string_view file;
    std::string_view text;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
};

/// Kinds of CO-RE relocations (enum bpf_core_relo_kind).
enum class CoreKind : std::uint32_t {
    FieldByteOffset = 0,
    FieldByteSize = 1,
    FieldExists = 2,
    FieldSigned = 3,
    FieldLshiftU64 = 4,
    FieldRshiftU64 = 5,
    TypeIdLocal = 6,
    TypeIdTarget = 7,
    TypeExists = 8,
    TypeSize = 9,
    EnumvalExists = 10,
    EnumvalValue = 11,
    TypeMatches = 12,
};

/// An instruction depends on a type of the target (struct bpf_core_relo).
struct CoreRelocation {
    std::string_view section;
    std::uint32_t offset = 0;
    std::uint32_t type = 0;  ///< root type, in the object's BTF
    std::string_view access; ///< "0:1:2": array index, then members and elements
    CoreKind kind = CoreKind::FieldByteOffset;
};

/// The contents of .BTF.ext, in the order of the file.
struct Ext {
    std::vector<FunctionInfo> functions;
    std::vector<SourceLine> lines;
    std::vector<CoreRelocation> relocations;
};

/// Reads .BTF.ext. Offsets must be multiples of 8 (BPF instructions); types and names must exist.
/// The strings live in `btf`. Records longer than known are accepted, shorter ones refused.
Result<Ext> parse_ext(Bytes bytes, const Btf& btf);

} // namespace skep::btf
