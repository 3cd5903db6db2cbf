// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/result.hpp"

namespace skep::tool {

struct ProcessResult {
    int status = 0; ///< exit status; 128 + signal if it was killed
    std::string output;
};

/// Runs a program to its end and collects its stderr (and stdout, if asked for). Without shell.
Result<ProcessResult> run_process(const std::vector<std::string>& argv, bool with_stdout = false);

/// The first of the programs that is in PATH, or nothing.
[[nodiscard]] std::optional<std::filesystem::path>
find_in_path(const std::vector<std::string>& names);

/// This user's cache folder of skep, made if it is not there, private to the user.
Result<std::filesystem::path> cache_folder();

/// Writes a file so that other processes see all of it or none.
Result<void> write_whole(const std::filesystem::path& path, std::string_view text);

/// 64-bit FNV-1a in hexadecimal: names cache entries by content.
[[nodiscard]] std::string content_hash(std::string_view text);

} // namespace skep::tool
