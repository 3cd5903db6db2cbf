// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "skep/base/result.hpp"
#include "skep/jit/jit.hpp"
#include "skep/program/program.hpp"

/// Tells profilers and debuggers what compiled code is: docs/jit.md shows their use.
namespace skep::jit {

/// How a debugger gets from a place in a function to its caller. CFA, the canonical frame address,
/// is the stack pointer before the call (x64) or at the function's first instruction (arm64).
struct Unwind {
    struct Saved {
        std::uint8_t reg = 0;        ///< DWARF number: x64 rbx 3, rbp 6, r12 12; arm64 x0 is 0
        std::uint32_t below_cfa = 0; ///< kept at CFA minus this; a multiple of 8
    };
    /// Holds from `offset` on, up to the next row.
    struct Row {
        std::uint32_t offset = 0; ///< from the function's first byte
        std::uint32_t depth = 0;  ///< CFA minus the stack pointer
        std::uint32_t saved = 0;  ///< so many, from the first of `saved` on, are in memory
    };
    /// Registers that the caller wants back, in the order in which they are saved; on arm64 x30 is
    /// one. Not the return address of x64, which is always 8 below the CFA.
    std::vector<Saved> saved;
    /// By offset. The first is at 0: {0, 8, 0} on x64, {0, 0, 0} on arm64. Each instruction that
    /// moves the stack pointer ends one, those of every epilogue, too, and so does a return that
    /// code follows. Empty: not known; then debuggers guess.
    std::vector<Row> rows;
};

/// Who is told. Nobody, unless asked for.
struct Announce {
    /// A line in /tmp/perf-PID.map for each function, "skep:" before its name. What was said of an
    /// address stays when its code is gone.
    bool perf_map = false;
    /// The code, its lines and its time, in jit-PID.dump for `perf inject --jit`.
    bool jitdump = false;
    /// Functions, lines and frames for debuggers that know GDB's JIT interface (GDB, LLDB).
    bool gdb = false;
    /// Where jit-PID.dump goes. If empty, a new directory in .debug/jit below JITDUMPDIR, HOME or
    /// the current directory: perf's convention.
    std::string directory{};
};

/// True if the code must be placed in anonymous pages of its own: perf looks into the map for such
/// memory only, and a debugger cannot put breakpoints into memory that is shared.
[[nodiscard]] constexpr bool needs_own_pages(const Announce& how) noexcept {
    return how.perf_map || how.gdb;
}

/// What debuggers were told holds as long as this lives: it must not outlive the code. Files stay.
class Announcement {
public:
    Announcement() noexcept; ///< of nothing
    Announcement(Announcement&& other) noexcept;
    Announcement& operator=(Announcement&& other) noexcept;
    ~Announcement();

    /// Why somebody was not told. The code is as good as without.
    [[nodiscard]] const std::vector<Error>& errors() const noexcept { return errors_; }

private:
    friend Announcement announce(const Program& program, std::span<const std::byte> code,
                                 std::span<const NativeLine> lines,
                                 std::span<const NativeFunction> functions, const Announce& how,
                                 std::span<const Unwind> unwind);
    struct Registered;
    std::unique_ptr<Registered> registered_;
    std::vector<Error> errors_;
};

/// `code` is where it runs on this machine; `lines` and `functions` are by offset in it. `unwind`:
/// one for each function, or none at all. Nothing is kept of the arguments. Thread-safe.
[[nodiscard]] Announcement announce(const Program& program, std::span<const std::byte> code,
                                    std::span<const NativeLine> lines,
                                    std::span<const NativeFunction> functions, const Announce& how,
                                    std::span<const Unwind> unwind = {});

} // namespace skep::jit
