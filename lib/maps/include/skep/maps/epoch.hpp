// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

/// Epoch-based reclamation: read-copy-update in user space. Readers hold an EpochGuard; what a
/// writer retires is freed when every guard that was held at that moment has ended.
///
/// One clock for the process, not one per map: a reader announces itself once per program run,
/// whatever it will touch. This is the only process-wide state of the library.
namespace skep::maps {

namespace detail {

/// What a reader thread announces. Records are never freed, only reused by later threads.
struct alignas(64) EpochRecord {
    std::atomic<std::uint64_t> epoch{0}; ///< 0: not inside a section
    std::atomic<bool> in_use{false};
    EpochRecord* next = nullptr;
};

struct EpochClock {
    std::atomic<std::uint64_t> now{1};
    /// True if writers run membarrier(2), which lets readers do without a fence.
    std::atomic<bool> asymmetric{false};
};

extern EpochClock epoch_clock;
extern thread_local constinit EpochRecord* epoch_record;

/// Gives the thread its record; handed back when the thread ends.
EpochRecord& register_thread() noexcept;

} // namespace detail

/// A section in which memory obtained from maps stays valid. A few nanoseconds, no lock;
/// may be nested; must end on the thread where it began.
class EpochGuard {
public:
    EpochGuard() noexcept {
        detail::EpochRecord* record = detail::epoch_record;
        if (record == nullptr)
            record = &detail::register_thread();
        // Only this thread writes its record: inside a section there is nothing to do.
        if (record->epoch.load(std::memory_order_relaxed) != 0)
            return;
        record_ = record;
        const auto now = detail::epoch_clock.now.load(std::memory_order_acquire);
        if (detail::epoch_clock.asymmetric.load(std::memory_order_relaxed)) {
            record->epoch.store(now, std::memory_order_relaxed);
            std::atomic_signal_fence(std::memory_order_seq_cst);
        } else {
            record->epoch.exchange(now, std::memory_order_seq_cst);
        }
    }
    ~EpochGuard() {
        if (record_ != nullptr)
            record_->epoch.store(0, std::memory_order_release);
    }
    EpochGuard(const EpochGuard&) = delete;
    EpochGuard& operator=(const EpochGuard&) = delete;

private:
    detail::EpochRecord* record_ = nullptr; ///< null: within another section
};

/// Frees `object` by `free_fn` once no section that is now open is open any more. Callable inside
/// a section. Amortised: most calls only append to a list; some free what is due.
void retire(void* object, void (*free_fn)(void*) noexcept) noexcept;

/// Waits until every section open now has ended and all that was retired before is freed.
/// Must not be called inside a section.
void synchronize() noexcept;

/// Objects retired and not yet freed; for tests and statistics.
[[nodiscard]] std::uint64_t retired_count() noexcept;

} // namespace skep::maps
