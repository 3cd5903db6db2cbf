// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Linking: a program is its own function plus every function of `.text` that it reaches, each once,
// in the order in which a walk meets them, depth first (libbpf's order). Calls and callback
// addresses are relative to the next instruction.
#include <algorithm>
#include <elf.h>
#include <fmt/core.h>
#include <span>
#include <unordered_map>

#include "opener.hpp"
#include "skep/base/suggest.hpp"
#include "skep/spec/section.hpp"

namespace skep::object {
namespace {

constexpr std::size_t kMaxInsns = 1'000'000; // BPF_COMPLEXITY_LIMIT_INSNS
constexpr std::size_t kMaxSubprograms = 256; // BPF_MAX_SUBPROGS
constexpr std::uint8_t kPseudoFunction = isa::kLddwFunc;

/// Records of .BTF.ext by section, each list by offset.
template <typename Record>
class BySection {
public:
    explicit BySection(const std::vector<Record>& records) {
        for (const Record& record : records)
            lists_[record.section].push_back(&record);
        for (auto& [section, list] : lists_)
            std::ranges::sort(list, {}, [](const Record* r) { return std::pair{r->offset, r}; });
    }
    /// Those inside a function.
    [[nodiscard]] std::span<const Record* const> in(const std::string& section,
                                                    const Function& function) const {
        const auto found = lists_.find(section);
        if (found == lists_.end())
            return {};
        const auto at = [&](std::uint64_t slot) {
            return std::ranges::lower_bound(found->second, slot * 8, {}, &Record::offset);
        };
        return {at(function.start), at(std::uint64_t{function.start} + function.count)};
    }

private:
    std::unordered_map<std::string_view, std::vector<const Record*>> lists_;
};

struct ExtIndex {
    BySection<btf::SourceLine> lines;
    BySection<btf::CoreRelocation> relocations;
};

class Linker {
public:
    Linker(Opener& opener, const ExtIndex& ext, CoreResolver& core, const Function& entry)
        : o_(opener), ext_(ext), core_(core), entry_(entry) {}

    Result<std::shared_ptr<const Program>> run() {
        program_.name = entry_.name;
        program_.license = o_.object.license;
        program_.kernel_version = o_.object.kernel_version;
        program_.btf = o_.object.btf;
        program_.owner = o_.object.btf;
        program_.variables = o_.variables;
        read_section_name();
        SKEP_TRY(append(entry_));
        SKEP_TRY(relocate(0));
        SKEP_TRY(append_exception_callback());
        return std::make_shared<const Program>(std::move(program_));
    }

private:
    struct Placed {
        const Function* function;
        std::uint32_t start; ///< slot in the program
    };

    std::unexpected<Error> bad(const Function& function, std::uint32_t slot,
                               const std::string& what) const {
        return malformed(what, {.section = o_.elf.sections[function.section].name,
                                .offset = (std::int64_t{function.start} + slot) * 8,
                                .instruction = slot});
    }

    void read_section_name() {
        std::string_view name = o_.elf.sections[entry_.section].name;
        if (name.starts_with('?')) {
            program_.autoload = false;
            name.remove_prefix(1);
        }
        program_.section = name;
        const spec::SectionDef* def = spec::find_section(name);
        if (def == nullptr) {
            const std::vector<std::string> known = spec::section_names();
            const std::string hint = did_you_mean(name.substr(0, name.find('/')), known);
            o_.object.warnings.push_back(
                fmt::format("program \"{}\": section \"{}\" names no program type{}{}", entry_.name,
                            name, hint.empty() ? "" : ": ", hint));
            return;
        }
        program_.type = def->type;
        program_.attach_type = def->attach_type;
        program_.sleepable = (def->flags & spec::kSleepable) != 0;
        program_.xdp_frags = (def->flags & spec::kFrags) != 0;
        if (name.size() > def->name.size())
            program_.attach_target = name.substr(def->name.size() + 1);
    }

