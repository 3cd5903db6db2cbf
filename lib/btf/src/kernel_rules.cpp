// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/btf/kernel_rules.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace skep::btf {
namespace {

constexpr std::size_t kMaxName = 512; // KSYM_NAME_LEN

// The kernel's ctype table is Latin-1: letters with accents count.
bool is_letter(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= 0xc0 && c != 0xd7 && c != 0xf7);
}

bool is_identifier(std::string_view name) {
    const auto ok = [](unsigned char c) {
        return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.';
    };
    return !name.empty() && name.size() <= kMaxName && !(name[0] >= '0' && name[0] <= '9') &&
           std::ranges::all_of(name, ok);
}

bool is_section(std::string_view name) {
    const auto printable = [](unsigned char c) { return (c >= 0x20 && c < 0x7f) || c >= 0xa0; };
    return !name.empty() && name.size() <= kMaxName && std::ranges::all_of(name, printable);
}

class Rules {
public:
    explicit Rules(const Btf& btf) : btf_(btf) {}

    Result<void> run() {
        if (!btf_.header_fault().empty())
            return malformed(std::string(btf_.header_fault()));
        if (btf_.base() == nullptr && btf_.size() == 1)
            return malformed("BTF holds no types");
        for (id_ = btf_.first_id(); id_ < btf_.size(); ++id_)
            SKEP_TRY(type());
        return {};
    }

private:
    std::unexpected<Error> bad(const std::string& what) const {
        return malformed(fmt::format("BTF type {} ({}): {}", id_, kind_name(btf_.kind(id_)), what));
    }

    Result<void> type() {
        const Type& t = btf_.type(id_);
        SKEP_TRY(header(t));
        SKEP_TRY(name(t));
        switch (t.kind) {
        case Kind::Int:
            return integer();
        case Kind::Array:
            return array();
        case Kind::Struct:
        case Kind::Union:
            return members();
        case Kind::Enum:
        case Kind::Enum64:
            if (t.size_or_type == 0)
                return bad("size is 0, expected 1, 2, 4 or 8");
            for (std::uint32_t i = 0; i < t.vlen; ++i)
                if (!is_identifier(btf_.enumerator(id_, i).name))
                    return bad(fmt::format("the name of enumerator {} is no identifier", i));
            return {};
        case Kind::Func:
            return function();
        case Kind::FuncProto:
            return prototype();
        case Kind::Var:
            return variable();
        case Kind::Datasec:
            return section();
        case Kind::Float:
            return floating();
        case Kind::DeclTag:
            return tag();
        case Kind::Ptr:
        case Kind::Typedef:
        case Kind::Const:
        case Kind::Volatile:
        case Kind::Restrict:
        case Kind::TypeTag:
            return reference();
        default:
            return {};
        }
    }

    Result<void> header(const Type& t) const {
        const bool counted = t.kind == Kind::Struct || t.kind == Kind::Union ||
                             t.kind == Kind::Enum || t.kind == Kind::Enum64 ||
                             t.kind == Kind::FuncProto || t.kind == Kind::Datasec ||
                             t.kind == Kind::Func;
        if (!counted && t.vlen != 0)
            return bad(fmt::format("vlen is {}, expected 0", t.vlen));
        const bool flagged = t.kind == Kind::Struct || t.kind == Kind::Union ||
                             t.kind == Kind::Enum || t.kind == Kind::Enum64 ||
                             t.kind == Kind::Fwd || t.kind == Kind::TypeTag ||
                             t.kind == Kind::DeclTag;
        if (!flagged && t.kind_flag)
            return bad("the kind flag is set");
        if ((t.kind == Kind::Fwd || t.kind == Kind::Array) && t.size_or_type != 0)
            return bad(fmt::format("size is {}, expected 0", t.size_or_type));
        return {};
    }

    Result<void> name(const Type& t) const {
        const std::string_view text = btf_.name(id_);
        switch (t.kind) {
        case Kind::Typedef:
        case Kind::Fwd:
        case Kind::Func:
        case Kind::Var:
            if (t.name_off == 0 || !is_identifier(text))
                return bad("its name is no identifier");
            return {};
        case Kind::Struct:
        case Kind::Union:
        case Kind::Enum:
        case Kind::Enum64:
            if (t.name_off != 0 && !is_identifier(text))
                return bad("its name is no identifier");
            return {};
        case Kind::Datasec:
            if (t.name_off == 0 || !is_section(text))
                return bad("its name is no section name");
            return {};
        case Kind::TypeTag:
        case Kind::DeclTag:
            if (text.empty())
                return bad("it has no text");
            return {};
        case Kind::Ptr:
        case Kind::Array:
        case Kind::Volatile:
        case Kind::Const:
        case Kind::Restrict:
        case Kind::FuncProto:
            if (t.name_off != 0)
                return bad("it has a name");
            return {};
        default:
            return {};
        }
    }

