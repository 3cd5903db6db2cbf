// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "format_value.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fmt/format.h>
#include <optional>

#include "hex.hpp"
#include "skep/btf/btf.hpp"

namespace skep::tool {
namespace {

using btf::Btf;
using btf::Kind;

/// Types of hostile objects may nest deep; what is deeper than people read is shown as bytes.
constexpr int kMaxDepth = 24;
/// Elements of one array that are shown.
constexpr std::uint32_t kMaxElements = 4096;

std::uint64_t integer_of(Bytes value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, value.data(), std::min(value.size(), sizeof bits));
    return bits;
}

std::int64_t sign_extend(std::uint64_t bits, unsigned width) {
    if (width == 0 || width >= 64)
        return static_cast<std::int64_t>(bits);
    return static_cast<std::int64_t>(bits << (64 - width)) >> (64 - width);
}

/// Bits [offset, offset + size) of a struct, little-endian; size is at most 64.
std::uint64_t bits_at(Bytes value, std::uint32_t offset, std::uint32_t size) {
    std::uint64_t bits = 0;
    for (std::uint32_t i = 0; i < size; ++i) {
        const std::uint32_t at = offset + i;
        if (at / 8 < value.size() &&
            (std::to_integer<unsigned>(value[at / 8]) >> (at % 8) & 1) != 0)
            bits |= std::uint64_t{1} << i;
    }
    return bits;
}

Json bytes_json(Bytes value) {
    return "0x" + to_hex(value);
}

class Formatter {
public:
    explicit Formatter(const Btf& btf) : btf_(btf) {}

    Json value(std::uint32_t id, Bytes bytes, int depth) const {
        id = btf_.strip(id);
        const auto size = btf_.kind(id) == Kind::Datasec
                              ? std::optional<std::uint64_t>(btf_.type(id).size_or_type)
                              : btf_.size_of(id);
        if (!size || depth > kMaxDepth || bytes.size() < *size)
            return bytes_json(bytes);
        bytes = bytes.first(static_cast<std::size_t>(*size));
        switch (btf_.kind(id)) {
        case Kind::Int:
            return number(id, integer_of(bytes), bytes);
        case Kind::Enum:
        case Kind::Enum64:
            return enumerator(id, integer_of(bytes), bytes.size());
        case Kind::Ptr:
            return fmt::format("0x{:x}", integer_of(bytes));
        case Kind::Float:
            return real(bytes);
        case Kind::Array:
            return array(id, bytes, depth);
        case Kind::Struct:
        case Kind::Union: {
            Json json = Json::object();
            members(id, bytes, depth, json);
            return json;
        }
        case Kind::Datasec:
            return section(id, bytes, depth);
        default:
            return bytes_json(bytes);
        }
    }

private:
    Json number(std::uint32_t id, std::uint64_t bits, Bytes bytes) const {
        const btf::IntInfo info = btf_.integer(id);
        if (bytes.size() > sizeof bits)
            return bytes_json(bytes);
        return number_of(info, bits, static_cast<unsigned>(bytes.size() * 8));
    }

    static Json number_of(const btf::IntInfo& info, std::uint64_t bits, unsigned width) {
        if (info.is_bool)
            return bits != 0;
        if (info.is_signed)
            return sign_extend(bits, width);
        return bits;
    }

    Json enumerator(std::uint32_t id, std::uint64_t bits, std::size_t size) const {
        const std::int64_t number = sign_extend(bits, static_cast<unsigned>(size * 8));
        for (std::uint32_t i = 0; i < btf_.type(id).vlen; ++i) {
            const auto entry = btf_.enumerator(id, i);
            if (entry.value == number || entry.value == static_cast<std::int64_t>(bits))
                return std::string(entry.name);
        }
        return number;
    }

    static Json real(Bytes bytes) {
        if (bytes.size() == sizeof(float))
            return load<float>(bytes.data());
        if (bytes.size() == sizeof(double))
            return load<double>(bytes.data());
        return bytes_json(bytes);
    }

