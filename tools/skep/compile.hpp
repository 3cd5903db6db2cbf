// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/result.hpp"

namespace skep::tool {

struct CompileOptions {
    std::filesystem::path source;
    std::filesystem::path output; ///< the object
    std::string clang;            ///< program; empty: the newest in PATH
    std::string cpu = "v3";
    std::string btf; ///< types of vmlinux.h: a file; empty: the running kernel's; "none"
    std::vector<std::string> includes, defines;
    std::vector<std::string> flags; ///< handed to clang as they are
};

struct Compiled {
    bool ok = false;
    std::string messages;           ///< clang's own
    std::vector<std::string> notes; ///< what usually causes them, and what helps
    std::vector<std::string> command;
};

/// Compiles one C file to a BPF object with our headers, vmlinux.h and the machine's include path.
/// A file that does not compile is a result; no clang is an Error (Environment).
Result<Compiled> compile(const CompileOptions& options);

/// clang programs in PATH, newest first.
[[nodiscard]] std::vector<std::filesystem::path> find_clangs();

/// What helps against the failures that clang's messages tell of.
[[nodiscard]] std::vector<std::string> explain_messages(std::string_view messages);

/// The folder with bpf/bpf_helpers.h and the rest, written to the user's cache if need be.
Result<std::filesystem::path> header_folder();

/// A folder with a vmlinux.h made from BTF (see CompileOptions::btf), from the cache if it is
/// there; empty for "none".
Result<std::filesystem::path> vmlinux_folder(const std::string& btf);

/// True for names that the tool compiles before it opens them.
[[nodiscard]] bool is_source(const std::filesystem::path& path);

} // namespace skep::tool