    Result<void> integer() const {
        const std::uint32_t word = btf_.int_word(id_);
        const std::uint32_t encoding = (word >> 24) & 0xf;
        if ((word & 0xf0000000) != 0)
            return bad(fmt::format("reserved bits are set in 0x{:08x}", word));
        const IntInfo info = btf_.integer(id_);
        if (info.bits + info.bit_offset > 128)
            return bad(fmt::format("{} bits at bit {} exceed 128", info.bits, info.bit_offset));
        if ((encoding & (encoding - 1)) != 0 || encoding > 4)
            return bad(fmt::format("encoding is {}, expected 0, 1, 2 or 4", encoding));
        return {};
    }

    /// 8, 16, 32, 64 or 128 bits from bit 0.
    [[nodiscard]] bool is_regular(std::uint32_t id) const {
        const IntInfo info = btf_.integer(id);
        return info.bit_offset == 0 && info.bits >= 8 && info.bits <= 128 &&
               (info.bits & (info.bits - 1)) == 0;
    }

    Result<void> array() const {
        const ArrayInfo info = btf_.array(id_);
        const std::uint32_t index = btf_.strip(info.index);
        if (btf_.kind(index) != Kind::Int || !is_regular(index))
            return bad(fmt::format("its index is type {}, expected a whole integer", info.index));
        const std::uint32_t element = btf_.strip(info.element);
        if (btf_.kind(element) == Kind::Int && !is_regular(element))
            return bad(
                fmt::format("its element is type {}, expected a whole integer", info.element));
        const auto size = btf_.size_of(id_);
        if (!btf_.size_of(info.element) || !size || *size > 0xffffffff)
            return bad("its size is unknown or exceeds 4294967295");
        return {};
    }

    Result<void> members() const {
        const Type& t = btf_.type(id_);
        std::uint32_t last = 0;
        for (std::uint32_t i = 0; i < t.vlen; ++i) {
            const Member m = btf_.member(id_, i);
            if (btf_.member_name_offset(id_, i) != 0 && !is_identifier(m.name))
                return bad(fmt::format("the name of member {} is no identifier", i));
            if (m.bit_offset < last || (t.kind == Kind::Union && m.bit_offset != 0))
                return bad(fmt::format("member {} is at bit {}, expected {}", i, m.bit_offset,
                                       t.kind == Kind::Union ? "0" : "them in order"));
            last = m.bit_offset;
            SKEP_TRY(member(t, m, i));
        }
        return {};
    }

    Result<void> member(const Type& t, const Member& m, std::uint32_t i) const {
        const std::uint32_t to = btf_.strip(m.type);
        const Kind kind = btf_.kind(to);
        if (!btf_.size_of(to))
            return bad(fmt::format("member {} is of type {}, a {}, which has no size", i, m.type,
                                   kind_name(kind)));
        std::uint64_t bits = *btf_.size_of(to) * 8;
        bool may_be_shifted = false; // not at a byte
        if (kind == Kind::Int) {
            const IntInfo info = btf_.integer(to);
            bits = info.bits;
            if (t.kind_flag && !is_regular(to))
                return bad(
                    fmt::format("member {} is of type {}, expected a whole integer", i, m.type));
            if (!t.kind_flag) {
                may_be_shifted = true;
                bits += info.bit_offset;
            }
        } else if (kind == Kind::Enum || kind == Kind::Enum64) {
            // With the kind flag the kernel takes every enum for an int, whatever its size.
            bits = t.kind_flag ? 32 : btf_.type(to).size_or_type * 8ULL;
        } else if (m.bit_size != 0) {
            return bad(fmt::format("member {}, a {}, is a bit-field", i, kind_name(kind)));
        }
        if (m.bit_size > bits)
            return bad(fmt::format("member {} has {} bits, its type {}", i, m.bit_size, bits));
        if (m.bit_size != 0) {
            may_be_shifted = true;
            bits = m.bit_size;
        }
        if (!may_be_shifted && m.bit_offset % 8 != 0)
            return bad(
                fmt::format("member {} is at bit {}, expected a multiple of 8", i, m.bit_offset));
        if (kind == Kind::Float && m.bit_offset % (std::min<std::uint64_t>(bits, 64)) != 0)
            return bad(fmt::format("member {} is at bit {}, expected a multiple of {}", i,
                                   m.bit_offset, std::min<std::uint64_t>(bits, 64)));
        const std::uint64_t spread = bits + m.bit_offset % 8;
        if (kind == Kind::Int && spread > 128)
            return bad(
                fmt::format("member {} spreads over {} bits, expected at most 128", i, spread));
        const std::uint64_t end = m.bit_offset / 8 + (spread + 7) / 8;
        if (end > t.size_or_type)
            return bad(
                fmt::format("member {} ends at byte {}, the size is {}", i, end, t.size_or_type));
        return {};
    }

