// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "contract.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "skep/btf/btf.hpp"
#include "skep/isa/decode.hpp"
#include "skep/spec/helper.hpp"

namespace skep::verifier {
namespace {

using btf::Btf;
using btf::Kind;
using Parameter = Contract::Parameter;

constexpr std::uint32_t kTailCall = 12;
constexpr std::uint32_t kMaxParameters = 5;

bool is_number(const Btf& types, std::uint32_t id) {
    const Kind kind = types.kind(types.strip(id));
    return kind == Kind::Int || kind == Kind::Enum || kind == Kind::Enum64;
}

/// Whether a pointer's target is the context of the program: by the name of the structure, or of a
/// typedef that Linux uses for it.
bool is_context(const Btf& types, std::uint32_t target, std::string_view context) {
    const std::uint32_t named = types.strip(target, false);
    const bool registers = types.name(named) == "bpf_user_pt_regs_t";
    if (registers && (types.kind(named) == Kind::Typedef || types.kind(named) == Kind::Struct))
        return context == "pt_regs";
    const std::uint32_t id = types.strip(target);
    return !context.empty() && types.kind(id) == Kind::Struct &&
           btf::essential_name(types.name(id)) == context;
}

class Reader {
public:
    Reader(const Btf& types, std::string_view context) : types_(types), context_(context) {}

    Contract read(std::uint32_t function) {
        const std::uint32_t proto = types_.target(function);
        const std::uint32_t count = types_.type(proto).vlen;
        if (count > kMaxParameters)
            return fault(fmt::format("the global function takes {} arguments, limit 5", count));
        if (!is_number(types_, types_.target(proto)))
            return fault("the global function does not return a number");
        for (std::uint32_t i = 0; i < count; ++i) {
            contract_.parameters.emplace_back();
            if (!parameter(function, types_.parameter(proto, i).type, i))
                return std::move(contract_);
        }
        return std::move(contract_);
    }

private:
    Contract fault(std::string text, bool unsupported = false) {
        contract_.fault = std::move(text);
        contract_.unsupported = unsupported;
        return std::move(contract_);
    }
    bool refuse(std::string text, bool unsupported = false) {
        contract_.fault = std::move(text);
        contract_.unsupported = unsupported;
        return false;
    }

    bool parameter(std::uint32_t function, std::uint32_t type, std::uint32_t i) {
        Parameter& made = contract_.parameters.back();
        bool tagged_context = false;
        bool non_null = false;
        for (const std::string_view tag :
             types_.decl_tags(function, static_cast<std::int32_t>(i))) {
            if (!tag.starts_with("arg:"))
                continue;
            tagged_context |= tag == "arg:ctx";
            non_null |= tag == "arg:nonnull";
            if (tag != "arg:ctx" && tag != "arg:nonnull" && tag != "arg:nullable")
                return refuse(fmt::format("a parameter tagged \"{}\" is not supported yet", tag),
                              true);
        }
        if (is_number(types_, type))
            return true;
        const std::uint32_t id = types_.strip(type);
        if (types_.kind(id) != Kind::Ptr)
            return refuse(fmt::format("parameter {} of the global function is neither a number nor "
                                      "a pointer",
                                      i + 1));
        const std::uint32_t target = types_.target(id);
        if (tagged_context || is_context(types_, target, context_)) {
            made.kind = Parameter::Kind::Context;
            return true;
        }
        if (types_.name(types_.strip(target)) == "bpf_dynptr")
            return refuse("dynptr parameters are not supported yet", true);
        const auto size = types_.size_of(target);
        if (!size || *size > (1U << 29))
            return refuse(fmt::format("parameter {} of the global function points to a type whose "
                                      "size is not known",
                                      i + 1));
        made.kind = Parameter::Kind::Memory;
        made.size = static_cast<std::uint32_t>(*size);
        made.nullable = !non_null;
        return true;
    }

    const Btf& types_;
    std::string_view context_;
    Contract contract_;
};

bool calls_mover(const Program& program, std::uint32_t begin, std::uint32_t end) {
    for (std::uint32_t i = begin; i < end; ++i) {
        const isa::Insn& insn = program.insns[i];
        if (insn.opcode == isa::kLddw) {
            ++i;
            continue;
        }
        if (insn.opcode != isa::kCall || insn.src != isa::kCallHelper)
            continue;
        const auto* proto = spec::find_helper(static_cast<std::uint32_t>(insn.imm));
        if (proto != nullptr && (proto->moves_packet || proto->id == kTailCall))
            return true;
    }
    return false;
}

} // namespace

Contracts::Contracts(const Program& program, const ControlFlow& flow, std::string_view context) {
    using enum spec::ProgramType;
    if (program.type == RawTracepoint || program.type == RawTracepointWritable)
        context = "bpf_raw_tracepoint_args";
    for (const FunctionRange& range : flow.functions) {
        Function made{.begin = range.begin};
        made.moves_packet = calls_mover(program, range.begin, range.end);
        const Subprogram* sub = program.subprogram_of(range.begin);
        if (sub != nullptr && sub->start == range.begin && sub->type_id != 0 &&
            program.btf != nullptr)
            made.returns_number =
                is_number(*program.btf, program.btf->target(program.btf->target(sub->type_id)));
        made.global = range.begin != 0 && sub != nullptr && sub->start == range.begin &&
                      sub->global && sub->type_id != 0 && program.btf != nullptr;
        if (made.global)
            made.contract = Reader(*program.btf, context).read(sub->type_id);
        functions_.push_back(std::move(made));
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (const FunctionUse& use : flow.uses)
            if (functions_[use.callee].moves_packet && !functions_[use.caller].moves_packet)
                changed = functions_[use.caller].moves_packet = true;
    }
}

const Contracts::Function* Contracts::at(std::uint32_t slot) const {
    const auto found = std::ranges::lower_bound(functions_, slot, {}, &Function::begin);
    return found != functions_.end() && found->begin == slot ? &*found : nullptr;
}

const Contract* Contracts::find(std::uint32_t slot) const {
    const Function* function = at(slot);
    return function != nullptr && function->global ? &function->contract : nullptr;
}

bool Contracts::returns_number(std::uint32_t slot) const {
    const Function* function = at(slot);
    return function != nullptr && function->returns_number;
}

bool Contracts::moves_packet(std::uint32_t slot) const {
    const Function* function = at(slot);
    return function != nullptr && function->moves_packet;
}

} // namespace skep::verifier
