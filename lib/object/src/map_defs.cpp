// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Maps of an object. A BTF-defined map is a variable in section ".maps" whose struct type spells
// the attributes: `__uint(x, N)` is a pointer to an array of N, `__type(x, T)` a pointer to T, and
// `__array(values, T)` an array of pointers to T, initialised by relocations.
#include <algorithm>
#include <bit>
#include <elf.h>
#include <fmt/core.h>
#include <unistd.h>

#include "opener.hpp"

namespace skep::object {
namespace {

using btf::Kind;
using spec::MapDef;
using spec::MapKind;

constexpr std::uint64_t kMaxDataSize = std::uint64_t{1} << 30;

class BtfMaps {
public:
    explicit BtfMaps(Opener& opener) : o_(opener), btf_(*opener.object.btf) {}

    Result<void> run(const Section& section) {
        const auto datasec = btf_.find(Kind::Datasec, ".maps");
        if (!datasec)
            return malformed("there is no BTF for it", {.section = ".maps"});
        for (std::uint32_t i = 0; i < btf_.type(*datasec).vlen; ++i) {
            const btf::SectionVariable variable = btf_.section_variable(*datasec, i);
            const std::string name(btf_.name(variable.type));
            // Clang leaves offsets at 0 in the object; the symbols have them.
            const Symbol* found = nullptr;
            for (const Symbol& symbol : o_.elf.symbols)
                if (symbol.section == section.index && symbol.name == name &&
                    symbol.type == STT_OBJECT)
                    found = &symbol;
            if (found == nullptr)
                return malformed(fmt::format("map \"{}\" has no symbol", name),
                                 {.section = ".maps"});
            SKEP_TRY(add(section, variable, name, *found));
        }
        return {};
    }

    Result<void> resolve_values(const Section& section) {
        for (const Relocation& relocation : o_.elf.relocations_of(section.index)) {
            const Symbol& symbol = o_.elf.symbols[relocation.symbol];
            for (const auto& [map, first] : values_) {
                const auto& [begin, end] = ranges_.at(map);
                if (relocation.offset < first || relocation.offset < begin ||
                    relocation.offset >= end)
                    continue;
                if ((relocation.offset - first) % 8 != 0)
                    return malformed(fmt::format("map \"{}\": initialiser at byte {}",
                                                 o_.object.maps[map].def.name, relocation.offset),
                                     {.section = ".maps"});
                o_.object.maps[map].slots.emplace_back(
                    static_cast<std::uint32_t>((relocation.offset - first) / 8),
                    std::string(symbol.name));
            }
        }
        return {};
    }

private:
    std::unexpected<Error> bad(const std::string& map, const std::string& what) {
        return malformed(fmt::format("map \"{}\": {}", map, what), {.section = ".maps"});
    }

    // The kernel takes whole pages, a power of two of them; sources often say bytes (libbpf too
    // rounds up).
    static std::uint32_t ring_size(std::uint32_t bytes) {
        const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
        const std::uint64_t pages = std::bit_ceil((bytes + page - 1) / page);
        return bytes == 0 || pages * page > UINT32_MAX ? bytes
                                                       : static_cast<std::uint32_t>(pages * page);
    }

    Result<void> add(const Section& section, const btf::SectionVariable& variable,
                     const std::string& name, const Symbol& symbol) {
        const std::uint64_t offset = symbol.value;
        const std::uint32_t type = btf_.strip(btf_.target(variable.type));
        if (btf_.kind(type) != Kind::Struct)
            return bad(name, fmt::format("its type is a {}, expected a struct",
                                         btf::kind_name(btf_.kind(type))));
        if (!in_range(offset, btf_.type(type).size_or_type, section.size))
            return bad(name, fmt::format("bytes {}+{} are outside the section of {} bytes", offset,
                                         btf_.type(type).size_or_type, section.size));
        const auto index = static_cast<std::uint32_t>(o_.object.maps.size());
        ObjectMap map{.def = {.name = name}};
        std::optional<std::uint32_t> values;
        SKEP_TRY(fill(map.def, type, name, false, values));
        if (map.def.kind == MapKind::Unspec)
            return bad(name, "it has no type");
        o_.map_at[{section.index, offset}] = index;
        // The type's size leaves out `values[]`, the symbol's counts what is initialised.
        ranges_[index] = {offset, offset + symbol.size};
        if (values)
            values_[index] = offset + *values;
        o_.object.maps.push_back(std::move(map));
        return {};
    }

