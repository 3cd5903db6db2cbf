// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/btf/btf.hpp"

#include <algorithm>
#include <array>

#include "skep/base/check.hpp"

namespace skep::btf {

std::string_view kind_name(Kind kind) noexcept {
    constexpr std::array<std::string_view, 20> kNames{
        "void", "int",     "ptr",      "array",    "struct",   "union", "enum",
        "fwd",  "typedef", "volatile", "const",    "restrict", "func",  "func_proto",
        "var",  "datasec", "float",    "decl_tag", "type_tag", "enum64"};
    const auto i = static_cast<std::size_t>(kind);
    return i < kNames.size() ? kNames[i] : "unknown";
}

std::string_view essential_name(std::string_view name) noexcept {
    // As libbpf: the last "___" with another character on each side begins the flavour.
    for (std::size_t i = name.size(); i-- > 4;)
        if (name[i] != '_' && name.substr(i - 3, 3) == "___" && name[i - 4] != '_')
            return name.substr(0, i - 3);
    return name;
}

std::string_view Btf::string(std::uint32_t offset) const noexcept {
    if (offset < first_string_)
        return base_->string(offset);
    offset -= first_string_;
    if (offset >= strings_.size())
        return {};
    return strings_.data() + offset; // The strings end with NUL: parse() checked it.
}

const std::byte* Btf::trailing(std::uint32_t id) const noexcept {
    return type_section_.data() + type(id).data;
}

Member Btf::member(std::uint32_t id, std::uint32_t i) const noexcept {
    if (id < first_id_)
        return base_->member(id, i);
    const std::byte* at = trailing(id) + std::size_t{i} * 12;
    const auto offset = load<std::uint32_t>(at + 8);
    const bool flag = type(id).kind_flag;
    return {string(load<std::uint32_t>(at)), load<std::uint32_t>(at + 4),
            flag ? offset & 0xffffff : offset, flag ? offset >> 24 : 0};
}

Enumerator Btf::enumerator(std::uint32_t id, std::uint32_t i) const noexcept {
    if (id < first_id_)
        return base_->enumerator(id, i);
    const Type& t = type(id);
    if (t.kind == Kind::Enum64) {
        const std::byte* at = trailing(id) + std::size_t{i} * 12;
        const std::uint64_t value =
            load<std::uint32_t>(at + 4) | (std::uint64_t{load<std::uint32_t>(at + 8)} << 32);
        return {string(load<std::uint32_t>(at)), static_cast<std::int64_t>(value)};
    }
    const std::byte* at = trailing(id) + std::size_t{i} * 8;
    const auto value = load<std::uint32_t>(at + 4);
    // kind_flag: signed. Compilers before it existed left it clear and wrote negative values too.
    return {string(load<std::uint32_t>(at)), static_cast<std::int32_t>(value)};
}

Parameter Btf::parameter(std::uint32_t id, std::uint32_t i) const noexcept {
    if (id < first_id_)
        return base_->parameter(id, i);
    const std::byte* at = trailing(id) + std::size_t{i} * 8;
    return {string(load<std::uint32_t>(at)), load<std::uint32_t>(at + 4)};
}

SectionVariable Btf::section_variable(std::uint32_t id, std::uint32_t i) const noexcept {
    if (id < first_id_)
        return base_->section_variable(id, i);
    const std::byte* at = trailing(id) + std::size_t{i} * 12;
    return {load<std::uint32_t>(at), load<std::uint32_t>(at + 4), load<std::uint32_t>(at + 8)};
}

ArrayInfo Btf::array(std::uint32_t id) const noexcept {
    if (id < first_id_)
        return base_->array(id);
    const std::byte* at = trailing(id);
    return {load<std::uint32_t>(at), load<std::uint32_t>(at + 4), load<std::uint32_t>(at + 8)};
}

std::uint32_t Btf::member_name_offset(std::uint32_t id, std::uint32_t i) const noexcept {
    return id < first_id_ ? base_->member_name_offset(id, i)
                          : load<std::uint32_t>(trailing(id) + std::size_t{i} * 12);
}

std::uint32_t Btf::parameter_name_offset(std::uint32_t id, std::uint32_t i) const noexcept {
    return id < first_id_ ? base_->parameter_name_offset(id, i)
                          : load<std::uint32_t>(trailing(id) + std::size_t{i} * 8);
}

std::uint32_t Btf::int_word(std::uint32_t id) const noexcept {
    return id < first_id_ ? base_->int_word(id) : load<std::uint32_t>(trailing(id));
}

IntInfo Btf::integer(std::uint32_t id) const noexcept {
    if (id < first_id_)
        return base_->integer(id);
    const std::uint32_t word = int_word(id);
    const std::uint32_t encoding = (word >> 24) & 0xf;
    return {(encoding & 1) != 0, (encoding & 2) != 0, (encoding & 4) != 0,
            static_cast<std::uint8_t>(word >> 16), static_cast<std::uint8_t>(word)};
}

Linkage Btf::variable_linkage(std::uint32_t id) const noexcept {
    if (id < first_id_)
        return base_->variable_linkage(id);
    return static_cast<Linkage>(load<std::uint32_t>(trailing(id)));
}

Linkage Btf::function_linkage(std::uint32_t id) const noexcept {
    return static_cast<Linkage>(type(id).vlen);
}

std::int32_t Btf::tag_component(std::uint32_t id) const noexcept {
    if (id < first_id_)
        return base_->tag_component(id);
    return load<std::int32_t>(trailing(id));
}

std::uint32_t Btf::strip(std::uint32_t id, bool typedefs) const noexcept {
    while (true) {
        const Type& t = type(id);
        const bool modifier = t.kind == Kind::Const || t.kind == Kind::Volatile ||
                              t.kind == Kind::Restrict || t.kind == Kind::TypeTag;
        if (!modifier && !(typedefs && t.kind == Kind::Typedef))
            return id;
        id = t.size_or_type; // Ends: parse() refused cycles.
    }
}

std::optional<std::uint64_t> Btf::size_of(std::uint32_t id) const noexcept {
    std::uint64_t count = 1;
    while (true) {
        id = strip(id);
        const Type& t = type(id);
        std::uint64_t size = 0;
        switch (t.kind) {
        case Kind::Int:
        case Kind::Struct:
        case Kind::Union:
        case Kind::Enum:
        case Kind::Enum64:
        case Kind::Float:
        case Kind::Datasec:
            size = t.size_or_type;
            break;
        case Kind::Ptr:
            size = 8;
            break;
        case Kind::Var:
            id = t.size_or_type;
            continue;
        case Kind::Array:
            if (mul_overflows<std::uint64_t>(count, array(id).count, count))
                return std::nullopt;
            id = array(id).element;
            continue;
        default:
            return std::nullopt;
        }
        if (mul_overflows(size, count, size))
            return std::nullopt;
        return size;
    }
}

std::uint32_t Btf::align_of(std::uint32_t id) const noexcept {
    return id < first_id_ ? base_->align_of(id) : aligns_[id - first_id_];
}

std::span<const Btf::Named> Btf::named(std::string_view name) const {
    std::call_once(sorted_, [this] {
        for (std::uint32_t id = first_id(); id < size(); ++id)
            if (type(id).name_off != 0 && kind(id) != Kind::DeclTag)
                by_name_.push_back({essential_name(this->name(id)), id});
        std::ranges::sort(by_name_, [](const Named& a, const Named& b) {
            return a.name != b.name ? a.name < b.name : a.id < b.id;
        });
    });
    const auto range = std::ranges::equal_range(by_name_, name, {}, &Named::name);
    return {range.begin(), range.end()};
}

std::optional<std::uint32_t> Btf::find(Kind kind, std::string_view name) const {
    for (const Named& entry : named(essential_name(name)))
        if (type(entry.id).kind == kind && this->name(entry.id) == name)
            return entry.id;
    return base_ != nullptr ? base_->find(kind, name) : std::nullopt;
}

std::vector<std::uint32_t> Btf::with_essential_name(std::string_view name) const {
    std::vector<std::uint32_t> ids;
    for (const Named& entry : named(name))
        ids.push_back(entry.id);
    return ids;
}

std::vector<std::string_view> Btf::decl_tags(std::uint32_t id, std::int32_t component) const {
    std::vector<std::string_view> tags;
    if (id < first_id_)
        tags = base_->decl_tags(id, component);
    if (const auto found = tags_.find(id); found != tags_.end())
        for (const std::uint32_t tag : found->second)
            if (tag_component(tag) == component)
                tags.push_back(name(tag));
    return tags;
}

} // namespace skep::btf