    Result<void> function() const {
        const Type& t = btf_.type(id_);
        if (btf_.function_linkage(id_) == Linkage::Extern)
            return bad("its linkage is extern");
        for (std::uint32_t i = 0; i < btf_.type(t.size_or_type).vlen; ++i) {
            const Parameter p = btf_.parameter(t.size_or_type, i);
            if (p.name.empty() && p.type != 0)
                return bad(fmt::format("parameter {} has no name", i));
        }
        return {};
    }

    Result<void> prototype() const {
        const Type& t = btf_.type(id_);
        const Kind returned = btf_.kind(t.size_or_type);
        if (t.size_or_type != 0 &&
            (!btf_.size_of(t.size_or_type) || returned == Kind::Var || returned == Kind::Datasec))
            return bad(fmt::format("it returns type {}, which has no size", t.size_or_type));
        for (std::uint32_t i = 0; i < t.vlen; ++i) {
            const Parameter p = btf_.parameter(id_, i);
            if (p.type == 0 && i + 1U == t.vlen) {
                if (btf_.parameter_name_offset(id_, i) != 0)
                    return bad(fmt::format("parameter {}, \"...\", has a name", i));
                continue;
            }
            if (!btf_.size_of(p.type))
                return bad(fmt::format("parameter {} is of type {}, which has no size", i, p.type));
            if (btf_.parameter_name_offset(id_, i) != 0 && !is_identifier(p.name))
                return bad(fmt::format("the name of parameter {} is no identifier", i));
        }
        return {};
    }

    Result<void> variable() const {
        if (btf_.variable_linkage(id_) == Linkage::Extern)
            return bad("its linkage is extern");
        if (!btf_.size_of(id_))
            return bad(fmt::format("its type {} has no size", btf_.target(id_)));
        return {};
    }

    Result<void> section() const {
        const Type& t = btf_.type(id_);
        if (t.size_or_type == 0)
            return bad("size is 0");
        std::uint64_t last = 0;
        for (std::uint32_t i = 0; i < t.vlen; ++i) {
            const SectionVariable v = btf_.section_variable(id_, i);
            if (btf_.kind(v.type) != Kind::Var)
                return bad(fmt::format("entry {} is type {}, a {}, expected a var", i, v.type,
                                       kind_name(btf_.kind(v.type))));
            const std::uint64_t end = std::uint64_t{v.offset} + v.size;
            if (v.offset < last || v.size == 0 || end > t.size_or_type)
                return bad(fmt::format("entry {} is at {}+{}, expected after {} and inside {}", i,
                                       v.offset, v.size, last, t.size_or_type));
            if (v.size < btf_.size_of(v.type).value_or(0))
                return bad(fmt::format("entry {} has {} bytes, its type {}", i, v.size,
                                       btf_.size_of(v.type).value_or(0)));
            last = end;
        }
        return {};
    }

    Result<void> floating() const {
        const std::uint32_t size = btf_.type(id_).size_or_type;
        if (size != 2 && size != 4 && size != 8 && size != 12 && size != 16)
            return bad(fmt::format("size is {}, expected 2, 4, 8, 12 or 16", size));
        return {};
    }

    Result<void> tag() const {
        const Kind on = btf_.kind(btf_.target(id_));
        const bool whole = on == Kind::Var || on == Kind::Typedef;
        if (!whole && on != Kind::Struct && on != Kind::Union && on != Kind::Func)
            return bad(fmt::format("it is on type {}, a {}", btf_.target(id_), kind_name(on)));
        if (whole && btf_.tag_component(id_) != -1)
            return bad(fmt::format("component is {}, expected -1", btf_.tag_component(id_)));
        return {};
    }

    Result<void> reference() const {
        const Type& t = btf_.type(id_);
        // The kernel looks through a function that it has resolved already: one with a lower id.
        if (btf_.kind(t.size_or_type) == Kind::Func && t.size_or_type > id_)
            return bad(fmt::format("it refers to type {}, a func", t.size_or_type));
        // Tags stand before all other modifiers of a pointer's target.
        if (t.kind != Kind::TypeTag && t.kind != Kind::Ptr)
            for (std::uint32_t id = t.size_or_type; is_modifier(btf_.kind(id));
                 id = btf_.target(id))
                if (btf_.kind(id) == Kind::TypeTag)
                    return bad(fmt::format("type tag {} stands behind it, expected before", id));
        return {};
    }

    static bool is_modifier(Kind kind) {
        return kind == Kind::Const || kind == Kind::Volatile || kind == Kind::Restrict ||
               kind == Kind::Typedef || kind == Kind::TypeTag;
    }

    const Btf& btf_;
    std::uint32_t id_ = 0;
};

} // namespace

Result<void> check_kernel_rules(const Btf& btf) {
    return Rules(btf).run();
}

} // namespace skep::btf
