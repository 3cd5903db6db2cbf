// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cstdlib>
#include <fmt/core.h>
#include <string>
#include <string_view>
#include <utility>

#include "skep/base/result.hpp"

/// How a benchmark ends when something is not as it must be.
namespace skep::bench {

[[noreturn]] inline void die(const std::string& what) {
    fmt::print(stderr, "{}: {}\n", program_invocation_short_name, what);
    std::exit(1);
}

/// The first line, and the last of what a verifier adds to it.
inline std::string brief(const Error& error) {
    std::string text = error.to_string();
    while (text.ends_with('\n'))
        text.pop_back();
    const auto first = text.find('\n');
    if (first == std::string::npos)
        return text;
    return text.substr(0, first) + " ... " + text.substr(text.rfind('\n') + 1);
}

template <class T>
T need(Result<T> result, std::string_view what) {
    if (!result)
        die(fmt::format("{}: {}", what, brief(result.error())));
    return std::move(*result);
}

} // namespace skep::bench
