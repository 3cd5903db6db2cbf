// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "gdb.hpp"

#include <mutex>

enum : std::uint32_t { JitNoAction, JitRegister, JitUnregister };

extern "C" {
// Weak: LLVM defines the same two, and one of each does for a program.
[[gnu::weak, gnu::used]] jit_descriptor __jit_debug_descriptor{1, JitNoAction, nullptr, nullptr};

// The debugger stops here and looks at the descriptor.
[[gnu::weak, gnu::used, gnu::noinline]] void __jit_debug_register_code() {
    asm volatile("" ::: "memory");
}
}

namespace skep::jit {
namespace {

// Never destroyed: code may be freed after main() returns.
std::mutex& list_mutex() {
    static auto* instance = new std::mutex;
    return *instance;
}

void tell(std::uint32_t action, jit_code_entry* entry) {
    __jit_debug_descriptor.relevant_entry = entry;
    __jit_debug_descriptor.action_flag = action;
    __jit_debug_register_code();
    __jit_debug_descriptor.action_flag = JitNoAction;
    __jit_debug_descriptor.relevant_entry = nullptr; // It may be freed.
}

} // namespace

GdbEntry::GdbEntry(std::vector<std::byte> object) : object_(std::move(object)) {
    entry_.symfile_addr = reinterpret_cast<const char*>(object_.data());
    entry_.symfile_size = object_.size();
    const std::lock_guard lock(list_mutex());
    entry_.next_entry = __jit_debug_descriptor.first_entry;
    if (entry_.next_entry != nullptr)
        entry_.next_entry->prev_entry = &entry_;
    __jit_debug_descriptor.first_entry = &entry_;
    tell(JitRegister, &entry_);
}

GdbEntry::~GdbEntry() {
    const std::lock_guard lock(list_mutex());
    if (entry_.prev_entry != nullptr)
        entry_.prev_entry->next_entry = entry_.next_entry;
    else
        __jit_debug_descriptor.first_entry = entry_.next_entry;
    if (entry_.next_entry != nullptr)
        entry_.next_entry->prev_entry = entry_.prev_entry;
    tell(JitUnregister, &entry_);
}

} // namespace skep::jit
