// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "disassembly.hpp"

#include "skep/spec/helper.hpp"

namespace skep::tool {

Disassembly::Disassembly(const object::Object& object, const Program& program) : program_(program) {
    for (const spec::HelperProto& helper : spec::helpers())
        helper_names_.push_back("bpf_" + std::string(helper.name));
    for (const spec::HelperProto& helper : spec::helpers())
        helpers_.push_back(
            {.name = helper_names_[helpers_.size()], .imm = static_cast<std::int32_t>(helper.id)});
    for (const ExternRef& extern_ref : program.externs)
        kfuncs_.push_back(
            {.name = extern_ref.name, .imm = static_cast<std::int32_t>(kfuncs_.size())});
    for (const object::ObjectMap& map : object.maps)
        maps_.push_back({.name = map.def.name, .imm = static_cast<std::int32_t>(maps_.size())});
}

std::string Disassembly::text(std::uint32_t slot) const {
    return isa::disassemble(program_.insns, slot,
                            {.helpers = helpers_, .kfuncs = kfuncs_, .maps = maps_});
}

std::uint32_t Disassembly::slots(std::uint32_t slot) const {
    return static_cast<std::uint32_t>(isa::slots_at(program_.insns, slot));
}

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string_view base_name(std::string_view path) {
    const auto slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

} // namespace skep::tool
