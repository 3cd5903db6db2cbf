// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "jitdump.hpp"

// The format: tools/perf/Documentation/jitdump-specification.txt of Linux, version 1. A file begins
// with a header; each record begins with its kind, size and time (CLOCK_MONOTONIC: record with
// `perf record -k mono`). Lines of a function come before its code. perf finds the file because the
// process maps a page of it as executable; nothing ever runs there.

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <elf.h>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <mutex>
#include <new>
#include <string_view>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "perf_map.hpp"
#include "skep/base/file.hpp"
#include "writer.hpp"

namespace skep::jit {
namespace {

constexpr std::uint32_t kMagic = 0x4A695444;
constexpr std::uint32_t kVersion = 1;
enum Record : std::uint32_t { CodeLoad = 0, CodeDebugInfo = 2 };

#ifdef __aarch64__
constexpr std::uint32_t kMachine = EM_AARCH64;
#else
constexpr std::uint32_t kMachine = EM_X86_64;
#endif

std::uint64_t monotonic() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(time.tv_nsec);
}

/// A record whose size is known when its fields are written.
void put_record(Writer& out, Record kind, std::uint64_t time, Bytes fields) {
    out.put<std::uint32_t>(kind);
    out.put(static_cast<std::uint32_t>(16 + fields.size()));
    out.put(time);
    out.bytes(fields);
}

void put_lines(Writer& out, const Described& what, const NativeFunction& function,
               std::uint64_t time) {
    const std::uint32_t end = function.offset + function.size;
    const auto after = [&what](std::uint32_t offset) {
        return std::ranges::upper_bound(what.lines, offset, {}, &SourceLine::offset);
    };
    auto first = after(function.offset);
    if (first != what.lines.begin())
        --first; // It holds at the function's first byte.
    Writer entries;
    std::uint64_t count = 0;
    const auto put = [&](std::uint32_t offset, const SourceLine& line) {
        entries.put(what.address() + offset);
        entries.put(line.line);
        entries.put<std::uint32_t>(0); // discriminator
        entries.text(line.file);
        ++count;
    };
    const SourceLine* last = nullptr;
    for (auto line = first; line != what.lines.end() && line->offset < end; ++line) {
        if (line->line == 0)
            continue; // The format has no word for it.
        put(std::max(line->offset, function.offset), *line);
        last = &*line;
    }
    if (last != nullptr)
        put(end, *last); // To perf a line reaches up to the next, and no further.
    if (count == 0)
        return;
    Writer fields;
    fields.put(what.address() + function.offset);
    fields.put(count);
    fields.bytes(entries.view());
    put_record(out, CodeDebugInfo, time, fields.view());
}

void put_code(Writer& out, const Described& what, const NativeFunction& function,
              std::uint64_t time, std::uint64_t index) {
    const std::uint64_t address = what.address() + function.offset;
    Writer fields;
    fields.put(static_cast<std::uint32_t>(getpid()));
    fields.put(static_cast<std::uint32_t>(syscall(SYS_gettid)));
    fields.put(address); // vma
    fields.put(address);
    fields.put<std::uint64_t>(function.size);
    fields.put(index);
    fields.text(profiled_name(function));
    fields.bytes(what.code.subspan(function.offset, function.size));
    put_record(out, CodeLoad, time, fields.view());
}

/// A file that is open as long as the process lives.
struct Dump {
    std::string directory; ///< as asked for
    pid_t pid = 0;
    std::string path;
    Fd file;
    std::uint64_t functions = 0; ///< so many are in it; each has its own number
};

Error at(const std::string& path, Error error) {
    error.place.file = path;
    return error;
}

Result<std::string> make_directory(const std::string& wanted) {
    std::error_code failed;
    if (!wanted.empty()) {
        std::filesystem::create_directories(wanted, failed);
        if (failed)
            return std::unexpected(at(wanted, os_error(failed.value(), "cannot make directory")));
        return wanted;
    }
    const char* base = nullptr;
    for (const char* name : {"JITDUMPDIR", "HOME"}) {
        base = base == nullptr ? getenv(name) : base; // NOLINT: nothing here changes it
    }
    std::string path = std::string(base == nullptr ? "." : base) + "/.debug/jit";
    std::filesystem::create_directories(path, failed);
    if (failed)
        return std::unexpected(at(path, os_error(failed.value(), "cannot make directory")));
    const std::time_t now = std::time(nullptr);
    std::tm day{};
    localtime_r(&now, &day);
    char date[16];
    date[std::strftime(date, sizeof date, "%Y%m%d", &day)] = '\0';
    path += std::string("/skep-jit-") + date + ".XXXXXX";
    if (mkdtemp(path.data()) == nullptr)
        return std::unexpected(at(path, os_error(errno, "cannot make directory")));
    return path;
}

Result<void> write_all(const Dump& dump, Bytes bytes) {
    while (!bytes.empty()) {
        const ssize_t done = write(dump.file.get(), bytes.data(), bytes.size());
        if (done < 0 && errno != EINTR)
            return std::unexpected(at(dump.path, os_error(errno, "cannot write")));
        bytes = bytes.subspan(done < 0 ? 0 : static_cast<std::size_t>(done));
    }
    return {};
}

Result<Dump> create_dump(const std::string& directory) {
    Dump dump{.directory = directory, .pid = getpid()};
    dump.path = SKEP_TRY(make_directory(directory)) + "/jit-" + std::to_string(dump.pid) + ".dump";
    // A file of that name is of an earlier process. perf may still read it: it keeps its contents.
    unlink(dump.path.c_str());
    dump.file =
        Fd(open(dump.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!dump.file)
        return std::unexpected(at(dump.path, os_error(errno, "cannot create")));
    Writer header;
    header.put(kMagic);
    header.put(kVersion);
    header.put<std::uint32_t>(40); // its size
    header.put(kMachine);
    header.put<std::uint32_t>(0);
    header.put(static_cast<std::uint32_t>(dump.pid));
    header.put(monotonic());
    header.put<std::uint64_t>(0); // Flags: times are not the processor's.
    SKEP_TRY(write_all(dump, header.view()));
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    // Stays: perf also looks at the mappings of a process that runs already.
    if (mmap(nullptr, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, dump.file.get(), 0) == MAP_FAILED) {
        Error error = at(dump.path, os_error(errno, "cannot map"));
        error.hint = "perf finds only a dump that is mapped to be executed: name a directory that "
                     "is not mounted noexec";
        return std::unexpected(std::move(error));
    }
    return dump;
}

struct Dumps {
    std::mutex mutex;
    std::vector<Dump> all;

    Result<Dump*> find(const std::string& directory) {
        const auto found = std::ranges::find_if(all, [&directory](const Dump& dump) {
            return dump.directory == directory && dump.pid == getpid();
        });
        if (found != all.end())
            return &*found;
        all.push_back(SKEP_TRY(create_dump(directory)));
        return &all.back();
    }
};

// Never destroyed: code may be compiled after main() returns.
Dumps& dumps() {
    static auto* instance = new Dumps;
    return *instance;
}

} // namespace

Result<void> write_jitdump(const Described& what, const std::string& directory) {
    const std::lock_guard lock(dumps().mutex);
    Dump* dump = SKEP_TRY(dumps().find(directory));
    const std::uint64_t time = monotonic();
    Writer records;
    for (const NativeFunction& function : what.functions) {
        put_lines(records, what, function, time);
        put_code(records, what, function, time, dump->functions++);
    }
    return write_all(*dump, records.view());
}

} // namespace skep::jit
