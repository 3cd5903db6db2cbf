// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

/// Copies inside this process where either side may be no memory, or memory of another protection:
/// the kernel checks the addresses, so a bad one is an error and not a signal.
namespace skep::runtime {

/// False if a byte could not be read or written; `to` may then hold a part of `from`.
[[nodiscard]] bool copy_checked(void* to, const void* from, std::size_t size) noexcept;

/// The same where process_vm_readv is not there or is forbidden (emulators, seccomp).
[[nodiscard]] bool copy_through_pipe(void* to, const void* from, std::size_t size) noexcept;

} // namespace skep::runtime
