// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "skep/base/result.hpp"
#include "subject.hpp"

namespace skep::bench {

/// The return value of the last run, and the time of each: CPU time of the thread; of the kernel,
/// what BPF_PROG_TEST_RUN reports, in whole ns.
struct Sample {
    std::uint32_t retval = 0;
    double ns = 0;
};

/// A program made ready by one contender, with maps of its own.
class Runner {
public:
    virtual ~Runner() = default;
    /// `cpu`: of per-CPU maps of ours; 0 or 1, and each by one thread at a time. Error: a run
    /// failed.
    virtual Result<Sample> run(std::uint32_t times, std::uint32_t cpu) = 0;
    /// Takes what ring buffers hold.
    virtual void drain() = 0;
    /// Digest of the contents of the map with that index; the same for the same contents. 0 for
    /// kinds that have none to compare. Of per-CPU maps, of the sums over the CPUs.
    [[nodiscard]] virtual std::uint64_t digest(std::uint32_t map) = 0;
};

struct Contender {
    std::string_view name;
    /// Error: why it does not take part, or not with this program.
    Result<std::unique_ptr<Runner>> (*make)(const Subject&);
};

/// In the order of the tables' columns.
[[nodiscard]] std::span<const Contender> contenders() noexcept;

/// Time of compiling the subject's programs from proved bytecode to code that can be run.
struct CompileTime {
    double us = 0;           ///< median
    double translate_us = 0; ///< of it, until the machine code is there but nowhere to be run
    std::size_t insns = 0;
};
Result<CompileTime> compile_time(const Subject& subject, std::uint32_t rounds);

/// What a run of a compiled program costs beside what the program does: ns of the empty program.
Result<double> run_cost(const Subject& empty, bool statistics, std::uint32_t rounds);

/// CPU time of this thread, in ns: what others on the machine do counts only through its caches.
[[nodiscard]] double thread_ns() noexcept;

[[nodiscard]] double median(std::vector<double> values);

} // namespace skep::bench
