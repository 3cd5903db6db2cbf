// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "skep/exec/run_context.hpp"

namespace skep::helpers {

/// The helper functions that skep has, by Linux's ids. Built once; read it from any thread.
/// Semantics and error numbers are Linux 6.18's; what a helper would do to the machine (redirect,
/// signal, route) is recorded in the RunContext instead.
[[nodiscard]] const exec::HelperTable& table();

} // namespace skep::helpers
