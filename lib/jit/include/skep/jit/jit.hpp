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
#include "skep/exec/run_context.hpp"
#include "skep/program/facts.hpp"
#include "skep/program/program.hpp"

/// Native code for verified programs. What is proved is not tested again at run time: what the
/// verifier has not accepted must not be compiled.
namespace skep::jit {

enum class Arch : std::uint8_t { X64, Arm64 };

/// The machine that this process runs on, if it has a compiler.
[[nodiscard]] bool available() noexcept;

struct Binding {
    std::span<const exec::MapSlot> maps;        ///< by map index of the object; read by compile()
    const exec::HelperTable* helpers = nullptr; ///< read by compile() only
    /// What the verifier proved about exactly this program with these maps. Not null.
    const Facts* facts = nullptr;
};

struct Options {
    /// Each fact that code may rely on is tested where it was proved; one that does not hold stops
    /// the run with a trap (BadInstruction). For tests of verifier and compiler.
    bool test_facts = false;
};

/// Machine code from `offset` on, up to the next entry, belongs to an instruction of the program.
struct NativeLine {
    std::uint32_t offset = 0;
    std::uint32_t insn = 0;
};

/// Machine code of one function of the program, with those that were inlined into it.
struct NativeFunction {
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
    std::string name; ///< "count_packets", of others than the first "count_packets.hash"
};

/// What a compiler makes, before it has a place in memory. It may be put anywhere.
struct Image {
    std::vector<std::byte> code;
    std::vector<NativeLine> lines;         ///< by offset
    std::vector<NativeFunction> functions; ///< by offset; the first is the program itself
};

/// Compiles for any architecture. Requires a program that the verifier accepts, with these maps and
/// facts. Errors: Unsupported for kfuncs and arenas; NotFound for a helper that is not in the
/// table; the place is the instruction. Thread-safe.
[[nodiscard]] Result<Image> translate(const Program& program, const Binding& binding, Arch arch,
                                      const Options& options = {});

struct RunOutcome {
    std::uint64_t r0 = 0;
    exec::Trap trap; ///< set by a helper, or by a tail call that is refused
};

/// A compiled program. Immutable; run it from any number of threads. Its memory is executable and
/// never writable, between pages that cannot be touched; it is given back when every epoch section
/// (maps::EpochGuard) that was open at its destruction has ended.
class Code {
public:
    /// translate() for this machine, put into executable memory. Unsupported where available() is
    /// false; Environment if executable memory is refused.
    static Result<std::shared_ptr<const Code>> compile(std::shared_ptr<const Program> program,
                                                       const Binding& binding,
                                                       const Options& options = {});
    virtual ~Code() = default;
    [[nodiscard]] virtual const Program& program() const noexcept = 0;
    /// The machine code where it is, for disassemblers.
    [[nodiscard]] virtual std::span<const std::byte> bytes() const noexcept = 0;
    [[nodiscard]] virtual std::span<const NativeLine> lines() const noexcept = 0;
    [[nodiscard]] virtual std::span<const NativeFunction> functions() const noexcept = 0;

    /// The program as a C function, for callers that run it often: they prepare() the run once, and
    /// clear trap and tail_calls before each call, in an epoch section.
    [[nodiscard]] virtual exec::EntryFn entry() const noexcept = 0;
    static void prepare(exec::RunContext& run) noexcept;

    /// Runs once. Never throws, never allocates. `run.host` and `run.context` must be set;
    /// `run.context` is also in r1. Must be inside an epoch section.
    virtual RunOutcome run(exec::RunContext& run) const noexcept = 0;
};

} // namespace skep::jit
