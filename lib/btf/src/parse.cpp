// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Reading and validating BTF (Documentation/bpf/btf.rst). The records are copied into a flat table;
// what trails them stays in the blob and is decoded on access. Invariants once parse() succeeds:
//  1. every record and its trailing data lie inside the type section;
//  2. every name offset is inside the strings, which end with NUL;
//  3. every id referred to exists and is of a kind that may stand there;
//  4. no chain of modifiers, typedefs, array elements and members by value returns to its start.
#include <algorithm>
#include <array>
#include <bit>
#include <fmt/core.h>

#include "skep/btf/btf.hpp"

namespace skep::btf {
namespace {

constexpr std::uint16_t kMagic = 0xeb9f;
constexpr std::uint32_t kMaxTypes = 0x000fffff;   // BTF_MAX_TYPE
constexpr std::uint32_t kMaxStrings = 0x00ffffff; // BTF_MAX_NAME_OFFSET
constexpr std::uint32_t kRecordSize = 12;
// By-value nesting, so that whoever walks a type may recurse. The kernel's limit is 32 unresolved
// levels, which depends on the order of the types; no compiler comes near either.
constexpr int kMaxModifiers = 32; // the kernel's: a longer chain is ELOOP
constexpr std::size_t kMaxDepth = 128;

struct Header {
    std::uint32_t header_size = 0;
    std::uint32_t type_offset = 0;
    std::uint32_t type_size = 0;
    std::uint32_t string_offset = 0;
    std::uint32_t string_size = 0;
};

// Bytes that trail a record, by kind: `each` for each of vlen elements, after `fixed`.
struct Trailing {
    std::uint32_t fixed;
    std::uint32_t each;
};
constexpr std::array<Trailing, 20> kTrailing{{
    {0, 0},  // Void
    {4, 0},  // Int
    {0, 0},  // Ptr
    {12, 0}, // Array
    {0, 12}, // Struct
    {0, 12}, // Union
    {0, 8},  // Enum
    {0, 0},  // Fwd
    {0, 0},  // Typedef
    {0, 0},  // Volatile
    {0, 0},  // Const
    {0, 0},  // Restrict
    {0, 0},  // Func: vlen is the linkage
    {0, 8},  // FuncProto
    {4, 0},  // Var
    {0, 12}, // Datasec
    {0, 0},  // Float
    {4, 0},  // DeclTag
    {0, 0},  // TypeTag
    {0, 12}, // Enum64
}};

std::unexpected<Error> bad(std::uint32_t id, Kind kind, const std::string& what) {
    return malformed(fmt::format("BTF type {} ({}): {}", id, kind_name(kind), what));
}

bool is_modifier(Kind kind) {
    return kind == Kind::Const || kind == Kind::Volatile || kind == Kind::Restrict ||
           kind == Kind::Typedef || kind == Kind::TypeTag;
}

bool holds_id(Kind kind) {
    switch (kind) {
    case Kind::Ptr:
    case Kind::Typedef:
    case Kind::Volatile:
    case Kind::Const:
    case Kind::Restrict:
    case Kind::Func:
    case Kind::FuncProto:
    case Kind::Var:
    case Kind::DeclTag:
    case Kind::TypeTag:
        return true;
    default:
        return false;
    }
}

} // namespace

class Parser {
public:
    Parser(Bytes bytes, std::shared_ptr<const Btf> base) : bytes_(bytes) {
        btf_ = std::shared_ptr<Btf>(new Btf());
        if (base != nullptr) {
            btf_->first_id_ = base->size();
            btf_->first_string_ =
                base->first_string_ + static_cast<std::uint32_t>(base->strings_.size());
            btf_->base_ = std::move(base);
        }
    }

