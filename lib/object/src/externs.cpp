// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Externs: `.kconfig` variables become a read-only map that the loader fills from the kernel's
// configuration; `.ksyms` name kernel functions and variables.
#include <algorithm>
#include <charconv>
#include <elf.h>
#include <fmt/core.h>

#include "opener.hpp"

namespace skep::object {
namespace {

using btf::Kind;

std::unexpected<Error> bad(std::string_view name, const std::string& what,
                           const std::string& hint = "") {
    return fail(ErrorCode::Malformed, fmt::format("extern \"{}\": {}", name, what),
                {.section = ".kconfig"}, hint);
}

// An integer, bool, tristate or string value of .config, written as its C type.
class KconfigWriter {
public:
    KconfigWriter(Opener& opener, std::vector<std::byte>& out)
        : o_(opener), btf_(*opener.object.btf), out_(out) {}

    Result<void> write(const Extern& external) {
        const std::uint32_t type = btf_.strip(btf_.target(external.type_id));
        const std::uint64_t size = *btf_.size_of(type);
        std::optional<std::string> value = lookup(external.name);
        if (!value) {
            if (!external.weak)
                return bad(external.name, "the kernel's configuration does not have it",
                           "declare it __weak, or give the configuration");
            return {}; // weak and unknown: zero
        }
        if (btf_.kind(type) == Kind::Array)
            return write_string(external, size, *value);
        if (*value == "y" || *value == "n" || *value == "m")
            return write_letter(external, type, size, value->front());
        return write_integer(external, type, size, *value);
    }

private:
    std::optional<std::string> lookup(const std::string& name) const {
        if (name == "LINUX_KERNEL_VERSION")
            return std::to_string(o_.options.kernel_version);
        if (name == "LINUX_HAS_BPF_COOKIE" || name == "LINUX_HAS_SYSCALL_WRAPPER")
            return "1"; // true of every kernel that skep can stand for (5.15 and later on x86-64)
        const auto found = o_.options.kconfig.find(name);
        return found == o_.options.kconfig.end() ? std::nullopt : std::optional(found->second);
    }

    Result<void> write_string(const Extern& external, std::uint64_t size,
                              const std::string& value) {
        if (value.size() < 2 || value.front() != '"' || value.back() != '"')
            return bad(external.name, fmt::format("{} is not a string", value));
        if (size == 0)
            return bad(external.name, "its array has no elements");
        const std::string text = value.substr(1, value.size() - 2);
        const std::size_t length = std::min<std::size_t>(text.size(), size - 1); // libbpf truncates
        std::memcpy(out_.data() + external.offset, text.data(), length);
        return {};
    }

    Result<void> write_letter(const Extern& external, std::uint32_t type, std::uint64_t size,
                              char letter) {
        const Kind kind = btf_.kind(type);
        if (kind == Kind::Int && btf_.integer(type).is_char && size == 1) {
            store(out_.data() + external.offset, letter);
            return {};
        }
        const bool boolean = kind == Kind::Int && btf_.integer(type).is_bool;
        if (boolean && letter == 'm')
            return bad(external.name, "m does not fit in a bool");
        if (!boolean && kind != Kind::Enum && kind != Kind::Enum64)
            return bad(external.name,
                       fmt::format("{} needs bool, char or enum libbpf_tristate", letter));
        put(external, letter == 'n' ? 0 : letter == 'y' ? 1 : 2, size);
        return {};
    }

    Result<void> write_integer(const Extern& external, std::uint32_t type, std::uint64_t size,
                               const std::string& value) {
        if (btf_.kind(type) != Kind::Int)
            return bad(external.name, fmt::format("{} needs an integer type", value));
        const bool hex = value.starts_with("0x");
        std::uint64_t bits = 0;
        const char* begin = value.data() + (hex ? 2 : 0);
        const char* end = value.data() + value.size();
        const bool negative = begin != end && *begin == '-';
        const auto [next, error] =
            std::from_chars(begin + (negative ? 1 : 0), end, bits, hex ? 16 : 10);
        if (error != std::errc() || next != end)
            return bad(external.name, fmt::format("{} is not a number", value));
        const std::uint64_t limit =
            size >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (size * 8)) - 1;
        if (bits > limit)
            return bad(external.name, fmt::format("{} does not fit in {} bytes", value, size));
        put(external, negative ? 0 - bits : bits, size);
        return {};
    }

    void put(const Extern& external, std::uint64_t bits, std::uint64_t size) {
        std::memcpy(out_.data() + external.offset, &bits, std::min<std::size_t>(size, 8));
    }

