// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// verify_bench OBJECT...: microseconds to verify each program, beside what the kernel reports of
// its own verifier ("verification time") for the same program in the same run; medians of several
// rounds, in turns. Programs that only one of the two accepts are counted, not compared. Needs
// bpf(2). Exit: 77 where the kernel loads nothing.
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <chrono>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <fmt/core.h>
#include <map>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "skep/base/file.hpp"
#include "skep/btf/btf.hpp"
#include "skep/object/object.hpp"
#include "skep/runtime/verify.hpp"

namespace {

using namespace skep;

constexpr int kRounds = 7;

struct Cost {
    std::vector<double> times; ///< microseconds
    std::uint64_t visited = 0;
    bool accepted = false;

    [[nodiscard]] double median() {
        if (times.empty())
            return 0;
        std::ranges::sort(times);
        return times[times.size() / 2];
    }
};

struct Row {
    std::string name;
    std::size_t insns = 0;
    Cost kernel, ours;
};

int silent(enum libbpf_print_level /*level*/, const char* /*format*/, va_list /*arguments*/) {
    return 0;
}

void verify_here(const Program& program, const std::vector<verifier::MapView>& maps, Cost& cost) {
    const auto start = std::chrono::steady_clock::now();
    const verifier::Report report = verifier::verify(program, maps);
    const double spent =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
    cost.accepted = report.outcome == verifier::Outcome::Accepted;
    if (cost.accepted)
        cost.times.push_back(spent);
    cost.visited = report.statistics.visited;
}

/// The function of the C library that libbpf calls, and that syscall() below stands in front of.
long real_syscall(long number, long a, void* b, unsigned c) {
    using Function = long(long, ...);
    static auto* const real = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, "syscall"));
    return real(number, a, b, c, 0L, 0L, 0L);
}

/// What the kernel is asked in turns with us: libbpf prepares the object once, and its
/// BPF_PROG_LOAD is repeated as it is, so that neither verifier runs in the wake of libbpf.
struct Turns {
    Row* row = nullptr;
    const Program* program = nullptr;
    const std::vector<verifier::MapView>* maps = nullptr;
} turns;

long in_turns(bpf_attr& attr, unsigned size) {
    static std::vector<char> log(1 << 16);
    attr.log_level = 4;
    attr.log_buf = reinterpret_cast<std::uintptr_t>(log.data());
    attr.log_size = static_cast<__u32>(log.size());
    Row& row = *turns.row;
    long last = -1;
    for (int round = 0; round < kRounds; ++round) {
        log[0] = '\0';
        const long fd = real_syscall(__NR_bpf, BPF_PROG_LOAD, &attr, size);
        row.kernel.accepted = fd >= 0;
        if (fd < 0)
            return fd;
        long long time = 0;
        unsigned long long visited = 0;
        if (const char* at = std::strstr(log.data(), "verification time "))
            std::sscanf(at, "verification time %lld", &time);
        if (const char* at = std::strstr(log.data(), "processed "))
            std::sscanf(at, "processed %llu", &visited);
        row.kernel.times.push_back(static_cast<double>(time));
        row.kernel.visited = visited;
        if (last >= 0)
            close(static_cast<int>(last));
        last = fd;
        verify_here(*turns.program, *turns.maps, row.ours);
    }
    return last;
}

void load_in_kernel(const std::string& path, const std::string& program) {
    bpf_object* object = bpf_object__open_file(path.c_str(), nullptr);
    if (object == nullptr)
        return;
    bpf_program* one = nullptr;
    bpf_object__for_each_program(one, object)
        bpf_program__set_autoload(one, program == bpf_program__name(one));
    bpf_object__load(object);
    bpf_object__close(object);
}

double quantile(std::vector<double> values, double q) {
    if (values.empty())
        return 0;
    std::ranges::sort(values);
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

} // namespace