    Result<std::shared_ptr<const Btf>> run() {
        SKEP_TRY(read_header());
        SKEP_TRY(read_records());
        for (std::uint32_t id = btf_->first_id(); id < btf_->size(); ++id)
            SKEP_TRY(check_type(id));
        SKEP_TRY(check_cycles());
        SKEP_TRY(check_pointers());
        index();
        return std::shared_ptr<const Btf>(std::move(btf_));
    }

private:
    Result<void> read_header() {
        ByteReader in(bytes_);
        const auto magic = SKEP_TRY(in.read<std::uint16_t>());
        if (magic != kMagic && std::byteswap(magic) != kMagic)
            return malformed(fmt::format("BTF magic is 0x{:04x}, expected 0xeb9f", magic));
        btf_->swapped_ = magic != kMagic;
        in = ByteReader(bytes_, btf_->swapped_);
        SKEP_TRY(in.seek(2));
        const auto version = SKEP_TRY(in.read<std::uint8_t>());
        if (version != 1)
            return fail(ErrorCode::Unsupported,
                        fmt::format("BTF version is {}, expected 1", version));
        const auto flags = SKEP_TRY(in.read<std::uint8_t>());
        header_.header_size = SKEP_TRY(in.read<std::uint32_t>());
        header_.type_offset = SKEP_TRY(in.read<std::uint32_t>());
        header_.type_size = SKEP_TRY(in.read<std::uint32_t>());
        header_.string_offset = SKEP_TRY(in.read<std::uint32_t>());
        header_.string_size = SKEP_TRY(in.read<std::uint32_t>());
        if (header_.header_size < 24 || header_.header_size > bytes_.size())
            return malformed(fmt::format("BTF header length is {}, expected 24 to {}",
                                         header_.header_size, bytes_.size()));
        const std::uint64_t room = bytes_.size() - header_.header_size;
        if (!in_range(header_.type_offset, header_.type_size, room))
            return malformed(
                fmt::format("BTF type section {}+{} is outside the {} bytes after the header",
                            header_.type_offset, header_.type_size, room));
        if (!in_range(header_.string_offset, header_.string_size, room))
            return malformed(
                fmt::format("BTF string section {}+{} is outside the {} bytes after the header",
                            header_.string_offset, header_.string_size, room));
        if (header_.type_offset % 4 != 0)
            return malformed(fmt::format("BTF type section starts at {}, which is not aligned to 4",
                                         header_.type_offset));
        btf_->header_fault_ = header_fault(flags, room);
        return read_strings();
    }

    // Tolerated here, as libbpf does: an ELF section may be padded.
    [[nodiscard]] std::string_view header_fault(std::uint8_t flags, std::uint64_t room) const {
        if (flags != 0)
            return "BTF header flags are set";
        for (const std::byte b : bytes_.subspan(24, header_.header_size - 24))
            if (b != std::byte{0})
                return "the BTF header has fields that are not known";
        if (header_.type_offset != 0 || header_.string_offset != header_.type_size ||
            std::uint64_t{header_.type_size} + header_.string_size != room)
            return "the BTF sections are not one behind the other up to the end";
        return {};
    }

    Result<void> read_strings() {
        btf_->raw_.assign(bytes_.begin(), bytes_.end());
        const Bytes raw = btf_->raw_;
        const Bytes strings =
            raw.subspan(header_.header_size + header_.string_offset, header_.string_size);
        if (strings.size() > kMaxStrings)
            return fail(ErrorCode::Limit, fmt::format("BTF strings take {} bytes, limit {}",
                                                      strings.size(), kMaxStrings));
        const bool may_be_empty = btf_->base_ != nullptr;
        if (strings.empty() && may_be_empty)
            return {};
        if (strings.empty() || strings.back() != std::byte{0} ||
            (!may_be_empty && strings.front() != std::byte{0}))
            return malformed("BTF strings must start and end with NUL");
        btf_->strings_ = as_text(strings);
        return {};
    }

