// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// verify_bench OBJECT...: microseconds to verify each program, beside what the kernel reports of
// its own verifier ("verification time") for the same object in the same run; medians of several
// rounds, interleaved. Programs that only one of the two accepts are counted, not compared. Needs
// bpf(2). Exit: 77 where the kernel loads nothing.
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fmt/core.h>
#include <map>
#include <sys/resource.h>
#include <vector>

#include "skep/base/file.hpp"
#include "skep/btf/btf.hpp"
#include "skep/object/object.hpp"
#include "skep/runtime/verify.hpp"

namespace {

using namespace skep;

constexpr int kRounds = 5;

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

/// Loads one program of the object; the kernel's log ends with what it took.
void load_in_kernel(const std::string& path, const std::string& program, Cost& cost) {
    std::vector<char> log(1 << 16);
    bpf_object* object = bpf_object__open_file(path.c_str(), nullptr);
    if (object == nullptr)
        return;
    bpf_program* one = nullptr;
    bpf_object__for_each_program(one, object)
        bpf_program__set_autoload(one, program == bpf_program__name(one));
    bpf_program* wanted = bpf_object__find_program_by_name(object, program.c_str());
    if (wanted != nullptr) {
        bpf_program__set_log_level(wanted, 4);
        bpf_program__set_log_buf(wanted, log.data(), log.size());
        cost.accepted = bpf_object__load(object) == 0;
        long long time = 0;
        unsigned long long visited = 0;
        if (const char* at = std::strstr(log.data(), "verification time "))
            std::sscanf(at, "verification time %lld", &time);
        if (const char* at = std::strstr(log.data(), "processed "))
            std::sscanf(at, "processed %llu", &visited);
        if (cost.accepted)
            cost.times.push_back(static_cast<double>(time));
        cost.visited = visited;
    }
    bpf_object__close(object);
}

void verify_here(const Program& program, const object::Object& object, Cost& cost) {
    const auto maps = runtime::map_views(object);
    const auto start = std::chrono::steady_clock::now();
    const verifier::Report report = verifier::verify(program, maps);
    const double spent =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
    cost.accepted = report.outcome == verifier::Outcome::Accepted;
    if (cost.accepted)
        cost.times.push_back(spent);
    cost.visited = report.statistics.visited;
}

double quantile(std::vector<double> values, double q) {
    if (values.empty())
        return 0;
    std::ranges::sort(values);
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

} // namespace

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
            load_in_kernel(argv[i], program->name, row.kernel);
            verify_here(*program, *object, row.ours);
            only_kernel += row.kernel.accepted && !row.ours.accepted ? 1 : 0;
            only_ours += row.ours.accepted && !row.kernel.accepted ? 1 : 0;
            if (!row.kernel.accepted || !row.ours.accepted)
                continue;
            for (int round = 1; round < kRounds; ++round) {
                load_in_kernel(argv[i], program->name, row.kernel);
                verify_here(*program, *object, row.ours);
            }
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
