// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "skep/interp/interp.hpp"
#include "skep/isa/opcodes.hpp"
#include "skep/spec/helper.hpp"
#include "skep/spec/map_def.hpp"

namespace skep::interp {

/// What a slot of translated code does: an instruction of the table as it stands, or one of
/// handlers.def.
enum class Handler : std::uint16_t {
#define SKEP_OP(name, ...) name,
#include "skep/isa/ops.def"
#define SKEP_EXTRA(name) name,
#include "handlers.def"
    Count_,
};

[[nodiscard]] constexpr Handler handler_of(isa::Op op) noexcept {
    return static_cast<Handler>(op);
}

/// A register field, scaled: the byte offset of the register's value.
[[nodiscard]] constexpr std::uint8_t scaled(unsigned reg) noexcept {
    return static_cast<std::uint8_t>(reg * 8);
}

/// A helper call, resolved.
struct CallSite {
    exec::HelperFn function = nullptr;
    const spec::HelperProto* proto = nullptr; ///< nullptr: not known to spec (a host's own)
    std::uint32_t id = 0;
    const exec::MapSlot* map = nullptr; ///< LookupArray: the map
};

/// A jump, relative to the slot itself.
struct Jump {
    std::int32_t distance; ///< bytes of translated code
    std::int32_t delta;    ///< instructions by which the count would be wrong; see Machine::left
};

/// One step of the threaded code.
struct Slot {
    const void* handler = nullptr; ///< label in execute()
    std::uint8_t dst = 0;          ///< scaled()
    std::uint8_t src = 0;
    std::int16_t off = 0;
    std::int32_t imm = 0;
    union {
        std::uint64_t wide = 0; ///< lddw; stack accesses: mask of the initialised bytes
        Jump jump;
        const CallSite* call;
    };
};
static_assert(sizeof(Slot) == 24);

/// A program in threaded code.
class CodeImpl final : public Code {
public:
    CodeImpl(std::shared_ptr<const Program> source, Mode which)
        : source_(std::move(source)), mode(which) {}

    [[nodiscard]] const Program& program() const noexcept override { return *source_; }
    RunOutcome run(exec::RunContext& run, std::uint64_t fuel) const noexcept override;

    /// The user's instruction at which a slot's fault is reported.
    [[nodiscard]] std::uint32_t insn_of(const Slot* slot) const noexcept {
        return insns[static_cast<std::size_t>(slot - slots.data())];
    }
    /// How many instructions stand before a slot of the program (lddw counts once).
    [[nodiscard]] std::uint32_t count_before(std::uint32_t insn) const noexcept {
        return counts[insn];
    }

private:
    std::shared_ptr<const Program> source_;

public:
    Mode mode;
    bool zero_stack = false;
    std::vector<Slot> slots;
    std::vector<std::uint32_t> insns;  ///< by slot
    std::vector<std::uint32_t> counts; ///< by instruction
    std::vector<exec::MapSlot> maps;
    std::vector<std::unique_ptr<CallSite>> calls;
    std::vector<exec::Capability> capabilities; ///< of LoadWideCap, by imm
};

/// The labels of execute(), by Handler.
[[nodiscard]] const void* const* handler_labels(Mode mode) noexcept;

/// Fills the slots. Requires insns that validate() accepted.
Result<void> translate(CodeImpl& code, const Binding& binding);

} // namespace skep::interp
