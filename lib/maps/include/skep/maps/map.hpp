// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "skep/base/result.hpp"
#include "skep/spec/map_def.hpp"

namespace skep::maps {

/// A map: one interface in front of every kind.
///
/// Threads: every operation may be called from any number of threads at once. A value pointer
/// stays valid until the epoch section (maps::EpochGuard) in which it was obtained ends, even if
/// the element is deleted or replaced meanwhile: a program run is one such section.
/// Errors are negative errno values, the kernel's for the same mistake.
/// Operations that a kind does not have return -EOPNOTSUPP (-ENOTSUPP is not for user space).
class Map {
public:
    explicit Map(spec::MapDef def) : def_(std::move(def)) {}
    Map(const Map&) = delete;
    Map& operator=(const Map&) = delete;
    virtual ~Map() = default;

    [[nodiscard]] const spec::MapDef& def() const noexcept { return def_; }

    // --- what a running program does; `cpu` selects the slot of per-CPU kinds ---

    /// The value of a key (this CPU's slot for per-CPU kinds), or nullptr.
    virtual std::byte* lookup(const std::byte* key, std::uint32_t cpu) noexcept;
    /// `flags`: BPF_ANY, BPF_NOEXIST, BPF_EXIST; per-CPU kinds write only this CPU's slot.
    virtual int update(const std::byte* key, const std::byte* value, std::uint64_t flags,
                       std::uint32_t cpu) noexcept;
    virtual int erase(const std::byte* key) noexcept;
    virtual int push(const std::byte* value, std::uint64_t flags) noexcept;
    virtual int pop(std::byte* value) noexcept;
    virtual int peek(std::byte* value) noexcept;

    // --- what user space does, by bpf(2)'s rules ---

    /// Copies the value out. Per-CPU kinds: all CPUs, each rounded up to 8 bytes (user_value_size).
    virtual int read(const std::byte* key, std::byte* value) noexcept;
    /// Copies the value in; the mirror image of read().
    virtual int write(const std::byte* key, const std::byte* value, std::uint64_t flags) noexcept;
    /// The key after `key` (nullptr: the first) into `next`; -ENOENT at the end.
    virtual int next_key(const std::byte* key, std::byte* next) noexcept;
    /// Forbids further writes from user space (BPF_MAP_FREEZE).
    virtual int freeze() noexcept;

    /// Bytes that read() and write() transfer.
    [[nodiscard]] virtual std::uint32_t user_value_size() const noexcept;

    // --- what engines may use for speed ---

    /// Address of the value of key 0 when values lie side by side (array kinds), else nullptr.
    [[nodiscard]] virtual std::byte* direct_values() noexcept { return nullptr; }
    /// Bytes from one value to the next when direct_values() is not null.
    [[nodiscard]] virtual std::uint32_t direct_stride() const noexcept { return 0; }

private:
    spec::MapDef def_;
};

struct CreateOptions {
    std::uint32_t cpus = 1; ///< slots of per-CPU kinds
};

/// Makes a map. Limits and error messages follow the kernel's map_alloc_check of each kind.
Result<std::shared_ptr<Map>> create(const spec::MapDef& def, const CreateOptions& options = {});

} // namespace skep::maps
