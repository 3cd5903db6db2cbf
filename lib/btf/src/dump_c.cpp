// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Types as C. Two walks: require() declares first what a type needs, print_*() writes one
// declaration.
//  1. A struct used by value is defined before its user; behind a pointer a forward declaration
//  does.
//  2. Struct layout is simulated member by member: wherever the compiler would place a member
//     elsewhere than the BTF says, padding bit-fields (which do not raise the alignment) come
//     before.
//  3. Tags and ordinary identifiers are two namespaces, as in C; the second user of a name gets
//  ___2.
//  4. Hostile graphs end with an error: recursion and output have limits.
#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <unordered_map>
#include <unordered_set>

#include "skep/btf/dump_c.hpp"

namespace skep::btf {
namespace {

// The compiler's own, of another size on each target: what it stands for is written instead.
constexpr std::string_view kVaList = "__builtin_va_list";
constexpr int kMaxDepth = 1000;
constexpr std::size_t kMaxDeclarator = 1 << 16;
constexpr std::uint64_t kMaxPadLines = 512; ///< beyond, one array pads

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
    return unit == 0 ? value : (value + unit - 1) / unit * unit;
}

constexpr bool is_enum(Kind kind) {
    return kind == Kind::Enum || kind == Kind::Enum64;
}

class Dumper {
public:
    Dumper(const Btf& btf, bool names_only)
        : btf_(btf), names_only_(names_only), budget_((16U << 20) + btf.raw().size() * 8),
          state_(btf.size(), New), seen_(btf.size(), false), forward_(btf.size(), false) {}

    Result<std::string> run(const DumpOptions& options) {
        if (options.vmlinux_header)
            out_ = "#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\n"
                   "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n"
                   "#pragma clang attribute push (__attribute__((preserve_access_index)), "
                   "apply_to = record)\n#endif\n\n"
                   "#ifndef __ksym\n#define __ksym __attribute__((section(\".ksyms\")))\n#endif\n\n"
                   "#ifndef __weak\n#define __weak __attribute__((weak))\n#endif\n\n";
        if (options.roots.empty()) {
            find_referenced();
            for (std::uint32_t id = btf_.first_id(); id < btf_.size() && !failed(); ++id)
                top_level(id);
        } else {
            for (const std::uint32_t id : options.roots)
                if (id < btf_.size())
                    require(id, true, 0);
        }
        if (failed())
            return fail(ErrorCode::Limit, failure_);
        if (options.vmlinux_header)
            out_ += "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop\n#endif\n\n"
                    "#endif /* __VMLINUX_H__ */\n";
        return std::move(out_);
    }

    std::string text(std::uint32_t id) {
        print_declaration(id, {}, 0, 0);
        return failed() ? "(too complex)" : std::move(out_);
    }

private:
    enum State : std::uint8_t { New, Open, Done };

    [[nodiscard]] bool failed() const { return !failure_.empty(); }
    void give_up(std::uint32_t id, std::string_view what) {
        if (failure_.empty())
            failure_ = fmt::format("BTF type {} ({}): {}", id, kind_name(btf_.kind(id)), what);
    }
    bool too_deep(std::uint32_t id, int depth) {
        if (depth > kMaxDepth)
            give_up(id, "types nest too deep to be written as C");
        else if (out_.size() > budget_)
            give_up(id, "the C text grows without bound");
        return failed();
    }

    void find_referenced() {
        referenced_.assign(btf_.size(), false);
        for (std::uint32_t id = 1; id < btf_.size(); ++id) {
            const Type& t = btf_.type(id);
            switch (t.kind) {
            case Kind::Struct:
            case Kind::Union:
                for (std::uint32_t i = 0; i < t.vlen; ++i)
                    referenced_[btf_.member(id, i).type] = true;
                break;
            case Kind::FuncProto:
                for (std::uint32_t i = 0; i < t.vlen; ++i)
                    referenced_[btf_.parameter(id, i).type] = true;
                referenced_[t.size_or_type] = true;
                break;
            case Kind::Array:
                referenced_[btf_.array(id).element] = true;
                break;
            case Kind::Ptr:
            case Kind::Typedef:
            case Kind::Const:
            case Kind::Volatile:
            case Kind::Restrict:
            case Kind::TypeTag:
                referenced_[t.size_or_type] = true;
                break;
            default:
                break;
            }
        }
    }

