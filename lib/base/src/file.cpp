// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/base/file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace skep {

Fd& Fd::operator=(Fd&& other) noexcept {
    if (this != &other) {
        if (fd_ >= 0)
            ::close(fd_);
        fd_ = other.release();
    }
    return *this;
}

Fd::~Fd() {
    if (fd_ >= 0)
        ::close(fd_);
}

Error os_error(int error_number, const std::string& what) {
    ErrorCode code = ErrorCode::Io;
    if (error_number == EPERM || error_number == EACCES)
        code = ErrorCode::Permission;
    else if (error_number == ENOENT)
        code = ErrorCode::NotFound;
    return {code, what + ": " + std::strerror(error_number), {}, {}};
}

namespace {

std::unexpected<Error> file_error(const std::filesystem::path& path, const char* what) {
    Error error = os_error(errno, what);
    error.place.file = path.string();
    return std::unexpected(std::move(error));
}

} // namespace

Result<std::vector<std::byte>> read_file(const std::filesystem::path& path, std::uint64_t limit) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return file_error(path, "cannot open");
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0)
        return file_error(path, "cannot stat");
    const auto size = static_cast<std::uint64_t>(std::max<off_t>(info.st_size, 0));
    std::vector<std::byte> data(std::min(size, limit) + 1); // One more byte finds the end at once.
    std::size_t used = 0;
    while (true) {
        const ssize_t got = ::read(fd.get(), data.data() + used, data.size() - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_error(path, "cannot read");
        used += static_cast<std::size_t>(got);
        if (got == 0)
            break;
        if (used > limit)
            return fail(ErrorCode::Limit,
                        "larger than the limit of " + std::to_string(limit) + " bytes",
                        {.file = path.string()});
        if (used == data.size())
            data.resize(data.size() * 2 + 4096);
    }
    data.resize(used);
    return data;
}

Result<void> write_file(const std::filesystem::path& path, Bytes contents) {
    const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!fd)
        return file_error(path, "cannot create");
    while (!contents.empty()) {
        const ssize_t put = ::write(fd.get(), contents.data(), contents.size());
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return file_error(path, "cannot write");
        contents = contents.subspan(static_cast<std::size_t>(put));
    }
    return {};
}

} // namespace skep
