// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "skep/base/result.hpp"
#include "skep/exec/run_context.hpp"
#include "skep/maps/map.hpp"
#include "skep/object/object.hpp"

namespace skep::runtime {

/// Creates the maps of an object, in its order, and fills internal maps and maps of maps.
/// Programs are not put into prog arrays yet. An error's place names the map.
Result<std::vector<std::shared_ptr<maps::Map>>> make_maps(const object::Object& object,
                                                          std::uint32_t cpus);

/// What engines see of the maps. The slots point into `maps`.
std::vector<exec::MapSlot> make_slots(const object::Object& object,
                                      const std::vector<std::shared_ptr<maps::Map>>& maps);

} // namespace skep::runtime