    Opener& o_;
    const btf::Btf& btf_;
    std::vector<std::byte>& out_;
};

// The Var or Func of an extern and the datasec that it is in.
std::pair<std::uint32_t, std::string_view> find_extern(const btf::Btf& btf, std::string_view name) {
    for (const std::string_view section : {".kconfig", ".ksyms"})
        if (const auto id = btf.find(Kind::Datasec, section))
            for (std::uint32_t i = 0; i < btf.type(*id).vlen; ++i)
                if (const std::uint32_t type = btf.section_variable(*id, i).type;
                    btf.name(type) == name)
                    return {type, section};
    return {0, {}};
}

Result<void> collect(Opener& o) {
    for (const Symbol& symbol : o.elf.symbols) {
        if (symbol.section != SHN_UNDEF || symbol.name.empty() ||
            (symbol.bind != STB_GLOBAL && symbol.bind != STB_WEAK))
            continue;
        if (o.object.btf == nullptr)
            return malformed(fmt::format("extern \"{}\" needs BTF: compile with -g", symbol.name));
        const auto [type, section] = find_extern(*o.object.btf, symbol.name);
        if (type == 0)
            return fail(ErrorCode::NotFound,
                        fmt::format("extern \"{}\" is neither __kconfig nor __ksym", symbol.name),
                        {}, "define it, or declare it with __ksym if it is a kernel function");
        Extern external{.name = std::string(symbol.name),
                        .weak = symbol.bind == STB_WEAK,
                        .function = o.object.btf->kind(type) == Kind::Func,
                        .kconfig = section == ".kconfig",
                        .type_id = type};
        if (external.kconfig && (external.function || !o.object.btf->size_of(type)))
            return bad(external.name, "its type has no size");
        o.externs.emplace(symbol.name, std::move(external));
    }
    return {};
}

// libbpf's layout: most aligned first, then smallest, then by name.
Result<void> make_kconfig(Opener& o) {
    std::vector<Extern*> list;
    for (auto& [name, external] : o.externs)
        if (external.kconfig)
            list.push_back(&external);
    if (list.empty())
        return {};
    const btf::Btf& btf = *o.object.btf;
    std::ranges::sort(list, [&btf](const Extern* a, const Extern* b) {
        const auto key = [&btf](const Extern* e) {
            return std::make_tuple(-std::int64_t{btf.align_of(btf.target(e->type_id))},
                                   *btf.size_of(e->type_id), std::string_view(e->name));
        };
        return key(a) < key(b);
    });
    std::uint64_t size = 0;
    for (Extern* external : list) {
        const std::uint32_t align = btf.align_of(btf.target(external->type_id));
        size = (size + align - 1) / align * align;
        external->offset = static_cast<std::uint32_t>(size);
        size += *btf.size_of(external->type_id);
        if (size > 1 << 20)
            return fail(ErrorCode::Limit,
                        fmt::format(".kconfig takes {} bytes, limit {}", size, 1 << 20));
    }
    ObjectMap map{.def = {.name = ".kconfig",
                          .kind = spec::MapKind::Array,
                          .key_size = 4,
                          .value_size = static_cast<std::uint32_t>(size),
                          .max_entries = 1,
                          .flags = 0x80U | 0x400U,
                          .value_type = btf.find(Kind::Datasec, ".kconfig").value_or(0)},
                  .frozen = true};
    map.contents.resize(size);
    KconfigWriter writer(o, map.contents);
    for (Extern* external : list)
        if (auto written = writer.write(*external); !written)
            external->unknown = std::move(written).error();
    o.kconfig_map = static_cast<std::uint32_t>(o.object.maps.size());
    o.object.maps.push_back(std::move(map));
    return {};
}

Result<void> find_target(Opener& o) {
    o.target = o.options.target_btf;
    const bool wanted =
        std::ranges::any_of(o.externs, [](const auto& e) { return !e.second.kconfig; }) ||
        std::ranges::any_of(o.ext.relocations, [](const btf::CoreRelocation& relocation) {
            return relocation.kind != btf::CoreKind::TypeIdLocal;
        });
    if (o.target == nullptr && wanted && o.options.find_target_btf)
        o.target = SKEP_TRY(o.options.find_target_btf());
    return {};
}

void resolve_ksyms(Opener& o) {
    if (o.target == nullptr)
        return;
    for (auto& [name, external] : o.externs)
        if (!external.kconfig)
            external.kernel_type_id = o.target
                                          ->find(external.function ? Kind::Func : Kind::Var,
                                                 btf::essential_name(external.name))
                                          .value_or(0);
}

} // namespace

Result<void> read_externs(Opener& o) {
    SKEP_TRY(collect(o));
    SKEP_TRY(make_kconfig(o));
    SKEP_TRY(find_target(o));
    resolve_ksyms(o);
    return {};
}

void read_globals(Opener& o) {
    for (const Symbol& symbol : o.elf.symbols) {
        const auto map = o.data_map.find(symbol.section);
        if (map == o.data_map.end() || symbol.type != STT_OBJECT || symbol.name.empty())
            continue;
        GlobalVariable variable{.name = std::string(symbol.name),
                                .map = map->second,
                                .offset = static_cast<std::uint32_t>(symbol.value),
                                .size = static_cast<std::uint32_t>(symbol.size)};
        if (!in_range(symbol.value, symbol.size, o.object.maps[map->second].contents.size()))
            continue;
        if (o.object.btf != nullptr)
            if (const auto var = o.object.btf->find(Kind::Var, symbol.name))
                variable.type_id = o.object.btf->target(*var);
        o.object.globals.push_back(std::move(variable));
    }
    std::ranges::sort(o.object.globals, {}, &GlobalVariable::name);
}

} // namespace skep::object