    Result<std::uint32_t> append(const Function& function) {
        const Section& section = o_.elf.sections[function.section];
        const auto start = static_cast<std::uint32_t>(program_.insns.size());
        if (program_.insns.size() + function.count > kMaxInsns || placed_.size() >= kMaxSubprograms)
            return fail(ErrorCode::Limit,
                        fmt::format("program \"{}\": more than {} instructions or {} functions",
                                    entry_.name, kMaxInsns, kMaxSubprograms));
        const std::byte* code = section.data.data() + std::size_t{function.start} * 8;
        for (std::uint32_t i = 0; i < function.count; ++i)
            program_.insns.push_back(load<isa::Insn>(code + std::size_t{i} * 8));
        placed_.push_back({&function, start});
        program_.subprograms.push_back({function.name, start, start + function.count,
                                        function.global, function.type_id, section.name,
                                        function.start});
        add_lines(function, section.name, start);
        return start;
    }

    void add_lines(const Function& function, const std::string& section, std::uint32_t start) {
        for (const btf::SourceLine* line : ext_.lines.in(section, function))
            program_.lines.push_back({start + line->offset / 8 - function.start, line->file,
                                      line->text, line->line, line->column});
    }

    // The start in the program of the function at a slot of a section; appended if it is new.
    Result<std::uint32_t> place(const Function& from, std::uint32_t slot, std::uint32_t section,
                                std::int64_t at) {
        for (const Placed& placed : placed_)
            if (placed.function->section == section && placed.function->start == at)
                return placed.start;
        const auto found = std::ranges::lower_bound(
            o_.functions, std::pair{section, at}, {},
            [](const Function& f) { return std::pair{f.section, std::int64_t{f.start}}; });
        if (found == o_.functions.end() || found->section != section || found->start != at)
            return bad(from, slot,
                       fmt::format("no function starts at instruction {} of section \"{}\"", at,
                                   o_.elf.sections[section].name));
        const std::uint32_t start = SKEP_TRY(append(*found));
        SKEP_TRY(relocate(placed_.size() - 1)); // Not deeper than kMaxSubprograms.
        return start;
    }

    // `__exception_cb(f)` is a declaration tag of the program; nothing in the code refers to f.
    Result<void> append_exception_callback() {
        constexpr std::string_view tag = "exception_callback:";
        const btf::Btf* btf = o_.object.btf.get();
        std::string_view name;
        for (std::uint32_t id = 1; entry_.type_id != 0 && id < btf->size(); ++id) {
            if (btf->kind(id) != btf::Kind::DeclTag || btf->target(id) != entry_.type_id ||
                !btf->name(id).starts_with(tag))
                continue;
            if (!name.empty())
                return {}; // The verifier refuses two; libbpf then appends none.
            name = btf->name(id).substr(tag.size());
        }
        if (name.empty())
            return {};
        const auto found = std::ranges::find(o_.functions, name, &Function::name);
        if (found == o_.functions.end())
            return fail(
                ErrorCode::NotFound,
                fmt::format("program \"{}\": no exception callback \"{}\"", entry_.name, name));
        SKEP_TRY(place(entry_, 0, found->section, found->start));
        return {};
    }

    Result<void> relocate(std::size_t index) {
        const Function& function = *placed_[index].function;
        SKEP_TRY(relocate_core(function, placed_[index].start));
        const std::vector<Relocation>& list = o_.elf.relocations_of(function.section);
        auto next = std::ranges::lower_bound(list, std::uint64_t{function.start} * 8, {},
                                             &Relocation::offset);
        for (std::uint32_t i = 0; i < function.count; ++i) {
            const std::uint32_t at = placed_[index].start + i;
            const std::uint64_t offset = (std::uint64_t{function.start} + i) * 8;
            const Relocation* relocation =
                next != list.end() && next->offset == offset ? &*next++ : nullptr;
            if (next != list.end() && next->offset < offset + 8)
                return bad(
                    function, i,
                    fmt::format("relocation at byte {}, inside an instruction", next->offset));
            const isa::Insn insn = program_.insns[at];
            const bool wide = insn.opcode == isa::kLddw;
            if (wide && i + 1 >= function.count)
                return bad(function, i, "lddw is cut off by the end of the function");
            if (relocation != nullptr)
                SKEP_TRY(apply(function, i, at, *relocation));
            else if (insn.opcode == isa::kCall && insn.src == isa::kCallLocal)
                SKEP_TRY(call(function, i, at, function.section,
                              std::int64_t{function.start} + i + insn.imm + 1));
            else if (wide && insn.src == kPseudoFunction)
                SKEP_TRY(call(function, i, at, function.section,
                              std::int64_t{function.start} + i + insn.imm + 1));
            else
                SKEP_TRY(check_unrelocated(function, i, insn));
            if (wide)
                ++i;
        }
        return {};
    }

