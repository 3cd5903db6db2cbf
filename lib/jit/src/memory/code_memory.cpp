// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "code_memory.hpp"

#include <cstring>
#include <sys/mman.h>

namespace skep::jit {

Result<CodePiece> CodePiece::place(std::span<const std::byte> code) {
    const std::size_t size = (code.size() + 4095) / 4096 * 4096;
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return fail(ErrorCode::Environment, "no executable memory");
    std::memcpy(at, code.data(), code.size());
    // Caches of instructions and of data are apart on arm64.
    __builtin___clear_cache(static_cast<char*>(at), static_cast<char*>(at) + code.size());
    ::mprotect(at, size, PROT_READ | PROT_EXEC);
    auto* start = static_cast<std::byte*>(at);
    return CodePiece({start, size}, {start, code.size()});
}

CodePiece::~CodePiece() {
    if (!mapping_.empty())
        ::munmap(mapping_.data(), mapping_.size());
}

} // namespace skep::jit
