// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/btf/build.hpp"

#include <algorithm>
#include <bit>

namespace skep::btf {

BtfBuilder::BtfBuilder(const Btf* base) {
    if (base != nullptr) {
        next_id_ = base->size();
        first_string_ = base->string_end();
    } else {
        strings_.push_back('\0');
    }
}

std::uint32_t BtfBuilder::string(std::string_view text) {
    if (text.empty())
        return 0;
    const auto next = first_string_ + static_cast<std::uint32_t>(strings_.size());
    const auto [found, added] = offsets_.try_emplace(std::string(text), next);
    if (added) {
        strings_.append(text);
        strings_.push_back('\0');
    }
    return found->second;
}

std::uint32_t BtfBuilder::record(Kind kind, bool flag, std::size_t vlen, std::string_view name,
                                 std::uint32_t size_or_type) {
    word(string(name));
    word((flag ? 0x80000000U : 0U) | (static_cast<std::uint32_t>(kind) << 24) |
         (static_cast<std::uint32_t>(vlen) & 0xffff));
    word(size_or_type);
    return next_id_++;
}

std::uint32_t BtfBuilder::add_int(std::string_view name, std::uint32_t bytes, bool is_signed,
                                  bool is_char, bool is_bool) {
    const std::uint32_t id = record(Kind::Int, false, 0, name, bytes);
    const std::uint32_t encoding =
        (is_signed ? 1U : 0U) | (is_char ? 2U : 0U) | (is_bool ? 4U : 0U);
    word((encoding << 24) | (bytes * 8));
    return id;
}

std::uint32_t BtfBuilder::add_float(std::string_view name, std::uint32_t bytes) {
    return record(Kind::Float, false, 0, name, bytes);
}

std::uint32_t BtfBuilder::add_ptr(std::uint32_t to) {
    return record(Kind::Ptr, false, 0, {}, to);
}

std::uint32_t BtfBuilder::add_modifier(Kind kind, std::uint32_t to, std::string_view name,
                                       bool attribute) {
    return record(kind, attribute, 0, name, to);
}

std::uint32_t BtfBuilder::add_typedef(std::string_view name, std::uint32_t to) {
    return record(Kind::Typedef, false, 0, name, to);
}

std::uint32_t BtfBuilder::add_array(std::uint32_t element, std::uint32_t index,
                                    std::uint32_t count) {
    const std::uint32_t id = record(Kind::Array, false, 0, {}, 0);
    word(element);
    word(index);
    word(count);
    return id;
}

std::uint32_t BtfBuilder::add_composite(Kind kind, std::string_view name, std::uint32_t bytes,
                                        std::span<const Member> members, bool force_flag) {
    const bool flag =
        force_flag || std::ranges::any_of(members, [](const Member& m) { return m.bit_size != 0; });
    const std::uint32_t id = record(kind, flag, members.size(), name, bytes);
    for (const Member& m : members) {
        word(string(m.name));
        word(m.type);
        word(flag ? (m.bit_size << 24) | (m.bit_offset & 0xffffff) : m.bit_offset);
    }
    return id;
}

std::uint32_t BtfBuilder::add_fwd(std::string_view name, bool is_union) {
    return record(Kind::Fwd, is_union, 0, name, 0);
}

std::uint32_t BtfBuilder::add_enum(Kind kind, std::string_view name, std::uint32_t bytes,
                                   bool is_signed, std::span<const Enumerator> enumerators) {
    const std::uint32_t id = record(kind, is_signed, enumerators.size(), name, bytes);
    for (const Enumerator& e : enumerators) {
        word(string(e.name));
        const auto bits = static_cast<std::uint64_t>(e.value);
        word(static_cast<std::uint32_t>(bits));
        if (kind == Kind::Enum64)
            word(static_cast<std::uint32_t>(bits >> 32));
    }
    return id;
}

std::uint32_t BtfBuilder::add_func_proto(std::uint32_t returns,
                                         std::span<const Parameter> parameters) {
    const std::uint32_t id = record(Kind::FuncProto, false, parameters.size(), {}, returns);
    for (const Parameter& p : parameters) {
        word(string(p.name));
        word(p.type);
    }
    return id;
}

std::uint32_t BtfBuilder::add_func(std::string_view name, std::uint32_t proto, Linkage linkage) {
    return record(Kind::Func, false, static_cast<std::size_t>(linkage), name, proto);
}

std::uint32_t BtfBuilder::add_var(std::string_view name, std::uint32_t type, Linkage linkage) {
    const std::uint32_t id = record(Kind::Var, false, 0, name, type);
    word(static_cast<std::uint32_t>(linkage));
    return id;
}

std::uint32_t BtfBuilder::add_datasec(std::string_view name, std::uint32_t bytes,
                                      std::span<const SectionVariable> variables) {
    const std::uint32_t id = record(Kind::Datasec, false, variables.size(), name, bytes);
    for (const SectionVariable& v : variables) {
        word(v.type);
        word(v.offset);
        word(v.size);
    }
    return id;
}

std::uint32_t BtfBuilder::add_decl_tag(std::string_view text, std::uint32_t on,
                                       std::int32_t component, bool attribute) {
    const std::uint32_t id = record(Kind::DeclTag, attribute, 0, text, on);
    word(static_cast<std::uint32_t>(component));
    return id;
}

std::uint32_t BtfBuilder::add_copy(const Btf& from, std::uint32_t id) {
    const Type& t = from.type(id);
    const std::string_view name = from.name(id);
    const std::uint32_t made = record(t.kind, t.kind_flag, t.vlen, name, t.size_or_type);
    switch (t.kind) {
    case Kind::Int:
        word(from.int_word(id));
        break;
    case Kind::Array: {
        const ArrayInfo a = from.array(id);
        word(a.element);
        word(a.index);
        word(a.count);
        break;
    }
    case Kind::Struct:
    case Kind::Union:
        for (std::uint32_t i = 0; i < t.vlen; ++i) {
            const Member m = from.member(id, i);
            word(string(m.name));
            word(m.type);
            word(t.kind_flag ? (m.bit_size << 24) | m.bit_offset : m.bit_offset);
        }
        break;
    case Kind::Enum:
    case Kind::Enum64:
        for (std::uint32_t i = 0; i < t.vlen; ++i) {
            const Enumerator e = from.enumerator(id, i);
            const auto bits = static_cast<std::uint64_t>(e.value);
            word(string(e.name));
            word(static_cast<std::uint32_t>(bits));
            if (t.kind == Kind::Enum64)
                word(static_cast<std::uint32_t>(bits >> 32));
        }
        break;
    case Kind::FuncProto:
        for (std::uint32_t i = 0; i < t.vlen; ++i) {
            const Parameter p = from.parameter(id, i);
            word(string(p.name));
            word(p.type);
        }
        break;
    case Kind::Var:
        word(static_cast<std::uint32_t>(from.variable_linkage(id)));
        break;
    case Kind::Datasec:
        for (std::uint32_t i = 0; i < t.vlen; ++i) {
            const SectionVariable v = from.section_variable(id, i);
            word(v.type);
            word(v.offset);
            word(v.size);
        }
        break;
    case Kind::DeclTag:
        word(static_cast<std::uint32_t>(from.tag_component(id)));
        break;
    default:
        break;
    }
    return made;
}

std::vector<std::byte> BtfBuilder::emit(bool big_endian) const {
    const bool swap = big_endian != (std::endian::native == std::endian::big);
    std::vector<std::byte> out;
    out.reserve(24 + words_.size() * 4 + strings_.size());
    const auto put = [&](auto value) {
        if (swap)
            value = std::byteswap(value);
        const auto* raw = reinterpret_cast<const std::byte*>(&value);
        out.insert(out.end(), raw, raw + sizeof value);
    };
    const auto types = static_cast<std::uint32_t>(words_.size() * 4);
    put(std::uint16_t{0xeb9f});
    put(std::uint8_t{1});
    put(std::uint8_t{0});
    put(std::uint32_t{24});
    put(std::uint32_t{0});
    put(types);
    put(types);
    put(static_cast<std::uint32_t>(strings_.size()));
    for (const std::uint32_t w : words_)
        put(w);
    const Bytes text = as_bytes(strings_);
    out.insert(out.end(), text.begin(), text.end());
    return out;
}

} // namespace skep::btf
