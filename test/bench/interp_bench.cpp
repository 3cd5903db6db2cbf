// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The interpreter beside the kernel's JIT: the same bytecode, the same packet, contenders
// interleaved, medians of the rounds, the harness's own cost (an empty program) subtracted.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "kernel_bpf.hpp"
#include "kernel_object.hpp"
#include "skep/base/file.hpp"
#include "skep/object/object.hpp"
#include "skep/runtime/input.hpp"
#include "skep/runtime/runtime.hpp"

namespace {

using namespace skep;
using Clock = std::chrono::steady_clock;

constexpr int kRounds = 7;
constexpr std::size_t kFrame = 1024;
constexpr double kRoundSeconds = 0.02;

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "interp_bench: %s\n", what.c_str());
    std::exit(1);
}

template <class T>
T need(Result<T> result, const std::string& what) {
    if (!result)
        die(what + ": " + result.error().to_string());
    return std::move(*result);
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

/// The element i of both maps, in every home.
void fill(auto&& set) {
    for (std::uint32_t key = 0; key < 700; ++key)
        set(key, std::uint64_t{key} * 3 + 1);
}

/// One engine's run of one program: `times` runs, the return value of the last, ns per run.
struct Sample {
    std::uint32_t retval = 0;
    double ns = 0;
};

Sample run_kernel(int fd, Bytes frame, std::uint32_t times) {
    test::kernel::TestRun run{.data_in = frame, .repeat = times};
    if (test::kernel::prog_test_run(fd, run) != 0)
        die("BPF_PROG_TEST_RUN failed");
    return {run.retval, static_cast<double>(run.duration_ns)};
}

Sample run_ours(const runtime::LoadedProgram& program, exec::Context& context,
                std::uint32_t times) {
    Sample sample;
    const auto start = Clock::now();
    for (std::uint32_t i = 0; i < times; ++i) {
        const runtime::RunResult result = program.run(context);
        if (result.trap)
            die(program.program().name + ": " + exec::describe(result.trap));
        sample.retval = result.retval;
    }
    sample.ns = std::chrono::duration<double, std::nano>(Clock::now() - start).count() / times;
    return sample;
}

struct Row {
    std::string name;
    std::array<double, 4> ns{}; ///< checked, unchecked, kernel, jit
};

std::unique_ptr<runtime::Runtime> load(const object::Object& object, runtime::Engine engine) {
    auto made = need(runtime::Runtime::load(object, {.engine = engine}), "load");
    for (const auto& map : made->maps())
        fill([&](std::uint32_t key, std::uint64_t value) {
            map->write(reinterpret_cast<const std::byte*>(&key),
                       reinterpret_cast<const std::byte*>(&value), 0);
        });
    return made;
}

Row measure(const std::string& name, runtime::Runtime& checked, runtime::Runtime& unchecked,
            runtime::Runtime& jit, int fd, Bytes frame) {
    const auto program =
        std::array{need(checked.program(name), name), need(unchecked.program(name), name),
                   need(jit.program(name), name)};
    exec::Context context(**runtime::context_of(spec::ProgramType::Xdp));
    const runtime::PacketInput input(context.layout(), {});
    (void)input.load(context, frame);
    const auto times = [](double ns) {
        return static_cast<std::uint32_t>(std::clamp(kRoundSeconds * 1e9 / ns, 10.0, 1e6));
    };
    const Sample first = run_ours(program[0], context, 10);
    const std::array counts{times(first.ns), times(run_ours(program[1], context, 10).ns),
                            times(run_kernel(fd, frame, 100).ns + 1),
                            times(run_ours(program[2], context, 10).ns)};
    std::array<std::vector<double>, 4> samples;
    for (int round = 0; round < kRounds; ++round) {
        const std::array results{
            run_ours(program[0], context, counts[0]), run_ours(program[1], context, counts[1]),
            run_kernel(fd, frame, counts[2]), run_ours(program[2], context, counts[3])};
        for (std::size_t i = 0; i < results.size(); ++i) {
            if (results[i].retval != results[2].retval)
                die(name + ": the engines disagree");
            samples[i].push_back(results[i].ns);
        }
    }
    return {name, {median(samples[0]), median(samples[1]), median(samples[2]), median(samples[3])}};
}

} // namespace

int main(int argc, char** argv) {
    const std::string json = argc > 2 && std::string(argv[1]) == "--json" ? argv[2] : "";
    std::string why;
    if (!test::kernel::available(&why)) {
        std::printf("interp_bench: skipped: %s\n", why.c_str());
        return 77;
    }
    const object::Object object = need(object::open_file(SKEP_BENCH_OBJECT), "open");
    std::vector<std::string> names;
    for (const auto& program : object.programs)
        names.push_back(program->name);
    const auto kernel = need(test::kernel::Loaded::load(object, names), "load");
    for (std::size_t i = 0; i < object.maps.size(); ++i)
        fill([&](std::uint32_t key, std::uint64_t value) {
            test::kernel::map_update(kernel.map(i), &key, &value);
        });
    const auto checked = load(object, runtime::Engine::Checked);
    const auto unchecked = load(object, runtime::Engine::Unchecked);
    const auto jit = load(object, runtime::Engine::Jit);
    const std::vector<std::byte> frame(kFrame, std::byte{0x5a});
    std::vector<Row> rows;
    for (const auto& program : object.programs) {
        rows.push_back(measure(program->name, *checked, *unchecked, *jit,
                               kernel.program(program->name), frame));
    }
    const auto floor = std::ranges::find(rows, "empty", &Row::name)->ns;
    std::printf("%-16s %12s %12s %12s %10s %10s\n", "program", "checked ns", "unchecked ns",
                "kernel ns", "checked/k", "unchecked/k");
    std::array<double, 3> logs{};
    int count = 0;
    std::ofstream out(json);
    out << "{\"programs\": {";
    for (const Row& row : rows) {
        out << (&row == rows.data() ? "" : ", ") << "\"" << row.name
            << "\": {\"checked\": " << row.ns[0] << ", \"interp\": " << row.ns[1]
            << ", \"kernel\": " << row.ns[2] << "}";
        if (row.name == "empty") {
            std::printf("%-16s %12.1f %12.1f %12.1f   (the floor)\n", "empty", row.ns[0], row.ns[1],
                        row.ns[2]);
            continue;
        }
        // A kernel time within 1 ns of its floor would make any ratio.
        const double base = std::max(1.0, row.ns[2] - floor[2]);
        const std::array ratios{(row.ns[0] - floor[0]) / base, (row.ns[1] - floor[1]) / base,
                                (row.ns[3] - floor[3]) / base};
        std::printf("%-16s %12.1f %12.1f %12.1f %10.2f %10.2f jit %10.1f %6.2f\n", row.name.c_str(),
                    row.ns[0], row.ns[1], row.ns[2], ratios[0], ratios[1], row.ns[3], ratios[2]);
        logs[2] += std::log(ratios[2]);
        logs[0] += std::log(ratios[0]);
        logs[1] += std::log(ratios[1]);
        ++count;
    }
    const std::array means{std::exp(logs[0] / count), std::exp(logs[1] / count)};
    out << "}, \"geomean\": {\"checked\": " << means[0] << ", \"interp\": " << means[1] << "}}\n";
    std::printf("jit %.3f\n", std::exp(logs[2] / count));
    std::printf("geometric mean over %d programs, floor subtracted: checked %.2f, unchecked %.2f "
                "of the kernel's JIT\n",
                count, means[0], means[1]);
    return 0;
}
