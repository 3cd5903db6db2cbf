// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "skep/base/result.hpp"
#include "skep/exec/context.hpp"
#include "skep/exec/run_context.hpp"
#include "skep/program/program.hpp"

namespace skep::interp {

enum class Mode : std::uint8_t {
    Checked,   ///< every access is proved inside a region, unset reads trap, fuel is counted
    Unchecked, ///< for verified programs: no checks
    Traced,    ///< checked, and RunContext::observer sees every instruction
};

struct Binding {
    std::span<const exec::MapSlot> maps;        ///< by map index of the object; copied
    const exec::HelperTable* helpers = nullptr; ///< must outlive the code
    /// Read unwritten stack bytes as zero instead of trapping (checked mode).
    bool zero_uninitialised_stack = false;
};

struct RunOutcome {
    std::uint64_t r0 = 0;
    std::uint64_t instructions = 0; ///< executed; counted in checked mode only
    exec::Trap trap;
};

/// A program translated for the interpreter. Immutable; run it from any number of threads.
class Code {
public:
    /// Decodes, resolves maps and helpers, translates. Errors: malformed instructions (with their
    /// index), NotFound for a helper that is not in the table, Unsupported for kfuncs.
    static Result<std::unique_ptr<const Code>> compile(std::shared_ptr<const Program> program,
                                                       const Binding& binding, Mode mode);
    virtual ~Code() = default;
    [[nodiscard]] virtual const Program& program() const noexcept = 0;

    /// Runs once. Never throws, never allocates. `run.host` and `run.context` must be set;
    /// `run.context` is also in r1. `fuel`: instructions allowed, in checked mode.
    virtual RunOutcome run(exec::RunContext& run, std::uint64_t fuel) const noexcept = 0;
};

} // namespace skep::interp
