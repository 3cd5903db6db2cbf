// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "memory/code_memory.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <random>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "memory/chunk.hpp"
#include "memory/region.hpp"
#include "skep/maps/epoch.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SKEP_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SKEP_SANITIZED 1
#endif
#endif

namespace skep::jit {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

/// `int function() { return value; }`, `size` bytes long.
std::vector<std::byte> returning(std::uint16_t value, std::size_t size = 16) {
    std::vector<std::byte> code(size);
#ifdef __aarch64__
    const std::uint32_t insns[] = {0x52800000U | std::uint32_t{value} << 5, 0xd65f03c0U};
    std::memcpy(code.data(), insns, sizeof insns);
#else
    const std::uint8_t insns[] = {
        0xb8, static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8), 0, 0, 0xc3};
    std::memcpy(code.data(), insns, sizeof insns);
#endif
    return code;
}

#ifdef __clang__ // UBSan looks for the type of a function in the bytes before it.
__attribute__((no_sanitize("function")))
#endif
int call(const CodePiece& piece) {
    return reinterpret_cast<int (*)()>(reinterpret_cast<std::uintptr_t>(piece.bytes().data()))();
}

CodePiece place(const std::vector<std::byte>& code, const Placing& how = {}) {
    auto piece = CodePiece::place(code, how);
    if (!piece)
        ADD_FAILURE() << piece.error().to_string();
    return *std::move(piece);
}

std::uintptr_t address(const std::byte* where) {
    return reinterpret_cast<std::uintptr_t>(where);
}

bool only_breakpoints(const std::byte* from, std::size_t size) {
    for (std::size_t i = 0; i != size; ++i) {
        if (from[i] != breakpoints()[(address(from) + i) % breakpoints().size()])
            return false;
    }
    return true;
}

struct Mapping {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::string text;
};

/// /proc/self/maps, by address.
std::vector<Mapping> mappings() {
    std::vector<Mapping> all;
    std::ifstream file("/proc/self/maps");
    for (std::string line; std::getline(file, line);) {
        Mapping one{.text = line};
        const char* end = line.data() + line.size();
        const auto dash = std::from_chars(line.data(), end, one.begin, 16);
        std::from_chars(dash.ptr + 1, end, one.end, 16);
        all.push_back(std::move(one));
    }
    return all;
}

/// The mapping of the piece, with the one before and the one behind it.
struct Around {
    Mapping before, self, behind;
};
Around around(const CodePiece& piece) {
    const auto all = mappings();
    const std::uintptr_t where = address(piece.bytes().data());
    for (std::size_t i = 1; i + 1 < all.size(); ++i) {
        if (all[i].begin <= where && where < all[i].end)
            return {all[i - 1], all[i], all[i + 1]};
    }
    ADD_FAILURE() << "not mapped";
    return {};
}

