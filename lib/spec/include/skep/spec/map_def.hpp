// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "skep/spec/map_kind.hpp"

namespace skep::spec {

enum class Pinning : std::uint8_t { None = 0, ByName = 1 };

/// What a map is, before it exists: `bpf_attr` of BPF_MAP_CREATE with libbpf's additions.
/// Sizes and flags are as declared; nothing here has been checked against the kind's limits.
struct MapDef {
    std::string name; ///< as in the source; internal maps are ".data", ".rodata.x", ".kconfig"...
    MapKind kind = MapKind::Unspec;
    std::uint32_t key_size = 0;
    std::uint32_t value_size = 0;
    std::uint32_t max_entries = 0;
    std::uint32_t flags = 0; ///< BPF_F_*
    std::uint64_t extra = 0; ///< map_extra
    std::uint32_t numa_node = 0;
    Pinning pinning = Pinning::None;
    std::uint32_t key_type = 0;            ///< type id in the object's BTF; 0: not known
    std::uint32_t value_type = 0;          ///< the same; of a DATASEC for internal maps
    std::shared_ptr<const MapDef> inner{}; ///< template of the maps inside a map of maps
};

} // namespace skep::spec
