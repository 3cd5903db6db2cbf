// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "console.hpp"
#include "skep/maps/map.hpp"
#include "skep/object/object.hpp"
#include "skep/runtime/runtime.hpp"

namespace skep::tool {

/// One element, copied out of a map.
struct Element {
    std::vector<std::byte> key;
    std::vector<std::byte> value; ///< of per-CPU kinds: all CPUs, each rounded up to 8 bytes
    std::string text;             ///< for slots of objects: the program's or map's name
};

/// Elements of a map, at most `limit`; of arrays those that are not all zero if `skip_zero`.
/// Kinds without keys (queue, ring buffer...) have none.
std::vector<Element> elements_of(const runtime::Runtime& runtime, maps::Map& map, std::size_t limit,
                                 bool skip_zero);

/// True for kinds with one value per CPU.
[[nodiscard]] bool is_percpu(spec::MapKind kind) noexcept;

/// An element with bpftool's field names: key, value (or values with cpu), formatted.
[[nodiscard]] Json element_to_json(const maps::Map& map, const btf::Btf* btf,
                                   const Element& element);
/// The same as one or, per CPU, several lines.
[[nodiscard]] std::string element_to_text(const maps::Map& map, const btf::Btf* btf,
                                          const Element& element);

/// What a map is: bpftool's field names id, type, name, flags, bytes_key, bytes_value, max_entries.
[[nodiscard]] Json map_to_json(const maps::Map& map);
[[nodiscard]] std::string map_to_text(const maps::Map& map);

/// MAP:KEYHEX:VALUEHEX of --map-set: sets one element. An empty KEYHEX pushes the value.
Result<void> set_element(const runtime::Runtime& runtime, const std::string& assignment);

} // namespace skep::tool
