// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <new>

#include "skep/maps/slots.hpp"
#include "slot_array.hpp"

namespace skep::maps {
namespace {

constexpr std::size_t kMaxRecord = 65535; ///< the kernel's perf records have 16-bit sizes

class PerfArray final : public SlotArray<PerfEventArrayMap, PerfEventArrayMap::Sink> {
public:
    using SlotArray::SlotArray;

    int set_sink(std::uint32_t slot, Sink sink) noexcept override {
        if (slot >= def().max_entries)
            return -E2BIG;
        Sink* fresh = nullptr;
        if (sink != nullptr) {
            fresh = new (std::nothrow) Sink(std::move(sink));
            if (fresh == nullptr)
                return -ENOMEM;
        }
        replace(slot, fresh);
        return 0;
    }

    int output(std::uint64_t flags, std::uint32_t cpu,
               std::span<const std::byte> record) noexcept override {
        if ((flags & ~std::uint64_t{BPF_F_INDEX_MASK}) != 0)
            return -EINVAL;
        const std::uint64_t slot = flags == BPF_F_CURRENT_CPU ? cpu : flags;
        if (slot >= def().max_entries || record.size() > kMaxRecord)
            return -E2BIG;
        const EpochGuard guard;
        const Sink* sink = box(static_cast<std::uint32_t>(slot));
        if (sink == nullptr)
            return -ENOENT;
        (*sink)(static_cast<std::uint32_t>(slot), record);
        return 0;
    }
};

} // namespace

PerfEventArrayMap* PerfEventArrayMap::from(Map& map) noexcept {
    return map.def().kind == spec::MapKind::PerfEventArray ? static_cast<PerfEventArrayMap*>(&map)
                                                           : nullptr;
}

Made make_perf_array(const spec::MapDef& def, const CreateOptions& options) {
    return make_slots<PerfArray>(def, options);
}

} // namespace skep::maps
