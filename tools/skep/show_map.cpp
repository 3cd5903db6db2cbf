// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "show_map.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <linux/bpf.h>

#include "format_value.hpp"
#include "hex.hpp"
#include "skep/maps/slots.hpp"
#include "skep/runtime/verdict.hpp"

namespace skep::tool {
namespace {

using spec::MapKind;

Json hex_list(Bytes bytes) {
    Json list = Json::array();
    for (const std::byte byte : bytes)
        list.push_back(fmt::format("0x{:02x}", std::to_integer<unsigned>(byte)));
    return list;
}

/// Bytes from one CPU's value to the next.
std::size_t cpu_stride(const maps::Map& map) {
    return (std::size_t{map.def().value_size} + 7) & ~std::size_t{7};
}

Bytes value_of_cpu(const maps::Map& map, const Element& element, std::uint32_t cpu) {
    return Bytes(element.value).subspan(cpu * cpu_stride(map), map.def().value_size);
}

bool is_array(MapKind kind) {
    return kind == MapKind::Array || kind == MapKind::PercpuArray;
}

/// Kinds whose elements can be listed by key.
bool has_keys(MapKind kind) {
    switch (kind) {
    case MapKind::Queue:
    case MapKind::Stack:
    case MapKind::BloomFilter:
    case MapKind::Ringbuf:
    case MapKind::UserRingbuf:
    case MapKind::Arena:
    case MapKind::StructOps:
        return false;
    default:
        return true;
    }
}

/// The name of what a slot holds: programs and maps are no bytes to show.
std::string slot_text(const runtime::Runtime& runtime, maps::Map& map, const Element& element) {
    if (const auto* programs = maps::ProgArrayMap::from(map))
        return programs->name_of(load<std::uint32_t>(element.key.data()));
    if (auto* outer = maps::MapOfMaps::from(map)) {
        const auto inner = outer->inner(element.key.data());
        for (const auto& known : runtime.maps())
            if (known == inner)
                return known->def().name;
        return inner == nullptr ? "" : inner->def().name;
    }
    return {};
}

} // namespace

bool is_percpu(MapKind kind) noexcept {
    return kind == MapKind::PercpuArray || kind == MapKind::PercpuHash ||
           kind == MapKind::LruPercpuHash || kind == MapKind::PercpuCgroupStorage;
}

std::vector<Element> elements_of(const runtime::Runtime& runtime, maps::Map& map, std::size_t limit,
                                 bool skip_zero) {
    std::vector<Element> elements;
    if (!has_keys(map.def().kind))
        return elements;
    const bool slots =
        maps::ProgArrayMap::from(map) != nullptr || maps::MapOfMaps::from(map) != nullptr;
    std::vector<std::byte> key(map.def().key_size);
    std::vector<std::byte> next(map.def().key_size);
    for (bool first = true;
         elements.size() < limit && map.next_key(first ? nullptr : key.data(), next.data()) == 0;
         first = false) {
        key = next;
        Element element{.key = key, .value = std::vector<std::byte>(map.user_value_size())};
        if (slots) {
            element.text = slot_text(runtime, map, element);
            if (element.text.empty())
                continue;
        } else if (map.read(key.data(), element.value.data()) < 0) {
            continue;
        }
        if (skip_zero && is_array(map.def().kind) &&
            std::ranges::all_of(element.value, [](std::byte b) { return b == std::byte{0}; }))
            continue;
        elements.push_back(std::move(element));
    }
    // Hash kinds walk in the order of a random seed: by key, the same contents look the same.
    if (!is_array(map.def().kind))
        std::ranges::sort(elements, {}, &Element::key);
    return elements;
}

Json element_to_json(const maps::Map& map, const btf::Btf* btf, const Element& element) {
    const spec::MapDef& def = map.def();
    Json json{{"key", hex_list(element.key)}};
    Json formatted{{"key", value_to_json(btf, def.key_type, element.key)}};
    if (!element.text.empty()) {
        json["value"] = element.text;
        return json;
    }
    if (is_percpu(def.kind)) {
        json["values"] = Json::array();
        formatted["values"] = Json::array();
        for (std::uint32_t cpu = 0; cpu < map.cpus(); ++cpu) {
            const Bytes value = value_of_cpu(map, element, cpu);
            json["values"].push_back({{"cpu", cpu}, {"value", hex_list(value)}});
            formatted["values"].push_back(
                {{"cpu", cpu}, {"value", value_to_json(btf, def.value_type, value)}});
        }
    } else {
        json["value"] = hex_list(element.value);
        formatted["value"] = value_to_json(btf, def.value_type, element.value);
    }
    if (btf != nullptr && def.value_type != 0)
        json["formatted"] = std::move(formatted);
    return json;
}

std::string element_to_text(const maps::Map& map, const btf::Btf* btf, const Element& element) {
    const spec::MapDef& def = map.def();
    const std::string key = value_to_text(btf, def.key_type, element.key);
    if (!element.text.empty())
        return fmt::format("  {}: {}\n", key, element.text);
    if (!is_percpu(def.kind))
        return fmt::format("  {}: {}\n", key, value_to_text(btf, def.value_type, element.value));
    std::string out;
    for (std::uint32_t cpu = 0; cpu < map.cpus(); ++cpu)
        out += fmt::format("  {} (cpu {}): {}\n", key, cpu,
                           value_to_text(btf, def.value_type, value_of_cpu(map, element, cpu)));
    return out;
}

Json map_to_json(const maps::Map& map) {
    const spec::MapDef& def = map.def();
    return Json{{"id", map.id()},
                {"type", runtime::kind_name(def.kind)},
                {"name", def.name},
                {"flags", def.flags},
                {"bytes_key", def.key_size},
                {"bytes_value", def.value_size},
                {"max_entries", def.max_entries},
                {"frozen", map.frozen() ? 1 : 0}};
}

std::string map_to_text(const maps::Map& map) {
    const spec::MapDef& def = map.def();
    return fmt::format("{}: {}  name {}  flags 0x{:x}\n    key {}B  value {}B  max_entries {}{}\n",
                       map.id(), runtime::kind_name(def.kind), def.name, def.flags, def.key_size,
                       def.value_size, def.max_entries, map.frozen() ? "  frozen" : "");
}

Result<void> set_element(const runtime::Runtime& runtime, const std::string& assignment) {
    const auto first = assignment.find(':');
    const auto second = first == std::string::npos ? first : assignment.find(':', first + 1);
    if (second == std::string::npos)
        return fail(ErrorCode::Invalid,
                    "\"" + assignment + "\" is not of the form MAP:KEYHEX:VALUEHEX");
    const std::string name = assignment.substr(0, first);
    const auto map = SKEP_TRY(runtime.map(name));
    const auto key = SKEP_TRY(
        parse_hex(assignment.substr(first + 1, second - first - 1), "key of \"" + name + "\""));
    auto value = SKEP_TRY(parse_hex(assignment.substr(second + 1), "value of \"" + name + "\""));
    const spec::MapDef& def = map->def();
    if (key.size() != def.key_size)
        return fail(ErrorCode::Invalid, fmt::format("map \"{}\": key of {} bytes, expected {}",
                                                    name, key.size(), def.key_size));
    if (value.size() != def.value_size && value.size() != map->user_value_size())
        return fail(ErrorCode::Invalid, fmt::format("map \"{}\": value of {} bytes, expected {}",
                                                    name, value.size(), def.value_size));
    // One value given for a per-CPU map goes to all CPUs.
    if (is_percpu(def.kind) && value.size() != map->user_value_size()) {
        const std::vector<std::byte> one = value;
        value.assign(map->user_value_size(), std::byte{0});
        for (std::uint32_t cpu = 0; cpu < map->cpus(); ++cpu)
            std::ranges::copy(one,
                              value.begin() + static_cast<std::ptrdiff_t>(cpu * cpu_stride(*map)));
    }
    const int bad = map->write(key.empty() ? nullptr : key.data(), value.data(), BPF_ANY);
    if (bad < 0)
        return fail(ErrorCode::Invalid, fmt::format("map \"{}\": the element is refused: {}", name,
                                                    std::strerror(-bad)));
    return {};
}

} // namespace skep::tool