    void top_level(std::uint32_t id) {
        const Type& t = btf_.type(id);
        switch (t.kind) {
        case Kind::Struct:
        case Kind::Union:
            if (t.name_off != 0)
                require(id, true, 0);
            break;
        case Kind::Enum:
        case Kind::Enum64:
            if (t.name_off != 0) {
                require(id, true, 0);
            } else if (!referenced_[id] && t.vlen != 0) {
                print_enum(id, 0);
                out_ += ";\n\n";
            }
            break;
        case Kind::Typedef:
        case Kind::Fwd:
            require(id, false, 0);
            break;
        default:
            break;
        }
    }

    // --- order ---

    void require(std::uint32_t id, bool by_value, int depth) {
        if (too_deep(id, depth))
            return;
        const Type& t = btf_.type(id);
        switch (t.kind) {
        case Kind::Const:
        case Kind::Volatile:
        case Kind::Restrict:
        case Kind::TypeTag:
            require(t.size_or_type, by_value, depth + 1);
            break;
        case Kind::Typedef:
            require_typedef(id, by_value, depth);
            break;
        case Kind::Fwd:
            declare_forward(id);
            break;
        case Kind::Enum:
        case Kind::Enum64:
            if (t.name_off != 0 && state_[id] == New) {
                state_[id] = Done;
                print_enum(id, 0);
                out_ += ";\n\n";
            }
            break;
        case Kind::Struct:
        case Kind::Union:
            if (t.name_off != 0 && !by_value) {
                if (state_[id] != Done)
                    declare_forward(id);
            } else {
                require_composite(id, depth);
            }
            break;
        case Kind::Ptr:
        case Kind::Array:
        case Kind::FuncProto:
            if (!seen_[id]) {
                seen_[id] = true;
                require_derived(id, depth);
            }
            break;
        default:
            break;
        }
    }

    void require_derived(std::uint32_t id, int depth) {
        const Type& t = btf_.type(id);
        if (t.kind == Kind::Array) // Even behind a pointer, C wants the element complete.
            return require(btf_.array(id).element, true, depth + 1);
        require(t.size_or_type, false, depth + 1);
        if (t.kind == Kind::FuncProto)
            for (std::uint32_t i = 0; i < t.vlen; ++i)
                require(btf_.parameter(id, i).type, false, depth + 1);
    }

    void require_typedef(std::uint32_t id, bool by_value, int depth) {
        const std::uint32_t to = btf_.target(id);
        if (btf_.name(id) == kVaList)
            return require(to, by_value, depth + 1);
        if (state_[id] == New) {
            state_[id] = Open;
            require(to, false, depth + 1);
            state_[id] = Done;
            out_ += "typedef ";
            print_declaration(to, ordinary_name(id), 0, depth + 1);
            out_ += ";\n\n";
        }
        if (by_value && state_[id] == Done)
            require(to, true, depth + 1);
    }

    void require_composite(std::uint32_t id, int depth) {
        if (state_[id] != New)
            return;
        state_[id] = Open;
        const Type& t = btf_.type(id);
        for (std::uint32_t i = 0; i < t.vlen && !failed(); ++i)
            require(btf_.member(id, i).type, true, depth + 1);
        state_[id] = Done;
        if (t.name_off == 0)
            return; // printed where it is used
        print_composite(id, 0, depth + 1);
        out_ += ";\n\n";
    }

    void declare_forward(std::uint32_t id) {
        if (forward_[id])
            return;
        forward_[id] = true;
        const std::string& name = tag_name(id);
        if (!forward_names_.insert(name).second)
            return; // by another forward of that name
        out_ += fmt::format("{} {};\n\n", tag_word(id), name);
    }

    // --- names ---

    std::string unique(std::unordered_map<std::string, int>& taken, std::string_view name) {
        std::string result(name);
        int& users = taken[result];
        if (++users > 1) {
            do
                result = fmt::format("{}___{}", name, users++);
            while (taken.contains(result));
            --users;
            taken[result] = 1;
        }
        return result;
    }

