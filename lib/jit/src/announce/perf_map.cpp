// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "perf_map.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <fcntl.h>
#include <mutex>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "skep/base/file.hpp"

namespace skep::jit {

std::string profiled_name(const NativeFunction& function) {
    std::string name = "skep:" + function.name;
    std::ranges::replace_if(name, [](char c) { return static_cast<unsigned char>(c) < ' '; }, '?');
    return name;
}

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t nanoseconds(const timespec& time) {
    return time.tv_sec * kSecond + time.tv_nsec;
}

std::int64_t now(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return nanoseconds(time);
}

/// By the clock that files are stamped with; 0 if it cannot be known.
std::int64_t process_start() {
    const auto stat = read_file("/proc/self/stat", 1 << 16);
    if (!stat)
        return 0;
    // The second field is in parentheses and may contain anything; starttime is the 22nd.
    std::string_view rest = as_text(*stat);
    rest.remove_prefix(std::min(rest.size(), rest.rfind(')') + 1));
    for (int field = 3; field <= 22 && !rest.empty(); ++field)
        rest.remove_prefix(std::min(rest.size(), rest.find(' ') + 1));
    std::int64_t ticks = 0;
    if (std::from_chars(rest.data(), rest.data() + rest.size(), ticks).ec != std::errc{})
        return 0;
    const std::int64_t since_boot = ticks * (kSecond / sysconf(_SC_CLK_TCK));
    return now(CLOCK_REALTIME) - (now(CLOCK_BOOTTIME) - since_boot);
}

Error map_error(const std::string& path, Error error) {
    error.place.file = path;
    return error;
}

/// The file of this process, empty if it was of an earlier one with the same number.
Result<Fd> open_map(const std::string& path) {
    // Others can make files in /tmp: no link is followed, and the file must be ours.
    Fd file(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                 0644));
    if (!file)
        return std::unexpected(map_error(path, os_error(errno, "cannot open")));
    struct stat info{};
    if (fstat(file.get(), &info) != 0)
        return std::unexpected(map_error(path, os_error(errno, "cannot stat")));
    if (!S_ISREG(info.st_mode) || info.st_uid != geteuid())
        return fail(ErrorCode::Permission, "is not a file of ours", {.file = path});
    // Clocks of files are coarse and may be set: a second is given to the doubt.
    if (nanoseconds(info.st_mtim) < process_start() - kSecond && ftruncate(file.get(), 0) != 0)
        return std::unexpected(map_error(path, os_error(errno, "cannot empty")));
    return file;
}

void append_hex(std::string& text, std::uint64_t value) {
    char digits[16];
    text.append(digits, std::to_chars(digits, digits + sizeof digits, value, 16).ptr);
    text += ' ';
}

} // namespace

Result<void> write_perf_map(const Described& what) {
    std::string text;
    for (const NativeFunction& function : what.functions) {
        append_hex(text, what.address() + function.offset);
        append_hex(text, function.size);
        text += profiled_name(function) + "\n";
    }
    static std::mutex mutex; // Else another thread's first lines could be taken for old ones.
    const std::lock_guard lock(mutex);
    const std::string path = "/tmp/perf-" + std::to_string(getpid()) + ".map";
    const Fd file = SKEP_TRY(open_map(path));
    for (std::string_view rest = text; !rest.empty();) {
        const ssize_t done = write(file.get(), rest.data(), rest.size());
        if (done < 0 && errno != EINTR)
            return std::unexpected(map_error(path, os_error(errno, "cannot write")));
        rest.remove_prefix(done < 0 ? 0 : static_cast<std::size_t>(done));
    }
    return {};
}

} // namespace skep::jit
