// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "helper.hpp"

namespace skep::helpers {
namespace {

constexpr std::uint64_t kMaxRounds = 8U << 20; // BPF_MAX_LOOPS

SKEP_HELPER_FN(loop) {
    if (r4 != 0)
        return error(EINVAL);
    if (r1 > kMaxRounds)
        return error(E2BIG);
    std::uint64_t round = 0;
    while (round < r1) {
        const std::array args{exec::CallbackArg{.bits = round},
                              exec::CallbackArg{.bits = r3, .inherit = 2}};
        const std::uint64_t stop = run->callback(run, r2, args);
        ++round; // The kernel counts the round that stops.
        if (stop != 0 || run->trap)
            break;
    }
    return round;
}

struct Walk {
    exec::RunContext* run;
    std::uint64_t map;
    std::uint64_t callback;
    std::uint64_t context;
};

bool visit(void* arg, const std::byte* key, std::byte* value) {
    const auto& walk = *static_cast<const Walk*>(arg);
    const spec::MapDef& def = map_at(walk.map).def();
    const auto key_address = reinterpret_cast<std::uint64_t>(key);
    const auto value_address = reinterpret_cast<std::uint64_t>(value);
    const std::array args{exec::CallbackArg{.bits = walk.map, .inherit = 0},
                          exec::CallbackArg{.bits = key_address,
                                            .cap = {.base = key_address,
                                                    .size = def.key_size,
                                                    .kind = exec::RegionKind::MapKey,
                                                    .flags = exec::kReadOnly}},
                          exec::CallbackArg{.bits = value_address,
                                            .cap = {.base = value_address,
                                                    .size = def.value_size,
                                                    .kind = exec::RegionKind::MapValue}},
                          exec::CallbackArg{.bits = walk.context, .inherit = 2}};
    return walk.run->callback(walk.run, walk.callback, args) == 0 && !walk.run->trap;
}

SKEP_HELPER_FN(for_each_map_elem) {
    if (r4 != 0)
        return error(EINVAL);
    Walk walk{run, r1, r2, r3};
    return result(map_at(r1).for_each(visit, &walk, run->cpu));
}

constexpr Entry kEntries[] = {{"loop", loop}, {"for_each_map_elem", for_each_map_elem}};

} // namespace

std::span<const Entry> loop_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