    // A number that only a running kernel gives meaning to: here it would be taken for an index.
    Result<void> check_unrelocated(const Function& function, std::uint32_t slot,
                                   const isa::Insn& insn) const {
        if (insn.opcode == isa::kLddw && insn.src != isa::kLddwImm)
            return bad(function, slot,
                       fmt::format("lddw of kind {} holds {}, and no relocation says what it means",
                                   int{insn.src}, insn.imm));
        if (insn.opcode == isa::kCall && insn.src == isa::kCallKfunc)
            return bad(
                function, slot,
                fmt::format("call of kernel function {}, and no relocation names it", insn.imm));
        return {};
    }

    Result<void> call(const Function& function, std::uint32_t slot, std::uint32_t at,
                      std::uint32_t section, std::int64_t target) {
        const std::uint32_t start = SKEP_TRY(place(function, slot, section, target));
        program_.insns[at].imm =
            static_cast<std::int32_t>(start) - static_cast<std::int32_t>(at) - 1;
        return {};
    }

    Result<void> apply(const Function& function, std::uint32_t slot, std::uint32_t at,
                       const Relocation& relocation) {
        const Symbol& symbol = o_.elf.symbols[relocation.symbol];
        isa::Insn& insn = program_.insns[at];
        if (symbol.section == SHN_UNDEF)
            return apply_extern(function, slot, at, symbol);
        if (symbol.section >= o_.elf.sections.size())
            return bad(function, slot, fmt::format("symbol \"{}\" is in no section", symbol.name));
        if (insn.opcode == isa::kCall) {
            if (insn.src != isa::kCallLocal)
                return bad(function, slot,
                           fmt::format("relocated call of kind {}, expected {}", int{insn.src},
                                       isa::kCallLocal));
            return call(function, slot, at, symbol.section,
                        static_cast<std::int64_t>(symbol.value / 8) + insn.imm + 1);
        }
        if (insn.opcode != isa::kLddw)
            return bad(function, slot,
                       fmt::format("relocation against opcode 0x{:02x}, expected a call or lddw",
                                   insn.opcode));
        if (symbol.section == o_.text_section &&
            (symbol.type == STT_FUNC || symbol.type == STT_SECTION)) {
            insn.src = kPseudoFunction;
            return call(function, slot, at, symbol.section,
                        (static_cast<std::int64_t>(symbol.value) + insn.imm) / 8);
        }
        return apply_data(function, slot, at, symbol);
    }

    Result<void> apply_data(const Function& function, std::uint32_t slot, std::uint32_t at,
                            const Symbol& symbol) {
        isa::Insn& insn = program_.insns[at];
        isa::Insn& second = program_.insns[at + 1];
        if (const auto map = o_.map_at.find({symbol.section, symbol.value});
            map != o_.map_at.end()) {
            insn.src = isa::kLddwMapFd;
            insn.imm = static_cast<std::int32_t>(map->second);
            second.imm = 0;
            return {};
        }
        if (const auto map = o_.data_map.find(symbol.section); map != o_.data_map.end()) {
            second.imm =
                static_cast<std::int32_t>(static_cast<std::int64_t>(symbol.value) + insn.imm);
            insn.src = isa::kLddwMapValue;
            insn.imm = static_cast<std::int32_t>(map->second);
            return {};
        }
        return bad(function, slot,
                   fmt::format("symbol \"{}\" in section \"{}\" is neither a map nor a variable",
                               symbol.name, o_.elf.sections[symbol.section].name));
    }