    /// Text, if this is an array of char with nothing but text before its first NUL.
    [[nodiscard]] std::optional<std::string> as_string(const btf::ArrayInfo& info,
                                                       Bytes bytes) const {
        const std::uint32_t element = btf_.strip(info.element);
        if (btf_.kind(element) != Kind::Int || bytes.size() != info.count)
            return std::nullopt;
        // clang marks char by its name only.
        if (!btf_.integer(element).is_char && btf_.name(element) != "char")
            return std::nullopt;
        const std::string_view text = as_text(bytes);
        const std::string_view head = text.substr(0, text.find('\0'));
        if (!std::ranges::all_of(head, [](unsigned char c) { return std::isprint(c) != 0; }))
            return std::nullopt;
        return std::string(head);
    }

    Json array(std::uint32_t id, Bytes bytes, int depth) const {
        const btf::ArrayInfo info = btf_.array(id);
        if (const auto text = as_string(info, bytes))
            return *text;
        const auto size = btf_.size_of(info.element);
        if (!size || *size == 0 || info.count > kMaxElements)
            return bytes_json(bytes);
        Json json = Json::array();
        const auto stride = static_cast<std::size_t>(*size);
        for (std::size_t i = 0; i < info.count && (i + 1) * stride <= bytes.size(); ++i)
            json.push_back(value(info.element, bytes.subspan(i * stride, stride), depth + 1));
        return json;
    }

    // Members of anonymous structs and unions are shown as the outer one's, as C reaches them.
    void members(std::uint32_t id, Bytes bytes, int depth, Json& json) const {
        for (std::uint32_t i = 0; i < btf_.type(id).vlen; ++i) {
            const btf::Member member = btf_.member(id, i);
            const std::uint32_t type = btf_.strip(member.type);
            if (member.bit_size != 0) {
                if (!member.name.empty())
                    json[std::string(member.name)] = bit_field(type, bytes, member);
                continue;
            }
            const std::size_t offset = member.bit_offset / 8;
            if (offset > bytes.size())
                continue;
            const Bytes part = bytes.subspan(offset);
            const Kind kind = btf_.kind(type);
            const bool composite = kind == Kind::Struct || kind == Kind::Union;
            if (!member.name.empty())
                json[std::string(member.name)] = value(type, part, depth + 1);
            else if (composite && depth < kMaxDepth &&
                     btf_.size_of(type).value_or(0) <= part.size())
                members(type, part, depth + 1, json);
        }
    }

    Json bit_field(std::uint32_t type, Bytes bytes, const btf::Member& member) const {
        const std::uint64_t bits =
            bits_at(bytes, member.bit_offset, std::min(member.bit_size, 64U));
        if (btf_.kind(type) == Kind::Int)
            return number_of(btf_.integer(type), bits, member.bit_size);
        return bits;
    }

    Json section(std::uint32_t id, Bytes bytes, int depth) const {
        Json json = Json::object();
        for (std::uint32_t i = 0; i < btf_.type(id).vlen; ++i) {
            const btf::SectionVariable variable = btf_.section_variable(id, i);
            if (in_range(variable.offset, variable.size, bytes.size()))
                json[std::string(btf_.name(variable.type))] =
                    value(btf_.target(variable.type), bytes.subspan(variable.offset, variable.size),
                          depth + 1);
        }
        return json;
    }

    const Btf& btf_;
};

std::string plain(const Json& json) {
    if (json.is_string())
        return "\"" + json.get<std::string>() + "\"";
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string text_of(const Json& json) {
    if (json.is_string() && json.get_ref<const std::string&>().starts_with("0x"))
        return json.get<std::string>();
    if (!json.is_structured())
        return plain(json);
    std::string out;
    for (const auto& [name, value] : json.items())
        out += (out.empty() ? "" : ", ") +
               (json.is_object() ? "." + name + " = " + text_of(value) : text_of(value));
    return json.is_object() ? "{" + out + "}" : "[" + out + "]";
}

bool knows(const Btf* btf, std::uint32_t type_id) {
    return btf != nullptr && type_id != 0 && type_id < btf->size();
}

} // namespace

Json value_to_json(const Btf* btf, std::uint32_t type_id, Bytes value) {
    if (!knows(btf, type_id))
        return bytes_json(value);
    return Formatter(*btf).value(type_id, value, 0);
}

std::string value_to_text(const Btf* btf, std::uint32_t type_id, Bytes value) {
    return text_of(value_to_json(btf, type_id, value));
}

std::uint32_t find_struct(const Btf* btf, const std::string& name) {
    return btf == nullptr ? 0 : btf->find(Kind::Struct, name).value_or(0);
}

} // namespace skep::tool