    Result<void> read_records() {
        MutableBytes types(btf_->raw_.data() + header_.header_size + header_.type_offset,
                           header_.type_size);
        btf_->type_section_ = types;
        if (btf_->base_ == nullptr)
            btf_->types_.emplace_back(); // void
        std::uint32_t at = 0;
        while (at < types.size()) {
            if (types.size() - at < kRecordSize)
                return malformed(fmt::format("BTF type {}: {} bytes left, a record takes {}",
                                             btf_->size(), types.size() - at, kRecordSize));
            swap_words(types.subspan(at, kRecordSize));
            const auto info = load<std::uint32_t>(types.data() + at + 4);
            const std::uint32_t kind = (info >> 24) & 0x1f;
            if (kind == 0 || kind >= kTrailing.size())
                return malformed(fmt::format("BTF type {}: unknown kind {}", btf_->size(), kind));
            if ((info & 0x60ff0000) != 0)
                return bad(btf_->size(), static_cast<Kind>(kind),
                           fmt::format("reserved bits are set in info 0x{:08x}", info));
            Type type{.kind = static_cast<Kind>(kind),
                      .kind_flag = (info >> 31) != 0,
                      .vlen = static_cast<std::uint16_t>(info & 0xffff),
                      .name_off = load<std::uint32_t>(types.data() + at),
                      .size_or_type = load<std::uint32_t>(types.data() + at + 8),
                      .data = at + kRecordSize};
            const Trailing& trailing = kTrailing[kind];
            const std::uint64_t size = trailing.fixed + std::uint64_t{trailing.each} * type.vlen;
            if (!in_range(type.data, size, types.size()))
                return bad(btf_->size(), type.kind,
                           fmt::format("{} bytes must follow the record, {} are left", size,
                                       types.size() - type.data));
            swap_words(types.subspan(type.data, size));
            if (btf_->types_.size() >= kMaxTypes)
                return fail(ErrorCode::Limit, fmt::format("more than {} BTF types", kMaxTypes));
            btf_->types_.push_back(type);
            at = type.data + static_cast<std::uint32_t>(size);
        }
        return {};
    }

    // Every field of the type section is 32 bits wide, so the other byte order is a swap of words.
    void swap_words(MutableBytes words) const {
        if (!btf_->swapped_)
            return;
        for (std::size_t i = 0; i + 4 <= words.size(); i += 4)
            store(words.data() + i, std::byteswap(load<std::uint32_t>(words.data() + i)));
    }

    [[nodiscard]] bool valid_name(std::uint32_t offset) const {
        return offset < btf_->first_string_ + btf_->strings_.size() || offset == 0;
    }

    Result<void> check_id(std::uint32_t id, Kind kind, std::uint32_t to, const char* what) {
        if (to >= btf_->size())
            return bad(id, kind,
                       fmt::format("{} type {}, the last one is {}", what, to, btf_->size() - 1));
        return {};
    }

    // A type that has a size: what a member, a variable or an array element may be.
    Result<void> check_sized(std::uint32_t id, Kind kind, std::uint32_t to, const char* what) {
        SKEP_TRY(check_id(id, kind, to, what));
        const Kind k = btf_->kind(to);
        if (k == Kind::Void || k == Kind::Func || k == Kind::FuncProto || k == Kind::Var ||
            k == Kind::Datasec || k == Kind::DeclTag)
            return bad(id, kind,
                       fmt::format("{} type {}, a {}, which has no size", what, to, kind_name(k)));
        return {};
    }

    Result<void> check_type(std::uint32_t id) {
        const Type& type = btf_->type(id);
        if (!valid_name(type.name_off))
            return bad(id, type.kind,
                       fmt::format("name offset {} is outside the strings", type.name_off));
        if (holds_id(type.kind))
            SKEP_TRY(check_id(id, type.kind, type.size_or_type, "it refers to"));
        switch (type.kind) {
        case Kind::Int:
            return check_int(id);
        case Kind::Array:
            return check_array(id);
        case Kind::Struct:
        case Kind::Union:
            return check_members(id);
        case Kind::Enum:
        case Kind::Enum64:
            return check_enum(id);
        case Kind::Func:
            return check_func(id);
        case Kind::FuncProto:
            return check_prototype(id);
        case Kind::Var:
            return check_variable(id);
        case Kind::Datasec:
            return check_section(id);
        case Kind::DeclTag:
            return check_tag(id);
        case Kind::Typedef:
        case Kind::Volatile:
        case Kind::Const:
        case Kind::Restrict:
        case Kind::TypeTag:
        case Kind::Ptr:
            return check_reference(id);
        default:
            return {};
        }
    }

