// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skep/base/result.hpp"
#include "skep/exec/context.hpp"
#include "skep/exec/run_context.hpp"
#include "skep/maps/epoch.hpp"
#include "skep/maps/map.hpp"
#include "skep/object/object.hpp"
#include "skep/program/program.hpp"

namespace skep::jit {
class Code;
}

namespace skep::runtime {

/// Which engine runs a program.
enum class Engine : std::uint8_t {
    Jit,       ///< native code, for programs that the verifier accepts
    Interp,    ///< interpreter without checks, for programs that the verifier accepts
    Checked,   ///< interpreter that proves every access at run time; for programs not verified
    Unchecked, ///< as Interp, but nothing is verified: only for benchmarks of known programs
    Traced,    ///< the checked interpreter, which shows every instruction to an observer
};

/// What runs a program if nothing else is asked for: Interp.
[[nodiscard]] Engine default_engine() noexcept;

/// What programs see of the host; everything can be fixed for repeatable runs.
struct HostOptions {
    std::optional<std::uint64_t> fixed_time_ns;       ///< the clock stands still at this value
    std::uint64_t clock_step_ns = 0;                  ///< with fixed_time_ns: advance per reading
    std::optional<std::uint64_t> random_seed;         ///< default: from the system
    std::optional<std::uint32_t> pid, tgid, uid, gid; ///< default: those of the process
    std::string comm;                                 ///< default: that of the process
    std::function<void(std::string_view)> printk;     ///< default: discarded
    /// A record of bpf_perf_event_output; default: discarded and counted as lost.
    std::function<void(const maps::Map&, std::uint32_t cpu, std::span<const std::byte>)>
        perf_output;
};

struct LoadOptions {
    Engine engine = default_engine();
    std::uint32_t cpus = 1; ///< slots of per-CPU maps
    HostOptions host;
    /// What programs may call; must outlive the Runtime. Default: the helpers of lib/helpers.
    const exec::HelperTable* helpers = nullptr;
    std::uint64_t fuel = 100'000'000; ///< instructions a run may take in checked mode
    bool zero_uninitialised_stack =
        false;               ///< checked mode: read unwritten stack bytes as 0, no trap
    bool statistics = false; ///< for LoadedProgram::statistics()
};

struct RunResult {
    std::uint32_t retval = 0; ///< r0, as BPF_PROG_TEST_RUN reports it
    std::uint64_t r0 = 0;
    exec::Trap trap;                ///< set: retval means nothing
    std::uint64_t instructions = 0; ///< executed, in checked mode
    exec::RedirectOutcome redirect;
};

class Runtime;
class Runner;

/// How often a program ran, over all its Runners.
struct RunStatistics {
    std::uint64_t runs = 0;
    std::uint64_t traps = 0;
    std::uint64_t sampled = 0;    ///< runs whose time was measured: one in 64
    std::uint64_t sampled_ns = 0; ///< what they took, in all
};

/// A loaded program. Handle; valid while its Runtime lives.
class LoadedProgram {
public:
    [[nodiscard]] const Program& program() const noexcept;
    /// Runs once. The context's layout must be that of the program's type, or the result is a
    /// BadContext trap. `cpu` selects the slot of per-CPU maps; one thread per cpu number at a
    /// time.
    /// `observer` must be given if the engine is the traced one.
    RunResult run(exec::Context& context, std::uint32_t cpu = 0,
                  exec::Observer* observer = nullptr) const noexcept;
    /// Of its Runners, if LoadOptions::statistics is set; else zeros. Any thread.
    [[nodiscard]] RunStatistics statistics() const;
    /// The compiled program, or nullptr if another engine runs it.
    [[nodiscard]] const jit::Code* native() const noexcept;

