// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/spec/helper.hpp"

#include <algorithm>

namespace skep::spec {
namespace {

constexpr unsigned kGpl = 1;
constexpr unsigned kMoves = 2;

constexpr bool is_fixed(ArgKind kind) {
    return kind == ArgKind::FixedMemory || kind == ArgKind::FixedMemoryOut ||
           kind == ArgKind::FixedMemoryInOut;
}

constexpr HelperProto row(std::uint32_t id, std::string_view name, RetKind ret,
                          std::array<ArgKind, 5> args, unsigned nullable, std::uint16_t fixed,
                          unsigned flags, std::string_view signature) {
    HelperProto proto{.id = id, .name = name, .ret = ret, .args = args};
    for (std::size_t i = 0; i < args.size(); ++i) {
        proto.nullable[i] = (nullable >> i & 1) != 0;
        proto.fixed_size[i] = is_fixed(args[i]) ? fixed : std::uint16_t{0};
    }
    proto.gpl_only = (flags & kGpl) != 0;
    proto.moves_packet = (flags & kMoves) != 0;
    proto.signature = signature;
    return proto;
}

constexpr HelperProto kHelpers[] = {
#define SKEP_HELPER(id, name, ret, a1, a2, a3, a4, a5, nullable, fixed, flags, signature)          \
    row(id, #name, RetKind::ret,                                                                   \
        {ArgKind::a1, ArgKind::a2, ArgKind::a3, ArgKind::a4, ArgKind::a5}, nullable, fixed, flags, \
        signature),
#include "helpers.def"
#undef SKEP_HELPER
};

} // namespace

std::span<const HelperProto> helpers() noexcept {
    return kHelpers;
}

const HelperProto* find_helper(std::uint32_t id) noexcept {
    // Ids run from 1 without gaps.
    return id >= 1 && id <= std::size(kHelpers) ? &kHelpers[id - 1] : nullptr;
}

const HelperProto* find_helper(std::string_view name) noexcept {
    if (name.starts_with("bpf_"))
        name.remove_prefix(4);
    const auto* found = std::ranges::find(kHelpers, name, &HelperProto::name);
    return found == std::end(kHelpers) ? nullptr : found;
}

} // namespace skep::spec
