// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "skep/exec/context.hpp"
#include "skep/exec/region.hpp"
#include "skep/exec/trap.hpp"

/// On functions that call machine code: UBSan looks for a function's type in the bytes before it,
/// and before a program there may be none.
#if defined(__clang__)
#define SKEP_CALLS_CODE __attribute__((no_sanitize("function")))
#else
#define SKEP_CALLS_CODE
#endif

namespace skep {
struct Program;
}

namespace skep::exec {

struct RunContext;

/// A helper: five argument registers and the run that calls it; returns r0.
/// Engines check the arguments against spec::HelperProto first (checked mode) or rely on the
/// verifier. A helper neither throws nor blocks, and allocates only where the kernel would.
using HelperFn = std::uint64_t (*)(std::uint64_t r1, std::uint64_t r2, std::uint64_t r3,
                                   std::uint64_t r4, std::uint64_t r5, RunContext* run) noexcept;

/// A program in machine code: the context's address and the run; returns r0.
using EntryFn = std::uint64_t (*)(std::uint64_t context, RunContext* run) noexcept;

inline constexpr std::size_t kMaxHelper = 512;

/// Helper functions by id; nullptr: not there. Programs that call a missing one do not load.
struct HelperTable {
    std::array<HelperFn, kMaxHelper> functions{};
};

/// A value passed to a callback. With inherit >= 0 the capability is that of argument
/// `inherit` (0..4) of the helper call that is under way.
struct CallbackArg {
    std::uint64_t bits = 0;
    Capability cap{};
    int inherit = -1;
};

/// How a helper calls back into the program; the engine provides it.
/// Returns the callback's r0; sets RunContext::trap and returns 1 ("stop") if it trapped.
using CallbackFn = std::uint64_t (*)(RunContext* run, std::uint64_t function,
                                     std::span<const CallbackArg> args) noexcept;

/// What a program did to the world, for the caller to see or carry out.
struct RedirectOutcome {
    enum class Kind : std::uint8_t { None, Ifindex, Map, Peer, Neigh } kind = Kind::None;
    std::uint32_t ifindex = 0; ///< or the map index
    std::uint64_t flags = 0;
    const void* map = nullptr; ///< maps::Map of bpf_redirect_map
};

/// The host as programs see it. Every source of nondeterminism is here and can be fixed.
struct Host {
    virtual ~Host() = default;
    virtual std::uint64_t ktime_ns() noexcept = 0; ///< CLOCK_MONOTONIC
    virtual std::uint64_t boot_ns() noexcept = 0;  ///< CLOCK_BOOTTIME
    virtual std::uint64_t tai_ns() noexcept = 0;
    virtual std::uint64_t jiffies() noexcept = 0;
    virtual std::uint32_t random_u32() noexcept = 0;
    virtual std::uint64_t pid_tgid() noexcept = 0; ///< tgid << 32 | pid
    virtual std::uint64_t uid_gid() noexcept = 0;  ///< gid << 32 | uid
    virtual std::string_view comm() noexcept = 0;
    /// One formatted line of bpf_trace_printk / bpf_printk.
    virtual void printk(std::string_view text) noexcept = 0;
    /// A record of bpf_perf_event_output on a map, for a CPU. 0 or -errno.
    virtual int perf_output(const void* map, std::uint32_t cpu,
                            std::span<const std::byte> record) noexcept = 0;
    /// Fault-safe read of host memory for bpf_probe_read_*: 0 or -EFAULT, `to` zeroed on failure.
    virtual int probe_read(void* to, std::uint64_t from, std::uint32_t size,
                           bool user) noexcept = 0;
    virtual int probe_write(std::uint64_t to, const void* from, std::uint32_t size) noexcept = 0;
};

/// What a traced run shows before each instruction.
struct Moment {
    const Program* program = nullptr;         ///< of the instruction: another one after a tail call
    std::uint32_t insn = 0;                   ///< slot in the program
    std::span<const std::uint64_t> registers; ///< r0 to r10
    /// The bytes of the stack of each function that is being run, the outermost first.
    std::span<const std::byte* const> frames;
    const Context* context = nullptr;
    std::uint64_t context_address = 0;
};

/// Watches a traced run. Called by the thread that runs.
struct Observer {
    virtual ~Observer() = default;
    virtual void before(const Moment& moment) noexcept = 0;
};

enum Pending : std::uint32_t {
    kPacketMoved = 1, ///< the engine revokes every packet capability
    kReleased = 2,    ///< the engine revokes every capability whose base is `released`
};

/// State of one run that helpers and engines share. One per thread; plain data, set up by the
/// runtime, reused from run to run.
struct RunContext {
    Host* host = nullptr;
    Context* context = nullptr;
    std::uint32_t cpu = 0;
    std::uint32_t numa_node = 0;

    /// Set by a helper that returns a pointer (RetKind other than MapValueOrNull): what it points
    /// to.
    Capability returned{};
    std::uint32_t pending = 0; ///< Pending bits, handled and cleared by the engine after each call
    std::uint64_t released = 0;
    Trap trap{}; ///< set by a helper to stop the run

    CallbackFn callback = nullptr; ///< set by the engine for the time of a run
    void* engine = nullptr;        ///< the engine's own state of the run
    /// The program in slot `index` of a prog array, as the engine's code object, or nullptr.
    const void* (*tail_target)(RunContext* run, const void* map,
                               std::uint32_t index) noexcept = nullptr;
    void* runtime = nullptr; ///< for tail_target: the runtime's own state

    std::uint32_t tail_calls = 0; ///< so far, if the engine counts them here
    RedirectOutcome redirect{};
    Observer* observer = nullptr; ///< of traced runs
    void* scratch = nullptr; ///< for helpers: locks held, nested dynptr state, ... (lib/helpers)
};

/// Operations of one kind of map, to be called without dispatch: as those of maps::Map, errors as
/// negative numbers. `map` is the maps::Map. nullptr: to be done by the helper.
struct MapOps {
    using Lookup = std::byte* (*)(void* map, const std::byte* key, std::uint32_t cpu) noexcept;
    using Update = std::int64_t (*)(void* map, const std::byte* key, const std::byte* value,
                                    std::uint64_t flags, std::uint32_t cpu) noexcept;
    using Erase = std::int64_t (*)(void* map, const std::byte* key) noexcept;
    Lookup lookup = nullptr;
    Update update = nullptr;
    Erase erase = nullptr;
};

/// A map as an engine sees it: one per map of the object, in the object's order.
struct MapSlot {
    void* map = nullptr;                ///< maps::Map *, the value that helpers expect
    const void* def = nullptr;          ///< const spec::MapDef *
    std::byte* values = nullptr;        ///< Map::direct_values()
    std::uint32_t stride = 0;           ///< Map::direct_stride()
    std::uint32_t direct_size = 0;      ///< bytes that lddw of a map value may reach from `values`
    bool read_only = false;             ///< programs may not write it (BPF_F_RDONLY_PROG)
    std::byte* percpu_values = nullptr; ///< of per-CPU arrays: CPU 0's value of key 0
    std::uint64_t cpu_stride = 0;       ///< bytes from a CPU's values to the next CPU's
    MapOps ops{};
};

} // namespace skep::exec