    const std::string& ordinary_name(std::uint32_t id) { return name_of(id, ordinary_); }

    const std::string& tag_name(std::uint32_t id) {
        const Type& t = btf_.type(id);
        if (t.kind == Kind::Fwd && !names_.contains(id)) {
            // The definition, where there is one, and its forward declaration are one name.
            const auto whole = btf_.find(t.kind_flag ? Kind::Union : Kind::Struct, btf_.name(id));
            if (whole)
                return names_.emplace(id, name_of(*whole, tags_)).first->second;
        }
        return name_of(id, tags_);
    }

    const std::string& name_of(std::uint32_t id, std::unordered_map<std::string, int>& taken) {
        auto found = names_.find(id);
        if (found == names_.end()) {
            std::string name(btf_.name(id));
            if (!names_only_)
                name = unique(taken, name);
            found = names_.emplace(id, std::move(name)).first;
        }
        return found->second;
    }

    std::string_view tag_word(std::uint32_t id) const {
        const Type& t = btf_.type(id);
        if (is_enum(t.kind))
            return "enum";
        return t.kind == Kind::Union || (t.kind == Kind::Fwd && t.kind_flag) ? "union" : "struct";
    }

    void indent(int level) { out_.append(static_cast<std::size_t>(level), '\t'); }

    // --- text ---

    // The declarator grows from the name outwards: pointers to its left, arrays and parameters to
    // its right; what remains in the end is the type that stands before it.
    void print_declaration(std::uint32_t id, std::string declarator, int level, int depth) {
        std::string qualifiers; // of the type about to be printed
        bool pointer = false;   // the declarator begins with '*'
        while (!too_deep(id, depth)) {
            const Type& t = btf_.type(id);
            if (declarator.size() + qualifiers.size() > kMaxDeclarator)
                return give_up(id, "the declaration is longer than any compiler's");
            switch (t.kind) {
            case Kind::Const:
                add_qualifier("const ", qualifiers);
                break;
            case Kind::Volatile:
                add_qualifier("volatile ", qualifiers);
                break;
            case Kind::Restrict:
                add_qualifier("restrict ", qualifiers);
                break;
            case Kind::Typedef:
                if (btf_.name(id) != kVaList)
                    return print_base(id, qualifiers, declarator, level, depth);
                break;
            case Kind::TypeTag:
                qualifiers = fmt::format(
                    fmt::runtime(t.kind_flag ? "__attribute__(({})) {}"
                                             : "__attribute__((btf_type_tag(\"{}\"))) {}"),
                    btf_.name(id), qualifiers);
                break;
            case Kind::Ptr:
                if (!qualifiers.empty() && declarator.empty())
                    qualifiers.pop_back();
                declarator = (qualifiers.empty() ? "*" : "* " + qualifiers) + declarator;
                qualifiers.clear();
                pointer = true;
                break;
            case Kind::Array:
                if (pointer)
                    declarator = "(" + declarator + ")";
                pointer = false;
                declarator += fmt::format("[{}]", btf_.array(id).count);
                id = btf_.array(id).element;
                continue;
            case Kind::FuncProto:
                if (pointer)
                    declarator = "(" + declarator + ")";
                pointer = false;
                qualifiers.clear(); // Of a function they mean nothing.
                declarator += parameters(id, depth);
                if (declarator.size() > kMaxDeclarator)
                    return give_up(id, "the declaration is longer than any compiler's");
                break;
            default:
                return print_base(id, qualifiers, declarator, level, depth);
            }
            id = t.size_or_type;
        }
    }

    // "const" twice (an array's and its element's) says no more than once.
    static void add_qualifier(std::string_view word, std::string& qualifiers) {
        if (!qualifiers.contains(word))
            qualifiers.insert(0, word);
    }

    std::string parameters(std::uint32_t id, int depth) {
        const Type& t = btf_.type(id);
        if (t.vlen == 0)
            return "(void)";
        std::string saved = std::move(out_);
        out_ = "(";
        for (std::uint32_t i = 0; i < t.vlen && !failed(); ++i) {
            if (i > 0)
                out_ += ", ";
            const std::uint32_t type = btf_.parameter(id, i).type;
            if (type == 0 && i + 1U == t.vlen)
                out_ += "...";
            else
                print_declaration(type, {}, 0, depth + 1);
        }
        out_ += ")";
        std::swap(saved, out_);
        return saved;
    }

