// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/runtime/verify.hpp"

#include <algorithm>
#include <array>

#include "skep/btf/btf.hpp"

namespace skep::runtime {
namespace {

using btf::Kind;

using verifier::SpecialField;

constexpr std::uint32_t kMaxElements = 64; ///< of arrays of special fields; more is one great field

SpecialField::Kind kind_of(std::string_view name) {
    return name == "bpf_spin_lock" ? SpecialField::Kind::SpinLock
           : name == "bpf_timer"   ? SpecialField::Kind::Timer
                                   : SpecialField::Kind::Other;
}

/// What of a type only helpers may touch: locks, timers, lists, kernel pointers.
class SpecialFields {
public:
    explicit SpecialFields(const btf::Btf& types) : types_(types) {}

    std::vector<SpecialField> of(std::uint32_t type) && {
        add(type, 0, 0);
        return std::move(fields_);
    }

private:
    static constexpr unsigned kMaxDepth = 16;

    void add(std::uint32_t id, std::uint32_t offset, unsigned depth) {
        static constexpr std::array kSpecial{
            "bpf_spin_lock", "bpf_res_spin_lock", "bpf_timer",   "bpf_wq",      "bpf_task_work",
            "bpf_list_head", "bpf_list_node",     "bpf_rb_root", "bpf_rb_node", "bpf_refcount"};
        if (depth == kMaxDepth)
            return;
        id = types_.strip(id);
        const auto size = static_cast<std::uint32_t>(types_.size_of(id).value_or(0));
        switch (types_.kind(id)) {
        case Kind::Array: {
            const btf::ArrayInfo array = types_.array(id);
            const std::uint32_t count = std::min(array.count, kMaxElements);
            const std::size_t before = fields_.size();
            for (std::uint32_t i = 0; i < count; ++i) {
                add(array.element, offset + i * (size / std::max(array.count, 1U)), depth + 1);
                if (fields_.size() == before)
                    return; // The elements have none.
            }
            if (count < array.count)
                fields_.push_back({.offset = offset, .size = size});
            return;
        }
        case Kind::Struct:
        case Kind::Union:
            if (std::ranges::find(kSpecial, types_.name(id)) != kSpecial.end()) {
                fields_.push_back({kind_of(types_.name(id)), offset, size});
                return;
            }
            for (std::uint32_t i = 0; i < types_.type(id).vlen; ++i) {
                const btf::Member member = types_.member(id, i);
                add(member.type, offset + member.bit_offset / 8, depth + 1);
            }
            return;
        case Kind::Datasec:
            for (std::uint32_t i = 0; i < types_.type(id).vlen; ++i) {
                const btf::SectionVariable variable = types_.section_variable(id, i);
                add(types_.target(variable.type), variable.offset, depth + 1);
            }
            return;
        case Kind::Ptr: // A kernel pointer has a type tag.
            if (types_.kind(types_.target(id)) == Kind::TypeTag)
                fields_.push_back({.offset = offset, .size = 8});
            return;
        default:
            return;
        }
    }

    const btf::Btf& types_;
    std::vector<SpecialField> fields_;
};

} // namespace

std::vector<verifier::MapView> map_views(const object::Object& object) {
    std::vector<verifier::MapView> maps;
    for (const object::ObjectMap& map : object.maps) {
        verifier::MapView view{.def = &map.def};
        if (map.frozen)
            view.constants = map.contents;
        if (object.btf != nullptr && map.def.value_type != 0)
            view.special = SpecialFields(*object.btf).of(map.def.value_type);
        if (map.def.inner != nullptr && object.btf != nullptr && map.def.inner->value_type != 0)
            view.inner_special = SpecialFields(*object.btf).of(map.def.inner->value_type);
        maps.push_back(std::move(view));
    }
    return maps;
}

Result<std::shared_ptr<const Facts>> prove(const Program& program,
                                           std::span<const verifier::MapView> maps, bool facts) {
    const verifier::Report report = verifier::verify(program, maps, {.facts = facts});
    if (report.outcome == verifier::Outcome::Accepted)
        return report.facts;
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