    std::int32_t extern_index(const Extern& external) {
        const auto found = std::ranges::find(program_.externs, external.name, &ExternRef::name);
        if (found != program_.externs.end())
            return static_cast<std::int32_t>(found - program_.externs.begin());
        program_.externs.push_back(
            {external.name, external.weak, external.function, external.kernel_type_id});
        return static_cast<std::int32_t>(program_.externs.size() - 1);
    }

    Result<void> apply_extern(const Function& function, std::uint32_t slot, std::uint32_t at,
                              const Symbol& symbol) {
        const auto found = o_.externs.find(symbol.name);
        if (found == o_.externs.end())
            return bad(function, slot, fmt::format("extern \"{}\" was not declared", symbol.name));
        const Extern& external = found->second;
        isa::Insn& insn = program_.insns[at];
        const bool missing = external.weak && external.kernel_type_id == 0 && o_.target != nullptr;
        if (insn.opcode == isa::kCall) {
            if (external.kconfig || !external.function)
                return bad(function, slot,
                           fmt::format("call of \"{}\", which is not a function", symbol.name));
            insn.src = isa::kCallKfunc;
            insn.off = 0;
            insn.imm = extern_index(external);
            return {};
        }
        if (insn.opcode != isa::kLddw)
            return bad(function, slot,
                       fmt::format("extern \"{}\" in opcode 0x{:02x}, expected a call or lddw",
                                   symbol.name, insn.opcode));
        isa::Insn& second = program_.insns[at + 1];
        if (external.kconfig) {
            if (external.unknown)
                return placed_error(*external.unknown, function, slot);
            insn.src = isa::kLddwMapValue;
            second.imm = static_cast<std::int32_t>(external.offset) + insn.imm;
            insn.imm = static_cast<std::int32_t>(*o_.kconfig_map);
        } else if (missing) { // A weak symbol that the kernel does not have: a null pointer.
            insn.src = isa::kLddwImm;
            insn.imm = second.imm = 0;
        } else {
            insn.src = isa::kLddwBtfId;
            second.imm = 0;
            insn.imm = extern_index(external);
        }
        return {};
    }

    Result<void> relocate_core(const Function& function, std::uint32_t start) {
        const std::string& section = o_.elf.sections[function.section].name;
        for (const btf::CoreRelocation* relocation : ext_.relocations.in(section, function)) {
            const std::uint32_t local = relocation->offset / 8 - function.start;
            const auto value = core_.resolve(*relocation);
            if (!value)
                return placed_error(value.error(), function, local);
            const auto patched = patch(program_.insns, start + local, *value);
            if (!patched)
                return placed_error(patched.error(), function, local);
            const isa::Insn& insn = program_.insns[start + local];
            if (insn.opcode == isa::kCall && insn.imm == kPoisonedCall)
                program_.poisoned.push_back({start + local, value->what});
        }
        return {};
    }

    std::unexpected<Error> placed_error(Error error, const Function& function,
                                        std::uint32_t slot) const {
        error.place.section = o_.elf.sections[function.section].name;
        error.place.instruction = slot;
        return std::unexpected(std::move(error));
    }

    Opener& o_;
    const ExtIndex& ext_;
    CoreResolver& core_;
    const Function& entry_;
    Program program_;
    std::vector<Placed> placed_;
};

} // namespace

void link_programs(Opener& o) {
    const bool has_entry_sections = std::ranges::any_of(
        o.functions, [&o](const Function& f) { return f.section != o.text_section; });
    const ExtIndex ext{BySection(o.ext.lines), BySection(o.ext.relocations)};
    CoreResolver core(o.object.btf.get(), o.target, o.options.target_name);
    for (const Function& function : o.functions) {
        // Functions of .text are subprograms, unless a lone one is all there is.
        if (function.section == o.text_section && (has_entry_sections || o.functions.size() > 1))
            continue;
        auto program = Linker(o, ext, core, function).run();
        if (program)
            o.object.programs.push_back(*std::move(program));
        else
            o.object.failed.push_back({function.name, std::move(program).error()});
    }
}

} // namespace skep::object