    void print_base(std::uint32_t id, const std::string& qualifiers, const std::string& declarator,
                    int level, int depth) {
        const Type& t = btf_.type(id);
        out_ += qualifiers;
        switch (t.kind) {
        case Kind::Void:
            out_ += "void";
            break;
        case Kind::Typedef:
            out_ += ordinary_name(id);
            break;
        case Kind::Struct:
        case Kind::Union:
            if (t.name_off == 0 && !names_only_)
                print_composite(id, level, depth + 1);
            else
                out_ += fmt::format("{} {}", tag_word(id),
                                    t.name_off == 0 ? "(anonymous)" : tag_name(id));
            break;
        case Kind::Fwd:
            out_ += fmt::format("{} {}", tag_word(id), tag_name(id));
            break;
        case Kind::Enum:
        case Kind::Enum64:
            if (t.name_off != 0)
                out_ += fmt::format("enum {}", tag_name(id));
            else if (names_only_)
                out_ += "enum (anonymous)";
            else
                print_anonymous_enum(id, level);
            break;
        default:
            out_ += btf_.name(id);
            break;
        }
        if (!declarator.empty()) {
            if (declarator.front() != '[')
                out_ += ' ';
            out_ += declarator;
        }
    }

    // Its enumerators can be declared once only; later uses are an integer of the same size.
    void print_anonymous_enum(std::uint32_t id, int level) {
        const Type& t = btf_.type(id);
        if (state_[id] == New) {
            state_[id] = Done;
            return print_enum(id, level);
        }
        if (!t.kind_flag)
            out_ += "unsigned ";
        out_ += t.size_or_type == 1   ? "char"
                : t.size_or_type == 2 ? "short"
                : t.size_or_type == 8 ? "long long"
                                      : "int";
    }

    void print_enum(std::uint32_t id, int level) {
        const Type& t = btf_.type(id);
        out_ += "enum";
        if (t.name_off != 0)
            out_ += " " + tag_name(id);
        if (t.vlen == 0)
            return;
        out_ += " {\n";
        bool wide = false;
        for (std::uint32_t i = 0; i < t.vlen; ++i) {
            const Enumerator e = btf_.enumerator(id, i);
            indent(level + 1);
            out_ += unique(ordinary_, e.name);
            const bool sign = t.kind_flag;
            if (t.kind == Kind::Enum64)
                out_ += sign ? fmt::format(" = {}LL,\n", e.value)
                             : fmt::format(" = {}ULL,\n", static_cast<std::uint64_t>(e.value));
            else
                out_ += sign ? fmt::format(" = {},\n", e.value)
                             : fmt::format(" = {},\n", static_cast<std::uint32_t>(e.value));
            wide |=
                t.kind == Kind::Enum64 &&
                (sign ? e.value != static_cast<std::int32_t>(e.value)
                      : e.value != static_cast<std::int64_t>(static_cast<std::uint32_t>(e.value)));
        }
        indent(level);
        out_ += '}';
        if (t.size_or_type == 1)
            out_ += " __attribute__((mode(byte)))";
        else if (t.size_or_type == 2)
            out_ += " __attribute__((mode(HI)))";
        else if (t.size_or_type == 8 && !wide)
            out_ += " __attribute__((mode(DI)))";
    }