    Result<void> check_int(std::uint32_t id) {
        const Type& type = btf_->type(id);
        const IntInfo info = btf_->integer(id);
        if (info.bits == 0 || info.bits > 128 ||
            (info.bits + info.bit_offset + 7U) / 8 > type.size_or_type)
            return bad(id, type.kind,
                       fmt::format("{} bits at bit {} do not fit in {} bytes", info.bits,
                                   info.bit_offset, type.size_or_type));
        if (type.size_or_type > 16)
            return bad(id, type.kind,
                       fmt::format("size is {}, expected at most 16", type.size_or_type));
        return {};
    }

    Result<void> check_array(std::uint32_t id) {
        const ArrayInfo info = btf_->array(id);
        SKEP_TRY(check_sized(id, Kind::Array, info.element, "its element is"));
        return check_sized(id, Kind::Array, info.index, "its index is");
    }

    Result<void> check_members(std::uint32_t id) {
        const Type& type = btf_->type(id);
        for (std::uint32_t i = 0; i < type.vlen; ++i) {
            const auto name = load<std::uint32_t>(btf_->trailing(id) + i * 12);
            if (!valid_name(name))
                return bad(
                    id, type.kind,
                    fmt::format("member {}: name offset {} is outside the strings", i, name));
            const Member member = btf_->member(id, i);
            SKEP_TRY(check_sized(id, type.kind, member.type, "a member is"));
            const std::uint64_t first_byte = member.bit_offset / 8;
            if (first_byte > type.size_or_type)
                return bad(id, type.kind,
                           fmt::format("member {} starts at byte {}, the size is {}", i, first_byte,
                                       type.size_or_type));
        }
        return {};
    }

    Result<void> check_enum(std::uint32_t id) {
        const Type& type = btf_->type(id);
        const std::uint32_t each = type.kind == Kind::Enum ? 8 : 12;
        // Size 0 without values: a forward declaration, which is for object files only.
        const bool declared = type.size_or_type == 0 && type.vlen == 0;
        if (!declared && (type.size_or_type > 8 || !std::has_single_bit(type.size_or_type)))
            return bad(id, type.kind,
                       fmt::format("size is {}, expected 1, 2, 4 or 8", type.size_or_type));
        for (std::uint32_t i = 0; i < type.vlen; ++i)
            if (const auto name = load<std::uint32_t>(btf_->trailing(id) + i * each);
                !valid_name(name))
                return bad(
                    id, type.kind,
                    fmt::format("enumerator {}: name offset {} is outside the strings", i, name));
        return {};
    }

    Result<void> check_func(std::uint32_t id) {
        const Type& type = btf_->type(id);
        if (btf_->kind(type.size_or_type) != Kind::FuncProto)
            return bad(id, type.kind,
                       fmt::format("type {} is a {}, expected a func_proto", type.size_or_type,
                                   kind_name(btf_->kind(type.size_or_type))));
        if (type.vlen > 2)
            return bad(id, type.kind, fmt::format("linkage is {}, expected 0 to 2", type.vlen));
        return {};
    }

    Result<void> check_prototype(std::uint32_t id) {
        const Type& type = btf_->type(id);
        for (std::uint32_t i = 0; i < type.vlen; ++i) {
            const auto name = load<std::uint32_t>(btf_->trailing(id) + i * 8);
            if (!valid_name(name))
                return bad(
                    id, type.kind,
                    fmt::format("parameter {}: name offset {} is outside the strings", i, name));
            const Parameter parameter = btf_->parameter(id, i);
            if (parameter.type == 0 && i + 1U == type.vlen)
                continue; // "..."
            SKEP_TRY(check_sized(id, type.kind, parameter.type, "a parameter is"));
        }
        return {};
    }

