// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <linux/bpf.h>

#include "kinds.hpp"
#include "ring_memory.hpp"
#include "skep/maps/ringbuf.hpp"

namespace skep::maps {
namespace {

constexpr std::uint64_t kWakeupFlags = BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP;
constexpr int kMaxSamples = 128 * 1024;              ///< of one drain
constexpr std::uint32_t kMaxSample = (1U << 24) - 1; ///< a dynptr's size has 24 bits

class UserRingbuf final : public UserRingbufMap {
public:
    UserRingbuf(const spec::MapDef& def, const CreateOptions& options, RingMemory ring)
        : UserRingbufMap(def, options), ring_(std::move(ring)) {}

    int drain(SampleFn fn, void* arg, std::uint64_t flags) noexcept override {
        if ((flags & ~kWakeupFlags) != 0)
            return -EINVAL;
        if (busy_.exchange(true, std::memory_order_acquire))
            return -EBUSY;
        int samples = 0;
        const int error = drain_locked(fn, arg, samples);
        busy_.store(false, std::memory_order_release);
        const bool wanted = samples > 0 && (flags & BPF_RB_NO_WAKEUP) == 0;
        if ((flags & BPF_RB_FORCE_WAKEUP) != 0 || wanted)
            wakeups_.fetch_add(1, std::memory_order_relaxed);
        return error != 0 ? error : samples;
    }

    std::byte* reserve(std::uint32_t size) noexcept override {
        const std::uint64_t step = ring_step(size);
        const std::uint64_t position = ring_.producer().load(std::memory_order_relaxed);
        const std::uint64_t consumed = ring_.consumer().load(std::memory_order_acquire);
        if (size > kMaxRingRecord || step > ring_.size() - (position - consumed))
            return nullptr;
        ring_.header(position).store(size | kRingBusy, std::memory_order_relaxed);
        ring_.producer().store(position + step, std::memory_order_release);
        return ring_.data() + (position & (ring_.size() - 1)) + kRingHeader;
    }
    void submit(std::byte* sample) noexcept override { commit(sample, 0); }
    void discard(std::byte* sample) noexcept override { commit(sample, kRingDiscard); }
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
    void commit(std::byte* sample, std::uint32_t extra) noexcept {
        auto& length = *reinterpret_cast<std::atomic<std::uint32_t>*>(sample - kRingHeader);
        const std::uint32_t size = length.load(std::memory_order_relaxed) & ~kRingBusy;
        length.store(size | extra, std::memory_order_release);
    }

    /// The producer may be anybody: every number it wrote is checked before it is used.
    int drain_locked(SampleFn fn, void* arg, int& samples) noexcept {
        for (int i = 0; i < kMaxSamples; i++) {
            const std::uint64_t produced = ring_.producer().load(std::memory_order_acquire);
            if (produced % 8 != 0)
                return -EINVAL;
            const std::uint64_t at = ring_.consumer().load(std::memory_order_relaxed);
            if (at >= produced)
                return 0;
            const std::uint32_t length = ring_.header(at).load(std::memory_order_acquire);
            if ((length & kRingBusy) != 0)
                return 0;
            const std::uint32_t payload = length & ~kRingDiscard;
            const std::uint64_t step = ring_step(payload);
            if (step > produced - at || step > ring_.size())
                return -EINVAL;
            if ((length & kRingDiscard) != 0) {
                ring_.consumer().store(at + step, std::memory_order_release);
                continue;
            }
            if (payload > kMaxSample)
                return -E2BIG;
            samples++;
            const std::byte* sample = ring_.data() + (at & (ring_.size() - 1)) + kRingHeader;
            const std::uint64_t stop = fn(arg, {sample, payload});
            ring_.consumer().store(at + step, std::memory_order_release);
            if (stop != 0)
                return 0;
        }
        return 0;
    }

    RingMemory ring_;
    std::atomic<bool> busy_{false};
    std::atomic<std::uint64_t> wakeups_{0};
};

} // namespace

UserRingbufMap* UserRingbufMap::from(Map& map) noexcept {
    return map.def().kind == spec::MapKind::UserRingbuf ? static_cast<UserRingbufMap*>(&map)
                                                        : nullptr;
}

Made make_user_ringbuf(const spec::MapDef& def, const CreateOptions& options) {
    RingMemory ring = SKEP_TRY(RingMemory::create(def.max_entries));
    return std::make_shared<UserRingbuf>(def, options, std::move(ring));
}

} // namespace skep::maps
