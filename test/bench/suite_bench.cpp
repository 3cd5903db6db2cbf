// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The suite's programs by every engine, the kernel's JIT and clang: suite_bench --help.
//
// In each round every contender runs the empty program and then the program, one contender after
// the other; the difference is its time in that round. Numbers are medians of the rounds, ratios
// medians of the rounds' ratios: what slows the machine down slows all contenders of a round.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "contender.hpp"
#include "must.hpp"
#include "subject.hpp"

namespace {

using namespace skep;
using namespace skep::bench;

struct Options {
    std::vector<std::string> only;
    std::vector<std::string> with;
    std::uint32_t rounds = 15;
    double sample_ns = 1.5e6;
    std::uint32_t compiles = 101;
    std::string json;
    bool quick = false;
    bool no_kernel = false;
};

constexpr int kSkipped = 77;
/// BPF_PROG_TEST_RUN and the clock are not finer: less would make any ratio.
constexpr double kLeastNet = 1.0;

// --- measuring ---

/// One contender with a program and with the empty one.
struct Seat {
    const Contender* contender = nullptr;
    std::unique_ptr<Runner> program;
    Runner* empty = nullptr;
    std::uint32_t times = 0, empty_times = 0;
    std::vector<double> ns{};  ///< by round, as measured
    std::vector<double> net{}; ///< by round, without the floor
};

struct Row {
    SuiteEntry entry;
    std::vector<Seat> seats;
    std::map<std::string_view, std::string> absent; ///< contender: why
    std::optional<CompileTime> compile;
    bool calls = false; ///< helpers or functions

    [[nodiscard]] const Seat* seat(std::string_view name) const {
        const auto found =
            std::ranges::find(seats, name, [](const Seat& seat) { return seat.contender->name; });
        return found == seats.end() ? nullptr : &*found;
    }
    /// Of two contenders' net times, or nothing if one does not take part.
    [[nodiscard]] std::optional<double> ratio(std::string_view one, std::string_view other) const {
        const Seat* a = seat(one);
        const Seat* b = seat(other);
        if (a == nullptr || b == nullptr || entry.kind == Kind::Floor)
            return std::nullopt;
        std::vector<double> ratios;
        for (std::size_t i = 0; i < a->net.size(); ++i)
            ratios.push_back(std::max(a->net[i], kLeastNet) / std::max(b->net[i], kLeastNet));
        return median(std::move(ratios));
    }
};

std::uint32_t times_for(Runner& runner, double ns, std::string_view name) {
    constexpr std::uint32_t kTrial = 20;
    const double each = need(runner.run(kTrial, 0), name).ns;
    return static_cast<std::uint32_t>(std::clamp(ns / std::max(each, 1.0), 20.0, 1e6));
}

/// Each contender with the empty program, made when it is first asked for.
class Floors {
public:
    Floors() : subject_(need(open_subject(suite().front()), "empty")) {}

    Runner& of(const Contender& contender) {
        auto& runner = runners_[contender.name];
        if (runner == nullptr)
            runner = need(contender.make(subject_), contender.name);
        return *runner;
    }

