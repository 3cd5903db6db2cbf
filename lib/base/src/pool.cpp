// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/base/pool.hpp"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SKEP_KEEP_NOTHING
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SKEP_KEEP_NOTHING
#endif

namespace skep {

constinit thread_local Pool::Kept Pool::kept{};

/// What cannot be kept; the first time, everything can from then on.
void Pool::drop(void* memory, std::size_t index) noexcept {
#ifndef SKEP_KEEP_NOTHING
    thread_local bool begun = false;
    if (!begun) {
        begun = true;
        thread_local Cleaner cleaner;
        kept.most = kMost;
        if (index < kSizes) {
            kept.heads[index] = new (memory) Block{kept.heads[index]};
            kept.bytes += size_of(index);
            return;
        }
    }
#endif
    (void)index;
    ::operator delete(memory);
}

Pool::Cleaner::~Cleaner() {
    kept.most = 0;
    kept.bytes = 0;
    for (Block*& head : kept.heads)
        while (head != nullptr) {
            Block* next = head->next;
            ::operator delete(head);
            head = next;
        }
}

} // namespace skep
