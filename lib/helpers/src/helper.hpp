// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "skep/exec/run_context.hpp"
#include "skep/maps/map.hpp"

// Every helper has the same C++ signature; the unused registers stay unnamed in the macro.
#define SKEP_HELPER_FN(name)                                                                       \
    std::uint64_t name([[maybe_unused]] std::uint64_t r1, [[maybe_unused]] std::uint64_t r2,       \
                       [[maybe_unused]] std::uint64_t r3, [[maybe_unused]] std::uint64_t r4,       \
                       [[maybe_unused]] std::uint64_t r5,                                          \
                       [[maybe_unused]] exec::RunContext* run) noexcept

namespace skep::helpers {

/// A helper and its number, by name: spec knows the number.
struct Entry {
    std::string_view name;
    exec::HelperFn function;
};

// One list per file.
std::span<const Entry> map_helpers() noexcept;
std::span<const Entry> ringbuf_helpers() noexcept;
std::span<const Entry> dynptr_helpers() noexcept;
std::span<const Entry> time_helpers() noexcept;
std::span<const Entry> task_helpers() noexcept;
std::span<const Entry> probe_helpers() noexcept;
std::span<const Entry> text_helpers() noexcept;
std::span<const Entry> loop_helpers() noexcept;
std::span<const Entry> checksum_helpers() noexcept;
std::span<const Entry> xdp_helpers() noexcept;
std::span<const Entry> skb_helpers() noexcept;
std::span<const Entry> route_helpers() noexcept;
std::span<const Entry> socket_helpers() noexcept;
std::span<const Entry> trace_helpers() noexcept;

/// -errno as a helper returns it.
[[nodiscard]] constexpr std::uint64_t error(int number) noexcept {
    return static_cast<std::uint64_t>(-std::int64_t{number});
}
[[nodiscard]] constexpr std::uint64_t result(std::int64_t value) noexcept {
    return static_cast<std::uint64_t>(value);
}

[[nodiscard]] inline maps::Map& map_at(std::uint64_t address) noexcept {
    return *reinterpret_cast<maps::Map*>(address);
}
[[nodiscard]] inline std::byte* bytes_at(std::uint64_t address) noexcept {
    return reinterpret_cast<std::byte*>(address);
}
[[nodiscard]] inline std::span<std::byte> span_at(std::uint64_t address,
                                                  std::uint64_t size) noexcept {
    return {bytes_at(address), static_cast<std::size_t>(size)};
}

} // namespace skep::helpers
