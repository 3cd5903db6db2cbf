// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "region.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include "skep/base/check.hpp"
#include "skep/base/file.hpp"

namespace skep::jit {

std::size_t page_bytes() noexcept {
    static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    return size;
}

Result<Region> Region::reserve(std::size_t size) {
    SKEP_CHECK(size != 0 && size % page_bytes() == 0);
    const std::size_t guard = page_bytes();
    std::size_t all = 0;
    if (add_overflows(size, 2 * guard, all))
        return std::unexpected(os_error(ENOMEM, "mmap"));
    void* where = mmap(nullptr, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (where == MAP_FAILED)
        return std::unexpected(os_error(errno, "mmap"));
    return Region(static_cast<std::byte*>(where) + guard, size);
}

Region::Region(Region&& other) noexcept
    : begin_(std::exchange(other.begin_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Region& Region::operator=(Region&& other) noexcept {
    std::swap(begin_, other.begin_);
    std::swap(size_, other.size_);
    return *this;
}

Region::~Region() {
    if (begin_ != nullptr)
        munmap(begin_ - page_bytes(), size_ + 2 * page_bytes());
}

namespace {

constexpr std::size_t kFillBytes = 4096;

constexpr auto make_breakpoints() {
    std::array<std::byte, kFillBytes> fill{};
#ifdef __aarch64__
    for (std::size_t i = 0; i != fill.size(); i += 4) { // brk #0
        fill[i + 2] = std::byte{0x20};
        fill[i + 3] = std::byte{0xd4};
    }
#else
    fill.fill(std::byte{0xcc}); // int3
#endif
    return fill;
}

/// Makes the other cores drop what they fetched ahead (SDM 3A, 9.1.3; Arm ARM, B2.4.4).
void synchronise_cores() noexcept {
    static const bool ready =
        syscall(SYS_membarrier, // Older kernels do without, as other JITs do.
                MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == 0;
    if (ready)
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
}

} // namespace

Bytes breakpoints() noexcept {
    static constexpr auto fill = make_breakpoints();
    return fill;
}

#ifdef __aarch64__
namespace {

/// Writes a function that returns `number` to where `file` is mapped, and runs it.
bool returns(int file, std::byte* page, std::uint32_t number) noexcept {
    constexpr std::uint32_t kMov = 0x52800000; // mov w0, #0
    constexpr std::uint32_t kRet = 0xd65f03c0;
    const std::array<std::uint32_t, 2> code{kMov | number << 5, kRet};
    if (pwrite(file, code.data(), sizeof code, 0) != ssize_t{sizeof code})
        return true;
    publish({page, sizeof code}, true);
    return reinterpret_cast<std::uint32_t (*)()>(page)() == number;
}

bool try_code_of_a_file() noexcept {
    const int file = memfd_create("skep-try", MFD_CLOEXEC);
    if (file < 0)
        return true;
    bool follows = true;
    void* page = MAP_FAILED;
    if (ftruncate(file, static_cast<off_t>(page_bytes())) == 0)
        page = mmap(nullptr, page_bytes(), PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) {
        auto* code = static_cast<std::byte*>(page);
        follows = returns(file, code, 1) && returns(file, code, 2);
        munmap(page, page_bytes());
    }
    close(file);
    return follows;
}

} // namespace
#endif

bool code_follows_its_file() noexcept {
#ifdef __aarch64__
    static const bool follows = try_code_of_a_file();
    return follows;
#else
    return true;
#endif
}

void publish(Bytes code, [[maybe_unused]] bool reused) noexcept {
#ifdef __aarch64__
    auto* begin = reinterpret_cast<char*>(const_cast<std::byte*>(code.data()));
    __builtin___clear_cache(begin, begin + code.size());
    synchronise_cores();
#else
    (void)code;
    if (reused)
        synchronise_cores();
#endif
}

} // namespace skep::jit
