// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "skep/exec/run_context.hpp"
#include "skep/runtime/runtime.hpp"

/// The programs of the suite as compiled for the host (suite/native.h is the other side).
namespace skep::bench::native {

struct XdpMd {
    unsigned long data = 0, data_end = 0, data_meta = 0;
    std::uint32_t ingress_ifindex = 0, rx_queue_index = 0, egress_ifindex = 0;
};

using Function = int (*)(XdpMd*);

/// The program of that name; nullptr: it has no native form.
[[nodiscard]] Function find(std::string_view name) noexcept;

/// From now on the program's maps are the runtime's, and its helpers called by this thread get
/// `run`.
void bind(std::string_view name, const runtime::Runtime& runtime, exec::RunContext& run);

} // namespace skep::bench::native
