// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <linux/bpf.h>

#include "area.hpp"
#include "atomic_copy.hpp"
#include "kinds.hpp"

namespace skep::maps {

int next_index(const std::byte* key, std::byte* next, std::uint32_t max_entries) noexcept {
    const std::uint32_t index = key == nullptr ? UINT32_MAX : load<std::uint32_t>(key);
    if (index >= max_entries) {
        store(next, std::uint32_t{0});
        return 0;
    }
    if (index == max_entries - 1)
        return -ENOENT;
    store(next, index + 1);
    return 0;
}

namespace {

/// What array kinds check before an update, in the kernel's order.
int check_update(const Map& map, std::uint32_t index, std::uint64_t flags) noexcept {
    if ((flags & ~std::uint64_t{BPF_F_LOCK}) > BPF_EXIST)
        return -EINVAL;
    if (index >= map.def().max_entries)
        return -E2BIG;
    if ((flags & BPF_NOEXIST) != 0)
        return -EEXIST;
    return (flags & BPF_F_LOCK) != 0 && !map.has_spin_lock() ? -EINVAL : 0;
}

class ArrayMap final : public Map {
public:
    ArrayMap(const spec::MapDef& def, const CreateOptions& options, Area values)
        : Map(def, options), values_(std::move(values)), data_(values_.data()),
          stride_(static_cast<std::uint32_t>(round_up(def.value_size, 8))) {}

    std::byte* lookup(const std::byte* key, std::uint32_t /*cpu*/) noexcept override {
        const auto index = load<std::uint32_t>(key);
        return index < def().max_entries ? at(index) : nullptr;
    }

    int update(const std::byte* key, const std::byte* value, std::uint64_t flags,
               std::uint32_t /*cpu*/) noexcept override {
        const auto index = load<std::uint32_t>(key);
        if (const int error = check_update(*this, index, flags); error != 0)
            return error;
        store_value(at(index), value, flags);
        return 0;
    }

    int for_each(ForEachFn fn, void* arg, std::uint32_t /*cpu*/) noexcept override {
        for (std::uint32_t i = 0; i < def().max_entries; i++)
            if (!fn(arg, reinterpret_cast<const std::byte*>(&i), at(i)))
                return static_cast<int>(i + 1);
        return static_cast<int>(def().max_entries);
    }

    [[nodiscard]] std::byte* direct_values() noexcept override { return data_; }
    [[nodiscard]] std::uint32_t direct_stride() const noexcept override { return stride_; }
    [[nodiscard]] DirectOps direct_ops() const noexcept override {
        return make_direct_ops<ArrayMap>();
    }

protected:
    int do_next_key(const std::byte* key, std::byte* next) noexcept override {
        return next_index(key, next, def().max_entries);
    }

private:
    [[nodiscard]] std::byte* at(std::uint32_t index) const noexcept {
        return data_ + std::uint64_t{index} * stride_;
    }

    Area values_;
    std::byte* data_;
    std::uint32_t stride_;
};

class PercpuArrayMap final : public Map {
public:
    PercpuArrayMap(const spec::MapDef& def, const CreateOptions& options, Area values,
                   std::uint64_t cpu_stride)
        : Map(def, options), values_(std::move(values)), cpu_stride_(cpu_stride),
          stride_(static_cast<std::uint32_t>(round_up(def.value_size, 8))) {}

    std::byte* lookup(const std::byte* key, std::uint32_t cpu) noexcept override {
        const auto index = load<std::uint32_t>(key);
        return index < def().max_entries ? at(index, cpu) : nullptr;
    }

    int update(const std::byte* key, const std::byte* value, std::uint64_t flags,
               std::uint32_t cpu) noexcept override {
        const auto index = load<std::uint32_t>(key);
        if (const int error = check_update(*this, index, flags); error != 0)
            return error;
        store_value(at(index, cpu), value);
        return 0;
    }

    int for_each(ForEachFn fn, void* arg, std::uint32_t cpu) noexcept override {
        for (std::uint32_t i = 0; i < def().max_entries; i++)
            if (!fn(arg, reinterpret_cast<const std::byte*>(&i), at(i, cpu)))
                return static_cast<int>(i + 1);
        return static_cast<int>(def().max_entries);
    }

    [[nodiscard]] std::uint32_t user_value_size() const noexcept override {
        return stride_ * cpus();
    }
    [[nodiscard]] std::byte* percpu_values() noexcept override { return values_.data(); }
    [[nodiscard]] std::uint64_t percpu_cpu_stride() const noexcept override { return cpu_stride_; }
    [[nodiscard]] std::uint32_t percpu_stride() const noexcept override { return stride_; }
    [[nodiscard]] DirectOps direct_ops() const noexcept override {
        return make_direct_ops<PercpuArrayMap>();
    }

protected:
    int do_read(const std::byte* key, std::byte* value, std::uint64_t /*flags*/) noexcept override {
        const auto index = load<std::uint32_t>(key);
        if (index >= def().max_entries)
            return -ENOENT;
        for (std::uint32_t cpu = 0; cpu < cpus(); cpu++)
            copy_out(value + std::uint64_t{cpu} * stride_, at(index, cpu), stride_);
        return 0;
    }

    int do_write(const std::byte* key, const std::byte* value,
                 std::uint64_t flags) noexcept override {
        const auto index = load<std::uint32_t>(key);
        if (flags > BPF_EXIST)
            return -EINVAL;
        if (index >= def().max_entries)
            return -E2BIG;
        if (flags == BPF_NOEXIST)
            return -EEXIST;
        for (std::uint32_t cpu = 0; cpu < cpus(); cpu++)
            copy_in(at(index, cpu), value + std::uint64_t{cpu} * stride_, stride_);
        return 0;
    }

    int do_next_key(const std::byte* key, std::byte* next) noexcept override {
        return next_index(key, next, def().max_entries);
    }

private:
    [[nodiscard]] std::byte* at(std::uint32_t index, std::uint32_t cpu) const noexcept {
        return values_.data() + cpu * cpu_stride_ + std::uint64_t{index} * stride_;
    }

    Area values_;
    std::uint64_t cpu_stride_; ///< whole cache lines, so that CPUs do not share any
    std::uint32_t stride_;
};

} // namespace

Made make_array(const spec::MapDef& def, const CreateOptions& options) {
    Area values = SKEP_TRY(Area::create(def.max_entries * round_up(def.value_size, 8)));
    return std::make_shared<ArrayMap>(def, options, std::move(values));
}

Made make_percpu_array(const spec::MapDef& def, const CreateOptions& options) {
    const auto per_cpu = round_up(def.max_entries * round_up(def.value_size, 8), 64);
    Area values = SKEP_TRY(Area::create(per_cpu * options.cpus));
    return std::make_shared<PercpuArrayMap>(def, options, std::move(values), per_cpu);
}

} // namespace skep::maps
