// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "skep/exec/run_context.hpp"

namespace skep::helpers {

/// Formats as the kernel's bpf_bprintf_prepare and bstr_printf: %d %i %u %x %X %o %c %s %p and
/// their l, ll forms with flags, width and precision, %pK %px %ps %pS %pB, %pks %pus strings, %pi4
/// %pI4 %pi6 %pI6. Writes at most out.size() bytes with the NUL. Returns the length without limit,
/// or -errno: -EINVAL for a specifier that BPF does not have or too many arguments.
int format(std::span<char> out, std::string_view text, std::span<const std::uint64_t> args,
           exec::RunContext* run) noexcept;

} // namespace skep::helpers