    [[nodiscard]] const Subject& subject() const noexcept { return subject_; }

private:
    Subject subject_;
    std::map<std::string_view, std::unique_ptr<Runner>> runners_;
};

Row sit_down(const Subject& subject, Floors& floors, const Options& options) {
    Row row{.entry = subject.entry, .seats = {}, .absent = {}, .compile = {}};
    for (const Contender& contender : contenders()) {
        if (!options.with.empty() &&
            std::ranges::find(options.with, contender.name) == options.with.end())
            continue;
        if (options.no_kernel && contender.name == "kernel")
            continue;
        auto runner = contender.make(subject);
        if (!runner) {
            row.absent.emplace(contender.name, brief(runner.error()));
            continue;
        }
        row.seats.push_back({.contender = &contender,
                             .program = *std::move(runner),
                             .empty = &floors.of(contender)});
    }
    return row;
}

/// The one that the others must agree with.
const Seat& reference(const Row& row) {
    const Seat* kernel = row.seat("kernel");
    return kernel != nullptr ? *kernel : row.seats.front();
}

/// Each runs once, on maps with the same contents: results and maps must be the same.
std::uint32_t agree(const Subject& subject, const Row& row) {
    const Seat& judge = reference(row);
    const std::uint32_t expected = need(judge.program->run(1, 0), subject.name()).retval;
    for (const Seat& seat : row.seats) {
        if (&seat == &judge)
            continue;
        const Sample sample = need(seat.program->run(1, 0), seat.contender->name);
        if (sample.retval != expected)
            die(fmt::format("{}: {} returns {:#x}, {} {:#x}", subject.name(), seat.contender->name,
                            sample.retval, judge.contender->name, expected));
        for (std::uint32_t i = 0; i < subject.object.maps.size(); ++i)
            if (seat.program->digest(i) != judge.program->digest(i))
                die(fmt::format("{}: {} and {} leave map \"{}\" with different contents",
                                subject.name(), seat.contender->name, judge.contender->name,
                                subject.object.maps[i].def.name));
    }
    return expected;
}

void run_rounds(const Subject& subject, Row& row, std::uint32_t expected, const Options& options) {
    for (Seat& seat : row.seats) {
        seat.times = times_for(*seat.program, options.sample_ns, seat.contender->name);
        seat.empty_times = times_for(*seat.empty, options.sample_ns / 3, seat.contender->name);
        if (subject.entry.max_runs != 0)
            seat.times = std::min(seat.times, subject.entry.max_runs);
    }
    for (std::uint32_t round = 0; round < options.rounds; ++round)
        for (Seat& seat : row.seats) {
            seat.program->drain();
            const Sample floor = need(seat.empty->run(seat.empty_times, 0), seat.contender->name);
            const Sample sample = need(seat.program->run(seat.times, 0), seat.contender->name);
            if (sample.retval != expected)
                die(fmt::format("{}: {} returns {:#x} after many runs, expected {:#x}",
                                subject.name(), seat.contender->name, sample.retval, expected));
            seat.ns.push_back(sample.ns);
            seat.net.push_back(sample.ns - floor.ns);
        }
}

Row measure(const SuiteEntry& entry, Floors& floors, const Options& options) {
    const Subject subject = need(open_subject(entry), entry.name);
    Row row = sit_down(subject, floors, options);
    row.calls = std::ranges::any_of(subject.object.programs, [](const auto& program) {
        return std::ranges::any_of(program->insns,
                                   [](const isa::Insn& insn) { return insn.opcode == isa::kCall; });
    });
    if (row.seats.empty())
        die("nobody takes part");
    run_rounds(subject, row, agree(subject, row), options);
    if (const auto time = compile_time(subject, options.compiles))
        row.compile = *time;
    for (Seat& seat : row.seats)
        seat.program.reset(); // There are many maps, and the subject ends here.
    return row;
}

// --- reporting ---

/// The geometric mean of a ratio over the rows that `take` chooses, and how many there are.
struct Mean {
    double value = 0;
    int count = 0;
};

Mean mean(const std::vector<Row>& rows, std::string_view one, std::string_view other,
          const std::function<bool(const Row&)>& take) {
    double logs = 0;
    Mean result;
    for (const Row& row : rows)
        if (const auto ratio = row.ratio(one, other); ratio && take(row)) {
            logs += std::log(*ratio);
            ++result.count;
        }
    result.value = result.count == 0 ? 0 : std::exp(logs / result.count);
    return result;
}

bool any(const Row& /*row*/) {
    return true;
}

std::string cell(std::optional<double> value, int digits) {
    return value ? fmt::format("{:.{}f}", *value, digits) : "-";
}

void print_rows(const std::vector<Row>& rows) {
    fmt::print("{:<15} {:<7}", "program", "kind");
    for (const Contender& contender : contenders())
        fmt::print(" {:>9}", contender.name);
    fmt::print(" {:>8} {:>8} {:>8} {:>10} {:>6}\n", "jit/kern", "jit/nat", "int/kern", "compile us",
               "insns");
    for (const Row& row : rows) {
        fmt::print("{:<15} {:<7}", row.entry.name, kind_name(row.entry.kind));
        for (const Contender& contender : contenders()) {
            const Seat* seat = row.seat(contender.name);
            fmt::print(" {:>9}", seat == nullptr ? "-" : cell(median(seat->ns), 1));
        }
        fmt::print(" {:>8} {:>8} {:>8} {:>10} {:>6}\n", cell(row.ratio("jit", "kernel"), 2),
                   cell(row.ratio("jit", "native"), 2), cell(row.ratio("interp", "kernel"), 1),
                   row.compile ? cell(row.compile->us, 1) : "-",
                   row.compile ? fmt::format("{}", row.compile->insns) : "-");
    }
    fmt::print("ns of CPU time a run, with the floor; ratios without it.\n");
}

void print_absent(const std::vector<Row>& rows) {
    std::map<std::string, std::vector<std::string_view>> reasons;
    for (const Row& row : rows)
        for (const auto& [contender, why] : row.absent)
            reasons[fmt::format("{}: {}", contender, why)].push_back(row.entry.name);
    for (const auto& [why, programs] : reasons)
        fmt::print("no {} ({})\n", why,
                   programs.size() == rows.size() ? "all programs"
                                                  : fmt::format("{}", fmt::join(programs, ", ")));
}

void print_means(const std::vector<Row>& rows) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kRatios{
        {{"jit", "kernel"},
         {"jit", "native"},
         {"interp", "kernel"},
         {"checked", "kernel"},
         {"native", "kernel"}}};
    fmt::print("\nGeometric means, floor subtracted:\n{:<34}", "");
    for (const auto& [one, other] : kRatios)
        fmt::print(" {:>14}", fmt::format("{}/{}", one, other));
    fmt::print("\n");
    const auto line = [&](const std::string& title, const std::function<bool(const Row&)>& take) {
        const auto count = std::ranges::count_if(
            rows, [&](const Row& row) { return row.entry.kind != Kind::Floor && take(row); });
        if (count == 0)
            return;
        fmt::print("{:<34}", fmt::format("{} ({})", title, count));
        for (const auto& [one, other] : kRatios) {
            const Mean found = mean(rows, one, other, take);
            fmt::print(" {:>14}", found.count == 0 ? "-" : fmt::format("{:.3f}", found.value));
        }
        fmt::print("\n");
    };
    line("all programs", any);
    line("map programs", [](const Row& row) { return row.entry.kind == Kind::Map; });
    line("programs without calls", [](const Row& row) { return !row.calls; });
    for (const Kind kind :
         {Kind::Alu, Kind::Divide, Kind::Memory, Kind::Branch, Kind::Stack, Kind::Call})
        line(fmt::format("  {}", kind_name(kind)),
             [kind](const Row& row) { return row.entry.kind == kind; });
    fmt::print("This kernel's return thunks tax every call and return of its programs and "
               "helpers;\nprograms without calls are therefore shown apart.\n");
}

