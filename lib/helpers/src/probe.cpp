// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Reads of memory that may not be there. The host does them so that a bad address is -EFAULT; the
// destination is then zeroed, as in the kernel.
#include "helper.hpp"

namespace skep::helpers {
namespace {

std::uint64_t read_memory(std::uint64_t to, std::uint64_t size, std::uint64_t from, bool user,
                          exec::RunContext* run) noexcept {
    if (size == 0)
        return 0;
    const int error_number =
        run->host->probe_read(bytes_at(to), from, static_cast<std::uint32_t>(size), user);
    if (error_number != 0)
        std::memset(bytes_at(to), 0, size);
    return result(error_number);
}

// Copies up to and including the NUL; returns the length with it. Reads page by page, because the
// string may end just before memory that is not there.
std::uint64_t read_string(std::uint64_t to, std::uint64_t size, std::uint64_t from, bool user,
                          exec::RunContext* run) noexcept {
    constexpr std::uint64_t kPage = 4096;
    auto* out = reinterpret_cast<char*>(to);
    std::uint64_t done = 0;
    while (done < size) {
        const std::uint64_t step = std::min(size - done, kPage - (from + done) % kPage);
        const int error_number =
            run->host->probe_read(out + done, from + done, static_cast<std::uint32_t>(step), user);
        if (error_number != 0) {
            std::memset(out, 0, size);
            return result(error_number);
        }
        if (const void* end = std::memchr(out + done, 0, step); end != nullptr) {
            const auto length = static_cast<std::uint64_t>(static_cast<const char*>(end) - out) + 1;
            std::memset(out + length, 0, size - length);
            return length;
        }
        done += step;
    }
    if (size > 0)
        out[size - 1] = 0;
    return size;
}

SKEP_HELPER_FN(probe_read_kernel) {
    return read_memory(r1, r2, r3, false, run);
}
SKEP_HELPER_FN(probe_read_user) {
    return read_memory(r1, r2, r3, true, run);
}
SKEP_HELPER_FN(probe_read_kernel_str) {
    return read_string(r1, r2, r3, false, run);
}
SKEP_HELPER_FN(probe_read_user_str) {
    return read_string(r1, r2, r3, true, run);
}
SKEP_HELPER_FN(copy_from_user) {
    return read_memory(r1, r2, r3, true, run);
}
SKEP_HELPER_FN(copy_from_user_task) {
    return r5 != 0 ? error(EINVAL) : read_memory(r1, r2, r3, true, run);
}
SKEP_HELPER_FN(probe_write_user) {
    return result(run->host->probe_write(r1, bytes_at(r2), static_cast<std::uint32_t>(r3)));
}

constexpr Entry kEntries[] = {
    {"probe_read", probe_read_kernel},
    {"probe_read_str", probe_read_kernel_str},
    {"probe_read_kernel", probe_read_kernel},
    {"probe_read_user", probe_read_user},
    {"probe_read_kernel_str", probe_read_kernel_str},
    {"probe_read_user_str", probe_read_user_str},
    {"copy_from_user", copy_from_user},
    {"copy_from_user_task", copy_from_user_task},
    {"probe_write_user", probe_write_user},
};

} // namespace

std::span<const Entry> probe_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
