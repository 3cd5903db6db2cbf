// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

namespace skep::tool {

/// The running kernel's configuration, from /proc/config.gz or /boot/config-<release>: "CONFIG_HZ"
/// to "250". Empty where neither can be read: objects that need a value then say so.
[[nodiscard]] std::map<std::string, std::string> kernel_config();

} // namespace skep::tool
