// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "skep/base/file.hpp"

/// The kernel's bpf(2), raw, as an oracle for tests. Nothing here attaches to anything.
/// Every call returns 0 (or what it documents) on success and -errno on failure.
namespace skep::test::kernel {

/// True if this process may create maps and load programs; otherwise `why` (if given) receives
/// the text for GTEST_SKIP, "needs CAP_BPF (bpf(2): Operation not permitted)".
[[nodiscard]] bool available(std::string* why = nullptr);

/// CPUs for which the kernel keeps slots in per-CPU maps (num_possible_cpus).
[[nodiscard]] std::uint32_t possible_cpus();

// --- maps ---

/// BPF_MAP_CREATE's attributes; the numbers are the kernel's.
struct MapAttr {
    std::uint32_t type = 0;
    std::uint32_t key_size = 0;
    std::uint32_t value_size = 0;
    std::uint32_t max_entries = 0;
    std::uint32_t flags = 0;
    int inner_map_fd = -1; ///< -1: not given
    std::uint32_t numa_node = 0;
    std::uint64_t extra = 0;
    std::string name{}; ///< at most 15 characters
    int btf_fd = -1;    ///< with the two type ids
    std::uint32_t btf_key_type = 0;
    std::uint32_t btf_value_type = 0;
};

/// A map descriptor or -errno; the caller closes it (wrap it in skep::Fd).
[[nodiscard]] int map_create(const MapAttr& attr);
/// BPF_MAP_LOOKUP_ELEM. Per-CPU kinds: `value` holds possible_cpus() slots rounded up to 8 bytes.
int map_lookup(int fd, const void* key, void* value, std::uint64_t flags = 0);
int map_update(int fd, const void* key, const void* value, std::uint64_t flags = 0);
int map_delete(int fd, const void* key);
/// `key` nullptr: the first key.
int map_next_key(int fd, const void* key, void* next);
int map_lookup_and_delete(int fd, const void* key, void* value, std::uint64_t flags = 0);
int map_freeze(int fd);

// --- programs ---

struct ProgAttr {
    std::uint32_t type = 0;
    std::uint32_t expected_attach_type = 0;
    std::span<const std::uint64_t> insns{}; ///< 8-byte slots
    std::string license = "GPL";
    std::string name{};
    std::uint32_t flags = 0;
    std::uint32_t log_level = 1; ///< 0: no log
    std::uint32_t attach_btf_id = 0;
    int btf_fd = -1;
    std::span<const std::byte> func_info{}; ///< with func_info_size bytes a record
    std::uint32_t func_info_size = 0;
    std::span<const int> fds{}; ///< BPF fd_array: for lddw with src 5 and 6
};

/// A program descriptor or -errno; `log` (if given) receives the verifier's text.
[[nodiscard]] int prog_load(const ProgAttr& attr, std::string* log = nullptr);

/// BPF_PROG_TEST_RUN.
struct TestRun {
    std::span<const std::byte> data_in{};
    std::span<const std::byte> ctx_in{};
    std::uint32_t repeat = 0;
    std::uint32_t flags = 0;
    std::uint32_t cpu = 0;           ///< with BPF_F_TEST_RUN_ON_CPU
    std::uint32_t batch_size = 0;    ///< with BPF_F_TEST_XDP_LIVE_FRAMES
    std::uint32_t data_room = 65536; ///< bytes that may come back; 0: data_out is not asked for
    std::uint32_t ctx_room = 0;      ///< the same for ctx_out

    // Filled in:
    std::uint32_t retval = 0;
    std::uint32_t duration_ns = 0; ///< mean of one repetition
    std::vector<std::byte> data_out{};
    std::vector<std::byte> ctx_out{};
};
int prog_test_run(int fd, TestRun& run);

// --- BTF ---

/// A BTF descriptor or -errno; `log` (if given) receives the kernel's text.
[[nodiscard]] int btf_load(std::span<const std::byte> btf, std::string* log = nullptr);

} // namespace skep::test::kernel
