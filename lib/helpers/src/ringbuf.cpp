// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/maps/ringbuf.hpp"

#include "helper.hpp"

namespace skep::helpers {
namespace {

SKEP_HELPER_FN(ringbuf_output) {
    maps::RingbufMap* ring = maps::RingbufMap::from(map_at(r1));
    return ring == nullptr ? error(EINVAL) : result(ring->output(span_at(r2, r3), r4));
}

SKEP_HELPER_FN(ringbuf_reserve) {
    maps::RingbufMap* ring = maps::RingbufMap::from(map_at(r1));
    std::byte* record = ring == nullptr || r3 != 0 ? nullptr : ring->reserve(r2);
    const auto address = reinterpret_cast<std::uint64_t>(record);
    run->returned = {.base = address,
                     .size = static_cast<std::uint32_t>(r2),
                     .kind = exec::RegionKind::Memory,
                     .flags = exec::kReleasable};
    return address;
}

void release(exec::RunContext* run, std::uint64_t record) noexcept {
    run->released = record;
    run->pending |= exec::kReleased;
}

SKEP_HELPER_FN(ringbuf_submit) {
    maps::RingbufMap::submit(bytes_at(r1), r2);
    release(run, r1);
    return 0;
}

SKEP_HELPER_FN(ringbuf_discard) {
    maps::RingbufMap::discard(bytes_at(r1), r2);
    release(run, r1);
    return 0;
}

SKEP_HELPER_FN(ringbuf_query) {
    const maps::RingbufMap* ring = maps::RingbufMap::from(map_at(r1));
    return ring == nullptr ? 0 : ring->query(r2);
}

constexpr Entry kEntries[] = {
    {"ringbuf_output", ringbuf_output}, {"ringbuf_reserve", ringbuf_reserve},
    {"ringbuf_submit", ringbuf_submit}, {"ringbuf_discard", ringbuf_discard},
    {"ringbuf_query", ringbuf_query},
};

} // namespace

std::span<const Entry> ringbuf_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
