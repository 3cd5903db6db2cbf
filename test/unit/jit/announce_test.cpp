// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/jit/announce.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <elf.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <vector>

#include "announce/gdb.hpp"
#include "announce/perf_map.hpp"
#include "sample_code.hpp"
#include "skep/base/bytes.hpp"
#include "skep/base/file.hpp"

namespace skep::jit {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::SizeIs;

Announcement tell(const Announce& how, std::span<const std::byte> code = sample::code()) {
    return announce(sample::program(), code, sample::lines(), sample::functions(), how,
                    sample::unwind());
}

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string hex(std::uint64_t value) {
    std::ostringstream text;
    text << std::hex << value;
    return text.str();
}

std::uint64_t address(const void* where) {
    return reinterpret_cast<std::uintptr_t>(where);
}

/// Runs `check` in a child process, which has files of its own; true if it says so.
template <class Check>
bool in_child(const Check& check) {
    const pid_t child = fork();
    if (child == 0)
        _exit(check() && !testing::Test::HasFailure() ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    return status == 0;
}

std::string map_path() {
    return "/tmp/perf-" + std::to_string(getpid()) + ".map";
}

/// Lines of the perf map that announce() writes.
std::string map_lines() {
    const std::uint64_t at = address(sample::code().data());
    return hex(at) + " " + hex(sample::kMainSize) + " skep:count_packets\n" + //
           hex(at + sample::kHash) + " " + hex(sample::kHashSize) + " skep:count_packets.hash\n" +
           hex(at + sample::kSpin) + " " + hex(sample::kSpinSize) + " skep:count_packets.spin\n";
}

struct TempDir {
    std::string path;
    TempDir() {
        char name[] = "/tmp/skep-announce-XXXXXX";
        path = mkdtemp(name);
    }
    ~TempDir() { std::filesystem::remove_all(path); }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
};

// --- Nobody, and the perf map ---

TEST(announce, tells_nobody_unless_asked) {
    const Announcement told = tell({});
    EXPECT_THAT(told.errors(), IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(map_path()));
    EXPECT_EQ(__jit_debug_descriptor.first_entry, nullptr);
}

TEST(announce, needs_own_pages_for_maps_and_debuggers) {
    EXPECT_FALSE(needs_own_pages({.jitdump = true}));
    EXPECT_TRUE(needs_own_pages({.perf_map = true}));
    EXPECT_TRUE(needs_own_pages({.gdb = true}));
}

TEST(perf_map, has_a_line_for_each_function) {
    EXPECT_TRUE(in_child([] {
        const Announcement told = tell({.perf_map = true});
        EXPECT_THAT(told.errors(), IsEmpty());
        EXPECT_EQ(contents(map_path()), map_lines());
        tell({.perf_map = true});
        EXPECT_EQ(contents(map_path()), map_lines() + map_lines());
        return unlink(map_path().c_str()) == 0;
    }));
}

TEST(perf_map, keeps_lines_of_others_in_this_process) {
    EXPECT_TRUE(in_child([] {
        std::ofstream(map_path()) << "1000 10 of another compiler\n";
        tell({.perf_map = true});
        EXPECT_EQ(contents(map_path()), "1000 10 of another compiler\n" + map_lines());
        return unlink(map_path().c_str()) == 0;
    }));
}

TEST(perf_map, drops_lines_of_an_earlier_process) {
    EXPECT_TRUE(in_child([] {
        std::ofstream(map_path()) << "1000 10 of another process\n";
        // This process is younger: it has just been forked.
        std::filesystem::last_write_time(map_path(), std::filesystem::file_time_type::clock::now() -
                                                         std::chrono::seconds(5));
        tell({.perf_map = true});
        EXPECT_EQ(contents(map_path()), map_lines());
        return unlink(map_path().c_str()) == 0;
    }));
}

TEST(perf_map, follows_no_link) {
    EXPECT_TRUE(in_child([] {
        const TempDir dir;
        const std::string victim = dir.path + "/victim";
        std::ofstream(victim) << "precious";
        std::filesystem::create_symlink(victim, map_path());
        const Announcement told = tell({.perf_map = true});
        EXPECT_THAT(told.errors(), SizeIs(1));
        EXPECT_EQ(told.errors().at(0).to_string(),
                  map_path() + ": cannot open: Too many levels of symbolic links");
        EXPECT_EQ(contents(victim), "precious");
        return unlink(map_path().c_str()) == 0;
    }));
}

TEST(perf_map, is_refused_if_it_is_no_file_of_ours) {
    EXPECT_TRUE(in_child([] {
        EXPECT_EQ(mkfifo(map_path().c_str(), 0600), 0);
        const int reader = open(map_path().c_str(), O_RDONLY | O_NONBLOCK);
        const Announcement told = tell({.perf_map = true});
        EXPECT_THAT(told.errors(), SizeIs(1));
        EXPECT_EQ(told.errors().at(0).to_string(), map_path() + ": is not a file of ours");
        close(reader);
        return unlink(map_path().c_str()) == 0;
    }));
}

TEST(perf_map, has_names_on_one_line) {
    EXPECT_EQ(profiled_name({.name = "a\nb c"}), "skep:a?b c");
}

TEST(perf_map, is_shared_by_threads) {
    EXPECT_TRUE(in_child([] {
        std::vector<std::thread> threads;
        for (int i = 0; i != 4; ++i) {
            threads.emplace_back([] {
                for (int n = 0; n != 50; ++n)
                    tell({.perf_map = true});
            });
        }
        for (std::thread& thread : threads)
            thread.join();
        std::string expected;
        for (int i = 0; i != 200; ++i)
            expected += map_lines();
        EXPECT_EQ(contents(map_path()), expected);
        return unlink(map_path().c_str()) == 0;
    }));
}

// --- jitdump ---

struct DumpHeader {
    std::uint32_t magic, version, size, machine, pad, pid;
    std::uint64_t time, flags;
};

struct DumpLine {
    std::uint64_t offset;
    std::uint32_t line;
    std::string file;
    bool operator==(const DumpLine&) const = default;
};

struct DumpRecord {
    std::uint32_t kind = 0;
    std::uint64_t time = 0;
    std::uint64_t address = 0; ///< relative to the sample's code
    std::uint64_t index = 0;   ///< CODE_LOAD
    std::string name;          ///< CODE_LOAD
    std::vector<std::byte> code;
    std::vector<DumpLine> lines; ///< DEBUG_INFO
};

struct Dump {
    DumpHeader header{};
    std::vector<DumpRecord> records;
};

std::string read_text(ByteReader& in) {
    std::string text;
    for (char c = in.read<char>().value(); c != 0; c = in.read<char>().value())
        text += c;
    return text;
}

DumpRecord read_record(ByteReader& in, std::uint32_t pid) {
    const std::size_t begin = in.offset();
    const std::uint64_t base = address(sample::code().data());
    DumpRecord record{.kind = in.read<std::uint32_t>().value()};
    const auto size = in.read<std::uint32_t>().value();
    record.time = in.read<std::uint64_t>().value();
    if (record.kind == 0) {
        EXPECT_EQ(in.read<std::uint32_t>().value(), pid);
        EXPECT_NE(in.read<std::uint32_t>().value(), 0U); // thread
        record.address = in.read<std::uint64_t>().value() - base;
        EXPECT_EQ(in.read<std::uint64_t>().value() - base, record.address);
        const auto bytes = in.read<std::uint64_t>().value();
        record.index = in.read<std::uint64_t>().value();
        record.name = read_text(in);
        const Bytes code = in.take(bytes).value();
        record.code.assign(code.begin(), code.end());
    } else if (record.kind == 2) {
        record.address = in.read<std::uint64_t>().value() - base;
        const auto count = in.read<std::uint64_t>().value();
        for (std::uint64_t i = 0; i != count; ++i) {
            DumpLine line{};
            line.offset = in.read<std::uint64_t>().value() - base;
            line.line = in.read<std::uint32_t>().value();
            EXPECT_EQ(in.read<std::uint32_t>().value(), 0U);
            line.file = read_text(in);
            record.lines.push_back(line);
        }
    }
    EXPECT_EQ(in.offset(), begin + size);
    return record;
}

Dump read_dump(const std::string& path) {
    const auto bytes = read_file(path).value();
    ByteReader in(bytes);
    Dump dump{.header = load<DumpHeader>(in.take(sizeof(DumpHeader)).value().data())};
    while (!in.at_end())
        dump.records.push_back(read_record(in, dump.header.pid));
    return dump;
}

std::string dump_path(const std::string& directory) {
    return directory + "/jit-" + std::to_string(getpid()) + ".dump";
}

TEST(jitdump, has_code_and_lines) {
    const TempDir dir;
    const Announcement told = tell({.jitdump = true, .directory = dir.path});
    EXPECT_THAT(told.errors(), IsEmpty());
    const Dump dump = read_dump(dump_path(dir.path));
    EXPECT_EQ(dump.header.magic, 0x4A695444U);
    EXPECT_EQ(dump.header.version, 1U);
    EXPECT_EQ(dump.header.size, sizeof(DumpHeader));
    EXPECT_THAT(dump.header.machine, testing::AnyOf(EM_X86_64, EM_AARCH64));
    EXPECT_EQ(dump.header.pid, static_cast<std::uint32_t>(getpid()));
    ASSERT_THAT(dump.records, SizeIs(6)); // The lines come before the code.
    const std::string file(sample::kFile);
    EXPECT_EQ(dump.records[0].kind, 2U);
    EXPECT_EQ(dump.records[0].address, 0U);
    EXPECT_THAT(dump.records[0].lines,
                ElementsAre(DumpLine{0, 15, file}, DumpLine{sample::kCall, 16, file},
                            DumpLine{sample::kMainSize, 16, file}));
    EXPECT_THAT(dump.records[2].lines,
                ElementsAre(DumpLine{sample::kHash, 5, file},
                            DumpLine{sample::kHash + sample::kHashSize, 5, file}));
    for (std::size_t i = 0; i != 3; ++i) {
        const DumpRecord& load = dump.records[2 * i + 1];
        const NativeFunction function = sample::functions()[i];
        EXPECT_EQ(load.kind, 0U);
        EXPECT_EQ(load.index, i);
        EXPECT_EQ(load.address, function.offset);
        EXPECT_EQ(load.name, "skep:" + function.name);
        EXPECT_TRUE(
            std::ranges::equal(load.code, sample::code().subspan(function.offset, function.size)));
        EXPECT_GE(load.time, dump.header.time);
    }
}

TEST(jitdump, numbers_functions_and_keeps_time) {
    const TempDir dir;
    for (int i = 0; i != 3; ++i)
        tell({.jitdump = true, .directory = dir.path});
    const Dump dump = read_dump(dump_path(dir.path));
    std::uint64_t time = dump.header.time;
    std::uint64_t index = 0;
    for (const DumpRecord& record : dump.records) {
        EXPECT_GE(record.time, time);
        time = record.time;
        if (record.kind == 0) {
            EXPECT_EQ(record.index, index++);
        }
    }
    EXPECT_EQ(index, 9U);
}

TEST(jitdump, gives_a_function_the_line_that_reaches_into_it) {
    const TempDir dir;
    const std::vector<NativeLine> lines{{0, 0}, {sample::kSpinEnd, 21}};
    const Announcement told =
        announce(sample::program(), sample::code(), lines, sample::functions(),
                 {.jitdump = true, .directory = dir.path});
    const Dump dump = read_dump(dump_path(dir.path));
    ASSERT_THAT(dump.records, SizeIs(6));
    const std::string file(sample::kFile);
    EXPECT_THAT(dump.records[4].lines,
                ElementsAre(DumpLine{sample::kSpin, 15, file}, DumpLine{sample::kSpinEnd, 11, file},
                            DumpLine{sample::kSpin + sample::kSpinSize, 11, file}));
}

TEST(jitdump, does_without_lines) {
    const TempDir dir;
    const Announcement told =
        announce(Program{}, sample::code(), sample::lines(), sample::functions(),
                 {.jitdump = true, .directory = dir.path});
    const Dump dump = read_dump(dump_path(dir.path));
    ASSERT_THAT(dump.records, SizeIs(3));
    for (const DumpRecord& record : dump.records)
        EXPECT_EQ(record.kind, 0U);
}

TEST(jitdump, is_mapped_so_that_perf_sees_it) {
    const TempDir dir;
    const Announcement told = tell({.jitdump = true, .directory = dir.path});
    std::istringstream maps(contents("/proc/self/maps"));
    bool found = false;
    for (std::string line; std::getline(maps, line);)
        found |= line.find(" r-xp ") != std::string::npos && line.ends_with(dump_path(dir.path));
    EXPECT_TRUE(found);
}

TEST(jitdump, goes_where_perf_expects_it) {
    EXPECT_TRUE(in_child([] {
        const TempDir dir;
        setenv("JITDUMPDIR", dir.path.c_str(), 1); // NOLINT: one thread
        EXPECT_THAT(tell({.jitdump = true}).errors(), IsEmpty());
        std::vector<std::string> files;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(dir.path)) {
            if (entry.is_regular_file())
                files.push_back(entry.path());
        }
        EXPECT_THAT(files, ElementsAre(MatchesRegex(
                               dir.path + "/\\.debug/jit/skep-jit-[0-9]*\\.[a-zA-Z0-9]*/jit-" +
                               std::to_string(getpid()) + "\\.dump")));
        return true;
    }));
}

TEST(jitdump, says_why_it_cannot_be_written) {
    const Announcement told = tell({.jitdump = true, .directory = "/dev/null/x"});
    ASSERT_THAT(told.errors(), SizeIs(1));
    EXPECT_EQ(told.errors()[0].to_string(), "/dev/null/x: cannot make directory: Not a directory");
}

TEST(jitdump, has_a_file_for_each_process) {
    const TempDir dir;
    tell({.jitdump = true, .directory = dir.path});
    EXPECT_TRUE(in_child([&dir] {
        tell({.jitdump = true, .directory = dir.path});
        EXPECT_THAT(read_dump(dump_path(dir.path)).records, SizeIs(6));
        return true;
    }));
    EXPECT_THAT(read_dump(dump_path(dir.path)).records, SizeIs(6));
}

// --- GDB's interface ---

std::vector<const jit_code_entry*> registered() {
    std::vector<const jit_code_entry*> all;
    const jit_code_entry* before = nullptr;
    for (const jit_code_entry* entry = __jit_debug_descriptor.first_entry; entry != nullptr;
         entry = entry->next_entry) {
        EXPECT_EQ(entry->prev_entry, before);
        all.push_back(before = entry);
    }
    return all;
}

TEST(gdb_interface, has_an_object_while_the_announcement_lives) {
    EXPECT_EQ(__jit_debug_descriptor.version, 1U);
    {
        const Announcement told = tell({.gdb = true});
        EXPECT_THAT(told.errors(), IsEmpty());
        ASSERT_THAT(registered(), SizeIs(1));
        const jit_code_entry* entry = registered()[0];
        ASSERT_GT(entry->symfile_size, std::uint64_t{sizeof(Elf64_Ehdr)});
        EXPECT_EQ(std::string_view(entry->symfile_addr, 4), ELFMAG);
    }
    EXPECT_THAT(registered(), IsEmpty());
}

TEST(gdb_interface, unregisters_in_any_order) {
    std::vector<Announcement> told;
    for (int i = 0; i != 4; ++i)
        told.push_back(tell({.gdb = true}));
    for (const std::size_t which : {2, 0, 3, 1}) {
        const std::size_t before = registered().size();
        told[which] = Announcement();
        EXPECT_EQ(registered().size(), before - 1);
    }
}

TEST(gdb_interface, is_shared_by_threads) {
    std::vector<std::thread> threads;
    for (int i = 0; i != 4; ++i) {
        threads.emplace_back([] {
            std::vector<Announcement> held(5);
            for (std::size_t n = 0; n != 200; ++n)
                held[n % held.size()] = tell({.gdb = true});
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_THAT(registered(), IsEmpty());
}

// --- The tools themselves ---

struct Ran {
    int status = -1;
    std::string output;
};

Ran run(const std::string& command) {
    Ran ran;
    FILE* pipe = popen(("timeout 60 " + command + " 2>&1").c_str(), "r"); // NOLINT: for a shell
    if (pipe == nullptr)
        return ran;
    char buffer[4096];
    for (std::size_t got = 0; (got = fread(buffer, 1, sizeof buffer, pipe)) != 0;)
        ran.output.append(buffer, got);
    ran.status = pclose(pipe);
    return ran;
}

const std::string kTarget = SKEP_BINARY_DIR "/bin/jit_announce_target"; // NOLINT: cannot throw

/// Why perf cannot be used here; empty if it can.
std::string why_no_perf(const std::string& directory) {
    const Ran ran = run("perf record -e cpu-clock:u -o " + directory + "/try.data true");
    return ran.status == 0 ? "" : "needs perf, and the permission to record: " + ran.output;
}

TEST(tools, perf_names_functions_by_the_map) {
    const TempDir dir;
    if (const std::string why = why_no_perf(dir.path); !why.empty())
        GTEST_SKIP() << why;
    const std::string data = dir.path + "/perf.data";
    const Ran recorded = run("perf record -e cpu-clock:u -o " + data + " " + kTarget + " perf-map");
    ASSERT_EQ(recorded.status, 0) << recorded.output;
    const Ran report = run("perf report --stdio -i " + data);
    EXPECT_THAT(report.output, HasSubstr("skep:count_packets.spin"));
    const std::string_view said = "process ";
    const std::size_t at = recorded.output.find(said);
    ASSERT_NE(at, std::string::npos) << recorded.output;
    const int pid = std::atoi(recorded.output.c_str() + at + said.size()); // NOLINT: as printed
    EXPECT_TRUE(std::filesystem::remove("/tmp/perf-" + std::to_string(pid) + ".map"));
}

TEST(tools, perf_names_functions_and_lines_by_jitdump) {
    const TempDir dir;
    if (const std::string why = why_no_perf(dir.path); !why.empty())
        GTEST_SKIP() << why;
    const std::string data = dir.path + "/perf.data";
    const std::string joined = dir.path + "/joined.data";
    const Ran recorded = run("perf record -k mono -e cpu-clock:u -o " + data + " " + kTarget +
                             " jitdump " + dir.path);
    ASSERT_EQ(recorded.status, 0) << recorded.output;
    const Ran injected = run("perf inject --jit -i " + data + " -o " + joined);
    ASSERT_EQ(injected.status, 0) << injected.output;
    EXPECT_THAT(run("perf report --stdio -i " + joined).output,
                HasSubstr("skep:count_packets.spin"));
    EXPECT_THAT(run("perf report --stdio -s srcline -i " + joined).output,
                HasSubstr("sample.bpf.c:9"));
}

TEST(tools, gdb_knows_functions_lines_and_frames) {
    if (run("gdb --version").status != 0)
        GTEST_SKIP() << "needs gdb";
    const Ran ran = run("env ASAN_OPTIONS=detect_leaks=0 DEBUGINFOD_URLS= gdb -nx -batch"
                        " -ex 'set breakpoint pending on' -ex 'break count_packets.hash'"
                        " -ex 'break after_release' -ex 'run gdb' -ex 'backtrace' -ex 'continue'"
                        " -ex 'info functions count_packets' -ex 'kill' " +
                        kTarget);
    if (ran.output.find("ptrace: Operation not permitted") != std::string::npos)
        GTEST_SKIP() << "needs the permission to trace";
    const std::string file(sample::kFile);
    EXPECT_THAT(ran.output,
                AllOf(HasSubstr("Breakpoint 1, count_packets.hash () at " + file + ":5"),
                      HasSubstr("#0  count_packets.hash () at " + file + ":5"),
                      HasSubstr(" in count_packets () at " + file + ":16"), HasSubstr(" in call"),
                      HasSubstr(" in main (")));
    // Once it is unregistered, nothing is known any more.
    const std::size_t released = ran.output.find("Breakpoint 2, ");
    ASSERT_NE(released, std::string::npos) << ran.output;
    EXPECT_THAT(ran.output.substr(released), Not(HasSubstr("void count_packets")));
}

TEST(tools, gdb_leaves_a_function_from_each_instruction) {
    if (run("gdb --version").status != 0)
        GTEST_SKIP() << "needs gdb";
    std::string steps;
    const int instructions = 12; // From count_packets to its return, through hash.
    for (int i = 0; i != instructions; ++i)
        steps += " -ex backtrace -ex stepi";
    const Ran ran = run("env ASAN_OPTIONS=detect_leaks=0 DEBUGINFOD_URLS= gdb -nx -batch"
                        " -ex 'set breakpoint pending on' -ex 'break count_packets' -ex 'run gdb'" +
                        steps + " -ex kill " + kTarget);
    if (ran.output.find("ptrace: Operation not permitted") != std::string::npos)
        GTEST_SKIP() << "needs the permission to trace";
    int complete = 0;
    for (std::size_t at = 0; (at = ran.output.find(" in main (", at)) != std::string::npos; ++at)
        ++complete;
    EXPECT_EQ(complete, instructions) << ran.output;
}

} // namespace
} // namespace skep::jit