/// Runs `check` in a child process; its result, or -1 if it died.
template <class Check>
int in_child(const Check& check) {
    const pid_t child = fork();
    if (child == 0)
        _exit(check());
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(code_memory, runs_what_was_placed) {
    const CodePiece piece = place(returning(42));
    EXPECT_EQ(call(piece), 42);
    EXPECT_TRUE(std::ranges::equal(piece.bytes(), returning(42)));
}

TEST(code_memory, begins_at_cache_lines_and_shares_none) {
    std::vector<CodePiece> pieces;
    for (const std::size_t size : {16, 64, 65, 127, 128, 16})
        pieces.push_back(place(returning(7, size)));
    std::ranges::sort(pieces, {}, [](const CodePiece& piece) { return piece.bytes().data(); });
    std::uintptr_t end = 0;
    for (const CodePiece& piece : pieces) {
        const std::uintptr_t begin = address(piece.bytes().data());
        EXPECT_EQ(begin % 64, 0U);
        EXPECT_GE(begin, end);
        end = round_up(begin + piece.bytes().size(), 64);
    }
}

TEST(code_memory, holds_breakpoints_where_no_code_is) {
    const CodePiece piece = place(returning(7, 80));
    EXPECT_TRUE(only_breakpoints(piece.bytes().data() + 80, 48));
    const CodePiece alone = place(returning(7, 80), {.anonymous = true});
    EXPECT_TRUE(only_breakpoints(alone.bytes().data() + 80, page_bytes() - 80));
}

TEST(code_memory, has_no_writable_mapping) {
    const CodePiece piece = place(returning(1));
    const CodePiece alone = place(returning(2), {.anonymous = true});
    EXPECT_THAT(around(piece).self.text, AllOf(HasSubstr(" r-xs "), HasSubstr("/memfd:skep-code")));
    EXPECT_THAT(around(alone).self.text, HasSubstr(" r-xp "));
    for (const Mapping& one : mappings()) {
        EXPECT_THAT(one.text, testing::Not(HasSubstr(" rwx")));
        if (one.text.find("skep-code") != std::string::npos) {
            EXPECT_THAT(one.text, HasSubstr(" r-xs "));
        }
    }
}

TEST(code_memory, lies_between_pages_that_cannot_be_touched) {
    for (const bool anonymous : {false, true}) {
        const CodePiece piece = place(returning(1), {.anonymous = anonymous});
        const Around maps = around(piece);
        EXPECT_EQ(maps.before.end, maps.self.begin);
        EXPECT_EQ(maps.self.end, maps.behind.begin);
        EXPECT_THAT(maps.before.text, HasSubstr(" ---p "));
        EXPECT_THAT(maps.behind.text, HasSubstr(" ---p "));
    }
}

TEST(code_memory_death, dies_of_a_write) {
    const CodePiece piece = place(returning(1));
    auto* where = const_cast<std::byte*>(piece.bytes().data());
    EXPECT_DEATH(*static_cast<volatile std::byte*>(where) = std::byte{0}, "");
}

TEST(code_memory_death, dies_of_a_read_before_and_behind) {
    const CodePiece piece = place(returning(1), {.anonymous = true});
    const volatile std::byte* where = piece.bytes().data();
    EXPECT_DEATH((void)where[-1], "");
    EXPECT_DEATH((void)where[page_bytes()], "");
}

TEST(code_memory, keeps_the_code_until_open_sections_end) {
    maps::synchronize(); // Nothing of other tests is on its way back.
    CodePiece piece = place(returning(3, 320));
    const std::byte* where = piece.bytes().data();
    {
        const maps::EpochGuard guard;
        {
            const CodePiece gone = std::move(piece);
        }
        // Frees what is due: many retirements.
        for (int i = 0; i != 2000; ++i)
            place(returning(4, 320));
        EXPECT_TRUE(std::ranges::equal(Bytes(where, 320), returning(3, 320)));
    }
    maps::synchronize();
    EXPECT_TRUE(only_breakpoints(where, 320));
    const CodePiece next = place(returning(5, 320));
    EXPECT_LE(next.bytes().data(), where); // First fit: nothing behind a free place is used.
}

TEST(code_memory, uses_places_again) {
    maps::synchronize();
    const std::byte* where = place(returning(3, 3000)).bytes().data();
    maps::synchronize();
    const CodePiece next = place(returning(9, 3000));
    EXPECT_EQ(next.bytes().data(), where);
    EXPECT_EQ(call(next), 9);
}

TEST(code_memory, gives_chunks_back_but_one) {
    maps::synchronize();
    const CodeMemory before = code_memory();
    std::vector<CodePiece> pieces;
    for (int i = 0; i != 100; ++i)
        pieces.push_back(place(returning(1, 16000)));
    EXPECT_GE(code_memory().chunks, 100 * 16000 / Chunk::kUsualBytes);
    EXPECT_EQ(code_memory().pieces, before.pieces + 100);
    pieces.clear();
    maps::synchronize();
    EXPECT_EQ(code_memory().pieces, before.pieces);
    EXPECT_EQ(code_memory().chunks, std::max<std::size_t>(before.chunks, 1));
}

TEST(code_memory, opens_memory_as_it_is_needed) {
    EXPECT_EQ(in_child([] { // Without what other tests left.
                  const CodePiece piece = place(returning(1));
                  return code_memory().open_bytes < Chunk::kUsualBytes ? 0 : 1;
              }),
              0);
}

TEST(code_memory, has_room_for_large_programs) {
    const CodePiece piece = place(returning(77, 3 * Chunk::kUsualBytes + 5));
    EXPECT_EQ(call(piece), 77);
    EXPECT_TRUE(std::ranges::equal(piece.bytes(), returning(77, 3 * Chunk::kUsualBytes + 5)));
}

TEST(code_memory, refuses_no_code) {
    const auto piece = CodePiece::place({});
    ASSERT_FALSE(piece);
    EXPECT_EQ(piece.error().code, ErrorCode::Invalid);
    EXPECT_EQ(piece.error().message, "there is no code to place");
}

TEST(code_memory, is_shared_by_threads) {
    const auto work = [](unsigned seed) {
        std::mt19937 random(seed);
        std::vector<std::pair<CodePiece, int>> held;
        for (int i = 0; i != 300; ++i) {
            const auto value = static_cast<std::uint16_t>(random() & 0x7fff);
            held.emplace_back(
                place(returning(value, 16 + random() % 6000), {.anonymous = random() % 16 == 0}),
                value);
            if (held.size() == 20) {
                held[random() % held.size()] = std::move(held.back());
                held.pop_back();
            }
            const maps::EpochGuard guard;
            for (const auto& [piece, expected] : held)
                ASSERT_EQ(call(piece), expected);
        }
    };
    maps::synchronize();
    const std::size_t before = code_memory().pieces;
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed != 5; ++seed)
        threads.emplace_back(work, seed);
    for (std::thread& thread : threads)
        thread.join();
    maps::synchronize();
    EXPECT_EQ(code_memory().pieces, before);
}

