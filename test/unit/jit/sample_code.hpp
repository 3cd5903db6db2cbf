// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "skep/jit/announce.hpp"
#include "skep/program/program.hpp"

/// Code as a compiler would make it, of sample.bpf.c, for this machine.
namespace skep::jit::sample {

inline constexpr std::string_view kFile = SKEP_SOURCE_DIR "/test/unit/jit/sample.bpf.c";
inline constexpr std::uint32_t kHash = 0x20;
inline constexpr std::uint32_t kSpin = 0x40;

#ifdef __aarch64__
inline constexpr std::uint32_t kCode[] = {
    0xa9be7bf3, // count_packets: stp x19, x30, [sp, #-32]!
    0x528000b3, // mov w19, #5
    0x94000006, // bl hash
    0x0b130000, // add w0, w0, w19
    0xa8c27bf3, // ldp x19, x30, [sp], #32
    0xd65f03c0, // ret
    0xd503201f, 0xd503201f,
    0xd10043ff, // hash: sub sp, sp, #16
    0x528004a0, // mov w0, #37
    0x910043ff, // add sp, sp, #16
    0xd65f03c0, // ret
    0xd503201f, 0xd503201f, 0xd503201f, 0xd503201f,
    0x52a80001, // spin: mov w1, #0x40000000
    0x71000421, // subs w1, w1, #1
    0x54ffffe1, // b.ne -4
    0x52800020, // mov w0, #1
    0xd65f03c0, // ret
};
inline constexpr std::uint32_t kMainSize = 0x18;
inline constexpr std::uint32_t kHashSize = 0x10;
inline constexpr std::uint32_t kSpinSize = 0x14;
inline constexpr std::uint32_t kCall = 8;       ///< where count_packets calls hash
inline constexpr std::uint32_t kSpinEnd = 0x4c; ///< behind its loop
inline std::vector<Unwind> unwind() {
    return {{.saved = {{19, 32}, {30, 24}}, .rows = {{0, 0, 0}, {4, 32, 2}, {20, 0, 0}}},
            {.saved = {}, .rows = {{0, 0, 0}, {4, 16, 0}, {12, 0, 0}}},
            {.saved = {}, .rows = {{0, 0, 0}}}};
}
#else
inline constexpr std::uint8_t kCode[] = {
    0x53,                         // count_packets: push rbx
    0x48, 0x83, 0xec, 0x10,       // sub rsp, 16
    0xbb, 0x05, 0x00, 0x00, 0x00, // mov ebx, 5
    0xe8, 0x11, 0x00, 0x00, 0x00, // call hash
    0x01, 0xd8,                   // add eax, ebx
    0x48, 0x83, 0xc4, 0x10,       // add rsp, 16
    0x5b,                         // pop rbx
    0xc3,                         // ret
    0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0x48, 0x83, 0xec, 0x18, // hash: sub rsp,
                                                                                  // 24
    0xb8, 0x25, 0x00, 0x00, 0x00,                                                 // mov eax, 37
    0x48, 0x83, 0xc4, 0x18,                                                       // add rsp, 24
    0xc3,                                                                         // ret
    0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
    0xcc, 0xcc, 0xb9, 0x00, 0x00, 0x00, 0x40, // spin: mov ecx, 0x40000000
    0xff, 0xc9,                               // dec ecx
    0x75, 0xfc,                               // jnz -4
    0xb8, 0x01, 0x00, 0x00, 0x00,             // mov eax, 1
    0xc3,                                     // ret
};
inline constexpr std::uint32_t kMainSize = 0x17;
inline constexpr std::uint32_t kHashSize = 0x0e;
inline constexpr std::uint32_t kSpinSize = 0x0f;
inline constexpr std::uint32_t kCall = 0xa;     ///< where count_packets calls hash
inline constexpr std::uint32_t kSpinEnd = 0x49; ///< behind its loop
inline std::vector<Unwind> unwind() {
    return {{.saved = {{3, 16}},
             .rows = {{0, 8, 0}, {1, 16, 1}, {5, 32, 1}, {0x15, 16, 1}, {0x16, 8, 0}}},
            {.saved = {}, .rows = {{0, 8, 0}, {4, 32, 0}, {13, 8, 0}}},
            {.saved = {}, .rows = {{0, 8, 0}}}};
}
#endif

inline std::span<const std::byte> code() {
    return std::as_bytes(std::span(kCode));
}

inline Program program() {
    Program made;
    made.name = "count_packets";
    made.lines = {{.insn = 0, .file = kFile, .text = "int count = 5;", .line = 15, .column = 9},
                  {.insn = 1, .file = kFile, .text = "return", .line = 16, .column = 20},
                  {.insn = 10, .file = kFile, .text = "return 37;", .line = 5, .column = 5},
                  {.insn = 20, .file = kFile, .text = "for", .line = 9, .column = 5},
                  {.insn = 21, .file = kFile, .text = "return 1;", .line = 11, .column = 5}};
    return made;
}

inline std::vector<NativeLine> lines() {
    return {{0, 0}, {kCall, 1}, {kCall + 4, 2}, {kHash, 10}, {kSpin, 20}, {kSpinEnd, 21}};
}

inline std::vector<NativeFunction> functions() {
    return {{0, kMainSize, "count_packets"},
            {kHash, kHashSize, "count_packets.hash"},
            {kSpin, kSpinSize, "count_packets.spin"}};
}

} // namespace skep::jit::sample
