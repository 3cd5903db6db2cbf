// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace skep {
/// Prints the failed condition and its place to stderr, then aborts: skep itself has a bug.
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;
} // namespace skep

/// An invariant of skep that another part guarantees. On in every build.
#define SKEP_CHECK(condition)                                                                      \
    (__builtin_expect(static_cast<bool>(condition), 1)                                             \
         ? static_cast<void>(0)                                                                    \
         : ::skep::check_failed(#condition, __FILE__, __LINE__))
