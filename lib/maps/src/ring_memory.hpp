// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "skep/base/file.hpp"

namespace skep::maps {

inline constexpr std::uint64_t kRingPage = 4096;
inline constexpr std::uint32_t kRingBusy = 1U << 31;
inline constexpr std::uint32_t kRingDiscard = 1U << 30;
inline constexpr std::uint64_t kRingHeader = 8;
inline constexpr std::uint64_t kMaxRingRecord = UINT32_MAX / 4;

/// The mapping of one ring buffer: a private page for its owner, the consumer page, the producer
/// page, the data, the data again.
class RingMemory {
public:
    RingMemory() noexcept = default;
    RingMemory(RingMemory&& other) noexcept;
    RingMemory& operator=(RingMemory&&) = delete;
    RingMemory(const RingMemory&) = delete;
    RingMemory& operator=(const RingMemory&) = delete;
    ~RingMemory();

    /// Error: Limit or Io if the system refuses memory or descriptors.
    static Result<RingMemory> create(std::uint64_t size);

    [[nodiscard]] std::byte* base() const noexcept { return base_; }
    [[nodiscard]] std::byte* data() const noexcept { return base_ + 3 * kRingPage; }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] std::atomic<std::uint64_t>& consumer() const noexcept {
        return *reinterpret_cast<std::atomic<std::uint64_t>*>(base_ + kRingPage);
    }
    [[nodiscard]] std::atomic<std::uint64_t>& producer() const noexcept {
        return *reinterpret_cast<std::atomic<std::uint64_t>*>(base_ + 2 * kRingPage);
    }
    /// The length word of the record at a position.
    [[nodiscard]] std::atomic<std::uint32_t>& header(std::uint64_t position) const noexcept {
        return *reinterpret_cast<std::atomic<std::uint32_t>*>(data() + (position & (size_ - 1)));
    }
    [[nodiscard]] int consumer_fd() const noexcept { return consumer_file_.get(); }
    [[nodiscard]] int data_fd() const noexcept { return data_file_.get(); }

private:
    std::byte* base_ = nullptr;
    std::uint64_t size_ = 0;
    Fd consumer_file_;
    Fd data_file_;
};

/// Bytes from one record to the next.
[[nodiscard]] constexpr std::uint64_t ring_step(std::uint64_t payload) noexcept {
    return (payload + kRingHeader + 7) & ~std::uint64_t{7};
}

} // namespace skep::maps