    Result<void> check_variable(std::uint32_t id) {
        const Type& type = btf_->type(id);
        const auto linkage = load<std::uint32_t>(btf_->trailing(id));
        if (linkage > 2)
            return bad(id, type.kind, fmt::format("linkage is {}, expected 0 to 2", linkage));
        if (type.size_or_type == 0)
            return {}; // extern const void: typeless kernel symbols
        const Kind k = btf_->kind(type.size_or_type);
        if (k == Kind::Var || k == Kind::Datasec || k == Kind::DeclTag || k == Kind::Func)
            return bad(id, type.kind,
                       fmt::format("type {} is a {}", type.size_or_type, kind_name(k)));
        return {};
    }

    Result<void> check_section(std::uint32_t id) {
        const Type& type = btf_->type(id);
        for (std::uint32_t i = 0; i < type.vlen; ++i) {
            const SectionVariable variable = btf_->section_variable(id, i);
            SKEP_TRY(check_id(id, type.kind, variable.type, "a variable is"));
            const Kind k = btf_->kind(variable.type);
            if (k != Kind::Var && k != Kind::Func)
                return bad(id, type.kind,
                           fmt::format("entry {} is type {}, a {}, expected a var", i,
                                       variable.type, kind_name(k)));
        }
        return {};
    }

    Result<void> check_tag(std::uint32_t id) {
        const Type& type = btf_->type(id);
        const std::int32_t component = btf_->tag_component(id);
        const Type* on = &btf_->type(type.size_or_type);
        if (on->kind == Kind::Func && component >= 0)
            on = &btf_->type(on->size_or_type);
        if (component < -1 || (component >= 0 && component >= on->vlen))
            return bad(id, type.kind,
                       fmt::format("component is {}, type {} has {}", component, type.size_or_type,
                                   on->vlen));
        return {};
    }

    Result<void> check_reference(std::uint32_t id) {
        const Type& type = btf_->type(id);
        const Kind k = btf_->kind(type.size_or_type);
        if (k == Kind::Var || k == Kind::Datasec || k == Kind::DeclTag ||
            (k == Kind::Func && type.kind != Kind::Ptr))
            return bad(id, type.kind,
                       fmt::format("it refers to type {}, a {}", type.size_or_type, kind_name(k)));
        return {};
    }

    // Depth-first over "contains by value or is": an edge to a type on the path is a cycle.
    // Iterative, because hostile input chooses the depth.
    Result<void> check_cycles() {
        const std::uint32_t first = btf_->first_id();
        enum : std::uint8_t { New, Open, Done };
        std::vector<std::uint8_t> mark(btf_->size() - first, New);
        struct Frame {
            std::uint32_t id;
            std::uint32_t next;
        };
        std::vector<Frame> path;
        btf_->aligns_.assign(btf_->types_.size(), 1);
        std::vector<std::uint8_t> chain(mark.size(), 0); // modifiers in a row, this one included
        for (std::uint32_t root = first; root < btf_->size(); ++root) {
            if (mark[root - first] != New)
                continue;
            mark[root - first] = Open;
            path.push_back({root, 0});
            while (!path.empty()) {
                Frame& top = path.back();
                const auto to = edge(top.id, top.next);
                if (!to) {
                    mark[top.id - first] = Done;
                    btf_->aligns_[top.id - btf_->first_id_] = alignment(top.id);
                    if (is_modifier(btf_->kind(top.id))) {
                        const std::uint32_t inner = btf_->target(top.id);
                        const int length = inner < first ? 0 : chain[inner - first];
                        if (length >= kMaxModifiers)
                            return fail(
                                ErrorCode::Limit,
                                fmt::format("BTF type {} ({}): more than {} modifiers in a row",
                                            top.id, kind_name(btf_->kind(top.id)), kMaxModifiers));
                        chain[top.id - first] = static_cast<std::uint8_t>(length + 1);
                    }
                    path.pop_back();
                    continue;
                }
                ++top.next;
                if (*to < first || mark[*to - first] == Done)
                    continue; // the base was checked on its own
                if (mark[*to - first] == Open)
                    return bad(*to, btf_->kind(*to), "it contains itself");
                if (path.size() >= kMaxDepth)
                    return fail(ErrorCode::Limit,
                                fmt::format("BTF type {} ({}): types nest deeper than {}", root,
                                            kind_name(btf_->kind(root)), kMaxDepth));
                mark[*to - first] = Open;
                path.push_back({*to, 0});
            }
        }
        return {};
    }