    // Reads the members of a map's struct. `values` gets the byte offset of that member.
    Result<void> fill(MapDef& def, std::uint32_t type, const std::string& name, bool inner,
                      std::optional<std::uint32_t>& values) {
        for (std::uint32_t i = 0; i < btf_.type(type).vlen; ++i) {
            const btf::Member member = btf_.member(type, i);
            const std::string_view key = member.name;
            if (key == "key" || key == "value") {
                SKEP_TRY(read_type(def, key == "key", member, name));
            } else if (key == "values") {
                values = member.bit_offset / 8;
                if (inner)
                    return bad(name, "a map inside a map of maps cannot have values");
                SKEP_TRY(read_values(def, member, name));
            } else {
                SKEP_TRY(read_number(def, member, name, inner));
            }
        }
        if (def.kind == MapKind::Ringbuf || def.kind == MapKind::UserRingbuf)
            def.max_entries = ring_size(def.max_entries);
        return {};
    }

    Result<void> read_type(MapDef& def, bool is_key, const btf::Member& member,
                           const std::string& name) {
        const std::uint32_t pointer = btf_.strip(member.type);
        if (btf_.kind(pointer) != Kind::Ptr)
            return bad(name, fmt::format("\"{}\" is a {}, expected a pointer to its type",
                                         member.name, btf::kind_name(btf_.kind(pointer))));
        const std::uint32_t type = btf_.target(pointer);
        const auto size = btf_.size_of(type);
        if (!size || *size > UINT32_MAX)
            return bad(name, fmt::format("the type of its {} has no size", member.name));
        std::uint32_t& bytes = is_key ? def.key_size : def.value_size;
        if (bytes != 0 && bytes != *size)
            return bad(name, fmt::format("{}_size is {}, but the type has {} bytes", member.name,
                                         bytes, *size));
        bytes = static_cast<std::uint32_t>(*size);
        (is_key ? def.key_type : def.value_type) = type;
        return {};
    }

    Result<void> read_values(MapDef& def, const btf::Member& member, const std::string& name) {
        const std::uint32_t array = btf_.strip(member.type);
        if (btf_.kind(array) != Kind::Array)
            return bad(name, fmt::format("\"values\" is a {}, expected an array",
                                         btf::kind_name(btf_.kind(array))));
        const std::uint32_t pointer = btf_.strip(btf_.array(array).element);
        if (btf_.kind(pointer) != Kind::Ptr)
            return bad(name, "an element of \"values\" is not a pointer");
        const std::uint32_t element = btf_.strip(btf_.target(pointer));
        if (def.kind == MapKind::ProgArray) {
            if (btf_.kind(element) != Kind::FuncProto)
                return bad(name, fmt::format(
                                     "\"values\" of a prog array point to a {}, expected functions",
                                     btf::kind_name(btf_.kind(element))));
        } else if (def.kind == MapKind::ArrayOfMaps || def.kind == MapKind::HashOfMaps) {
            if (btf_.kind(element) != Kind::Struct)
                return bad(name,
                           fmt::format("\"values\" of a map of maps point to a {}, expected maps",
                                       btf::kind_name(btf_.kind(element))));
            MapDef inner{.name = name + ".inner"};
            std::optional<std::uint32_t> none;
            SKEP_TRY(fill(inner, element, inner.name, true, none));
            def.inner = std::make_shared<const MapDef>(std::move(inner));
        } else {
            return bad(name, "only prog arrays and maps of maps may have \"values\"");
        }
        if (def.value_size != 0 && def.value_size != 4)
            return bad(name, fmt::format("value_size is {}, expected 4", def.value_size));
        def.value_size = 4;
        return {};
    }

    Result<void> read_number(MapDef& def, const btf::Member& member, const std::string& name,
                             bool inner) {
        std::uint64_t value = 0;
        const std::uint32_t type = btf_.strip(member.type);
        if (btf_.kind(type) == Kind::Ptr &&
            btf_.kind(btf_.strip(btf_.target(type))) == Kind::Array) {
            value = btf_.array(btf_.strip(btf_.target(type))).count;                   // __uint
        } else if (btf_.kind(type) == Kind::Enum64 || btf_.kind(type) == Kind::Enum) { // __ulong
            if (btf_.type(type).vlen != 1)
                return bad(name, fmt::format("\"{}\" is an enum of {} values, expected 1",
                                             member.name, btf_.type(type).vlen));
            value = static_cast<std::uint64_t>(btf_.enumerator(type, 0).value);
        } else {
            return bad(name,
                       fmt::format("\"{}\" is a {}, expected __uint, __ulong, __type or __array",
                                   member.name, btf::kind_name(btf_.kind(type))));
        }
        return set_number(def, std::string(member.name), value, name, inner);
    }

