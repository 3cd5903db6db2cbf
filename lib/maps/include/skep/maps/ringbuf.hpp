// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "skep/base/file.hpp"
#include "skep/maps/map.hpp"

/// Ring buffers in the kernel's layout: a page with the consumer position, a page with the
/// producer position, then the data, mapped twice in a row so that no record is ever split.
/// A record is 8 bytes of header (length with the busy bit 31 and the discard bit 30, page offset)
/// and the payload, rounded up to 8.
namespace skep::maps {

/// Kind Ringbuf: programs produce.
class RingbufMap : public Map {
public:
    using Map::Map;
    [[nodiscard]] static RingbufMap* from(Map& map) noexcept;

    /// Room for a record of `size` bytes, to be given to submit() or discard(); nullptr if the
    /// buffer is full or the record can never fit. Any number of threads.
    [[nodiscard]] virtual std::byte* reserve(std::uint64_t size) noexcept = 0;
    /// Ends a reservation. `flags`: BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP.
    static void submit(std::byte* record, std::uint64_t flags) noexcept;
    static void discard(std::byte* record, std::uint64_t flags) noexcept;
    /// The ring buffer of a record that was reserved.
    [[nodiscard]] static RingbufMap& of(const std::byte* record) noexcept;
    /// reserve, copy, submit. -EINVAL: unknown flags; -EAGAIN: no room.
    virtual int output(std::span<const std::byte> record, std::uint64_t flags) noexcept = 0;
    /// BPF_RB_AVAIL_DATA, BPF_RB_RING_SIZE, BPF_RB_CONS_POS, BPF_RB_PROD_POS; else 0.
    [[nodiscard]] virtual std::uint64_t query(std::uint64_t flags) const noexcept = 0;

    /// Descriptors for a consumer in another process; owned by the map. The consumer's page is one
    /// file (writable), producer page and data another (sealed: new mappings cannot write).
    [[nodiscard]] virtual int consumer_fd() const noexcept = 0;
    [[nodiscard]] virtual int data_fd() const noexcept = 0;
    /// The same two parts in this process: the consumer's page, and the producer's page followed
    /// by the data twice. Valid while the map lives.
    [[nodiscard]] virtual std::byte* consumer_page() const noexcept = 0;
    [[nodiscard]] virtual std::byte* data_pages() const noexcept = 0;
    /// Readable when a consumer should look; an eventfd, made at the first call. -1: no descriptor.
    virtual int wakeup_fd() noexcept = 0;
    /// Wake-ups that producers have asked for.
    [[nodiscard]] virtual std::uint64_t wakeups() const noexcept = 0;
};

/// The consumer's side. One thread at a time; several readers of one buffer share its position.
class RingbufReader {
public:
    /// Receives a record; returns false to stop after it.
    using RecordFn = bool (*)(void* arg, std::span<const std::byte> record);

    /// Reads in place, without a mapping of its own: the map must outlive the reader.
    /// Error: Invalid if the map is not a ring buffer.
    static Result<RingbufReader> open(Map& map);
    /// Maps the buffer, for a process that received the descriptors (it may close them then, but
    /// not wakeup_fd); `size` is max_entries.
    static Result<RingbufReader> open(int consumer_fd, int data_fd, std::uint32_t size,
                                      int wakeup_fd = -1);
    RingbufReader(RingbufReader&& other) noexcept;
    RingbufReader& operator=(RingbufReader&& other) noexcept;
    RingbufReader(const RingbufReader&) = delete;
    RingbufReader& operator=(const RingbufReader&) = delete;
    ~RingbufReader();

    /// Hands over all records that are ready, in order; discarded ones are passed over.
    /// Returns how many were handed over.
    std::uint64_t consume(RecordFn fn, void* arg) noexcept;
    /// Waits until a producer wakes the consumer; false after `timeout_ms`. May wake early.
    bool wait(int timeout_ms) noexcept;

private:
    RingbufReader() noexcept = default;

    std::byte* consumer_ = nullptr; ///< page of the consumer position
    std::byte* data_ = nullptr;     ///< producer page, then the data twice
    std::uint64_t size_ = 0;
    int wakeup_fd_ = -1;
    bool mapped_ = false; ///< the mappings are the reader's own
};

/// Kind UserRingbuf: user space produces, programs consume.
class UserRingbufMap : public Map {
public:
    using SampleFn = std::uint64_t (*)(void* arg, std::span<const std::byte> sample);

    using Map::Map;
    [[nodiscard]] static UserRingbufMap* from(Map& map) noexcept;

    /// bpf_user_ringbuf_drain(): calls fn for each sample until it returns other than 0; returns
    /// the number of samples. -EBUSY: another drain runs; -EINVAL: flags, or a malformed buffer.
    virtual int drain(SampleFn fn, void* arg, std::uint64_t flags) noexcept = 0;

    /// The producer's side; one thread at a time. nullptr: no room.
    [[nodiscard]] virtual std::byte* reserve(std::uint32_t size) noexcept = 0;
    virtual void submit(std::byte* sample) noexcept = 0;
    virtual void discard(std::byte* sample) noexcept = 0;
    /// Times that programs asked to wake the producer.
    [[nodiscard]] virtual std::uint64_t wakeups() const noexcept = 0;
};

} // namespace skep::maps
