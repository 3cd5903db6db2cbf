// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <cstring>
#include <fmt/format.h>

#include "cli.hpp"
#include "hex.hpp"
#include "input_file.hpp"
#include "show_map.hpp"

namespace skep::tool {
namespace {

struct Options {
    InputOptions input;
    std::string map, key, value;
    std::vector<std::string> map_set;
    std::uint32_t cpus = 1;
    std::size_t limit = 10'000;
};

/// An object whose maps exist and hold what the object and --map-set put there.
struct Maps {
    object::Object object;
    std::unique_ptr<runtime::Runtime> runtime;
};

Result<Maps> open_maps(const Console& console, const Options& options) {
    Maps maps{.object = SKEP_TRY(open_input(console, options.input))};
    // Only the maps are wanted: no program is made ready, so none can fail.
    object::Object only_maps = maps.object;
    only_maps.programs.clear();
    for (auto& map : only_maps.maps)
        if (map.def.kind == spec::MapKind::ProgArray)
            map.slots.clear();
    maps.runtime = SKEP_TRY(runtime::Runtime::load(only_maps, {.cpus = options.cpus}));
    for (const std::string& assignment : options.map_set)
        SKEP_TRY(set_element(*maps.runtime, assignment));
    return maps;
}

Result<Exit> list(const Console& console, const Options& options) {
    const Maps maps = SKEP_TRY(open_maps(console, options));
    Json rows = Json::array();
    for (const auto& map : maps.runtime->maps()) {
        if (console.json)
            rows.push_back(map_to_json(*map));
        else
            console.out(map_to_text(*map));
    }
    if (console.json)
        console.result(rows);
    return Exit::Yes;
}

Exit show(const Console& console, const Maps& maps, maps::Map& map,
          const std::vector<Element>& elements) {
    Json rows = Json::array();
    for (const Element& element : elements) {
        if (console.json)
            rows.push_back(element_to_json(map, maps.object.btf.get(), element));
        else
            console.out(element_to_text(map, maps.object.btf.get(), element));
    }
    if (console.json)
        console.result(rows);
    else
        console.note(fmt::format("{} elements", elements.size()));
    return Exit::Yes;
}

Result<Exit> dump(const Console& console, const Options& options) {
    const Maps maps = SKEP_TRY(open_maps(console, options));
    const auto map = SKEP_TRY(maps.runtime->map(options.map));
    return show(console, maps, *map, elements_of(*maps.runtime, *map, options.limit, false));
}

Result<Exit> lookup(const Console& console, const Options& options) {
    const Maps maps = SKEP_TRY(open_maps(console, options));
    const auto map = SKEP_TRY(maps.runtime->map(options.map));
    const auto key = SKEP_TRY(parse_hex(options.key, "KEY"));
    if (key.size() != map->def().key_size)
        return fail(ErrorCode::Invalid, fmt::format("map \"{}\": key of {} bytes, expected {}",
                                                    options.map, key.size(), map->def().key_size));
    Element element{.key = key, .value = std::vector<std::byte>(map->user_value_size())};
    if (const int bad = map->read(key.data(), element.value.data()); bad == -ENOENT) {
        if (console.json)
            console.result(Json{{"key", to_hex(key)}, {"error", "not found"}});
        else
            console.note("there is no such key");
        return Exit::No;
    } else if (bad < 0) {
        return fail(ErrorCode::Invalid,
                    fmt::format("map \"{}\" cannot be read: {}", options.map, std::strerror(-bad)));
    }
    return show(console, maps, *map, {element});
}

Result<Exit> update(const Console& console, const Options& options) {
    Options with = options;
    with.map_set.push_back(options.map + ":" + options.key + ":" + options.value);
    return dump(console, with);
}

} // namespace

void add_map(Cli& cli) {
    CLI::App& verb = cli.verb("map", "List, show and fill the maps of an object");
    verb.footer("The maps are made anew for each command, filled from the object and --map-set; "
                "`skep run --map-dump` shows them after a run.");
    verb.require_subcommand(1);
    const auto add = [&](const char* name, const char* description,
                         Result<Exit> (*action)(const Console&, const Options&)) -> auto& {
        const auto options = std::make_shared<Options>();
        CLI::App& nested = Cli::verb_of(verb, name, description);
        add_input_options(nested, options->input);
        nested.add_option("--map-set", options->map_set,
                          "Set an element first: MAP:KEYHEX:VALUEHEX");
        nested.add_option("--cpus", options->cpus, "Slots of per-CPU maps")
            ->capture_default_str()
            ->check(CLI::Range(1, 4096));
        if (std::string_view(name) != "list")
            nested.add_option("MAP", options->map, "The map's name")->required();
        if (std::string_view(name) == "lookup" || std::string_view(name) == "update")
            nested.add_option("KEY", options->key, "The key, in hexadecimal")->required();
        if (std::string_view(name) == "update")
            nested.add_option("VALUE", options->value, "The value, in hexadecimal")->required();
        if (std::string_view(name) == "dump" || std::string_view(name) == "update")
            nested.add_option("--limit", options->limit, "Show at most so many elements")
                ->capture_default_str();
        cli.on(nested,
               [options, action](const Console& console) { return action(console, *options); });
        return nested;
    };
    add("list", "List the maps", list);
    add("dump", "Show the elements of a map", dump);
    add("lookup", "Show one element; exit status 1 if it is not there", lookup);
    add("update", "Set one element and show the map", update);
}

} // namespace skep::tool