    // A pointer that leads back to itself through pointers and modifiers alone describes no C type,
    // and would hang whoever prints it. Each pointer is followed once.
    Result<void> check_pointers() {
        const std::uint32_t first = btf_->first_id();
        std::vector<std::uint32_t> seen(btf_->size() - first,
                                        0); // 0: not yet; else the walk's start
        for (std::uint32_t root = first; root < btf_->size(); ++root)
            for (std::uint32_t id = root; id >= first && refers(btf_->kind(id));
                 id = btf_->target(id)) {
                if (seen[id - first] == root)
                    return bad(id, btf_->kind(id), "it refers to itself");
                if (seen[id - first] != 0)
                    break;
                seen[id - first] = root;
            }
        return {};
    }

    static bool refers(Kind kind) { return kind == Kind::Ptr || is_modifier(kind); }

    std::optional<std::uint32_t> edge(std::uint32_t id, std::uint32_t n) const {
        const Type& type = btf_->type(id);
        switch (type.kind) {
        case Kind::Typedef:
        case Kind::Volatile:
        case Kind::Const:
        case Kind::Restrict:
        case Kind::TypeTag:
        case Kind::Var:
            return n == 0 ? std::optional(type.size_or_type) : std::nullopt;
        case Kind::Array:
            return n == 0 ? std::optional(btf_->array(id).element) : std::nullopt;
        case Kind::Struct:
        case Kind::Union:
            return n < type.vlen ? std::optional(btf_->member(id, n).type) : std::nullopt;
        default:
            return std::nullopt;
        }
    }

    // After all that the type contains: their alignments are known.
    [[nodiscard]] std::uint8_t alignment(std::uint32_t id) const {
        const Type& t = btf_->type(id);
        switch (t.kind) {
        case Kind::Int:
        case Kind::Enum:
        case Kind::Enum64:
        case Kind::Float:
            return static_cast<std::uint8_t>(
                std::has_single_bit(t.size_or_type) ? std::min(t.size_or_type, 16U) : 1);
        case Kind::Ptr:
            return 8;
        case Kind::Struct:
        case Kind::Union:
            return composite_alignment(id);
        default:
            break;
        }
        const auto inner = edge(id, 0);
        return inner ? static_cast<std::uint8_t>(btf_->align_of(*inner)) : 1;
    }

    [[nodiscard]] std::uint8_t composite_alignment(std::uint32_t id) const {
        const Type& t = btf_->type(id);
        std::uint32_t align = 1;
        for (std::uint32_t i = 0; i < t.vlen; ++i) {
            const Member m = btf_->member(id, i);
            const std::uint32_t natural = btf_->align_of(m.type);
            // A bit-field that crosses its storage unit shows a packed struct too.
            const std::uint64_t unit = btf_->size_of(m.type).value_or(0) * 8;
            if (m.bit_size != 0 && unit != 0 && m.bit_offset % unit + m.bit_size > unit)
                return 1;
            // A member off its natural place shows a packed struct.
            if (m.bit_size == 0 && m.bit_offset % (natural * 8) != 0)
                return 1;
            align = std::max(align, natural);
        }
        return static_cast<std::uint8_t>(t.size_or_type % align == 0 ? align : 1);
    }

    void index() {
        for (std::uint32_t id = btf_->first_id(); id < btf_->size(); ++id) {
            const Type& type = btf_->type(id);
            if (type.kind == Kind::DeclTag)
                btf_->tags_[type.size_or_type].push_back(id);
        }
    }

    Bytes bytes_;
    Header header_;
    std::shared_ptr<Btf> btf_;
};

Result<std::shared_ptr<const Btf>> Btf::parse(Bytes bytes, std::shared_ptr<const Btf> base) {
    return Parser(bytes, std::move(base)).run();
}

} // namespace skep::btf
