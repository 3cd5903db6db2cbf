// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/btf/value.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

namespace skep::btf {
namespace {

// Unions and empty structs have more parts than bytes; a hostile graph of them has 2^128.
constexpr std::uint64_t kPartsPerByte = 64;
constexpr std::uint64_t kFreeParts = 65536;

class Walk {
public:
    Walk(const Btf& btf, Bytes bytes, ValueVisitor& visitor)
        : btf_(btf), visitor_(visitor), parts_(kFreeParts + bytes.size() * kPartsPerByte) {}

    Result<void> value(std::uint32_t id, Bytes bytes) {
        if (parts_-- == 0)
            return fail(ErrorCode::Limit, "the type has too many parts to be shown");
        id = btf_.strip(id);
        const Type& t = btf_.type(id);
        switch (t.kind) {
        case Kind::Int:
            integer(id, bytes);
            break;
        case Kind::Ptr:
            visitor_.pointer(load<std::uint64_t>(bytes.data()));
            break;
        case Kind::Enum:
        case Kind::Enum64:
            enumerator(id, bytes);
            break;
        case Kind::Float:
            floating(bytes);
            break;
        case Kind::Array:
            return array(id, bytes);
        case Kind::Struct:
        case Kind::Union:
            return members(id, bytes);
        case Kind::Var:
            return value(t.size_or_type, bytes);
        case Kind::Datasec:
            return section(id, bytes);
        default:
            visitor_.opaque(bytes);
            break;
        }
        return {};
    }

private:
    Result<void> value_at(std::uint32_t id, Bytes whole, std::uint64_t offset) {
        const std::uint64_t size = btf_.size_of(id).value_or(0);
        if (!in_range(offset, size, whole.size()))
            return fail(
                ErrorCode::Invalid,
                fmt::format("BTF type {} ({}) at {}+{} is outside the {} bytes that hold it", id,
                            kind_name(btf_.kind(id)), offset, size, whole.size()));
        return value(id, whole.subspan(offset, size));
    }

    void integer(std::uint32_t id, Bytes bytes) {
        const IntInfo info = btf_.integer(id);
        bit_field(id, bytes, info.bit_offset, info.bits);
    }

    /// Bits [offset, offset + bits) of a member of that type; `bits` is at most 128.
    void bit_field(std::uint32_t id, Bytes bytes, std::uint32_t offset, std::uint32_t bits) {
        unsigned __int128 value = 0;
        for (std::uint32_t i = 0; i < bits; ++i) {
            const std::uint32_t at = offset + i;
            const bool set = at / 8 < bytes.size() &&
                             ((std::to_integer<unsigned>(bytes[at / 8]) >> (at % 8)) & 1) != 0;
            value |= static_cast<unsigned __int128>(set ? 1 : 0) << i;
        }
        const auto low = static_cast<std::uint64_t>(value);
        if (bits == 0 || bits > 64 || btf_.kind(id) != Kind::Int)
            return visitor_.bits(static_cast<std::uint64_t>(value >> 64), low);
        const IntInfo info = btf_.integer(id);
        if (info.is_bool)
            visitor_.boolean(low != 0);
        else if (info.is_char && bits == 8)
            visitor_.character(static_cast<char>(low));
        else if (info.is_signed)
            visitor_.integer(static_cast<std::int64_t>(low << (64 - bits)) >> (64 - bits));
        else
            visitor_.natural(low);
    }

    void enumerator(std::uint32_t id, Bytes bytes) {
        const Type& t = btf_.type(id);
        std::uint64_t value = 0;
        std::memcpy(&value, bytes.data(), t.size_or_type);
        const unsigned shift = 64 - t.size_or_type * 8;
        for (std::uint32_t i = 0; i < t.vlen; ++i) {
            const Enumerator e = btf_.enumerator(id, i);
            if ((static_cast<std::uint64_t>(e.value) << shift) == (value << shift))
                return visitor_.enumerator(e.name, e.value);
        }
        visitor_.enumerator({}, t.kind_flag ? static_cast<std::int64_t>(value << shift) >> shift
                                            : static_cast<std::int64_t>(value));
    }

    void floating(Bytes bytes) {
        if (bytes.size() == 4)
            visitor_.floating(static_cast<double>(load<float>(bytes.data())));
        else if (bytes.size() == 8)
            visitor_.floating(load<double>(bytes.data()));
        else
            visitor_.opaque(bytes);
    }

    /// The text of an array of plain char that holds printable ASCII up to a NUL.
    std::optional<std::string_view> as_string(std::uint32_t element, Bytes bytes) const {
        element = btf_.strip(element, false);
        const Type& t = btf_.type(element);
        if (t.kind != Kind::Int || t.size_or_type != 1 ||
            (!btf_.integer(element).is_char && btf_.name(element) != "char"))
            return std::nullopt;
        const std::string_view text = as_text(bytes);
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '\0')
                return text.substr(0, i);
            if (text[i] <= 0x1f || text[i] >= 0x7f)
                return std::nullopt;
        }
        return std::nullopt;
    }

    Result<void> array(std::uint32_t id, Bytes bytes) {
        const ArrayInfo info = btf_.array(id);
        if (const auto text = as_string(info.element, bytes)) {
            visitor_.string(*text);
            return {};
        }
        visitor_.begin_array();
        const std::uint64_t size = btf_.size_of(info.element).value_or(0);
        for (std::uint64_t i = 0; size != 0 && i < info.count; ++i)
            SKEP_TRY(value_at(info.element, bytes, i * size));
        visitor_.end_array();
        return {};
    }

    Result<void> members(std::uint32_t id, Bytes bytes) {
        visitor_.begin_struct();
        for (std::uint32_t i = 0; i < btf_.type(id).vlen; ++i) {
            const Member m = btf_.member(id, i);
            visitor_.member(m.name);
            if (m.bit_size == 0 && m.bit_offset % 8 == 0) {
                SKEP_TRY(value_at(m.type, bytes, m.bit_offset / 8));
                continue;
            }
            if (parts_-- == 0)
                return fail(ErrorCode::Limit, "the type has too many parts to be shown");
            bit_field(btf_.strip(m.type), bytes, m.bit_offset, std::min(m.bit_size, 128U));
        }
        visitor_.end_struct();
        return {};
    }

    Result<void> section(std::uint32_t id, Bytes bytes) {
        visitor_.begin_struct();
        for (std::uint32_t i = 0; i < btf_.type(id).vlen; ++i) {
            const SectionVariable v = btf_.section_variable(id, i);
            visitor_.member(btf_.name(v.type));
            SKEP_TRY(value_at(v.type, bytes, v.offset));
        }
        visitor_.end_struct();
        return {};
    }

    const Btf& btf_;
    ValueVisitor& visitor_;
    std::uint64_t parts_;
};

} // namespace

Result<void> visit_value(const Btf& btf, std::uint32_t id, Bytes bytes, ValueVisitor& visitor) {
    if (id >= btf.size())
        return fail(ErrorCode::Invalid,
                    fmt::format("BTF type {}, the last one is {}", id, btf.size() - 1));
    const auto size = btf.size_of(id);
    if (!size)
        return fail(ErrorCode::Invalid,
                    fmt::format("BTF type {} ({}) has no size", id, kind_name(btf.kind(id))));
    if (bytes.size() < *size)
        return fail(ErrorCode::Invalid,
                    fmt::format("{} bytes given, BTF type {} ({}) takes {}", bytes.size(), id,
                                kind_name(btf.kind(id)), *size));
    return Walk(btf, bytes, visitor).value(id, bytes.first(*size));
}

} // namespace skep::btf
