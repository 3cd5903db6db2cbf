// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "process.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "skep/base/file.hpp"

namespace skep::tool {
namespace {

/// A compiler that prints more than this is of no more help.
constexpr std::size_t kMaxOutput = std::size_t{16} << 20;

std::string read_all(int fd) {
    std::string text;
    std::array<char, 65536> chunk{};
    for (;;) {
        const ssize_t size = ::read(fd, chunk.data(), chunk.size());
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return text;
        if (text.size() < kMaxOutput) // The rest is read and dropped, so that the child ends.
            text.append(chunk.data(), static_cast<std::size_t>(size));
    }
}

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

} // namespace

Result<ProcessResult> run_process(const std::vector<std::string>& argv, bool with_stdout) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return std::unexpected(os_error(errno, "pipe2"));
    const Fd reader(ends[0]);
    Fd writer(ends[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, writer.get(), STDERR_FILENO);
    if (with_stdout)
        ::posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
    std::vector<char*> words;
    words.reserve(argv.size() + 1);
    for (const std::string& word : argv)
        words.push_back(const_cast<char*>(word.c_str())); // posix_spawn does not write to them.
    words.push_back(nullptr);
    pid_t pid = 0;
    const int bad = ::posix_spawnp(&pid, words[0], &actions, nullptr, words.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (bad != 0)
        return std::unexpected(os_error(bad, argv[0]));
    writer = Fd();
    ProcessResult result{.output = read_all(reader.get())};
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return std::unexpected(os_error(errno, "waitpid"));
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

std::optional<std::filesystem::path> find_in_path(const std::vector<std::string>& names) {
    const std::string path = environment("PATH");
    for (const std::string& name : names) {
        if (name.find('/') != std::string::npos) {
            if (::access(name.c_str(), X_OK) == 0)
                return name;
            continue;
        }
        for (std::size_t at = 0; at <= path.size();) {
            const std::size_t end = std::min(path.find(':', at), path.size());
            auto candidate = std::filesystem::path(path.substr(at, end - at)) / name;
            if (::access(candidate.c_str(), X_OK) == 0)
                return candidate;
            at = end + 1;
        }
    }
    return std::nullopt;
}

Result<std::filesystem::path> cache_folder() {
    std::filesystem::path base = environment("XDG_CACHE_HOME");
    if (!base.is_absolute()) {
        const std::string home = environment("HOME");
        base = home.empty() ? std::filesystem::path() : std::filesystem::path(home) / ".cache";
    }
    std::error_code failed;
    if (!base.empty())
        std::filesystem::create_directories(base, failed);
    std::filesystem::path folder = base / "skep";
    if (base.empty() || failed || ::access(base.c_str(), W_OK) != 0)
        folder = fmt::format("/tmp/skep-{}", ::getuid());
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        return std::unexpected(os_error(errno, folder.string()));
    // In /tmp someone else may have made it first, with headers of theirs inside.
    struct stat found{};
    if (::lstat(folder.c_str(), &found) != 0)
        return std::unexpected(os_error(errno, folder.string()));
    if (!S_ISDIR(found.st_mode) || found.st_uid != ::getuid())
        return fail(ErrorCode::Permission, "the cache folder belongs to somebody else",
                    {.file = folder.string()}, "set XDG_CACHE_HOME to a folder of your own");
    return folder;
}

Result<void> write_whole(const std::filesystem::path& path, std::string_view text) {
    const std::filesystem::path temporary = fmt::format("{}.{}", path.string(), ::getpid());
    SKEP_TRY(write_file(temporary, as_bytes(text)));
    if (::rename(temporary.c_str(), path.c_str()) != 0)
        return std::unexpected(os_error(errno, path.string()));
    return {};
}

std::string content_hash(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text)
        hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
    return fmt::format("{:016x}", hash);
}

} // namespace skep::tool
