// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <new>

#include "skep/maps/slots.hpp"
#include "slot_array.hpp"

namespace skep::maps {
namespace {

struct ProgBox {
    std::shared_ptr<const void> program;
    std::string name;
};

class ProgArray final : public SlotArray<ProgArrayMap, ProgBox> {
public:
    using SlotArray::SlotArray;

    int set(std::uint32_t index, std::shared_ptr<const void> program,
            std::string name) noexcept override {
        if (index >= def().max_entries)
            return -E2BIG;
        auto* fresh = new (std::nothrow) ProgBox{std::move(program), std::move(name)};
        if (fresh == nullptr)
            return -ENOMEM;
        replace(index, fresh);
        return 0;
    }
    [[nodiscard]] const void* get(std::uint32_t index) const noexcept override {
        const ProgBox* found = box(index);
        return found == nullptr ? nullptr : found->program.get();
    }
    [[nodiscard]] std::string name_of(std::uint32_t index) const override {
        const EpochGuard guard;
        const ProgBox* found = box(index);
        return found == nullptr ? "" : found->name;
    }
};

} // namespace

ProgArrayMap* ProgArrayMap::from(Map& map) noexcept {
    return map.def().kind == spec::MapKind::ProgArray ? static_cast<ProgArrayMap*>(&map) : nullptr;
}

Made make_prog_array(const spec::MapDef& def, const CreateOptions& options) {
    return make_slots<ProgArray>(def, options);
}

} // namespace skep::maps
