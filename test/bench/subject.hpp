// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/result.hpp"
#include "skep/object/object.hpp"

namespace skep::bench {

/// What a program's time goes to.
enum class Kind : std::uint8_t { Floor, Alu, Divide, Memory, Branch, Stack, Call, Map };

[[nodiscard]] std::string_view kind_name(Kind kind) noexcept;

struct SuiteEntry {
    std::string_view name;
    Kind kind;
    /// Runs of one sample at most; 0: as time permits. Ring buffers are only so large.
    std::uint32_t max_runs = 0;
    /// Why there is no native form; empty: there is one.
    std::string_view not_native{};
};

/// The programs of the suite. The first is the empty one.
[[nodiscard]] std::span<const SuiteEntry> suite() noexcept;

/// What a map holds before the first run; of per-CPU maps, the value of every CPU.
struct Element {
    std::uint32_t map = 0; ///< index into the object's maps
    std::vector<std::byte> key, value;
};

template <class T>
[[nodiscard]] std::vector<std::byte> bytes_of(const T& value) {
    std::vector<std::byte> bytes(sizeof value);
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

/// A program with what it works on, the same for every contender.
struct Subject {
    SuiteEntry entry;
    object::Object object;
    std::vector<Element> elements;

    [[nodiscard]] std::string name() const { return std::string(entry.name); }
};

/// Opens the object of a program; Error if it is not there or is damaged.
Result<Subject> open_subject(const SuiteEntry& entry);

/// The frame that every program sees.
[[nodiscard]] std::vector<std::byte> suite_frame();

} // namespace skep::bench
