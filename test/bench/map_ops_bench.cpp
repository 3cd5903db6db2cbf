// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Map operations from inside a program, ours and the kernel's, by one thread and by two at once;
// and how much more two threads get done than one: map_ops_bench --help.
//
// Each number is the time of a program that does many operations of one kind, without that of the
// same loop with none, by their number. Contenders take turns; medians of the rounds.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <barrier>
#include <cmath>
#include <cstring>
#include <fmt/core.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <pthread.h>
#include <thread>

#include "contender.hpp"
#include "kernel_bpf.hpp"
#include "must.hpp"
#include "skep/base/bytes.hpp"
#include "subject.hpp"
#include "suite/suite_data.h"

namespace {

using namespace skep;
using namespace skep::bench;

constexpr double kOperations = 128; ///< OPERATIONS of map_ops.bpf.c
constexpr int kSkipped = 77;
constexpr std::uint32_t kThreads = 2;
/// Records of ring_* take 24 bytes, and the ring has 512 KB.
constexpr std::uint32_t kRingRuns = 160;

struct Options {
    std::uint32_t rounds = 9;
    double sample_ns = 1e6;
    std::vector<std::string> only;
    std::string json;
    bool no_kernel = false;
};

struct Operation {
    std::string_view program;
    std::string_view map;
    double goal = 0; ///< ns with 1,024 elements, one thread; 0: none is set
};

constexpr std::array kOperationsTable{
    Operation{"array_lookup", "array", 1},
    Operation{"array_update", "array"},
    Operation{"hash_lookup", "hash", 9},
    Operation{"hash_miss", "hash"},
    Operation{"hash_update", "hash", 15},
    Operation{"hash_delete_insert", "hash"},
    Operation{"percpu_array_lookup", "percpu_array", 1},
    Operation{"percpu_array_count", "percpu_array"},
    Operation{"percpu_hash_lookup", "percpu_hash", 9},
    Operation{"percpu_hash_update", "percpu_hash", 15},
    Operation{"lru_lookup", "lru"},
    Operation{"lru_update", "lru"},
    Operation{"trie_lookup", "trie", 20},
    Operation{"ring_reserve_submit", "ring", 15},
    Operation{"ring_output", "ring"},
};

// --- what is measured ---

/// The key of element i, as the program makes it.
std::vector<std::byte> key_of(const spec::MapDef& def, std::uint32_t i) {
    if (def.kind == spec::MapKind::LpmTrie) {
        const std::uint32_t prefix = 16 + i % 17;
        return bytes_of(lpm_key{prefix, to_big(i * 2654435761U)});
    }
    return def.key_size == 4 ? bytes_of(i) : bytes_of(std::uint64_t{i});
}

Subject subject_of(std::string_view program, std::string_view map, std::uint32_t entries) {
    Subject subject{.entry = {.name = program, .kind = Kind::Map},
                    .object = need(object::open_file(SKEP_MAP_OPS_OBJECT), "open"),
                    .elements = {}};
    if (const auto set = subject.object.set_global_integer("mask", entries - 1); !set)
        die(set.error().to_string());
    const auto index = need(subject.object.map_index(std::string(map)), map);
    spec::MapDef& def = subject.object.maps[index].def;
    if (def.kind == spec::MapKind::Ringbuf || map == "seeds")
        return subject;
    // The kernel's LRU maps evict before they are full.
    def.max_entries = def.kind == spec::MapKind::LruHash ? 4 * entries : entries;
    for (std::uint32_t i = 0; i < entries; ++i)
        subject.elements.push_back({index, key_of(def, i), bytes_of(std::uint64_t{i})});
    return subject;
}

// --- measuring ---

void pin(std::uint32_t cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/// `exact`: the last run must return 0, that nothing failed.
double run_on(Runner& runner, std::uint32_t times, std::uint32_t cpu, bool exact,
              std::string_view what) {
    const Sample sample = need(runner.run(times, cpu), what);
    if (exact && sample.retval != 0)
        die(fmt::format("{}: {} of the last run's operations failed", what, sample.retval));
    return sample.ns;
}

/// ns a run by each thread, while both run.
std::array<double, kThreads> run_both(Runner& runner, std::uint32_t times, std::string_view what) {
    std::array<double, kThreads> ns{};
    std::barrier start(kThreads);
    std::vector<std::jthread> threads;
    for (std::uint32_t cpu = 0; cpu < kThreads; ++cpu)
        threads.emplace_back([&, cpu] {
            pin(cpu);
            start.arrive_and_wait();
            ns[cpu] = run_on(runner, times, cpu, false, what);
        });
    threads.clear();
    return ns;
}

/// On a thread of its own, so that this one's CPUs stay as they are.
double run_alone(Runner& runner, std::uint32_t times, std::uint32_t cpu, bool exact,
                 std::string_view what) {
    double ns = 0;
    std::jthread([&] {
        pin(cpu);
        ns = run_on(runner, times, cpu, exact, what);
    }).join();
    return ns;
}

std::uint32_t times_for(Runner& runner, double ns, std::string_view what) {
    constexpr std::uint32_t kTrial = 20;
    const double each = run_on(runner, kTrial, 0, true, what);
    return static_cast<std::uint32_t>(std::clamp(ns / std::max(each, 1.0), 20.0, 1e6));
}

/// Two programs of one contender, for each round's difference.
struct Seat {
    const Contender* contender = nullptr;
    Subject subject, base_subject;
    std::unique_ptr<Runner> program, base;
    std::uint32_t times = 0, base_times = 0;
    std::vector<double> one{}, two{}; ///< ns an operation, by round
};

struct Line {
    Operation operation;
    std::uint32_t entries = 0;
    std::vector<std::unique_ptr<Seat>> seats{}; ///< runners refer to the subjects in them

    [[nodiscard]] std::optional<double> ns(std::string_view name,
                                           std::vector<double> Seat::* which) const {
        for (const auto& seat : seats)
            if (seat->contender->name == name)
                return median((*seat).*which);
        return std::nullopt;
    }
};

bool is_ring(const Operation& operation) {
    return operation.map == "ring";
}

/// Empty if the contender does not take part.
std::unique_ptr<Seat> sit_down(const Contender& contender, const Operation& operation,
                               std::uint32_t entries, const Options& options) {
    auto seat = std::make_unique<Seat>();
    seat->contender = &contender;
    seat->subject = subject_of(operation.program, operation.map, entries);
    seat->base_subject = subject_of("base", "seeds", entries);
    auto program = contender.make(seat->subject);
    if (!program)
        return nullptr;
    seat->program = *std::move(program);
    seat->base = need(contender.make(seat->base_subject), "base");
    // From here on the second CPU's keys are not the first one's.
    constexpr std::uint32_t kAhead = 37;
    run_alone(*seat->program, kAhead, 1, true, operation.program);
    seat->times = times_for(*seat->program, options.sample_ns, operation.program);
    if (is_ring(operation))
        seat->times = std::min(seat->times, kRingRuns);
    seat->base_times = times_for(*seat->base, options.sample_ns, "base");
    return seat;
}

void measure_round(Seat& seat, const Operation& operation) {
    const std::string_view what = operation.program;
    seat.program->drain();
    const double base = run_alone(*seat.base, seat.base_times, 0, true, what);
    const double one = run_alone(*seat.program, seat.times, 0, true, what);
    seat.one.push_back((one - base) / kOperations);
    seat.program->drain();
    const std::uint32_t times = is_ring(operation) ? seat.times / kThreads : seat.times;
    const auto bases = run_both(*seat.base, seat.base_times, what);
    const auto both = run_both(*seat.program, times, what);
    seat.two.push_back((both[0] - bases[0] + both[1] - bases[1]) / kThreads / kOperations);
}

Line measure(const Operation& operation, std::uint32_t entries, const Options& options) {
    Line line{.operation = operation, .entries = entries};
    for (const Contender& contender : contenders()) {
        if (contender.name != "jit" && (contender.name != "kernel" || options.no_kernel))
            continue;
        if (auto seat = sit_down(contender, operation, entries, options))
            line.seats.push_back(std::move(seat));
    }
    for (std::uint32_t round = 0; round < options.rounds; ++round)
        for (const auto& seat : line.seats)
            measure_round(*seat, operation);
    for (const auto& seat : line.seats) {
        seat->program.reset(); // The maps are large.
        seat->base.reset();
    }
    return line;
}

// --- scaling ---

struct Scaling {
    std::string_view program, maps;
    double ratio = 0; ///< of what two threads get done to what one does, in the same CPU time
};

double scale_once(Runner& runner, std::uint32_t times, std::string_view what) {
    const auto both = run_both(runner, times, what);
    const double alone = (1 / run_alone(runner, times, 0, false, what) +
                          1 / run_alone(runner, times, 1, false, what)) /
                         kThreads;
    return (1 / both[0] + 1 / both[1]) / alone;
}

std::vector<Scaling> measure_scaling(const Options& options) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kPrograms{
        {{"siphash", "no maps"},
         {"pkt_parse", "no maps"},
         {"percpu_count", "per-CPU maps"},
         {"hash_lookup", "a hash, read only"}}};
    const auto jit = std::ranges::find(contenders(), "jit", &Contender::name);
    std::vector<Scaling> lines;
    for (const auto& [name, maps] : kPrograms) {
        const auto entry = std::ranges::find(suite(), name, &SuiteEntry::name);
        const Subject subject = need(open_subject(*entry), name);
        const auto runner = jit->make(subject);
        if (!runner)
            continue;
        const double each = need((*runner)->run(1000, 0), name).ns;
        const auto times = static_cast<std::uint32_t>(2 * options.sample_ns / each) + 1;
        std::vector<double> ratios;
        for (std::uint32_t round = 0; round < 3 * options.rounds; ++round)
            ratios.push_back(scale_once(**runner, times, name));
        lines.push_back({name, maps, median(std::move(ratios))});
    }
    return lines;
}

// --- reporting ---

std::string cell(std::optional<double> value, int digits) {
    return value ? fmt::format("{:.{}f}", *value, digits) : "-";
}

std::optional<double> over(std::optional<double> one, std::optional<double> other) {
    if (!one || !other || *other <= 0)
        return std::nullopt;
    return std::max(*one, 0.0) / *other;
}

void print_lines(const std::vector<Line>& lines) {
    fmt::print("{:<20} {:>8} {:>8} {:>8} {:>7} {:>8} {:>8} {:>7}  {}\n", "", "", "one", "thread",
               "", "two", "threads", "", "");
    fmt::print("{:<20} {:>8} {:>8} {:>8} {:>7} {:>8} {:>8} {:>7}  {}\n", "operation", "entries",
               "jit", "kernel", "ratio", "jit", "kernel", "ratio", "goal (jit, one thread)");
    for (const Line& line : lines) {
        const auto one = line.ns("jit", &Seat::one), kernel_one = line.ns("kernel", &Seat::one);
        const auto two = line.ns("jit", &Seat::two), kernel_two = line.ns("kernel", &Seat::two);
        std::string goal;
        if (line.operation.goal != 0 && line.entries == SUITE_ENTRIES && one)
            goal = *one <= line.operation.goal
                       ? fmt::format("{:.0f}: met", line.operation.goal)
                       : fmt::format("{:.0f}: missed by {:.1f}", line.operation.goal,
                                     *one - line.operation.goal);
        fmt::print("{:<20} {:>8} {:>8} {:>8} {:>7} {:>8} {:>8} {:>7}  {}\n", line.operation.program,
                   is_ring(line.operation) ? "-" : fmt::format("{}", line.entries), cell(one, 1),
                   cell(kernel_one, 1), cell(over(one, kernel_one), 2), cell(two, 1),
                   cell(kernel_two, 1), cell(over(two, kernel_two), 2), goal);
    }
    fmt::print("ns an operation, random keys; with two threads, of each while both run.\n\n");
}

void print_scaling(const std::vector<Scaling>& lines) {
    constexpr double kGoal = 1.9;
    for (const Scaling& line : lines)
        fmt::print(
            "two threads do {:.2f} times as much as one: {} ({}); goal at least {:.1f}: {}\n",
            line.ratio, line.program, line.maps, kGoal,
            line.ratio >= kGoal ? "met" : fmt::format("missed by {:.2f}", kGoal - line.ratio));
}

/// Adds to what the file holds, if it holds an object.
void write_json(const std::string& path, const std::vector<Line>& lines,
                const std::vector<Scaling>& scaling) {
    nlohmann::ordered_json out;
    if (std::ifstream file(path); file)
        out = nlohmann::ordered_json::parse(file, nullptr, false);
    if (!out.is_object())
        out = nlohmann::ordered_json::object();
    out["map_ops"] = nlohmann::ordered_json::array();
    for (const Line& line : lines) {
        nlohmann::ordered_json entry{{"operation", line.operation.program}};
        if (!is_ring(line.operation))
            entry["entries"] = line.entries;
        for (const auto& seat : line.seats)
            entry[std::string(seat->contender->name)] = {{"one", median(seat->one)},
                                                         {"two", median(seat->two)}};
        out["map_ops"].push_back(entry);
    }
    for (const Scaling& line : scaling)
        out["scaling"][std::string(line.program)] = line.ratio;
    std::ofstream file(path);
    file << out.dump(2) << "\n";
    if (!file.flush())
        die("cannot write " + path);
}

Options parse(int argc, char** argv) {
    Options options;
    CLI::App app("Times map operations inside programs: ours and the kernel's.", "map_ops_bench");
    app.add_option("--only", options.only, "Operations, by name; \"scaling\"")->delimiter(',');
    app.add_option("--rounds", options.rounds, "Rounds of each operation")
        ->check(CLI::Range(1, 1000));
    app.add_option("--json", options.json, "Add the numbers to this file");
    app.add_flag("--no-kernel", options.no_kernel, "Leave the kernel out");
    bool quick = false;
    app.add_flag("--quick", quick, "Short samples: a look, not a measurement");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error));
    }
    if (quick)
        options.sample_ns /= 10;
    return options;
}

bool wanted(const Options& options, std::string_view name) {
    return options.only.empty() || std::ranges::find(options.only, name) != options.only.end();
}

} // namespace

int main(int argc, char** argv) {
    const Options options = parse(argc, argv);
    std::vector<Line> lines;
    for (const std::uint32_t entries : {SUITE_ENTRIES, 64 * SUITE_ENTRIES})
        for (const Operation& operation : kOperationsTable)
            if (wanted(options, operation.program) &&
                (entries == SUITE_ENTRIES || !is_ring(operation)))
                lines.push_back(measure(operation, entries, options));
    const auto scaling =
        wanted(options, "scaling") ? measure_scaling(options) : std::vector<Scaling>{};
    print_lines(lines);
    print_scaling(scaling);
    if (!options.json.empty())
        write_json(options.json, lines, scaling);
    std::string why;
    if (options.no_kernel || test::kernel::available(&why))
        return 0;
    fmt::print("no kernel: {}\n", why);
    return kSkipped;
}
