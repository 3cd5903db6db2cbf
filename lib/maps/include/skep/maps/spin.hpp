// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <sched.h>

namespace skep::maps {

/// Between two looks at a lock that another thread holds; `spins` counts them, from 0.
inline void spin_pause(std::uint32_t& spins) noexcept {
    if (++spins % 64 == 0) {
        sched_yield(); // The holder may have been preempted; the kernel's cannot be.
        return;
    }
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory"); // As long as x86's pause; yield is a no-op on most cores.
#endif
}

/// A lock for a few instructions. Writers of a map hold one only inside one operation.
class SpinLock {
public:
    void lock() noexcept {
        std::uint32_t spins = 0;
        while (!try_lock())
            spin_pause(spins);
    }
    bool try_lock() noexcept {
        return word_.load(std::memory_order_relaxed) == 0 &&
               word_.exchange(1, std::memory_order_acquire) == 0;
    }
    void unlock() noexcept { word_.store(0, std::memory_order_release); }

private:
    std::atomic<std::uint32_t> word_{0};
};

} // namespace skep::maps