    Result<void> set_number(MapDef& def, const std::string& key, std::uint64_t value,
                            const std::string& name, bool inner) {
        const auto size = static_cast<std::uint32_t>(value);
        const auto sized = [&](std::uint32_t& field) -> Result<void> {
            if (field != 0 && field != size)
                return bad(name,
                           fmt::format("{} is {}, but the type has {} bytes", key, size, field));
            field = size;
            return {};
        };
        if (key == "type")
            def.kind = static_cast<MapKind>(size);
        else if (key == "max_entries")
            def.max_entries = size;
        else if (key == "map_flags")
            def.flags = size;
        else if (key == "numa_node")
            def.numa_node = size;
        else if (key == "map_extra")
            def.extra = value;
        else if (key == "key_size")
            return sized(def.key_size);
        else if (key == "value_size")
            return sized(def.value_size);
        else if (key == "pinning") {
            if (inner)
                return bad(name, "a map inside a map of maps cannot be pinned");
            if (value > 1)
                return bad(name, fmt::format("pinning is {}, expected 0 or 1", value));
            def.pinning = static_cast<spec::Pinning>(value);
        } else {
            return bad(name, fmt::format("unknown attribute \"{}\"", key));
        }
        return {};
    }

    Opener& o_;
    const btf::Btf& btf_;
    std::map<std::uint32_t, std::uint64_t> values_; ///< by map: offset of its "values"
    std::map<std::uint32_t, std::pair<std::uint64_t, std::uint64_t>> ranges_;
};

// struct bpf_map_def: type, key_size, value_size, max_entries, map_flags; later fields are ignored.
Result<void> read_legacy(Opener& o, const Section& section) {
    std::vector<const Symbol*> symbols;
    for (const Symbol& symbol : o.elf.symbols)
        if (symbol.section == section.index && symbol.type != STT_SECTION && !symbol.name.empty())
            symbols.push_back(&symbol);
    if (symbols.empty())
        return {};
    const std::uint64_t each = section.size / symbols.size();
    if (section.size % symbols.size() != 0 || each < 16 || section.data.size() != section.size)
        return malformed(fmt::format("{} bytes for {} maps, expected at least 16 each",
                                     section.size, symbols.size()),
                         {.section = section.name});
    for (const Symbol* symbol : symbols) {
        if (!in_range(symbol->value, each, section.size))
            return malformed(fmt::format("map \"{}\" lies outside the section", symbol->name),
                             {.section = section.name});
        const auto word = [&](std::size_t i) -> std::uint32_t {
            return i * 4 + 4 <= each
                       ? load<std::uint32_t>(section.data.data() + symbol->value + i * 4)
                       : 0;
        };
        o.map_at[{section.index, symbol->value}] = static_cast<std::uint32_t>(o.object.maps.size());
        o.object.maps.push_back({.def = {.name = std::string(symbol->name),
                                         .kind = static_cast<MapKind>(word(0)),
                                         .key_size = word(1),
                                         .value_size = word(2),
                                         .max_entries = word(3),
                                         .flags = word(4)}});
    }
    o.object.warnings.push_back(fmt::format("section \"{}\" defines {} maps in the old way, which "
                                            "libbpf 1.0 refuses: use SEC(\".maps\")",
                                            section.name, symbols.size()));
    return {};
}

bool is_data(std::string_view name, std::string_view base) {
    return name == base || (name.starts_with(base) && name[base.size()] == '.');
}

// libbpf asks for a mappable array where user space may name a variable.
bool has_public_variable(const Opener& o, const Section& section) {
    return o.object.btf != nullptr && o.object.btf->find(Kind::Datasec, section.name) &&
           std::ranges::any_of(o.elf.symbols, [&section](const Symbol& symbol) {
               return symbol.section == section.index && symbol.type == STT_OBJECT &&
                      symbol.bind != STB_LOCAL && !symbol.hidden;
           });
}

Result<void> add_data(Opener& o, const Section& section, bool read_only) {
    if (section.size > kMaxDataSize)
        return fail(ErrorCode::Limit,
                    fmt::format("{} bytes of variables, limit {}", section.size, kMaxDataSize),
                    {.section = section.name});
    ObjectMap map{.def = {.name = section.name,
                          .kind = MapKind::Array,
                          .key_size = 4,
                          .value_size = static_cast<std::uint32_t>(section.size),
                          .max_entries = 1,
                          .flags = read_only ? 0x80U : 0U}, // BPF_F_RDONLY_PROG
                  .frozen = read_only};
    if (has_public_variable(o, section))
        map.def.flags |= 0x400; // BPF_F_MMAPABLE
    map.contents.assign(section.data.begin(), section.data.end());
    map.contents.resize(section.size);
    if (o.object.btf != nullptr)
        map.def.value_type = o.object.btf->find(Kind::Datasec, section.name).value_or(0);
    o.data_map[section.index] = static_cast<std::uint32_t>(o.object.maps.size());
    o.object.maps.push_back(std::move(map));
    return {};
}

// Each variable of .struct_ops is one map: an instance of a kernel structure of functions.
Result<void> read_struct_ops(Opener& o, const Section& section) {
    const auto datasec =
        o.object.btf == nullptr
            ? std::nullopt
            : o.object.btf->find(Kind::Datasec,
                                 section.name.substr(section.name.starts_with('?') ? 1 : 0));
    const auto optional_datasec =
        o.object.btf == nullptr ? std::nullopt : o.object.btf->find(Kind::Datasec, section.name);
    const auto id = optional_datasec ? optional_datasec : datasec;
    if (!id)
        return malformed("there is no BTF for it", {.section = section.name});
    for (std::uint32_t i = 0; i < o.object.btf->type(*id).vlen; ++i) {
        const btf::SectionVariable variable = o.object.btf->section_variable(*id, i);
        const std::string_view name = o.object.btf->name(variable.type);
        for (const Symbol& symbol : o.elf.symbols) {
            if (symbol.section != section.index || symbol.name != name)
                continue;
            const std::uint64_t size = o.object.btf->size_of(variable.type).value_or(0);
            if (!in_range(symbol.value, size, section.data.size()) || size == 0)
                return malformed(fmt::format("\"{}\" lies outside the section", name),
                                 {.section = section.name});
            ObjectMap map{.def = {.name = std::string(name),
                                  .kind = MapKind::StructOps,
                                  .key_size = 4,
                                  .value_size = static_cast<std::uint32_t>(size),
                                  .max_entries = 1,
                                  .value_type = o.object.btf->target(variable.type)}};
            const Bytes data = section.data.subspan(symbol.value, size);
            map.contents.assign(data.begin(), data.end());
            for (const Relocation& relocation : o.elf.relocations_of(section.index))
                if (relocation.offset >= symbol.value && relocation.offset < symbol.value + size)
                    map.slots.emplace_back(
                        static_cast<std::uint32_t>(relocation.offset - symbol.value),
                        std::string(o.elf.symbols[relocation.symbol].name));
            o.map_at[{section.index, symbol.value}] =
                static_cast<std::uint32_t>(o.object.maps.size());
            o.object.maps.push_back(std::move(map));
        }
    }
    return {};
}

} // namespace

Result<void> read_maps(Opener& o) {
    for (const Section& section : o.elf.sections)
        if (section.name == "maps")
            SKEP_TRY(read_legacy(o, section));
    if (const Section* section = o.elf.find(".maps"); section != nullptr && section->size > 0) {
        if (o.object.btf == nullptr)
            return malformed("maps need BTF: compile with -g", {.section = ".maps"});
        BtfMaps maps(o);
        SKEP_TRY(maps.run(*section));
        SKEP_TRY(maps.resolve_values(*section));
    }
    for (const Section& section : o.elf.sections) {
        if (section.size == 0)
            continue;
        if (section.name.starts_with(".struct_ops") || section.name.starts_with("?.struct_ops"))
            SKEP_TRY(read_struct_ops(o, section));
        else if (is_data(section.name, ".data"))
            SKEP_TRY(add_data(o, section, false));
        else if (is_data(section.name, ".rodata"))
            SKEP_TRY(add_data(o, section, true));
        else if (is_data(section.name, ".bss"))
            SKEP_TRY(add_data(o, section, false));
        else if (section.name == ".addr_space.1") {
            for (std::uint32_t i = 0; i < o.object.maps.size(); ++i)
                if (o.object.maps[i].def.kind == MapKind::Arena) {
                    o.object.maps[i].contents.assign(section.data.begin(), section.data.end());
                    o.data_map[section.index] = i;
                }
            if (!o.data_map.contains(section.index))
                return malformed("arena variables, but no map of type arena",
                                 {.section = section.name});
        }
    }
    return {};
}

} // namespace skep::object
