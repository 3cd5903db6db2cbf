// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace skep::exec {

enum class TrapKind : std::uint8_t {
    None,
    OutOfBounds,    ///< access outside the region that the pointer belongs to
    NotAPointer,    ///< access through a number (null included)
    ReadOnly,       ///< store to read-only memory
    Uninitialised,  ///< read of a register or stack byte never written
    BadContext,     ///< no such context field, or wrong width or direction
    BadArgument,    ///< helper argument breaks the helper's prototype
    BadCall,        ///< call of a function that is not there, or too deep
    OutOfFuel,      ///< the instruction limit was reached
    BadInstruction, ///< an instruction that cannot be run
    Misaligned,     ///< atomic access that is not naturally aligned
    Host,           ///< a helper reported a failure of the host
};

/// Why a run stopped. Plain data: engines fill it without allocating.
struct Trap {
    TrapKind kind = TrapKind::None;
    std::int32_t insn = -1;        ///< slot of the faulting instruction, in `program`
    const void* program = nullptr; ///< the skep::Program it belongs to (differs after a tail call)
    std::uint64_t address = 0;     ///< value of the address or argument
    std::int64_t offset = 0;       ///< first byte touched, relative to the start of the region
    std::uint32_t size = 0;        ///< bytes of the access
    std::uint32_t region_size = 0;
    std::uint8_t region = 0; ///< RegionKind
    std::uint8_t reg = 0;    ///< register that held the address or argument
    bool write = false;
    std::uint32_t helper = 0; ///< id of the helper being called; 0: none
    const char* detail = "";  ///< static text with what was needed; never null

    explicit operator bool() const noexcept { return kind != TrapKind::None; }
};

/// One line: "reads 4 bytes at packet+14, only 0..13 are there". Without instruction and source.
[[nodiscard]] std::string describe(const Trap& trap);

} // namespace skep::exec
