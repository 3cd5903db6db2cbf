// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/base/result.hpp"

namespace skep {

/// An owned file descriptor; closed on destruction. Movable, not copyable.
class Fd {
public:
    Fd() noexcept = default;
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept;
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd();

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
    int release() noexcept { return std::exchange(fd_, -1); }

private:
    int fd_ = -1;
};

/// The whole file in memory. Works for regular files, pipes and sysfs files of unknown size.
/// Errors: NotFound, Permission, Io, and Limit if it is larger than `limit` bytes.
Result<std::vector<std::byte>> read_file(const std::filesystem::path& path,
                                         std::uint64_t limit = std::uint64_t{1} << 32);

/// Writes the file whole, or fails; an existing file is replaced.
Result<void> write_file(const std::filesystem::path& path, Bytes contents);

/// The failure of a system call: maps EPERM/EACCES, ENOENT and the rest to a code, and names the
/// call.
[[nodiscard]] Error os_error(int error_number, const std::string& what);

} // namespace skep
