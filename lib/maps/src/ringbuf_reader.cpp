// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring_memory.hpp"
#include "skep/maps/ringbuf.hpp"

namespace skep::maps {
namespace {

std::atomic<std::uint64_t>& position(std::byte* page) noexcept {
    return *reinterpret_cast<std::atomic<std::uint64_t>*>(page);
}

} // namespace

Result<RingbufReader> RingbufReader::open(Map& map) {
    RingbufMap* ring = RingbufMap::from(map);
    if (ring == nullptr)
        return fail(ErrorCode::Invalid, "map \"" + map.def().name + "\" is not a ring buffer");
    RingbufReader reader;
    reader.consumer_ = ring->consumer_page();
    reader.data_ = ring->data_pages();
    reader.size_ = map.def().max_entries;
    reader.wakeup_fd_ = ring->wakeup_fd();
    return reader;
}

Result<RingbufReader> RingbufReader::open(int consumer_fd, int data_fd, std::uint32_t size,
                                          int wakeup_fd) {
    RingbufReader reader;
    reader.size_ = size;
    reader.wakeup_fd_ = wakeup_fd;
    reader.mapped_ = true;
    void* page = mmap(nullptr, kRingPage, PROT_READ | PROT_WRITE, MAP_SHARED, consumer_fd, 0);
    if (page == MAP_FAILED)
        return std::unexpected(os_error(errno, "mmap of the consumer page"));
    reader.consumer_ = static_cast<std::byte*>(page);
    void* data = mmap(nullptr, kRingPage + std::uint64_t{2} * size, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED)
        return std::unexpected(os_error(errno, "mmap of the data"));
    reader.data_ = static_cast<std::byte*>(data);
    for (std::uint64_t copy = 0; copy < 2; copy++) {
        const std::uint64_t skip = copy == 0 ? 0 : kRingPage;
        const void* mapped =
            mmap(reader.data_ + copy * (kRingPage + size), kRingPage + size - skip, PROT_READ,
                 MAP_SHARED | MAP_FIXED, data_fd, static_cast<off_t>(skip));
        if (mapped == MAP_FAILED)
            return std::unexpected(os_error(errno, "mmap of the data"));
    }
    return reader;
}

RingbufReader::RingbufReader(RingbufReader&& other) noexcept {
    *this = std::move(other);
}

RingbufReader& RingbufReader::operator=(RingbufReader&& other) noexcept {
    std::swap(consumer_, other.consumer_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(wakeup_fd_, other.wakeup_fd_);
    std::swap(mapped_, other.mapped_);
    return *this;
}

RingbufReader::~RingbufReader() {
    if (!mapped_)
        return;
    if (consumer_ != nullptr)
        munmap(consumer_, kRingPage);
    if (data_ != nullptr)
        munmap(data_, kRingPage + 2 * size_);
}

std::uint64_t RingbufReader::consume(RecordFn fn, void* arg) noexcept {
    std::uint64_t handed = 0;
    std::uint64_t at = position(consumer_).load(std::memory_order_relaxed);
    for (bool moved = true; moved;) {
        moved = false;
        // After the last move, look once more: a producer that saw the old position wakes nobody.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        const std::uint64_t end = position(data_).load(std::memory_order_acquire);
        while (at < end) {
            const std::byte* start = data_ + kRingPage + (at & (size_ - 1));
            const std::uint32_t length =
                __atomic_load_n(reinterpret_cast<const std::uint32_t*>(start), __ATOMIC_ACQUIRE);
            if ((length & kRingBusy) != 0)
                return handed;
            const std::uint32_t payload = length & ~kRingDiscard;
            bool more = true;
            if ((length & kRingDiscard) == 0) {
                handed++;
                more = fn(arg, {start + kRingHeader, payload});
            }
            at += ring_step(payload);
            position(consumer_).store(at, std::memory_order_release);
            moved = true;
            if (!more)
                return handed;
        }
    }
    return handed;
}

bool RingbufReader::wait(int timeout_ms) noexcept {
    pollfd entry{.fd = wakeup_fd_, .events = POLLIN, .revents = 0};
    if (poll(&entry, 1, timeout_ms) <= 0)
        return false;
    std::uint64_t count = 0;
    return ::read(wakeup_fd_, &count, sizeof count) == sizeof count;
}

} // namespace skep::maps