// In front of the C library's, for libbpf: the load of the program that is being measured becomes
// many, and everything else goes on.
extern "C" long syscall(long number, ...) noexcept {
    va_list arguments;
    va_start(arguments, number);
    const long a = va_arg(arguments, long);
    void* const b = va_arg(arguments, void*);
    const auto c = va_arg(arguments, unsigned);
    va_end(arguments);
    // Not libbpf's trials of what the kernel can do: they have a few instructions of their own.
    if (number == __NR_bpf && a == BPF_PROG_LOAD && turns.row != nullptr) {
        bpf_attr attr{};
        std::memcpy(&attr, b, std::min<std::size_t>(c, sizeof attr));
        if (turns.program->name.starts_with(attr.prog_name) && attr.prog_name[0] != '\0')
            return in_turns(attr, std::min<unsigned>(c, sizeof attr));
    }
    return real_syscall(number, a, b, c);
}

int main(int argc, char** argv) {
    libbpf_set_print(silent);
    object::OpenOptions options;
    options.target_name = "the running kernel";
    if (const auto bytes = read_file("/sys/kernel/btf/vmlinux"))
        if (auto btf = skep::btf::Btf::parse(*bytes))
            options.target_btf = *std::move(btf);
    std::vector<Row> rows;
    std::size_t only_kernel = 0;
    std::size_t only_ours = 0;
    for (int i = 1; i < argc; ++i) {
        const auto bytes = read_file(argv[i]);
        if (!bytes)
            continue;
        const auto object = object::open(*bytes, options);
        if (!object)
            continue;
        for (const auto& program : object->programs) {
            Row row{.name = program->name, .insns = program->insns.size()};
            const auto maps = runtime::map_views(*object);
            verify_here(*program, maps, row.ours);
            turns = {&row, program.get(), &maps};
            load_in_kernel(argv[i], program->name);
            turns = {};
            only_kernel += row.kernel.accepted && !row.ours.accepted ? 1 : 0;
            only_ours += row.ours.accepted && !row.kernel.accepted ? 1 : 0;
            if (!row.kernel.accepted || !row.ours.accepted)
                continue;
            rows.push_back(std::move(row));
        }
    }
    if (rows.empty()) {
        fmt::print("the kernel loads none of the programs\n");
        return 77;
    }
    double kernel = 0;
    double ours = 0;
    double worst = 0;
    std::uint64_t visited = 0;
    std::vector<double> ratios;
    std::vector<double> revisits;
    std::size_t slower = 0;
    for (Row& row : rows) {
        const double theirs = row.kernel.median();
        const double mine = row.ours.median();
        kernel += theirs;
        ours += mine;
        worst = std::max(worst, mine);
        visited += row.ours.visited;
        ratios.push_back(mine / std::max(theirs, 1.0));
        revisits.push_back(static_cast<double>(row.ours.visited) / static_cast<double>(row.insns));
        slower += mine > 2 * theirs && mine > theirs + 100 ? 1 : 0;
        fmt::print("{:>8} insns {:>10.0f} us kernel ({:>8} visited) {:>10.0f} us skep ({:>8} "
                   "visited) {:>6.2f}  {}\n",
                   row.insns, theirs, row.kernel.visited, mine, row.ours.visited,
                   mine / std::max(theirs, 1.0), row.name);
    }
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    fmt::print("{} programs that both accept, {} only the kernel, {} only skep\n"
               "total: kernel {:.1f} ms, skep {:.1f} ms: {:.3f} of the kernel's time (goal 0.167)\n"
               "ratio by program: median {:.2f} (goal 0.5), 90% {:.2f}, 99% {:.2f}; {} slower than "
               "twice the "
               "kernel and by more than 0.1 ms\n"
               "longest: {:.1f} ms (goal 200); {:.0f} instructions visited per ms; visits per "
               "instruction: median "
               "{:.1f} (goal 3), 90% {:.1f}\n"
               "memory at most: {} MB\n",
               rows.size(), only_kernel, only_ours, kernel / 1000, ours / 1000, ours / kernel,
               quantile(ratios, 0.5), quantile(ratios, 0.9), quantile(ratios, 0.99), slower,
               worst / 1000, static_cast<double>(visited) * 1000 / ours, quantile(revisits, 0.5),
               quantile(revisits, 0.9), usage.ru_maxrss / 1024);
    return 0;
}
