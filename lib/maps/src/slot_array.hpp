// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cerrno>
#include <linux/bpf.h>

#include "area.hpp"
#include "kinds.hpp"
#include "skep/base/bytes.hpp"
#include "skep/maps/epoch.hpp"

namespace skep::maps {

/// An array of owned boxes, by pointer: Base with the operations that such kinds share.
template <class Base, class Box>
class SlotArray : public Base {
public:
    SlotArray(const spec::MapDef& def, const CreateOptions& options, Area slots)
        : Base(def, options), area_(std::move(slots)),
          slots_(reinterpret_cast<std::atomic<Box*>*>(area_.data())) {}
    SlotArray(const SlotArray&) = delete;
    SlotArray& operator=(const SlotArray&) = delete;
    ~SlotArray() override {
        for (std::uint32_t i = 0; i < this->def().max_entries; i++)
            if (Box* box = slots_[i].load(std::memory_order_relaxed); box != nullptr)
                delete box;
    }

    /// Programs of these kinds have their own helpers.
    int update(const std::byte* /*key*/, const std::byte* /*value*/, std::uint64_t /*flags*/,
               std::uint32_t /*cpu*/) noexcept override {
        return -EINVAL;
    }
    int erase(const std::byte* key) noexcept override {
        const auto index = load<std::uint32_t>(key);
        if (index >= this->def().max_entries)
            return -E2BIG;
        return replace(index, nullptr) ? 0 : -ENOENT;
    }

protected:
    [[nodiscard]] Box* box(std::uint32_t index) const noexcept {
        if (index >= this->def().max_entries)
            return nullptr;
        return slots_[index].load(std::memory_order_acquire);
    }
    /// Returns true if the slot was not empty.
    bool replace(std::uint32_t index, Box* fresh) noexcept {
        Box* old = slots_[index].exchange(fresh, std::memory_order_acq_rel);
        if (old != nullptr)
            retire(old, [](void* gone) noexcept { delete static_cast<Box*>(gone); });
        return old != nullptr;
    }

    int do_read(const std::byte* /*key*/, std::byte* /*value*/,
                std::uint64_t /*flags*/) noexcept override {
        return -kNotSupported;
    }
    int do_write(const std::byte* key, const std::byte* /*value*/,
                 std::uint64_t flags) noexcept override {
        if (flags != BPF_ANY)
            return -EINVAL;
        return load<std::uint32_t>(key) >= this->def().max_entries ? -E2BIG : -EBADF;
    }
    int do_next_key(const std::byte* key, std::byte* next) noexcept override {
        return next_index(key, next, this->def().max_entries);
    }

private:
    Area area_;
    std::atomic<Box*>* slots_;
};

/// Makes a map whose slots are pointers.
template <class Kind>
Made make_slots(const spec::MapDef& def, const CreateOptions& options) {
    Area slots = SKEP_TRY(Area::create(std::uint64_t{def.max_entries} * sizeof(void*)));
    return std::make_shared<Kind>(def, options, std::move(slots));
}

} // namespace skep::maps
