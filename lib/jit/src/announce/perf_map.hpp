// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "described.hpp"
#include "skep/base/result.hpp"

namespace skep::jit {

/// The name that profilers show: "skep:" and the function's, on one line.
[[nodiscard]] std::string profiled_name(const NativeFunction& function);

/// Appends the functions to /tmp/perf-PID.map. A file of an earlier process is emptied first.
/// Errors: those of open(2) and write(2); Permission if somebody else owns the file.
Result<void> write_perf_map(const Described& what);

} // namespace skep::jit
