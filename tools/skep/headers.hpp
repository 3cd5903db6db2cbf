// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace skep::tool {

/// A file of tools/skep/headers, inside the tool.
struct EmbeddedHeader {
    std::string_view path; ///< as a program includes it: "bpf/bpf_helpers.h"
    std::string_view text;
};

/// All of them; the table is made at build time (embed_headers.cmake).
[[nodiscard]] std::span<const EmbeddedHeader> embedded_headers() noexcept;

} // namespace skep::tool