    void print_composite(std::uint32_t id, int level, int depth) {
        if (too_deep(id, depth))
            return;
        const Type& t = btf_.type(id);
        out_ += tag_word(id);
        if (t.name_off != 0)
            out_ += " " + tag_name(id);
        out_ += " {";
        if (t.vlen != 0 || t.size_or_type != 0)
            out_ += '\n';
        const bool packed = is_packed(id);
        std::uint64_t at = 0; // the bit after the last member
        std::uint64_t align = 1;
        for (std::uint32_t i = 0; i < t.vlen && !failed(); ++i) {
            const Member m = btf_.member(id, i);
            const std::uint64_t member_align = packed ? 1 : btf_.align_of(m.type);
            const std::uint64_t size = btf_.size_of(m.type).value_or(0) * 8;
            align = std::max(align, member_align);
            if (t.kind == Kind::Struct)
                pad_before(m, at, size, member_align, packed, level + 1, i);
            indent(level + 1);
            print_declaration(m.type, std::string(m.name), level + 1, depth + 1);
            if (m.bit_size != 0)
                out_ += fmt::format(": {}", m.bit_size);
            out_ += ";\n";
            at = t.kind == Kind::Union
                     ? std::max<std::uint64_t>(at, m.bit_size != 0 ? m.bit_size : size)
                     : m.bit_offset + (m.bit_size != 0 ? m.bit_size : size);
        }
        const std::uint64_t whole = std::uint64_t{t.size_or_type} * 8;
        if (round_up(at, align * 8) < whole) {
            if (t.kind == Kind::Union)
                pad_union(whole, level + 1);
            else
                pad(at, whole, level + 1, t.vlen);
        }
        if (t.vlen != 0 || t.size_or_type != 0)
            indent(level);
        out_ += '}';
        if (packed)
            out_ += " __attribute__((packed))";
    }

    /// The layout needs __attribute__((packed)): Btf::align_of() found it misaligned.
    [[nodiscard]] bool is_packed(std::uint32_t id) const {
        if (btf_.align_of(id) != 1)
            return false;
        const Type& t = btf_.type(id);
        for (std::uint32_t i = 0; i < t.vlen; ++i)
            if (btf_.align_of(btf_.member(id, i).type) != 1)
                return true;
        return false;
    }

    void pad_before(const Member& m, std::uint64_t at, std::uint64_t size, std::uint64_t align,
                    bool packed, int level, std::uint32_t index) {
        std::uint64_t natural = at;
        if (m.bit_size == 0)
            natural = round_up(at, align * 8);
        else if (!packed && size != 0 && at % size + m.bit_size > size)
            natural = round_up(at, size);
        if (natural != m.bit_offset)
            pad(at, m.bit_offset, level, index);
    }

    void pad(std::uint64_t from, std::uint64_t to, int level, std::uint32_t index) {
        struct Unit {
            std::string_view name;
            std::uint64_t bits;
        };
        static constexpr std::array<Unit, 4> kUnits{
            {{"long", 64}, {"int", 32}, {"short", 16}, {"char", 8}}};
        if (from < to && (to - from) / 64 > kMaxPadLines) {
            pad(from, round_up(from, 8), level, index);
            from = round_up(from, 8);
            indent(level);
            out_ += fmt::format("unsigned char __padding_{}[{}];\n", index, (to - from) / 8);
            from += (to - from) / 8 * 8;
        }
        while (from < to) {
            std::uint64_t bits = std::min(8 - from % 8, to - from);
            std::string_view name = "char";
            for (const Unit& unit : kUnits)
                if (from % unit.bits == 0 && from + unit.bits <= to) {
                    bits = unit.bits;
                    name = unit.name;
                    break;
                }
            indent(level);
            out_ += fmt::format("{}: {};\n", name, bits);
            from += bits;
        }
    }

    // A union grows by its largest member only, and the attribute must not raise its alignment.
    void pad_union(std::uint64_t bits, int level) {
        indent(level);
        out_ += fmt::format("unsigned char __padding[{}];\n", bits / 8);
    }

    const Btf& btf_;
    bool names_only_;
    std::size_t budget_;
    std::string out_;
    std::string failure_;
    std::vector<State> state_;
    std::vector<bool> seen_;
    std::vector<bool> forward_;
    std::vector<bool> referenced_;
    std::unordered_set<std::string> forward_names_;
    std::unordered_map<std::string, int> tags_;
    std::unordered_map<std::string, int> ordinary_;
    std::unordered_map<std::uint32_t, std::string> names_;
};

} // namespace

Result<std::string> dump_c(const Btf& btf, const DumpOptions& options) {
    return Dumper(btf, false).run(options);
}

std::string type_text(const Btf& btf, std::uint32_t id) {
    return Dumper(btf, true).text(id);
}

} // namespace skep::btf
