// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace skep::tool {
/// Of the project, from CMakeLists.txt.
inline constexpr const char* kVersion = SKEP_VERSION;
} // namespace skep::tool
