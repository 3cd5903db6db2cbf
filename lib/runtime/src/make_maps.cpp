// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "make_maps.hpp"

#include <algorithm>
#include <cstring>
#include <linux/bpf.h>

#include "skep/maps/slots.hpp"

namespace skep::runtime {
namespace {

std::unexpected<Error> in_map(const std::string& name, Error error) {
    if (!error.message.starts_with("map \""))
        error.message = "map \"" + name + "\": " + error.message;
    return std::unexpected(std::move(error));
}

std::unexpected<Error> refused(const std::string& name, std::uint32_t key, int errno_value) {
    return fail(ErrorCode::Invalid, "map \"" + name + "\": initial element " + std::to_string(key) +
                                        " is refused: " + std::strerror(-errno_value));
}

/// Several CPUs' worth of one value never happens here: internal maps are arrays.
Result<void> fill(maps::Map& map, const object::ObjectMap& source) {
    const auto& def = map.def();
    if (source.contents.empty())
        return {};
    if (source.contents.size() > def.value_size)
        return fail(ErrorCode::Malformed,
                    "map \"" + def.name + "\": " + std::to_string(source.contents.size()) +
                        " bytes of contents, its value has " + std::to_string(def.value_size));
    std::vector<std::byte> value(source.contents);
    value.resize(def.value_size);
    const std::uint32_t key = 0;
    const auto* key_bytes = reinterpret_cast<const std::byte*>(&key);
    if (const int bad = map.write(key_bytes, value.data(), BPF_ANY); bad < 0)
        return refused(def.name, key, bad);
    return {};
}

} // namespace

Result<std::vector<std::shared_ptr<maps::Map>>> make_maps(const object::Object& object,
                                                          std::uint32_t cpus) {
    std::vector<std::shared_ptr<maps::Map>> made;
    made.reserve(object.maps.size());
    for (const auto& source : object.maps) {
        const auto id = static_cast<std::uint32_t>(made.size() + 1);
        auto map = maps::create(source.def, {.cpus = cpus, .id = id});
        if (!map)
            return in_map(source.def.name, std::move(map).error());
        SKEP_TRY(fill(**map, source));
        if (source.frozen)
            (*map)->freeze();
        made.push_back(*std::move(map));
    }
    for (std::size_t i = 0; i < made.size(); ++i) {
        maps::MapOfMaps* outer = maps::MapOfMaps::from(*made[i]);
        for (const auto& [key, inner] : object.maps[i].slots) {
            if (outer == nullptr)
                break; // A prog array: its programs are not there yet.
            const auto index = SKEP_TRY(object.map_index(inner));
            const auto* key_bytes = reinterpret_cast<const std::byte*>(&key);
            if (const int bad = outer->set_inner(key_bytes, made[index], BPF_ANY); bad < 0)
                return refused(outer->def().name, key, bad);
        }
    }
    return made;
}

std::vector<exec::MapSlot> make_slots(const object::Object& object,
                                      const std::vector<std::shared_ptr<maps::Map>>& maps) {
    std::vector<exec::MapSlot> slots;
    slots.reserve(maps.size());
    for (std::size_t i = 0; i < maps.size(); ++i) {
        maps::Map& map = *maps[i];
        const auto& def = map.def();
        std::byte* values = map.direct_values();
        const std::uint64_t size = std::uint64_t{map.direct_stride()} * def.max_entries;
        const bool per_cpu = map.percpu_values() != nullptr;
        const maps::DirectOps ops = map.direct_ops();
        slots.push_back({.map = &map,
                         .def = &def,
                         .values = values,
                         .stride = per_cpu ? map.percpu_stride() : map.direct_stride(),
                         .direct_size = values == nullptr ? 0
                                        : def.max_entries == 1
                                            ? def.value_size
                                            : static_cast<std::uint32_t>(
                                                  std::min<std::uint64_t>(size, UINT32_MAX)),
                         .read_only = object.maps[i].frozen || (def.flags & BPF_F_RDONLY_PROG) != 0,
                         .percpu_values = map.percpu_values(),
                         .cpu_stride = map.percpu_cpu_stride(),
                         .ops = {.lookup = ops.lookup, .update = ops.update, .erase = ops.erase}});
    }
    return slots;
}

} // namespace skep::runtime
