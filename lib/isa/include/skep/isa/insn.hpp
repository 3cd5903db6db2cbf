// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace skep::isa {

/// One 8-byte slot of a BPF program, laid out as the kernel's `struct bpf_insn` (RFC 9669, 3.1).
/// `lddw` takes two slots. Instruction indices everywhere in skep count slots, as the kernel does.
struct Insn {
    std::uint8_t opcode = 0;
    std::uint8_t dst : 4 = 0;
    std::uint8_t src : 4 = 0;
    std::int16_t off = 0;
    std::int32_t imm = 0;

    friend bool operator==(const Insn&, const Insn&) = default;
};
static_assert(sizeof(Insn) == 8);

// Instruction class: the low three bits of the opcode.
inline constexpr std::uint8_t kClassMask = 0x07;
inline constexpr std::uint8_t kLd = 0x00;
inline constexpr std::uint8_t kLdx = 0x01;
inline constexpr std::uint8_t kSt = 0x02;
inline constexpr std::uint8_t kStx = 0x03;
inline constexpr std::uint8_t kAlu = 0x04;
inline constexpr std::uint8_t kJmp = 0x05;
inline constexpr std::uint8_t kJmp32 = 0x06;
inline constexpr std::uint8_t kAlu64 = 0x07;

// Operand source of arithmetic and jumps.
inline constexpr std::uint8_t kSrcMask = 0x08;
inline constexpr std::uint8_t kK = 0x00;
inline constexpr std::uint8_t kX = 0x08;

// Size of a memory access.
inline constexpr std::uint8_t kSizeMask = 0x18;
inline constexpr std::uint8_t kW = 0x00;
inline constexpr std::uint8_t kH = 0x08;
inline constexpr std::uint8_t kB = 0x10;
inline constexpr std::uint8_t kDw = 0x18;

// Mode of a memory access.
inline constexpr std::uint8_t kModeMask = 0xe0;
inline constexpr std::uint8_t kImm = 0x00;
inline constexpr std::uint8_t kAbs = 0x20;
inline constexpr std::uint8_t kInd = 0x40;
inline constexpr std::uint8_t kMem = 0x60;
inline constexpr std::uint8_t kMemSx = 0x80;
inline constexpr std::uint8_t kAtomic = 0xc0;

inline constexpr std::uint8_t kLddw = kLd | kImm | kDw; // 0x18
inline constexpr std::uint8_t kCall = kJmp | 0x80;      // 0x85
inline constexpr std::uint8_t kExit = kJmp | 0x90;      // 0x95

// What the immediate of `lddw` is: the src field (RFC 9669, 5.4 and linux/bpf.h).
inline constexpr std::uint8_t kLddwImm = 0;
inline constexpr std::uint8_t kLddwMapFd = 1;
inline constexpr std::uint8_t kLddwMapValue = 2;
inline constexpr std::uint8_t kLddwBtfId = 3;
inline constexpr std::uint8_t kLddwFunc = 4;
inline constexpr std::uint8_t kLddwMapIdx = 5;
inline constexpr std::uint8_t kLddwMapIdxValue = 6;

// What a call calls: the src field.
inline constexpr std::uint8_t kCallHelper = 0;
inline constexpr std::uint8_t kCallLocal = 1;
inline constexpr std::uint8_t kCallKfunc = 2;

inline constexpr int kRegisters = 11; ///< r0 to r10
inline constexpr int kFramePointer = 10;
inline constexpr std::uint32_t kMaxStackDepth = 512; ///< bytes a frame may use
inline constexpr std::uint32_t kMaxCallFrames = 8;
inline constexpr std::uint32_t kMaxTailCalls = 33;

/// The bytes that a load, store or atomic accesses: 1, 2, 4 or 8.
constexpr std::uint32_t access_size(std::uint8_t opcode) noexcept {
    switch (opcode & kSizeMask) {
    case kB:
        return 1;
    case kH:
        return 2;
    case kW:
        return 4;
    default:
        return 8;
    }
}

} // namespace skep::isa
