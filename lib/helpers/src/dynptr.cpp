// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// A dynptr as a program holds it: 16 opaque bytes on its stack. Ours: the address of the data, then
// its size in 32 bits with the flags of linux/bpf.h in the upper 8 (read-only 1 << 31,
// kind 28..30), as the kernel packs them.
#include "helper.hpp"
#include "skep/maps/ringbuf.hpp"

namespace skep::helpers {
namespace {

constexpr std::uint32_t kSizeMask = 0x00ffffff;
constexpr std::uint32_t kKindShift = 28;
constexpr std::uint32_t kLocal = 1;
constexpr std::uint32_t kRingbuf = 2;

struct Dynptr {
    std::uint64_t data = 0;
    std::uint32_t size = 0; ///< kind << 28 | bytes
    std::uint32_t offset = 0;

    [[nodiscard]] std::uint32_t bytes() const noexcept { return size & kSizeMask; }
    [[nodiscard]] bool covers(std::uint64_t at, std::uint64_t length) const noexcept {
        return length <= bytes() && at <= bytes() - length;
    }
};
static_assert(sizeof(Dynptr) == 16);

Dynptr load_dynptr(std::uint64_t address) noexcept {
    Dynptr dynptr;
    std::memcpy(&dynptr, bytes_at(address), sizeof dynptr);
    return dynptr;
}
void store_dynptr(std::uint64_t address, const Dynptr& dynptr) noexcept {
    std::memcpy(bytes_at(address), &dynptr, sizeof dynptr);
}

SKEP_HELPER_FN(dynptr_from_mem) {
    store_dynptr(r4, {});
    if (r2 > kSizeMask)
        return error(E2BIG);
    if (r3 != 0)
        return error(EINVAL);
    store_dynptr(r4, {r1, kLocal << kKindShift | static_cast<std::uint32_t>(r2), 0});
    return 0;
}

SKEP_HELPER_FN(dynptr_read) {
    const Dynptr dynptr = load_dynptr(r3);
    if (dynptr.data == 0 || r5 != 0)
        return error(EINVAL);
    if (!dynptr.covers(r4, r2))
        return error(E2BIG);
    std::memmove(bytes_at(r1), bytes_at(dynptr.data + r4), r2);
    return 0;
}

SKEP_HELPER_FN(dynptr_write) {
    const Dynptr dynptr = load_dynptr(r1);
    if (dynptr.data == 0 || r5 != 0)
        return error(EINVAL);
    if (!dynptr.covers(r2, r4))
        return error(E2BIG);
    std::memmove(bytes_at(dynptr.data + r2), bytes_at(r3), r4);
    return 0;
}

SKEP_HELPER_FN(dynptr_data) {
    const Dynptr dynptr = load_dynptr(r1);
    if (dynptr.data == 0 || !dynptr.covers(r2, r3))
        return 0;
    run->returned = {.base = dynptr.data + r2,
                     .size = static_cast<std::uint32_t>(r3),
                     .kind = exec::RegionKind::Memory};
    return dynptr.data + r2;
}

SKEP_HELPER_FN(ringbuf_reserve_dynptr) {
    store_dynptr(r4, {});
    maps::RingbufMap* ring = maps::RingbufMap::from(map_at(r1));
    if (ring == nullptr || r3 != 0)
        return error(EINVAL);
    if (r2 > kSizeMask)
        return error(E2BIG);
    std::byte* record = ring->reserve(static_cast<std::uint32_t>(r2));
    if (record == nullptr)
        return error(EINVAL);
    store_dynptr(r4, {reinterpret_cast<std::uint64_t>(record),
                      kRingbuf << kKindShift | static_cast<std::uint32_t>(r2), 0});
    return 0;
}

void end_record(std::uint64_t address, std::uint64_t flags, bool keep,
                exec::RunContext* run) noexcept {
    const Dynptr dynptr = load_dynptr(address);
    if (dynptr.data != 0) {
        if (keep)
            maps::RingbufMap::submit(bytes_at(dynptr.data), flags);
        else
            maps::RingbufMap::discard(bytes_at(dynptr.data), flags);
        run->released = dynptr.data;
        run->pending |= exec::kReleased;
    }
    store_dynptr(address, {});
}

SKEP_HELPER_FN(ringbuf_submit_dynptr) {
    end_record(r1, r2, true, run);
    return 0;
}

SKEP_HELPER_FN(ringbuf_discard_dynptr) {
    end_record(r1, r2, false, run);
    return 0;
}

struct Drain {
    exec::RunContext* run;
    std::uint64_t callback;
    std::uint64_t context;
};

std::uint64_t drain_sample(void* arg, std::span<const std::byte> sample) {
    const auto& drain = *static_cast<Drain*>(arg);
    Dynptr dynptr{reinterpret_cast<std::uint64_t>(sample.data()),
                  kLocal << kKindShift | static_cast<std::uint32_t>(sample.size()), 0};
    const auto address = reinterpret_cast<std::uint64_t>(&dynptr);
    const std::array args{exec::CallbackArg{.bits = address,
                                            .cap = {.base = address,
                                                    .size = sizeof dynptr,
                                                    .kind = exec::RegionKind::Object,
                                                    .flags = exec::kReadOnly,
                                                    .id = 0xd}},
                          exec::CallbackArg{.bits = drain.context, .inherit = 2}};
    return drain.run->callback(drain.run, drain.callback, args);
}

SKEP_HELPER_FN(user_ringbuf_drain) {
    maps::UserRingbufMap* ring = maps::UserRingbufMap::from(map_at(r1));
    Drain drain{run, r2, r3};
    return ring == nullptr ? error(EINVAL) : result(ring->drain(drain_sample, &drain, r4));
}

constexpr Entry kEntries[] = {
    {"dynptr_from_mem", dynptr_from_mem},
    {"dynptr_read", dynptr_read},
    {"dynptr_write", dynptr_write},
    {"dynptr_data", dynptr_data},
    {"ringbuf_reserve_dynptr", ringbuf_reserve_dynptr},
    {"ringbuf_submit_dynptr", ringbuf_submit_dynptr},
    {"ringbuf_discard_dynptr", ringbuf_discard_dynptr},
    {"user_ringbuf_drain", user_ringbuf_drain},
};

} // namespace

std::span<const Entry> dynptr_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
