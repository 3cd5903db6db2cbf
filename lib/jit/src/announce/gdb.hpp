// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

extern "C" {
/// What GDB reads: its manual, "JIT Compilation Interface". The layout is fixed.
struct jit_code_entry { // NOLINT(readability-identifier-naming): GDB's
    jit_code_entry* next_entry;
    jit_code_entry* prev_entry;
    const char* symfile_addr;
    std::uint64_t symfile_size;
};
struct jit_descriptor { // NOLINT(readability-identifier-naming): GDB's
    std::uint32_t version;
    std::uint32_t action_flag;
    jit_code_entry* relevant_entry;
    jit_code_entry* first_entry;
};
extern jit_descriptor __jit_debug_descriptor; // NOLINT(readability-identifier-naming)
void __jit_debug_register_code();             // NOLINT(readability-identifier-naming)
}

namespace skep::jit {

/// Debuggers know of an object as long as this lives, whenever they attach.
class GdbEntry {
public:
    explicit GdbEntry(std::vector<std::byte> object);
    ~GdbEntry();
    GdbEntry(const GdbEntry&) = delete;
    GdbEntry& operator=(const GdbEntry&) = delete;

private:
    std::vector<std::byte> object_;
    jit_code_entry entry_{};
};

} // namespace skep::jit