struct Goal {
    std::string what;
    double limit = 0;
    double measured = 0;
};

Goal worst_program(const std::vector<Row>& rows) {
    Goal worst{"jit / kernel, worst program", 1.05, 0};
    std::vector<std::string> slower;
    for (const Row& row : rows) {
        const double ratio = row.ratio("jit", "kernel").value_or(0);
        worst.measured = std::max(worst.measured, ratio);
        if (ratio > worst.limit)
            slower.push_back(fmt::format("{} {:.2f}", row.entry.name, ratio));
    }
    if (!slower.empty())
        worst.what += fmt::format(" ({} over it: {})", slower.size(), fmt::join(slower, ", "));
    return worst;
}

/// ns of compiling an instruction, over all rows, by one of the two times.
double compile_ns(const std::vector<Row>& rows, double CompileTime::* which) {
    double us = 0;
    std::size_t insns = 0;
    for (const Row& row : rows)
        if (row.compile) {
            us += (*row.compile).*which;
            insns += row.compile->insns;
        }
    return insns == 0 ? 0 : us * 1000 / static_cast<double>(insns);
}

std::vector<Goal> goals(const std::vector<Row>& rows, const Floors& floors,
                        const Options& options) {
    std::vector<Goal> list;
    const auto add = [&](const std::string& what, double limit, Mean found) {
        if (found.count != 0)
            list.push_back({what, limit, found.value});
    };
    const auto maps = [](const Row& row) { return row.entry.kind == Kind::Map; };
    add("jit / kernel, all programs", 0.70, mean(rows, "jit", "kernel", any));
    add("jit / kernel, map programs", 0.40, mean(rows, "jit", "kernel", maps));
    add("jit / native, all programs", 1.05, mean(rows, "jit", "native", any));
    add("interp / kernel, all programs", 8, mean(rows, "interp", "kernel", any));
    add("checked / kernel, all programs", 20, mean(rows, "checked", "kernel", any));
    if (const Goal worst = worst_program(rows); worst.measured != 0)
        list.push_back(worst);
    if (const double ns = compile_ns(rows, &CompileTime::us); ns != 0)
        list.push_back({fmt::format("ns to compile a BPF instruction ({:.0f} without a place to "
                                    "run it)",
                                    compile_ns(rows, &CompileTime::translate_us)),
                        50, ns});
    if (const auto ns = run_cost(floors.subject(), false, options.rounds))
        list.push_back({"ns for a run of the empty program, compiled", 3, *ns});
    if (const auto ns = run_cost(floors.subject(), true, options.rounds))
        list.push_back({"ns for the same with statistics", 5, *ns});
    return list;
}

