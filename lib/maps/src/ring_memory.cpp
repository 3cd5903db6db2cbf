// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "ring_memory.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace skep::maps {
namespace {

Result<Fd> make_file(const char* name, std::uint64_t size) {
    Fd file(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file || ftruncate(file.get(), static_cast<off_t>(size)) != 0)
        return std::unexpected(os_error(errno, "memfd_create"));
    return file;
}

Result<void> map_over(std::byte* at, std::uint64_t size, int fd, std::uint64_t offset) {
    const void* mapped = mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                              static_cast<off_t>(offset));
    if (mapped == MAP_FAILED)
        return std::unexpected(os_error(errno, "mmap"));
    return {};
}

} // namespace

RingMemory::RingMemory(RingMemory&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), size_(other.size_),
      consumer_file_(std::move(other.consumer_file_)), data_file_(std::move(other.data_file_)) {}

RingMemory::~RingMemory() {
    if (base_ != nullptr)
        munmap(base_, 3 * kRingPage + 2 * size_);
}

Result<RingMemory> RingMemory::create(std::uint64_t size) {
    RingMemory ring;
    ring.size_ = size;
    ring.consumer_file_ = SKEP_TRY(make_file("skep-ringbuf-consumer", kRingPage));
    ring.data_file_ = SKEP_TRY(make_file("skep-ringbuf-data", kRingPage + size));
    void* base = mmap(nullptr, 3 * kRingPage + 2 * size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return std::unexpected(os_error(errno, "mmap"));
    ring.base_ = static_cast<std::byte*>(base);
    SKEP_TRY(map_over(ring.base_ + kRingPage, kRingPage, ring.consumer_fd(), 0));
    SKEP_TRY(map_over(ring.base_ + 2 * kRingPage, kRingPage + size, ring.data_fd(), 0));
    SKEP_TRY(map_over(ring.data() + size, size, ring.data_fd(), kRingPage));
    // Record headers are trusted by submit(): who receives the file must not be able to write it.
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    if (fcntl(ring.data_fd(), F_ADD_SEALS, seals) != 0)
        return std::unexpected(os_error(errno, "fcntl(F_ADD_SEALS)"));
    return ring;
}

} // namespace skep::maps
