// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/runtime/verify.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "skep/btf/btf.hpp"

namespace skep::runtime {
namespace {

using btf::Kind;

/// Whether a type holds what only helpers may touch: locks, timers, lists, kernel pointers.
bool has_special_fields(const btf::Btf& types, std::uint32_t id, std::set<std::uint32_t>& seen) {
    static constexpr std::array kSpecial{
        "bpf_spin_lock", "bpf_res_spin_lock", "bpf_timer",   "bpf_wq",      "bpf_task_work",
        "bpf_list_head", "bpf_list_node",     "bpf_rb_root", "bpf_rb_node", "bpf_refcount"};
    id = types.strip(id);
    if (!seen.insert(id).second)
        return false;
    switch (types.kind(id)) {
    case Kind::Array:
        return has_special_fields(types, types.array(id).element, seen);
    case Kind::Struct:
    case Kind::Union:
        if (std::ranges::find(kSpecial, types.name(id)) != kSpecial.end())
            return true;
        for (std::uint32_t i = 0; i < types.type(id).vlen; ++i)
            if (has_special_fields(types, types.member(id, i).type, seen))
                return true;
        return false;
    case Kind::Datasec:
        for (std::uint32_t i = 0; i < types.type(id).vlen; ++i)
            if (has_special_fields(types, types.target(types.section_variable(id, i).type), seen))
                return true;
        return false;
    case Kind::Ptr: // A kernel pointer has a type tag.
        return types.kind(types.target(id)) == Kind::TypeTag;
    default:
        return false;
    }
}

} // namespace

std::vector<verifier::MapView> map_views(const object::Object& object) {
    std::vector<verifier::MapView> maps;
    for (const object::ObjectMap& map : object.maps) {
        verifier::MapView view{.def = &map.def};
        if (map.frozen)
            view.constants = map.contents;
        std::set<std::uint32_t> seen;
        if (object.btf != nullptr && map.def.value_type != 0)
            view.special_fields = has_special_fields(*object.btf, map.def.value_type, seen);
        seen.clear();
        if (map.def.inner != nullptr && object.btf != nullptr && map.def.inner->value_type != 0)
            view.inner_special_fields =
                has_special_fields(*object.btf, map.def.inner->value_type, seen);
        maps.push_back(view);
    }
    return maps;
}

Result<void> prove(const Program& program, std::span<const verifier::MapView> maps) {
    const verifier::Report report = verifier::verify(program, maps);
    if (report.outcome == verifier::Outcome::Accepted)
        return {};
    const verifier::Finding& finding = report.findings.front();
    std::string message = finding.message;
    if (const LineInfo* line = program.line_of(finding.insn)) {
        const std::string_view path = line->file;
        const auto slash = path.rfind('/');
        message += "\n  at " +
                   std::string(slash == std::string_view::npos ? path : path.substr(slash + 1)) +
                   ":" + std::to_string(line->line) + ":" + std::to_string(line->column);
    }
    const bool rejected = report.outcome == verifier::Outcome::Rejected;
    return fail(rejected ? ErrorCode::Rejected : ErrorCode::Unsupported,
                (rejected ? "not proved safe: " : "cannot be verified: ") + message,
                {.instruction = static_cast<std::int64_t>(finding.insn)},
                "skep verify says more; --checked runs it with every access checked");
}

} // namespace skep::runtime
