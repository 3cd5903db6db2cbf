// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/debuginfo/variables.hpp"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <libelf.h>

#include "relocated.hpp"

namespace skep::debuginfo {
namespace {

constexpr int kMaxDepth = 256;    // of nested scopes
constexpr int kMaxTypeDepth = 16; // of a type's text
constexpr std::size_t kMaxLocations = 10'000;

struct ElfCloser {
    void operator()(::Elf* elf) const noexcept { elf_end(elf); }
};
struct DwarfCloser {
    void operator()(::Dwarf* dwarf) const noexcept { dwarf_end(dwarf); }
};

std::string name_of(Dwarf_Die* die) {
    Dwarf_Attribute attribute;
    const char* name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &attribute));
    return name == nullptr ? "" : name;
}

// The type of a DIE as C writes it; "void" if there is none.
std::string type_of(Dwarf_Die* die, int depth = 0);

std::string type_text(Dwarf_Die* type, int depth) {
    const std::string name = name_of(type);
    const auto named = [&](const char* keyword) {
        return std::string(keyword) + " " + (name.empty() ? "{...}" : name);
    };
    switch (dwarf_tag(type)) {
    case DW_TAG_structure_type:
        return named("struct");
    case DW_TAG_union_type:
        return named("union");
    case DW_TAG_enumeration_type:
        return named("enum");
    case DW_TAG_pointer_type: {
        const std::string to = type_of(type, depth + 1);
        return to + (to.ends_with('*') ? "*" : " *");
    }
    case DW_TAG_const_type:
        return "const " + type_of(type, depth + 1);
    case DW_TAG_volatile_type:
        return "volatile " + type_of(type, depth + 1);
    case DW_TAG_restrict_type:
        return type_of(type, depth + 1);
    case DW_TAG_subroutine_type:
        return type_of(type, depth + 1) + " ()";
    case DW_TAG_array_type: {
        std::string text = type_of(type, depth + 1);
        Dwarf_Die range;
        Dwarf_Attribute attribute;
        Dwarf_Word count = 0;
        if (dwarf_child(type, &range) == 0 &&
            dwarf_formudata(dwarf_attr(&range, DW_AT_count, &attribute), &count) == 0)
            return text + "[" + std::to_string(count) + "]";
        return text + "[]";
    }
    default:
        return name.empty() ? "?" : name;
    }
}

std::string type_of(Dwarf_Die* die, int depth) {
    Dwarf_Attribute attribute;
    Dwarf_Die type;
    if (depth > kMaxTypeDepth)
        return "...";
    if (dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &attribute), &type) == nullptr)
        return "void";
    return type_text(&type, depth);
}

// Reads one location expression. DWARF numbers of BPF's registers are their own numbers.
void read_expression(const Dwarf_Op* ops, std::size_t count, Location& out) {
    // A value on the DWARF stack that is the answer itself, not an address.
    const bool is_value = count == 2 && ops[1].atom == DW_OP_stack_value;
    if (count != 1 && !is_value)
        return;
    const Dwarf_Op& op = ops[0];
    const auto number = [](Dwarf_Word value) { return static_cast<std::int64_t>(value); };
    if (!is_value && op.atom >= DW_OP_reg0 && op.atom <= DW_OP_reg0 + 11) {
        out.home = Home::Register;
        out.number = static_cast<std::uint8_t>(op.atom - DW_OP_reg0);
    } else if (op.atom >= DW_OP_breg0 && op.atom <= DW_OP_breg0 + 11) {
        if (is_value && op.number != 0)
            return;
        out.home = is_value ? Home::Register : Home::Memory;
        out.number = static_cast<std::uint8_t>(op.atom - DW_OP_breg0);
        out.value = number(op.number);
    } else if (!is_value && op.atom == DW_OP_fbreg) {
        out.home = Home::Frame;
        out.value = number(op.number);
    } else if (is_value && op.atom >= DW_OP_lit0 && op.atom <= DW_OP_lit31) {
        out.home = Home::Constant;
        out.value = op.atom - DW_OP_lit0;
    } else if (is_value && op.atom >= DW_OP_const1u && op.atom <= DW_OP_consts) {
        out.home = Home::Constant;
        out.value = number(op.number);
    }
}

/// A function or an inlined call, while its children are read.
struct Scope {
    std::string function;
    std::string inlined;
    Dwarf_Addr begin = 0; ///< of the function
    Dwarf_Addr end = 0;
};

class Reader {
public:
    Reader(const std::vector<std::string>& sections, std::vector<Variable>& out)
        : sections_(sections), out_(out) {}