void print_goals(const std::vector<Goal>& list) {
    fmt::print("\nGoals:\n");
    for (const Goal& goal : list)
        fmt::print("{:<8} at most {:>5.2f}: {:>6.3f}  {}{}\n",
                   goal.measured <= goal.limit ? "met" : "missed", goal.limit, goal.measured,
                   goal.what,
                   goal.measured <= goal.limit
                       ? ""
                       : fmt::format("; missed by {:.3f}", goal.measured - goal.limit));
}

void write_json(const std::string& path, const std::vector<Row>& rows,
                const std::vector<Goal>& list) {
    nlohmann::ordered_json out;
    for (const Row& row : rows) {
        auto& program = out["programs"][std::string(row.entry.name)];
        program["kind"] = kind_name(row.entry.kind);
        for (const Seat& seat : row.seats)
            program[std::string(seat.contender->name)] = median(seat.ns);
        for (const Seat& seat : row.seats)
            program["net"][std::string(seat.contender->name)] = median(seat.net);
        if (const auto ratio = row.ratio("jit", "kernel"))
            program["jit/kernel"] = *ratio;
        if (const auto ratio = row.ratio("jit", "native"))
            program["jit/native"] = *ratio;
        if (row.compile) {
            program["compile_us"] = row.compile->us;
            program["translate_us"] = row.compile->translate_us;
            program["insns"] = row.compile->insns;
        }
    }
    for (const Goal& goal : list)
        out["goals"].push_back({{"goal", goal.what},
                                {"limit", goal.limit},
                                {"measured", goal.measured},
                                {"met", goal.measured <= goal.limit}});
    std::ofstream file(path);
    file << out.dump(2) << "\n";
    if (!file.flush())
        die("cannot write " + path);
}

Options parse(int argc, char** argv) {
    Options options;
    CLI::App app("Times the suite's programs by every contender, interleaved.", "suite_bench");
    app.add_option("--only", options.only, "Programs, by name")->delimiter(',');
    app.add_option("--contenders", options.with, "checked, interp, jit, kernel, native")
        ->delimiter(',');
    app.add_option("--rounds", options.rounds, "Rounds of each program")
        ->check(CLI::Range(1, 1000));
    app.add_option("--json", options.json, "Write the numbers to this file");
    app.add_flag("--quick", options.quick, "Short samples: a look, not a measurement");
    app.add_flag("--no-kernel", options.no_kernel, "Leave the kernel out");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error));
    }
    if (options.quick) {
        options.sample_ns /= 10;
        options.compiles = 5;
    }
    return options;
}

std::vector<SuiteEntry> chosen(const Options& options) {
    std::vector<SuiteEntry> entries;
    std::set<std::string_view> unknown(options.only.begin(), options.only.end());
    for (const SuiteEntry& entry : suite())
        if (options.only.empty() || unknown.erase(entry.name) != 0)
            entries.push_back(entry);
    if (!unknown.empty() && !options.only.empty())
        die(fmt::format("no program \"{}\" in the suite", *unknown.begin()));
    return entries;
}

} // namespace

int main(int argc, char** argv) {
    const Options options = parse(argc, argv);
    Floors floors;
    std::vector<Row> rows;
    for (const SuiteEntry& entry : chosen(options))
        rows.push_back(measure(entry, floors, options));
    print_rows(rows);
    print_absent(rows);
    print_means(rows);
    const std::vector<Goal> list = goals(rows, floors, options);
    print_goals(list);
    if (!options.json.empty())
        write_json(options.json, rows, list);
    const bool refused =
        std::ranges::any_of(rows, [](const Row& row) { return row.absent.contains("kernel"); });
    return refused ? kSkipped : 0;
}
