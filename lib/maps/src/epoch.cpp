// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/maps/epoch.hpp"

// Idea (Fraser, "Practical lock-freedom", 2004): the clock only moves forward. A reader announces
// the time at which its section began. An object retired at time t is freed when every announced
// time is later than t.
//
// Invariants:
// 1. A record's epoch is 0 or a clock value that was current when the outermost guard began.
// 2. An object is unreachable for new readers before retire() stamps it with the clock and then
//    advances the clock; so a reader that announces a later time cannot have found it.
// 3. Before the writer reads the announcements, a full fence runs on every reader: the reader's
//    own exchange, or membarrier(2) when the kernel has it (then the reader needs none).

#include <ctime>
#include <linux/membarrier.h>
#include <mutex>
#include <new>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "skep/base/check.hpp"

#if defined(__SANITIZE_THREAD__)
#define SKEP_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SKEP_TSAN 1
#endif
#endif

namespace skep::maps {
namespace detail {

EpochClock epoch_clock;
thread_local constinit EpochRecord* epoch_record = nullptr;

namespace {

constexpr std::size_t kBatch = 256; ///< retirements between attempts to free

struct Retired {
    std::uint64_t epoch;
    void* object;
    void (*free_fn)(void*) noexcept;
};

struct Domain {
    std::atomic<EpochRecord*> records{nullptr};
    std::mutex mutex; ///< protects `limbo` and `next_attempt`
    std::vector<Retired> limbo;
    std::size_t next_attempt = kBatch;
};

// Never destroyed: threads may end, and maps may be freed, after main() returns.
Domain& domain() noexcept {
    static auto* instance = new (std::nothrow) Domain;
    SKEP_CHECK(instance != nullptr);
    return *instance;
}

bool membarrier_ready() noexcept {
#ifdef SKEP_TSAN
    return false; // ThreadSanitizer cannot see the fences that membarrier runs for us.
#else
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
#endif
}

/// Hands the record back when its thread ends.
struct ThreadExit {
    EpochRecord* record = nullptr;
    ~ThreadExit() {
        if (record == nullptr)
            return;
        SKEP_CHECK(record->epoch.load() == 0); // A guard lives on the stack of its thread.
        epoch_record = nullptr;
        record->in_use.store(false, std::memory_order_release);
    }
};

EpochRecord& claim_record() noexcept {
    Domain& all = domain();
    for (EpochRecord* r = all.records.load(std::memory_order_acquire); r != nullptr; r = r->next) {
        bool expected = false;
        if (r->in_use.compare_exchange_strong(expected, true, std::memory_order_acquire))
            return *r;
    }
    auto* fresh = new (std::nothrow) EpochRecord;
    SKEP_CHECK(fresh != nullptr);
    fresh->in_use.store(true, std::memory_order_relaxed);
    fresh->next = all.records.load(std::memory_order_relaxed);
    while (!all.records.compare_exchange_weak(fresh->next, fresh, std::memory_order_release))
        ;
    return *fresh;
}

/// The oldest announced time, or the clock's if nobody is inside a section.
std::uint64_t oldest_reader() noexcept {
    std::uint64_t oldest = epoch_clock.now.fetch_add(1, std::memory_order_seq_cst) + 1;
    if (epoch_clock.asymmetric.load(std::memory_order_relaxed))
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    for (EpochRecord* r = domain().records.load(std::memory_order_acquire); r; r = r->next) {
        const auto epoch = r->epoch.load(std::memory_order_seq_cst);
        if (epoch != 0 && epoch < oldest)
            oldest = epoch;
    }
    return oldest;
}

/// Moves what may be freed out of the limbo list. Requires the mutex.
std::vector<Retired> take_due(Domain& all) noexcept {
    const std::uint64_t oldest = oldest_reader();
    std::vector<Retired> due;
    std::size_t kept = 0;
    for (const Retired& item : all.limbo) {
        if (item.epoch < oldest)
            due.push_back(item);
        else
            all.limbo[kept++] = item;
    }
    all.limbo.resize(kept);
    // A long section must not make every later retirement scan a growing list.
    all.next_attempt = kept * 2 + kBatch;
    return due;
}

void free_all(const std::vector<Retired>& due) noexcept {
    for (const Retired& item : due)
        item.free_fn(item.object);
}

} // namespace

EpochRecord& register_thread() noexcept {
    [[maybe_unused]] static const bool once = [] {
        epoch_clock.asymmetric.store(membarrier_ready(), std::memory_order_seq_cst);
        return true;
    }();
    thread_local ThreadExit exit_hook;
    EpochRecord& record = claim_record();
    exit_hook.record = &record;
    epoch_record = &record;
    return record;
}

} // namespace detail

void retire(void* object, void (*free_fn)(void*) noexcept) noexcept {
    std::vector<detail::Retired> due;
    {
        detail::Domain& all = detail::domain();
        const std::lock_guard lock(all.mutex);
        const auto now = detail::epoch_clock.now.load(std::memory_order_seq_cst);
        all.limbo.push_back({now, object, free_fn});
        if (all.limbo.size() >= all.next_attempt)
            due = detail::take_due(all);
    }
    detail::free_all(due); // Outside the lock: a destructor may retire something itself.
}

void synchronize() noexcept {
    if (detail::epoch_record != nullptr)
        SKEP_CHECK(detail::epoch_record->epoch.load() == 0); // It would wait for itself.
    detail::Domain& all = detail::domain();
    std::uint64_t target = 0;
    {
        const std::lock_guard lock(all.mutex);
        target = detail::epoch_clock.now.load(std::memory_order_seq_cst);
    }
    for (;;) {
        std::vector<detail::Retired> due;
        bool pending = false;
        {
            const std::lock_guard lock(all.mutex);
            due = detail::take_due(all);
            for (const detail::Retired& item : all.limbo)
                pending |= item.epoch <= target;
        }
        detail::free_all(due);
        if (!pending && detail::oldest_reader() > target)
            return;
        sched_yield();
    }
}

std::uint64_t retired_count() noexcept {
    detail::Domain& all = detail::domain();
    const std::lock_guard lock(all.mutex);
    return all.limbo.size();
}

} // namespace skep::maps
