// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/maps/ringbuf.hpp"

#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <mutex>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kinds.hpp"
#include "ring_memory.hpp"
#include "skep/base/bytes.hpp"
#include "skep/maps/spin.hpp"

namespace skep::maps {
namespace {

constexpr std::uint64_t kWakeupFlags = BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP;

class Ringbuf final : public RingbufMap {
public:
    Ringbuf(const spec::MapDef& def, const CreateOptions& options, RingMemory ring)
        : RingbufMap(def, options), ring_(std::move(ring)) {
        store(ring_.base(), this); // The private page: how a record finds its buffer.
    }

    std::byte* reserve(std::uint64_t size) noexcept override {
        const std::uint64_t step = ring_step(size);
        if (size > kMaxRingRecord || step > ring_.size())
            return nullptr;
        const std::uint64_t consumed = ring_.consumer().load(std::memory_order_acquire);
        const std::lock_guard guard(lock_);
        const std::uint64_t position = ring_.producer().load(std::memory_order_relaxed);
        const std::uint64_t end = position + step;
        advance_pending(position);
        // A consumer may run ahead of a record that is still being written; its bytes must not
        // be overwritten either.
        if (end - consumed > ring_.size() - 1 || end - pending_ > ring_.size() - 1)
            return nullptr;
        std::byte* record = ring_.data() + (position & (ring_.size() - 1));
        const auto page = static_cast<std::uint32_t>((record - ring_.base()) / kRingPage);
        ring_.header(position).store(static_cast<std::uint32_t>(size) | kRingBusy,
                                     std::memory_order_relaxed);
        __atomic_store_n(reinterpret_cast<std::uint32_t*>(record + 4), page, __ATOMIC_RELAXED);
        ring_.producer().store(end, std::memory_order_release);
        return record + kRingHeader;
    }

    int output(std::span<const std::byte> record, std::uint64_t flags) noexcept override {
        if ((flags & ~kWakeupFlags) != 0)
            return -EINVAL;
        std::byte* room = reserve(record.size());
        if (room == nullptr)
            return -EAGAIN;
        if (!record.empty())
            std::memcpy(room, record.data(), record.size());
        commit(room, flags, 0);
        return 0;
    }

    void commit(std::byte* record, std::uint64_t flags, std::uint32_t extra) noexcept {
        std::byte* start = record - kRingHeader;
        auto& length = *reinterpret_cast<std::atomic<std::uint32_t>*>(start);
        const std::uint32_t size = length.load(std::memory_order_relaxed) ^ kRingBusy;
        // The exchange is also the fence between this store and the load of the position.
        length.exchange(size | extra, std::memory_order_seq_cst);
        const auto mine = static_cast<std::uint64_t>(start - ring_.data());
        const std::uint64_t consumed =
            ring_.consumer().load(std::memory_order_acquire) & (ring_.size() - 1);
        const bool caught_up = consumed == mine && (flags & BPF_RB_NO_WAKEUP) == 0;
        if ((flags & BPF_RB_FORCE_WAKEUP) != 0 || caught_up)
            wake();
    }

    [[nodiscard]] std::uint64_t query(std::uint64_t flags) const noexcept override {
        const std::uint64_t consumed = ring_.consumer().load(std::memory_order_acquire);
        const std::uint64_t produced = ring_.producer().load(std::memory_order_acquire);
        switch (flags) {
        case BPF_RB_AVAIL_DATA:
            return produced - consumed;
        case BPF_RB_RING_SIZE:
            return ring_.size();
        case BPF_RB_CONS_POS:
            return consumed;
        case BPF_RB_PROD_POS:
            return produced;
        default:
            return 0;
        }
    }

    [[nodiscard]] int consumer_fd() const noexcept override { return ring_.consumer_fd(); }
    [[nodiscard]] int data_fd() const noexcept override { return ring_.data_fd(); }
    [[nodiscard]] std::byte* consumer_page() const noexcept override {
        return ring_.base() + kRingPage;
    }
    [[nodiscard]] std::byte* data_pages() const noexcept override {
        return ring_.base() + 2 * kRingPage;
    }
    int wakeup_fd() noexcept override {
        const std::lock_guard guard(fd_mutex_);
        if (!event_) {
            event_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
            event_fd_.store(event_.get(), std::memory_order_release);
        }
        return event_.get();
    }
    [[nodiscard]] std::uint64_t wakeups() const noexcept override {
        return wakeups_.load(std::memory_order_relaxed);
    }

    int update(const std::byte* /*key*/, const std::byte* /*value*/, std::uint64_t /*flags*/,
               std::uint32_t /*cpu*/) noexcept override {
        return -kNotSupported;
    }
    int erase(const std::byte* /*key*/) noexcept override { return -kNotSupported; }

protected:
    int do_read(const std::byte* /*key*/, std::byte* /*value*/,
                std::uint64_t /*flags*/) noexcept override {
        return -kNotSupported;
    }

private:
    /// Moves pending_ over the records that have been submitted. Requires the lock.
    void advance_pending(std::uint64_t position) noexcept {
        while (pending_ < position) {
            const std::uint32_t length = ring_.header(pending_).load(std::memory_order_relaxed);
            if ((length & kRingBusy) != 0)
                return;
            pending_ += ring_step(length & ~kRingDiscard);
        }
    }

    void wake() noexcept {
        wakeups_.fetch_add(1, std::memory_order_relaxed);
        const int fd = event_fd_.load(std::memory_order_acquire);
        const std::uint64_t one = 1;
        if (fd >= 0 && ::write(fd, &one, sizeof one) < 0)
            return; // The counter is full: the consumer has been woken often enough.
    }

    RingMemory ring_;
    SpinLock lock_;
    std::uint64_t pending_ = 0; ///< start of the oldest record not yet submitted
    std::atomic<std::uint64_t> wakeups_{0};
    std::atomic<int> event_fd_{-1};
    std::mutex fd_mutex_;
    Fd event_;
};

Ringbuf& owner_of(const std::byte* record) noexcept {
    const std::byte* start = record - kRingHeader;
    const std::uint64_t page =
        __atomic_load_n(reinterpret_cast<const std::uint32_t*>(start + 4), __ATOMIC_RELAXED);
    const auto address = reinterpret_cast<std::uintptr_t>(start) & ~(kRingPage - 1);
    return *load<Ringbuf*>(reinterpret_cast<const std::byte*>(address - page * kRingPage));
}

} // namespace

RingbufMap* RingbufMap::from(Map& map) noexcept {
    return map.def().kind == spec::MapKind::Ringbuf ? static_cast<RingbufMap*>(&map) : nullptr;
}

RingbufMap& RingbufMap::of(const std::byte* record) noexcept {
    return owner_of(record);
}

void RingbufMap::submit(std::byte* record, std::uint64_t flags) noexcept {
    owner_of(record).commit(record, flags, 0);
}

void RingbufMap::discard(std::byte* record, std::uint64_t flags) noexcept {
    owner_of(record).commit(record, flags, kRingDiscard);
}

Made make_ringbuf(const spec::MapDef& def, const CreateOptions& options) {
    RingMemory ring = SKEP_TRY(RingMemory::create(def.max_entries));
    return std::make_shared<Ringbuf>(def, options, std::move(ring));
}

} // namespace skep::maps
