// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/object/object.hpp"

#include <algorithm>
#include <elf.h>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include "opener.hpp"
#include "skep/base/file.hpp"
#include "skep/base/suggest.hpp"

namespace skep::object {

namespace {

// Clang leaves the sizes and offsets of data sections in BTF at 0; the ELF file has them. Without
// them a value of `.bss` could not be shown by its type (libbpf does the same before it loads BTF).
Result<std::shared_ptr<const btf::Btf>> place_variables(const Elf& elf, const Section& section,
                                                        const btf::Btf& btf) {
    std::vector<std::byte> raw(section.data.begin(), section.data.end());
    const std::size_t types =
        load<std::uint32_t>(raw.data() + 4) + std::size_t{load<std::uint32_t>(raw.data() + 8)};
    std::map<std::pair<std::uint32_t, std::string_view>, const Symbol*> variables;
    for (const Symbol& symbol : elf.symbols)
        if (symbol.type == STT_OBJECT)
            variables[{symbol.section, symbol.name}] = &symbol;
    for (std::uint32_t id = btf.first_id(); id < btf.size() && !btf.was_swapped(); ++id) {
        const Section* data = btf.kind(id) == btf::Kind::Datasec ? elf.find(btf.name(id)) : nullptr;
        if (data == nullptr)
            continue;
        std::byte* record = raw.data() + types + btf.type(id).data;
        if (btf.type(id).size_or_type == 0)
            store(record - 4, static_cast<std::uint32_t>(data->size));
        for (std::uint32_t i = 0; i < btf.type(id).vlen; ++i) {
            const std::string_view name = btf.name(btf.section_variable(id, i).type);
            if (const auto found = variables.find({data->index, name}); found != variables.end())
                store(record + std::size_t{i} * 12 + 4,
                      static_cast<std::uint32_t>(found->second->value));
        }
    }
    return btf::Btf::parse(raw);
}

} // namespace

Result<void> Opener::read_btf() {
    const Section* section = elf.find(".BTF");
    if (section == nullptr)
        return {};
    auto parsed = btf::Btf::parse(section->data);
    if (parsed)
        parsed = place_variables(elf, *section, **parsed);
    if (!parsed) {
        parsed.error().place.section = ".BTF";
        return std::unexpected(std::move(parsed).error());
    }
    object.btf = *std::move(parsed);
    if (const Section* more = elf.find(".BTF.ext"); more != nullptr) {
        auto read = btf::parse_ext(more->data, *object.btf);
        if (!read) {
            read.error().place.section = ".BTF.ext";
            return std::unexpected(std::move(read).error());
        }
        ext = *std::move(read);
    }
    return {};
}

Result<void> Opener::read_license() {
    if (const Section* section = elf.find("license"); section != nullptr) {
        const std::string_view text = as_text(section->data);
        object.license = text.substr(0, text.find('\0'));
    }
    if (const Section* section = elf.find("version"); section != nullptr) {
        if (section->data.size() < 4)
            return malformed(fmt::format("{} bytes, expected 4", section->data.size()),
                             {.section = "version"});
        object.kernel_version = load<std::uint32_t>(section->data.data());
    }
    return {};
}

Result<void> Opener::add_function(std::uint32_t section, const Symbol& symbol) {
    const Section& code = elf.sections[section];
    if (symbol.value % 8 != 0 || symbol.size % 8 != 0 || symbol.size == 0 ||
        !in_range(symbol.value, symbol.size, code.data.size()))
        return malformed(fmt::format("function \"{}\" takes bytes {}+{} of {}", symbol.name,
                                     symbol.value, symbol.size, code.data.size()),
                         {.section = code.name});
    if (symbol.bind == STB_LOCAL && section != text_section)
        return fail(ErrorCode::Unsupported, fmt::format("program \"{}\" is static", symbol.name),
                    {.section = code.name}, "remove static from its definition");
    functions.push_back({.name = std::string(symbol.name),
                         .section = section,
                         .start = static_cast<std::uint32_t>(symbol.value / 8),
                         .count = static_cast<std::uint32_t>(symbol.size / 8),
                         .global = symbol.bind != STB_LOCAL && !symbol.hidden});
    return {};
}

Result<void> Opener::read_functions() {
    for (const Section& section : elf.sections)
        if (section.name == ".text")
            text_section = section.index;
    for (const Symbol& symbol : elf.symbols) {
        if (symbol.type != STT_FUNC || symbol.section == SHN_UNDEF ||
            symbol.section >= elf.sections.size())
            continue;
        const Section& section = elf.sections[symbol.section];
        if ((section.flags & SHF_EXECINSTR) == 0 || section.type != SHT_PROGBITS)
            continue;
        SKEP_TRY(add_function(symbol.section, symbol));
    }
    std::ranges::sort(functions, [](const Function& a, const Function& b) {
        return std::tie(a.section, a.start) < std::tie(b.section, b.start);
    });
    std::map<std::pair<std::string_view, std::uint64_t>, std::uint32_t> types;
    for (const btf::FunctionInfo& info : ext.functions)
        types[{info.section, info.offset}] = info.type;
    for (Function& function : functions) {
        const auto found =
            types.find({elf.sections[function.section].name, std::uint64_t{function.start} * 8});
        if (found == types.end())
            continue;
        function.type_id = found->second;
        if (object.btf->function_linkage(found->second) == btf::Linkage::Static)
            function.global = false;
    }
    return {};
}

Result<void> Opener::run(Bytes bytes) {
    elf = SKEP_TRY(read_elf(bytes));
    object.name = options.name;
    SKEP_TRY(read_btf());
    SKEP_TRY(read_license());
    SKEP_TRY(read_functions());
    SKEP_TRY(read_maps(*this));
    SKEP_TRY(read_externs(*this));
    read_globals(*this);
    if (options.variables) {
        auto read = debuginfo::Variables::parse(bytes);
        if (read)
            variables = *std::move(read);
        else
            object.warnings.push_back("debug information: " + read.error().to_string());
    }
    link_programs(*this);
    return {};
}

Result<Object> open(Bytes elf, const OpenOptions& options) {
    Opener opener(options);
    SKEP_TRY(opener.run(elf));
    return std::move(opener.object);
}

Result<Object> open_file(const std::filesystem::path& path, const OpenOptions& options) {
    const std::vector<std::byte> bytes = SKEP_TRY(read_file(path));
    OpenOptions named = options;
    if (named.name.empty()) {
        named.name = path.filename().string();
        named.name = named.name.substr(0, named.name.find('.'));
    }
    auto object = open(bytes, named);
    if (!object)
        object.error().place.file = path.string();
    return object;
}

Result<std::shared_ptr<const Program>> Object::program(const std::string& wanted) const {
    const auto found =
        std::ranges::find_if(programs, [&wanted](const auto& p) { return p->name == wanted; });
    if (found != programs.end())
        return *found;
    for (const Failed& failure : failed)
        if (failure.program == wanted)
            return std::unexpected(failure.error);
    std::vector<std::string> names;
    names.reserve(programs.size());
    for (const auto& program : programs)
        names.push_back(program->name);
    std::string hint = did_you_mean(wanted, names);
    if (hint.empty())
        hint = names.empty() ? "the object has no programs"
                             : fmt::format("the object has {}", fmt::join(names, ", "));
    return fail(ErrorCode::NotFound, fmt::format("no program \"{}\"", wanted), {}, std::move(hint));
}

Result<std::uint32_t> Object::map_index(const std::string& wanted) const {
    std::vector<std::string> names;
    for (std::uint32_t i = 0; i < maps.size(); ++i) {
        if (maps[i].def.name == wanted)
            return i;
        names.push_back(maps[i].def.name);
    }
    std::string hint = did_you_mean(wanted, names);
    if (hint.empty())
        hint = names.empty() ? "the object has no maps"
                             : fmt::format("the object has {}", fmt::join(names, ", "));
    return fail(ErrorCode::NotFound, fmt::format("no map \"{}\"", wanted), {}, std::move(hint));
}

namespace {

Result<GlobalVariable*> find_global(Object& object, const std::string& wanted) {
    std::vector<std::string> names;
    for (GlobalVariable& variable : object.globals) {
        if (variable.name == wanted)
            return &variable;
        names.push_back(variable.name);
    }
    return fail(ErrorCode::NotFound, fmt::format("no global variable \"{}\"", wanted), {},
                did_you_mean(wanted, names));
}

} // namespace

Result<void> Object::set_global(const std::string& wanted, Bytes value) {
    const GlobalVariable* variable = SKEP_TRY(find_global(*this, wanted));
    if (value.size() != variable->size)
        return fail(ErrorCode::Invalid,
                    fmt::format("variable \"{}\" has {} bytes, the value has {}", wanted,
                                variable->size, value.size()));
    std::ranges::copy(value, maps[variable->map].contents.begin() + variable->offset);
    return {};
}

Result<void> Object::set_global_integer(const std::string& wanted, std::int64_t value) {
    const GlobalVariable* variable = SKEP_TRY(find_global(*this, wanted));
    const std::uint32_t size = variable->size;
    if (size != 1 && size != 2 && size != 4 && size != 8)
        return fail(
            ErrorCode::Invalid,
            fmt::format("variable \"{}\" has {} bytes and is not an integer", wanted, size));
    const int shift = 64 - static_cast<int>(size) * 8;
    const auto bits = static_cast<std::uint64_t>(value) << shift >> shift;
    if (static_cast<std::int64_t>(bits << shift) >> shift != value &&
        static_cast<std::int64_t>(bits) != value)
        return fail(
            ErrorCode::Invalid,
            fmt::format("{} does not fit in the {} bytes of variable \"{}\"", value, size, wanted));
    std::array<std::byte, 8> raw{};
    store(raw.data(), bits);
    return set_global(wanted, Bytes(raw).first(size)); // Little-endian, as BPF objects are.
}

} // namespace skep::object