    void walk(Dwarf_Die* die, const Scope& scope, int depth) {
        Dwarf_Die child;
        if (depth > kMaxDepth || dwarf_child(die, &child) != 0)
            return;
        do {
            visit(&child, scope, depth);
        } while (out_.size() < Variables::kMaxVariables && dwarf_siblingof(&child, &child) == 0);
    }

private:
    void visit(Dwarf_Die* die, const Scope& scope, int depth) {
        switch (dwarf_tag(die)) {
        case DW_TAG_subprogram: {
            Scope inner{.function = name_of(die)};
            if (dwarf_lowpc(die, &inner.begin) != 0 || dwarf_highpc(die, &inner.end) != 0)
                return; // Only a declaration, or inlined everywhere.
            walk(die, inner, depth + 1);
            return;
        }
        case DW_TAG_inlined_subroutine: {
            Scope inner = scope;
            inner.inlined = name_of(die);
            walk(die, inner, depth + 1);
            return;
        }
        case DW_TAG_lexical_block:
            walk(die, scope, depth + 1);
            return;
        case DW_TAG_variable:
        case DW_TAG_formal_parameter:
            if (!scope.function.empty())
                add(die, scope);
            return;
        default:
            return;
        }
    }

    void add(Dwarf_Die* die, const Scope& scope) {
        const auto section = static_cast<std::size_t>(scope.begin >> 32);
        Variable variable{.name = name_of(die),
                          .type = type_of(die),
                          .function = scope.function,
                          .inlined = scope.inlined,
                          .section = section < sections_.size() ? sections_[section] : "",
                          .parameter = dwarf_tag(die) == DW_TAG_formal_parameter};
        if (variable.name.empty())
            return;
        Dwarf_Attribute attribute;
        Dwarf_Word line = 0;
        if (dwarf_formudata(dwarf_attr_integrate(die, DW_AT_decl_line, &attribute), &line) == 0)
            variable.line = static_cast<std::uint32_t>(line);
        read_locations(die, scope, variable);
        out_.push_back(std::move(variable));
    }

    static void read_locations(Dwarf_Die* die, const Scope& scope, Variable& variable) {
        Dwarf_Attribute attribute;
        Dwarf_Sword constant = 0;
        const auto slots = [](Dwarf_Addr address) {
            return static_cast<std::uint32_t>((address & UINT32_MAX) / 8);
        };
        const Location whole{.begin = slots(scope.begin), .end = slots(scope.end)};
        if (dwarf_formsdata(dwarf_attr(die, DW_AT_const_value, &attribute), &constant) == 0) {
            Location location = whole;
            location.home = Home::Constant;
            location.value = constant;
            variable.locations.push_back(location);
            return;
        }
        if (dwarf_attr(die, DW_AT_location, &attribute) == nullptr)
            return;
        Dwarf_Addr base = 0;
        Dwarf_Addr begin = 0;
        Dwarf_Addr end = 0;
        Dwarf_Op* ops = nullptr;
        std::size_t count = 0;
        for (std::ptrdiff_t next = 0; variable.locations.size() < kMaxLocations &&
                                      (next = dwarf_getlocations(&attribute, next, &base, &begin,
                                                                 &end, &ops, &count)) > 0;) {
            Location location = whole;
            if (begin != 0 || end != static_cast<Dwarf_Addr>(-1)) { // not for the whole function
                location.begin = slots(begin);
                location.end = slots(end);
            }
            read_expression(ops, count, location);
            variable.locations.push_back(location);
        }
    }

    const std::vector<std::string>& sections_;
    std::vector<Variable>& out_;
};

} // namespace

Result<std::shared_ptr<const Variables>> Variables::parse(Bytes elf) {
    Relocated relocated = SKEP_TRY(relocate(elf));
    auto variables = std::make_shared<Variables>();
    elf_version(EV_CURRENT);
    const std::unique_ptr<::Elf, ElfCloser> handle(
        elf_memory(reinterpret_cast<char*>(relocated.bytes.data()), relocated.bytes.size()));
    if (handle == nullptr)
        return malformed(std::string("not readable as ELF: ") + elf_errmsg(-1));
    const std::unique_ptr<::Dwarf, DwarfCloser> dwarf(
        dwarf_begin_elf(handle.get(), DWARF_C_READ, nullptr));
    if (dwarf == nullptr)
        return variables; // There is no DWARF.
    Reader reader(relocated.sections, variables->variables_);
    Dwarf_CU* unit = nullptr;
    Dwarf_Die die;
    while (dwarf_get_units(dwarf.get(), unit, &unit, nullptr, nullptr, &die, nullptr) == 0)
        reader.walk(&die, {}, 0);
    return variables;
}

std::vector<Variables::Live> Variables::at(std::string_view section, std::uint32_t slot) const {
    std::vector<Live> live;
    for (const Variable& variable : variables_)
        for (const Location& location : variable.locations)
            if (variable.section == section && slot >= location.begin && slot < location.end) {
                live.push_back({&variable, &location});
                break;
            }
    return live;
}

} // namespace skep::debuginfo
