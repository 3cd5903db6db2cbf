// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "skep/base/result.hpp"
#include "skep/btf/btf.hpp"

namespace skep::btf {

// The rules by which CO-RE decides that a type of an object is a type of the kernel; the verdicts
// are libbpf's. Each gives ErrorCode::Limit where the types nest deeper than libbpf follows (32
// levels) or take more than a million comparisons (hostile input). All are pure and may run on any
// thread.

/// May `target_id` stand for `local_id` in BPF_CORE_TYPE_EXISTS, TYPE_SIZE and TYPE_ID: the same
/// kind of thing, looking through pointers, arrays and function prototypes. Names are the caller's
/// matter.
Result<bool> types_are_compatible(const Btf& local, std::uint32_t local_id, const Btf& target,
                                  std::uint32_t target_id);

/// Does the target type have all that the local one has (BPF_CORE_TYPE_MATCHES): members and
/// enumerators by name, integers by size and sign.
Result<bool> types_match(const Btf& local, std::uint32_t local_id, const Btf& target,
                         std::uint32_t target_id);

/// May a field of type `target_id` stand for one of type `local_id` in a field relocation.
bool fields_are_compatible(const Btf& local, std::uint32_t local_id, const Btf& target,
                           std::uint32_t target_id) noexcept;

} // namespace skep::btf
