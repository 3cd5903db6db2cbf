// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// CO-RE: an access is a root type and a path ("0:1:2"). The path is read against the object's
// types, matched by names against each candidate of the target (same name up to "___", same kind),
// and the question (offset, size, existence...) is then answered on the matched path.
#include "core.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/core.h>

#include "skep/btf/compat.hpp"

namespace skep::object {
namespace {

using btf::CoreKind;
using btf::Kind;

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxPath = 64;

bool about_type(CoreKind kind) {
    return kind == CoreKind::TypeIdLocal || kind == CoreKind::TypeIdTarget ||
           kind == CoreKind::TypeExists || kind == CoreKind::TypeSize ||
           kind == CoreKind::TypeMatches;
}
bool about_enum(CoreKind kind) {
    return kind == CoreKind::EnumvalExists || kind == CoreKind::EnumvalValue;
}
bool is_composite(Kind kind) {
    return kind == Kind::Struct || kind == Kind::Union;
}
bool is_enum(Kind kind) {
    return kind == Kind::Enum || kind == Kind::Enum64;
}

Result<std::vector<std::uint32_t>> parse_access(std::string_view text) {
    std::vector<std::uint32_t> path;
    const char* at = text.data();
    const char* end = at + text.size();
    while (at != end) {
        std::uint32_t index = 0;
        const auto [next, error] = std::from_chars(at, end, index);
        if (error != std::errc() || (next != end && *next != ':') || path.size() >= kMaxPath)
            return malformed(fmt::format("CO-RE access \"{}\" is not a list of numbers", text));
        path.push_back(index);
        at = next == end ? end : next + 1;
    }
    if (path.empty())
        return malformed("CO-RE access is empty");
    return path;
}

// An array of no or one element at the end of a struct may be indexed past its bound.
bool is_flexible(const btf::Btf& btf, std::uint32_t composite, std::uint32_t member,
                 std::uint32_t count) {
    return count <= 1 && is_composite(btf.kind(composite)) &&
           member + 1 == btf.type(composite).vlen;
}

} // namespace

Result<CoreResolver::Spec> CoreResolver::parse(const btf::CoreRelocation& relocation) const {
    Spec spec{.root = relocation.type, .raw = SKEP_TRY(parse_access(relocation.access))};
    const std::uint32_t root = local_->strip(relocation.type);
    if (about_type(relocation.kind)) {
        if (spec.raw.size() != 1 || spec.raw[0] != 0)
            return malformed(
                fmt::format("CO-RE access to a type is \"{}\", expected \"0\"", relocation.access));
        return spec;
    }
    if (about_enum(relocation.kind)) {
        if (!is_enum(local_->kind(root)) || spec.raw.size() != 1 ||
            spec.raw[0] >= local_->type(root).vlen)
            return malformed(fmt::format("CO-RE access to an enumerator is \"{}\" of type {}",
                                         relocation.access, relocation.type));
        spec.path.push_back({root, spec.raw[0], local_->enumerator(root, spec.raw[0]).name});
        return spec;
    }
    return parse_field(std::move(spec));
}

Result<CoreResolver::Spec> CoreResolver::parse_field(Spec spec) const {
    const auto size = local_->size_of(spec.root);
    if (!size)
        return malformed(fmt::format("CO-RE root type {} has no size", spec.root));
    spec.path.push_back({spec.root, spec.raw[0], {}});
    spec.bit_offset = spec.raw[0] * *size * 8;
    std::uint32_t id = local_->strip(spec.root);
    std::uint32_t parent = 0;
    std::uint32_t parent_member = 0;
    for (std::size_t i = 1; i < spec.raw.size(); ++i) {
        id = local_->strip(id);
        const std::uint32_t index = spec.raw[i];
        if (is_composite(local_->kind(id))) {
            if (index >= local_->type(id).vlen)
                return malformed(fmt::format("CO-RE access: member {} of type {}, which has {}",
                                             index, id, local_->type(id).vlen));
            const btf::Member member = local_->member(id, index);
            spec.bit_offset += member.bit_offset;
            if (!member.name.empty())
                spec.path.push_back({id, index, member.name});
            parent = id;
            parent_member = index;
            id = member.type;
        } else if (local_->kind(id) == Kind::Array) {
            const btf::ArrayInfo array = local_->array(id);
            if (index >= array.count && !is_flexible(*local_, parent, parent_member, array.count))
                return malformed(
                    fmt::format("CO-RE access: element {} of an array of {}", index, array.count));
            const auto element = local_->size_of(array.element);
            if (!element)
                return malformed(
                    fmt::format("CO-RE access: array element type {} has no size", array.element));
            spec.path.push_back({array.element, index, {}});
            spec.bit_offset += index * *element * 8;
            id = array.element;
        } else {
            return malformed(fmt::format("CO-RE access goes into type {}, a {}", id,
                                         btf::kind_name(local_->kind(id))));
        }
    }
    return spec;
}

std::string CoreResolver::describe(const btf::CoreRelocation& relocation, const Spec& spec) const {
    const std::uint32_t root = local_->strip(relocation.type, false);
    std::string text = fmt::format("{} {}", btf::kind_name(local_->kind(root)),
                                   local_->name(root).empty() ? "(anonymous)" : local_->name(root));
    std::string path;
    for (std::size_t i = about_enum(relocation.kind) ? 0 : 1; i < spec.path.size(); ++i) {
        const Accessor& accessor = spec.path[i];
        if (accessor.name.empty())
            path += fmt::format("[{}]", accessor.index);
        else
            path += fmt::format("{}{}", path.empty() ? "" : ".", accessor.name);
    }
    if (!path.empty())
        text += fmt::format(", {} {}", about_enum(relocation.kind) ? "value" : "field", path);
    return text;
}

const std::vector<std::uint32_t>& CoreResolver::candidates(std::uint32_t local_id) {
    const auto [entry, added] = candidates_.try_emplace(local_id);
    if (!added || target_ == nullptr)
        return entry->second;
    const std::uint32_t id = local_->strip(local_id, false);
    const std::string_view name = btf::essential_name(local_->name(id));
    if (name.empty())
        return entry->second;
    const Kind kind = local_->kind(id);
    for (const btf::Btf* btf = target_.get(); btf != nullptr; btf = btf->base().get())
        for (const std::uint32_t candidate : btf->with_essential_name(name)) {
            const Kind found = btf->kind(candidate);
            if (found == kind || (is_enum(found) && is_enum(kind)))
                entry->second.push_back(candidate);
        }
    return entry->second;
}

bool CoreResolver::match_member(const Accessor& local, std::uint32_t target_id, Spec& out,
                                std::uint32_t& next, int depth) const {
    target_id = target_->strip(target_id);
    const btf::Type& type = target_->type(target_id);
    if (!is_composite(type.kind) || depth > kMaxDepth || out.raw.size() >= kMaxPath)
        return false;
    const btf::Member wanted = local_->member(local.type, local.index);
    for (std::uint32_t i = 0; i < type.vlen; ++i) {
        const btf::Member member = target_->member(target_id, i);
        if (!member.name.empty() && member.name != local.name)
            continue;
        out.bit_offset += member.bit_offset;
        out.raw.push_back(i);
        if (member.name.empty()) { // The member may lie in an anonymous struct or union.
            if (match_member(local, member.type, out, next, depth + 1))
                return true;
        } else if (btf::fields_are_compatible(*local_, wanted.type, *target_, member.type)) {
            out.path.push_back({target_id, i, member.name});
            next = member.type;
            return true;
        }
        out.bit_offset -= member.bit_offset;
        out.raw.pop_back();
        if (!member.name.empty())
            return false; // The name is there with another kind of type.
    }
    return false;
}

Result<std::optional<CoreResolver::Spec>> CoreResolver::match(const btf::CoreRelocation& relocation,
                                                              const Spec& local,
                                                              std::uint32_t candidate) const {
    Spec out{.root = candidate};
    if (about_type(relocation.kind)) {
        const bool yes =
            relocation.kind == CoreKind::TypeMatches
                ? SKEP_TRY(btf::types_match(*local_, local.root, *target_, candidate))
                : SKEP_TRY(btf::types_are_compatible(*local_, local.root, *target_, candidate));
        return yes ? std::optional(std::move(out)) : std::nullopt;
    }
    if (about_enum(relocation.kind)) {
        const std::uint32_t id = target_->strip(candidate);
        if (!is_enum(target_->kind(id)))
            return std::nullopt;
        const std::string_view name = btf::essential_name(local.path[0].name);
        for (std::uint32_t i = 0; i < target_->type(id).vlen; ++i)
            if (btf::essential_name(target_->enumerator(id, i).name) == name) {
                out.path.push_back({id, i, target_->enumerator(id, i).name});
                return out;
            }
        return std::nullopt;
    }
    std::uint32_t id = candidate;
    std::uint32_t parent = 0;
    std::uint32_t parent_member = 0;
    for (std::size_t i = 0; i < local.path.size(); ++i) {
        const Accessor& accessor = local.path[i];
        if (!accessor.name.empty()) {
            if (!match_member(accessor, id, out, id, 0))
                return std::nullopt;
            parent = out.path.back().type;
            parent_member = out.path.back().index;
            continue;
        }
        if (i > 0) { // Index 0 steps over whole root objects: &root[index].
            id = target_->strip(id);
            if (target_->kind(id) != Kind::Array)
                return std::nullopt;
            const btf::ArrayInfo array = target_->array(id);
            if (accessor.index >= array.count &&
                !is_flexible(*target_, parent, parent_member, array.count))
                return std::nullopt;
            id = array.element;
        }
        const auto size = target_->size_of(id);
        if (!size)
            return std::nullopt;
        out.path.push_back({id, accessor.index, {}});
        out.raw.push_back(accessor.index);
        out.bit_offset += accessor.index * *size * 8;
    }
    return out;
}

Result<CoreResolver::Field> CoreResolver::field_of(const btf::Btf& btf, const Spec& spec) const {
    const Accessor& last = spec.path.back();
    Field field{.bit_offset = spec.bit_offset};
    if (last.name.empty()) {
        const auto size = btf.size_of(last.type);
        if (!size)
            return malformed(fmt::format("CO-RE: type {} has no size", last.type));
        field.byte_offset = spec.bit_offset / 8;
        field.byte_size = *size;
        field.bit_size = *size * 8;
        field.type = last.type;
        return field;
    }
    const btf::Member member = btf.member(last.type, last.index);
    field.type = btf.strip(member.type);
    const auto size = btf.size_of(field.type);
    if (!size)
        return malformed(
            fmt::format("CO-RE: type {} of field \"{}\" has no size", member.type, member.name));
    const btf::Type& type = btf.type(field.type);
    field.is_signed = type.kind == Kind::Int ? btf.integer(field.type).is_signed
                                             : is_enum(type.kind) && type.kind_flag;
    field.byte_size = *size;
    field.bitfield = member.bit_size > 0;
    field.bit_size = field.bitfield ? member.bit_size : *size * 8;
    field.byte_offset = spec.bit_offset / 8;
    if (field.bitfield) { // The smallest aligned word that covers all bits.
        if (field.byte_size == 0)
            return malformed(fmt::format("CO-RE: bit-field \"{}\" of size 0", member.name));
        field.byte_offset = spec.bit_offset / 8 / field.byte_size * field.byte_size;
        while (spec.bit_offset + field.bit_size - field.byte_offset * 8 > field.byte_size * 8) {
            if (field.byte_size >= 8)
                return fail(
                    ErrorCode::Unsupported,
                    fmt::format("CO-RE: bit-field \"{}\" does not fit in 8 bytes", member.name));
            field.byte_size *= 2;
            field.byte_offset = spec.bit_offset / 8 / field.byte_size * field.byte_size;
        }
    }
    return field;
}

Result<void> CoreResolver::evaluate(const btf::CoreRelocation& relocation, const btf::Btf& btf,
                                    const Spec* spec, bool is_target, CoreValue& value) const {
    std::uint64_t& result = is_target ? value.target : value.local;
    const CoreKind kind = relocation.kind;
    if (kind == CoreKind::FieldExists || kind == CoreKind::TypeExists ||
        kind == CoreKind::TypeMatches || kind == CoreKind::EnumvalExists) {
        result = spec != nullptr ? 1 : 0;
        return {};
    }
    if (spec == nullptr) {
        // libbpf gives the id and the size of a missing type as 0 and poisons the rest.
        if (about_type(kind))
            result = 0;
        else
            value.poison = true;
        return {};
    }
    switch (kind) {
    case CoreKind::TypeIdLocal:
    case CoreKind::TypeIdTarget:
        result = spec->root;
        return {};
    case CoreKind::TypeSize: {
        const auto size = btf.size_of(spec->root);
        if (!size)
            return malformed(fmt::format("CO-RE: type {} has no size", spec->root));
        result = *size;
        return {};
    }
    case CoreKind::EnumvalValue:
        result = static_cast<std::uint64_t>(
            btf.enumerator(spec->path[0].type, spec->path[0].index).value);
        return {};
    default:
        break;
    }
    const Field field = SKEP_TRY(field_of(btf, *spec));
    const bool named = !spec->path.back().name.empty();
    if (!named && kind != CoreKind::FieldByteOffset && kind != CoreKind::FieldByteSize)
        return malformed("CO-RE: sign and shifts are asked of an array element");
    switch (kind) {
    case CoreKind::FieldByteOffset:
        value.validate = !field.bitfield; // Compilers choose the words of bit-fields differently.
        result = field.byte_offset;
        if (!field.bitfield)
            (is_target ? value.target_size : value.local_size) =
                static_cast<std::uint32_t>(field.byte_size);
        return {};
    case CoreKind::FieldByteSize:
        value.validate = !field.bitfield;
        result = field.byte_size;
        return {};
    case CoreKind::FieldSigned:
        result = field.is_signed ? 1 : 0;
        value.validate = false; // Compilers disagree about the sign of plain enums.
        return {};
    case CoreKind::FieldLshiftU64:
        value.validate = !field.bitfield;
        result = 64 - (field.bit_offset + field.bit_size - field.byte_offset * 8);
        return {};
    case CoreKind::FieldRshiftU64:
        result = 64 - field.bit_size;
        value.validate = false;
        return {};
    default:
        return malformed("CO-RE: unknown kind");
    }
}

Result<CoreValue> CoreResolver::resolve(const btf::CoreRelocation& relocation) {
    const Spec local = SKEP_TRY(parse(relocation));
    CoreValue value{.what = describe(relocation, local)};
    SKEP_TRY(evaluate(relocation, *local_, &local, false, value));
    if (relocation.kind == CoreKind::TypeIdLocal) {
        value.target = value.local;
        value.validate = false;
        return value;
    }
    if (target_ == nullptr)
        return fail(
            ErrorCode::NotFound,
            fmt::format("CO-RE access to {} needs the types of a kernel, and there are none",
                        value.what),
            {}, "give a BTF file with --btf FILE");
    bool found = false;
    for (const std::uint32_t candidate : candidates(relocation.type)) {
        const auto spec = SKEP_TRY(match(relocation, local, candidate));
        if (!spec)
            continue;
        CoreValue other = value;
        SKEP_TRY(evaluate(relocation, *target_, &*spec, true, other));
        if (other.local_size != 0 && other.local_size != other.target_size) {
            const Field a = SKEP_TRY(field_of(*local_, local));
            const Field b = SKEP_TRY(field_of(*target_, *spec));
            const std::uint32_t at = local_->strip(a.type);
            const std::uint32_t bt = target_->strip(b.type);
            const bool pointers = local_->kind(at) == Kind::Ptr && target_->kind(bt) == Kind::Ptr;
            const bool unsigned_ints =
                local_->kind(at) == Kind::Int && target_->kind(bt) == Kind::Int &&
                !local_->integer(at).is_signed && !target_->integer(bt).is_signed;
            other.size_mismatch = !pointers && !unsigned_ints;
        }
        if (found && other.target != value.target && relocation.kind != CoreKind::TypeIdTarget)
            return fail(ErrorCode::Invalid,
                        fmt::format("CO-RE access to {} is ambiguous in {}: {} or {}", value.what,
                                    target_name_, value.target, other.target));
        if (!found)
            value = std::move(other);
        found = true;
    }
    if (!found)
        SKEP_TRY(evaluate(relocation, *target_, nullptr, true, value));
    return value;
}

namespace {

void poison(isa::Insn& insn) {
    insn = {.opcode = isa::kCall, .imm = kPoisonedCall};
}

Result<void> resize(isa::Insn& insn, const CoreValue& value) {
    std::uint8_t size = 0;
    switch (value.target_size) {
    case 1:
        size = isa::kB;
        break;
    case 2:
        size = isa::kH;
        break;
    case 4:
        size = isa::kW;
        break;
    case 8:
        size = isa::kDw;
        break;
    default:
        return malformed(
            fmt::format("CO-RE access to {}: no load of {} bytes", value.what, value.target_size));
    }
    insn.opcode = static_cast<std::uint8_t>((insn.opcode & ~isa::kSizeMask) | size);
    return {};
}

} // namespace

Result<void> patch(std::vector<isa::Insn>& insns, std::size_t i, const CoreValue& value) {
    isa::Insn& insn = insns[i];
    const bool wide = insn.opcode == isa::kLddw;
    if (value.poison) {
        if (wide && i + 1 < insns.size())
            poison(insns[i + 1]);
        poison(insn);
        return {};
    }
    const auto mismatch = [&](std::int64_t found) {
        return malformed(
            fmt::format("CO-RE access to {}: the instruction holds {}, the object's types say {}",
                        value.what, found, value.local));
    };
    switch (insn.opcode & isa::kClassMask) {
    case isa::kAlu:
    case isa::kAlu64:
        if ((insn.opcode & isa::kSrcMask) != isa::kK)
            return malformed(fmt::format("CO-RE access to {}: opcode 0x{:02x} has no immediate",
                                         value.what, insn.opcode));
        if (value.validate && insn.imm != static_cast<std::int32_t>(value.local))
            return mismatch(insn.imm);
        insn.imm = static_cast<std::int32_t>(value.target);
        return {};
    case isa::kLdx:
    case isa::kSt:
    case isa::kStx:
        if (value.validate && insn.off != static_cast<std::int16_t>(value.local))
            return mismatch(insn.off);
        if (value.target > INT16_MAX)
            return fail(ErrorCode::Limit,
                        fmt::format("CO-RE access to {}: offset {} does not fit in an instruction",
                                    value.what, value.target));
        if (value.size_mismatch) {
            poison(insn);
            return {};
        }
        insn.off = static_cast<std::int16_t>(value.target);
        if (value.local_size != value.target_size &&
            isa::access_size(insn.opcode) == value.local_size)
            return resize(insn, value);
        return {};
    case isa::kLd:
        if (!wide || i + 1 >= insns.size())
            return malformed(fmt::format("CO-RE access to {}: opcode 0x{:02x} holds no value",
                                         value.what, insn.opcode));
        insns[i].imm = static_cast<std::int32_t>(value.target);
        insns[i + 1].imm = static_cast<std::int32_t>(value.target >> 32);
        return {};
    default:
        return malformed(fmt::format("CO-RE access to {}: opcode 0x{:02x} cannot be adapted",
                                     value.what, insn.opcode));
    }
}

} // namespace skep::object
