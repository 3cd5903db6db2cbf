// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "described.hpp"
#include "skep/base/result.hpp"

namespace skep::jit {

/// Appends the functions, with their code and lines, to jit-PID.dump; the first call for a
/// directory makes it and keeps it open. `directory` as in Announce.
Result<void> write_jitdump(const Described& what, const std::string& directory);

} // namespace skep::jit