TEST(code_memory, is_changed_by_neither_process_after_a_fork) {
    maps::synchronize();
    CodePiece freed = place(returning(1, 500));
    const CodePiece kept = place(returning(2, 500));
    const std::byte* where = freed.bytes().data();
    EXPECT_EQ(in_child([&] {
                  {
                      const CodePiece gone = std::move(freed);
                  }
                  maps::synchronize();
                  const CodePiece own = place(returning(3, 500));
                  return own.bytes().data() != where && call(own) == 3 && call(kept) == 2 ? 0 : 1;
              }),
              0);
    EXPECT_EQ(call(freed), 1);
    EXPECT_EQ(call(kept), 2);

    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) { // Now the parent frees and places.
        close(ready[1]);
        char byte = 0;
        (void)!read(ready[0], &byte, 1);
        _exit(call(freed) == 1 && call(kept) == 2 ? 0 : 1);
    }
    {
        const CodePiece gone = std::move(freed);
    }
    maps::synchronize();
    const CodePiece next = place(returning(4, 500));
    EXPECT_EQ(call(next), 4);
    EXPECT_EQ(write(ready[1], "", 1), 1);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    close(ready[0]);
    close(ready[1]);
}

TEST(code_memory, gives_frozen_chunks_back) {
    maps::synchronize();
    const std::size_t before = code_memory().chunks;
    {
        const CodePiece piece = place(returning(1, 2 * Chunk::kUsualBytes));
        EXPECT_EQ(in_child([] { return 0; }), 0);
    }
    maps::synchronize();
    EXPECT_LE(code_memory().chunks, std::max<std::size_t>(before, 1));
}

