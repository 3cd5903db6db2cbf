// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "skep/spec/map_kind.hpp"
#include "skep/spec/program_type.hpp"

namespace skep::runtime {

/// What a return value means for a type of program: "XDP_DROP", "TC_ACT_OK", "allow"; the number
/// in decimal where it is only a number, or has no name.
[[nodiscard]] std::string verdict_name(spec::ProgramType type, std::uint32_t retval);

/// libbpf's name of a program type: "xdp", "sched_cls"; "type N" for one that is not known.
[[nodiscard]] std::string type_name(spec::ProgramType type);

/// bpftool's name of a map kind: "hash", "percpu_array"; "type N" for one that is not known.
[[nodiscard]] std::string kind_name(spec::MapKind kind);

} // namespace skep::runtime
