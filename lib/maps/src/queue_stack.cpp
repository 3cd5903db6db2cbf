// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <mutex>

#include "area.hpp"
#include "kinds.hpp"
#include "skep/maps/spin.hpp"

namespace skep::maps {

using spec::MapKind;

namespace {

/// Queue and Stack: a ring of values under one lock, which also protects the bytes.
class QueueStack final : public Map {
public:
    QueueStack(const spec::MapDef& def, const CreateOptions& options, Area values)
        : Map(def, options), values_(std::move(values)), slots_(std::uint64_t{def.max_entries} + 1),
          stack_(def.kind == MapKind::Stack) {}

    int push(const std::byte* value, std::uint64_t flags) noexcept override {
        const bool replace = (flags & BPF_EXIST) != 0; // Makes room by dropping the oldest.
        if ((flags & BPF_NOEXIST) != 0 || flags > BPF_EXIST)
            return -EINVAL;
        const std::lock_guard guard(lock_);
        if (after(head_) == tail_) {
            if (!replace)
                return -E2BIG;
            tail_ = after(tail_);
        }
        std::memcpy(at(head_), value, def().value_size);
        head_ = after(head_);
        return 0;
    }
    int pop(std::byte* value) noexcept override { return zeroed(get(value, true), value); }
    int peek(std::byte* value) noexcept override { return zeroed(get(value, false), value); }

protected:
    int do_read(const std::byte* /*key*/, std::byte* value,
                std::uint64_t /*flags*/) noexcept override {
        return get(value, false); // User space's buffer is written only on success.
    }
    int do_write(const std::byte* /*key*/, const std::byte* value,
                 std::uint64_t flags) noexcept override {
        return push(value, flags);
    }
    int do_take(const std::byte* /*key*/, std::byte* value,
                std::uint64_t /*flags*/) noexcept override {
        return get(value, true);
    }
    int do_next_key(const std::byte* /*key*/, std::byte* /*next*/) noexcept override {
        return -EINVAL;
    }

private:
    int zeroed(int error, std::byte* value) const noexcept {
        if (error != 0)
            std::memset(value, 0, def().value_size);
        return error;
    }
    int get(std::byte* value, bool remove) noexcept {
        const std::lock_guard guard(lock_);
        if (head_ == tail_)
            return -ENOENT;
        const std::uint64_t slot = stack_ ? (head_ == 0 ? slots_ : head_) - 1 : tail_;
        std::memcpy(value, at(slot), def().value_size);
        if (remove && stack_)
            head_ = slot;
        else if (remove)
            tail_ = after(tail_);
        return 0;
    }
    [[nodiscard]] std::uint64_t after(std::uint64_t slot) const noexcept {
        return slot + 1 == slots_ ? 0 : slot + 1;
    }
    [[nodiscard]] std::byte* at(std::uint64_t slot) const noexcept {
        return values_.data() + slot * def().value_size;
    }

    SpinLock lock_;
    Area values_;
    std::uint64_t slots_; ///< one more than max_entries: equal ends mean empty
    bool stack_;
    std::uint64_t head_ = 0; ///< where the next value goes
    std::uint64_t tail_ = 0; ///< the oldest value
};

} // namespace

Made make_queue(const spec::MapDef& def, const CreateOptions& options) {
    Area values = SKEP_TRY(Area::create((std::uint64_t{def.max_entries} + 1) * def.value_size));
    return std::make_shared<QueueStack>(def, options, std::move(values));
}

} // namespace skep::maps