/// From now on the system call fails with EPERM; mprotect(2) only if it makes memory executable.
bool forbid(std::initializer_list<long> calls) {
    std::vector<sock_filter> filter{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (const long number : calls) {
        const auto nr = static_cast<std::uint32_t>(number);
        filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 4));
        filter.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])));
        const bool any = nr != SYS_mprotect;
        filter.push_back(BPF_JUMP(BPF_JMP | (any ? BPF_JGE : BPF_JSET) | BPF_K,
                                  any ? 0 : unsigned{PROT_EXEC}, 0, 1));
        filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
        filter.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    }
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(code_memory, does_without_memfd) {
    EXPECT_EQ(in_child([] {
                  if (!forbid({SYS_memfd_create}))
                      return 2;
                  const CodePiece piece = place(returning(6));
                  return call(piece) == 6 && code_memory().chunks == 0 ? 0 : 1;
              }),
              0);
}

TEST(code_memory, does_without_making_pages_executable) {
    EXPECT_EQ(in_child([] {
                  if (!forbid({SYS_mprotect}))
                      return 2;
                  const CodePiece piece = place(returning(6, 100'000));
                  const CodePiece more = place(returning(8, 100'000)); // The chunk grows, too.
                  return call(piece) == 6 && call(more) == 8 ? 0 : 1;
              }),
              0);
}

TEST(code_memory, does_with_deny_write_execute) {
    constexpr int set_mdwe = 65; // PR_SET_MDWE, Linux 6.3
    const int result = in_child([] {
        if (prctl(set_mdwe, 1, 0, 0, 0) != 0)
            return 77;
        return call(place(returning(6))) == 6 ? 0 : 1;
    });
    if (result == 77)
        GTEST_SKIP() << "needs prctl(PR_SET_MDWE), Linux 6.3";
    EXPECT_EQ(result, 0);
}

TEST(code_memory, does_with_a_limit_for_files) {
    EXPECT_EQ(in_child([] {
                  const rlimit limit{4096, 4096};
                  setrlimit(RLIMIT_FSIZE, &limit);
                  return call(place(returning(6))) == 6 ? 0 : 1;
              }),
              0);
}

TEST(code_memory, says_what_was_refused) {
    EXPECT_EQ(in_child([] {
                  if (!forbid({SYS_memfd_create, SYS_mprotect}))
                      return 2;
                  const auto piece = CodePiece::place(returning(6));
                  if (piece)
                      return 3;
                  const Error& error = piece.error();
                  return error.code == ErrorCode::Environment &&
                                 error.message ==
                                     "no executable memory: memfd_create: Operation not "
                                     "permitted; mprotect: Operation not permitted" &&
                                 error.hint ==
                                     "run the program in the interpreter, which needs none"
                             ? 0
                             : 1;
              }),
              0);
}

TEST(code_memory, survives_exhaustion) {
#ifdef SKEP_SANITIZED
    GTEST_SKIP() << "needs RLIMIT_AS, which sanitizers do not stand";
#else
    EXPECT_EQ(in_child([] {
                  std::uintptr_t mapped = 0;
                  for (const Mapping& one : mappings())
                      mapped += one.end - one.begin;
                  const rlimit limit{mapped + (8U << 20), mapped + (8U << 20)};
                  setrlimit(RLIMIT_AS, &limit);
                  std::vector<CodePiece> held;
                  held.reserve(1000);
                  const std::vector<std::byte> code = returning(6, 100'000);
                  auto piece = CodePiece::place(code);
                  for (; piece && held.size() != 1000; piece = CodePiece::place(code))
                      held.push_back(*std::move(piece));
                  if (piece || piece.error().code != ErrorCode::Environment || held.size() < 50)
                      return 1;
                  for (const CodePiece& one : held) {
                      if (call(one) != 6)
                          return 2;
                  }
                  held.clear();
                  maps::synchronize();
                  piece = CodePiece::place(code);
                  return piece && call(*piece) == 6 ? 0 : 3;
              }),
              0);
#endif
}

} // namespace
} // namespace skep::jit
