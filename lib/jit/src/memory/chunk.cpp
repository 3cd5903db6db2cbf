// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "chunk.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "skep/base/check.hpp"

#ifndef MFD_NOEXEC_SEAL // Linux 6.3
#define MFD_NOEXEC_SEAL 8U
#endif

namespace skep::jit {

// --- UnitMap ---

std::size_t UnitMap::find(bool is_taken, std::size_t from, std::size_t limit) const noexcept {
    while (from < limit) {
        const std::uint64_t word = is_taken ? words_[from / 64] : ~words_[from / 64];
        const std::uint64_t rest = word >> (from % 64);
        if (rest != 0)
            return std::min(limit, from + static_cast<std::size_t>(std::countr_zero(rest)));
        from = (from / 64 + 1) * 64;
    }
    return limit;
}

std::optional<std::size_t> UnitMap::take(std::size_t count) noexcept {
    if (count >= hopeless_ || count > units_ - taken_)
        return std::nullopt;
    for (std::size_t first = find(false, 0, units_); first < units_;) {
        const std::size_t wanted = std::min(units_, first + count);
        const std::size_t end = find(true, first, wanted);
        if (end - first == count) {
            set(first, count, true);
            return first;
        }
        first = find(false, end, units_);
    }
    hopeless_ = count;
    return std::nullopt;
}

void UnitMap::give(std::size_t first, std::size_t count) noexcept {
    set(first, count, false);
    hopeless_ = SIZE_MAX;
}

void UnitMap::set(std::size_t first, std::size_t count, bool is_taken) noexcept {
    for (std::size_t unit = first; unit != first + count; ++unit) {
        const std::uint64_t bit = std::uint64_t{1} << (unit % 64);
        SKEP_CHECK(((words_[unit / 64] & bit) != 0) != is_taken);
        words_[unit / 64] ^= bit;
    }
    taken_ = is_taken ? taken_ + count : taken_ - count;
}

// --- Chunk ---

namespace {

/// Pages that a chunk opens at once: a system call for some programs, not for each.
constexpr std::size_t kStep = std::size_t{32} << 10;

Result<Fd> create_file(std::size_t size) {
    rlimit limit{};
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < size)
        return std::unexpected(os_error(EFBIG, "memfd_create")); // ftruncate(2) would send SIGXFSZ.
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    Fd file(memfd_create("skep-code", flags | MFD_NOEXEC_SEAL));
    if (!file && errno == EINVAL)
        file = Fd(memfd_create("skep-code", flags));
    if (!file)
        return std::unexpected(os_error(errno, "memfd_create"));
    if (ftruncate(file.get(), static_cast<off_t>(size)) != 0)
        return std::unexpected(os_error(errno, "ftruncate"));
    // Whoever else opens the file cannot cut it off under running code.
    fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
    return file;
}

} // namespace

Chunk::Chunk(Fd file, Region region) noexcept
    : file_(std::move(file)), region_(std::move(region)), units_(region_.size() / kUnit) {}

Result<std::unique_ptr<Chunk>> Chunk::create(std::size_t bytes) {
    const std::size_t size = round_up(std::max(bytes, kUsualBytes), page_bytes());
    Region region = SKEP_TRY(Region::reserve(size));
    Fd file = SKEP_TRY(create_file(size));
    std::unique_ptr<Chunk> chunk(new Chunk(std::move(file), std::move(region)));
    SKEP_TRY(chunk->open_until(std::min(bytes, size)));
    return chunk;
}

Result<std::optional<Bytes>> Chunk::place(Bytes code) {
    SKEP_CHECK(!code.empty() && !frozen_);
    const std::size_t count = round_up(code.size(), kUnit) / kUnit;
    const std::optional<std::size_t> first = units_.take(count);
    if (!first)
        return std::nullopt;
    const std::size_t offset = *first * kUnit;
    Result<void> done = open_until(offset + code.size());
    if (done)
        done = write(offset, code);
    if (!done) {
        give_back({region_.begin() + offset, code.size()});
        return std::unexpected(std::move(done).error());
    }
    const Bytes placed(region_.begin() + offset, code.size());
    publish(placed, reused_);
    return placed;
}

void Chunk::give_back(Bytes code) noexcept {
    const auto offset = static_cast<std::size_t>(code.data() - region_.begin());
    const std::size_t size = round_up(code.size(), kUnit);
    units_.give(offset / kUnit, size / kUnit);
    reused_ = true;
    if (frozen_ || offset >= open_)
        return; // What was never opened is filled when it is.
    // Its pages exist, so nothing can fail; if it did, the old code would stay, which is no harm.
    [[maybe_unused]] const auto done = fill(offset, std::min(size, open_ - offset));
}

Result<void> Chunk::open_until(std::size_t end) {
    if (end <= open_)
        return {};
    const std::size_t until =
        std::min(region_.size(), round_up(end, std::max(kStep, page_bytes())));
    SKEP_CHECK(until > open_); // Nothing is placed behind the region.
    SKEP_TRY(fill(open_, until - open_));
    // Not mprotect(2): systemd's MemoryDenyWriteExecute= refuses to make memory executable later.
    void* where = mmap(region_.begin() + open_, until - open_, PROT_READ | PROT_EXEC,
                       MAP_SHARED | MAP_FIXED, file_.get(), static_cast<off_t>(open_));
    if (where == MAP_FAILED)
        return std::unexpected(os_error(errno, "mmap"));
    open_ = until;
    return {};
}

Result<void> Chunk::write(std::size_t offset, Bytes bytes) const {
    while (!bytes.empty()) {
        const ssize_t done =
            pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return std::unexpected(os_error(done < 0 ? errno : EIO, "pwrite"));
        offset += static_cast<std::size_t>(done);
        bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
    return {};
}

Result<void> Chunk::fill(std::size_t offset, std::size_t size) const {
    while (size != 0) {
        const Bytes some = breakpoints().first(std::min(size, breakpoints().size()));
        SKEP_TRY(write(offset, some));
        offset += some.size();
        size -= some.size();
    }
    return {};
}

} // namespace skep::jit