    struct State;

private:
    friend class Runtime;
    friend class Runner;
    explicit LoadedProgram(State& state) : state_(&state) {}
    State* state_;
};

namespace detail {
/// RunStatistics of one Runner: written by its thread only, read by any.
struct RunCounters {
    std::atomic<std::uint64_t> runs{0};
    std::atomic<std::uint64_t> traps{0};
    std::atomic<std::uint64_t> sampled{0};
    std::atomic<std::uint64_t> sampled_ns{0};
};
} // namespace detail

/// A program that one thread runs again and again: everything that a run needs is ready, so that
/// a run costs a few nanoseconds beside what the program does. One thread at a time; valid while
/// the Runtime lives.
class Runner {
public:
    /// `cpu` selects the slot of per-CPU maps; one thread per cpu number at a time.
    explicit Runner(const LoadedProgram& program, std::uint32_t cpu = 0);
    ~Runner() = default;
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;

    /// Runs once and gives r0; 0 after a trap. Requires a context of the program's type.
    SKEP_CALLS_CODE std::uint64_t run(exec::Context& context) noexcept {
        // Values that the program looks up stay valid until it returns.
        const maps::EpochGuard guard;
        // Most runs leave nothing behind: a test is cheaper than the stores.
        if (run_.context != &context) [[unlikely]]
            run_.context = &context;
        if ((run_.tail_calls | std::to_underlying(run_.redirect.kind) |
             std::to_underlying(run_.trap.kind)) != 0) [[unlikely]]
            clean();
        const std::uint64_t r0 =
            counted_ != nullptr ? run_counted(context.address()) : entry_(context.address(), &run_);
        return run_.trap ? 0 : r0;
    }
    /// Why the last run stopped, if it did.
    [[nodiscard]] const exec::Trap& trap() const noexcept { return run_.trap; }
    [[nodiscard]] const exec::RedirectOutcome& redirect() const noexcept { return run_.redirect; }

private:
    void clean() noexcept {
        run_.tail_calls = 0;
        run_.redirect = {};
        run_.trap = {};
    }
    static void add(std::atomic<std::uint64_t>& counter, std::uint64_t n) noexcept {
        counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    SKEP_CALLS_CODE std::uint64_t run_counted(std::uint64_t context) noexcept {
        add(counted_->runs, 1);
        if ((counted_->runs.load(std::memory_order_relaxed) & 63) == 0) [[unlikely]]
            return run_timed(context);
        const std::uint64_t r0 = entry_(context, &run_);
        if (run_.trap) [[unlikely]]
            add(counted_->traps, 1);
        return r0;
    }
    std::uint64_t run_timed(std::uint64_t context) noexcept;

    exec::RunContext run_;
    exec::EntryFn entry_;
    std::shared_ptr<detail::RunCounters> counted_; ///< null: statistics are off
};

/// A loaded object: its maps, created and filled, and its programs, ready to run.
class Runtime {
public:
    /// Creates the maps, fills them, and makes ready the programs named in `programs`; if none is
    /// named, those that are to be autoloaded. Programs that the object's prog arrays list come
    /// along. Fails if a program that was named, or any that is to be autoloaded, cannot be run
    /// (malformed, calls a helper that is not there, or is not proved safe: Rejected, or
    /// Unsupported where the verifier cannot tell); the error's place names the program.
    static Result<std::unique_ptr<Runtime>> load(const object::Object& object,
                                                 const LoadOptions& options = {},
                                                 std::span<const std::string> programs = {});
    ~Runtime();
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    [[nodiscard]] Result<LoadedProgram> program(const std::string& name) const;
    [[nodiscard]] std::vector<LoadedProgram> programs() const;
    [[nodiscard]] Result<std::shared_ptr<maps::Map>> map(const std::string& name) const;
    [[nodiscard]] std::span<const std::shared_ptr<maps::Map>> maps() const noexcept;
    [[nodiscard]] const object::Object& object() const noexcept;
    [[nodiscard]] exec::Host& host() noexcept;
    /// Moves the clocks that programs read to `ns`. Only with HostOptions::fixed_time_ns; any
    /// thread.
    void set_time_ns(std::uint64_t ns) noexcept;
    /// Records of bpf_perf_event_output that nobody took (HostOptions::perf_output is not set).
    [[nodiscard]] std::uint64_t lost_events() const noexcept;

    struct State;

private:
    explicit Runtime(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace skep::runtime
