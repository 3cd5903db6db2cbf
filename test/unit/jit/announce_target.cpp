// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
// A process with compiled code, for profilers and debuggers:
//   announce_target gdb | perf-map | jitdump DIRECTORY
// It prints its number, and fails if the code gives a wrong result.
#include <cstdio>
#include <string_view>
#include <unistd.h>
#include <utility>

#include "memory/code_memory.hpp"
#include "sample_code.hpp"
#include "skep/jit/announce.hpp"

using namespace skep;
using namespace skep::jit;

/// For a breakpoint: the code is still there, but nobody is told of it any more.
extern "C" [[gnu::noinline]] void after_release() {
    asm volatile("");
}

#ifdef __clang__ // UBSan looks for the type of a function in the bytes before it.
__attribute__((no_sanitize("function")))
#endif
[[gnu::noinline]] static int
call(const CodePiece& piece, std::uint32_t offset) {
    const auto where = reinterpret_cast<std::uintptr_t>(piece.bytes().data()) + offset;
    const int result = reinterpret_cast<int (*)()>(where)();
    return result + (offset == 0 ? 0 : 1); // Not a tail call: this frame is to be seen.
}

int main(int argc, char** argv) {
    const std::string_view mode = argc > 1 ? argv[1] : "";
    const Announce how{.perf_map = mode == "perf-map",
                       .jitdump = mode == "jitdump",
                       .gdb = mode == "gdb",
                       .directory = argc > 2 ? argv[2] : ""};
    const auto piece = CodePiece::place(sample::code(), {.anonymous = needs_own_pages(how)});
    if (!piece)
        return 2;
    Announcement told = announce(sample::program(), piece->bytes(), sample::lines(),
                                 sample::functions(), how, sample::unwind());
    for (const Error& error : told.errors())
        std::fprintf(stderr, "%s\n", error.to_string().c_str());
    const int result = call(*piece, how.gdb ? 0 : sample::kSpin);
    std::printf("process %d\n", getpid());
    told = Announcement();
    after_release();
    return result == (how.gdb ? 42 : 2) ? 0 : 1;
}
