// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "skep/maps/map.hpp"

/// Maps whose values are objects, not bytes. In the kernel user space puts them in by file
/// descriptor; here the owner of the objects does it through these interfaces, and write() says
/// -EBADF, as the kernel does for a number that is no descriptor.
namespace skep::maps {

/// Kinds ArrayOfMaps and HashOfMaps. lookup() gives the inner Map (see Map::lookup), valid for
/// the epoch section; read() its id().
class MapOfMaps : public Map {
public:
    using Map::Map;
    /// The map made from a definition of one of the two kinds, or nullptr.
    [[nodiscard]] static MapOfMaps* from(Map& map) noexcept;

    /// Puts a map in. -EINVAL if it does not fit the template, else as update().
    virtual int set_inner(const std::byte* key, std::shared_ptr<Map> inner,
                          std::uint64_t flags) noexcept = 0;
    /// The map of a key, or null.
    virtual std::shared_ptr<Map> inner(const std::byte* key) noexcept = 0;
};

/// Kind ProgArray: slots of programs, as whatever object the engine runs.
class ProgArrayMap : public Map {
public:
    using Map::Map;
    [[nodiscard]] static ProgArrayMap* from(Map& map) noexcept;

    /// -E2BIG if there is no such slot. A replaced program lives until open sections end.
    virtual int set(std::uint32_t index, std::shared_ptr<const void> program,
                    std::string name) noexcept = 0;
    /// The program of a slot, valid for the epoch section, or nullptr. For tail calls: lock-free.
    [[nodiscard]] virtual const void* get(std::uint32_t index) const noexcept = 0;
    /// The name given with the program; "" for an empty slot.
    [[nodiscard]] virtual std::string name_of(std::uint32_t index) const = 0;
};

/// Kind PerfEventArray: a sink per slot, by custom one per CPU.
class PerfEventArrayMap : public Map {
public:
    /// Receives the records written to a slot. Called from the thread that runs the program.
    using Sink = std::function<void(std::uint32_t slot, std::span<const std::byte> record)>;

    using Map::Map;
    [[nodiscard]] static PerfEventArrayMap* from(Map& map) noexcept;

    /// Opens a slot (null: closes it). -E2BIG if there is no such slot.
    virtual int set_sink(std::uint32_t slot, Sink sink) noexcept = 0;
    /// bpf_perf_event_output's rules: `flags` holds the slot, or BPF_F_CURRENT_CPU for `cpu`.
    /// -EINVAL for other flags, -E2BIG for no such slot or a record over 64 KiB,
    /// -ENOENT for a slot without sink.
    virtual int output(std::uint64_t flags, std::uint32_t cpu,
                       std::span<const std::byte> record) noexcept = 0;
};

/// Devices, CPUs and sockets that programs redirect to: Devmap, DevmapHash, Cpumap, Xskmap,
/// Sockmap, Sockhash, ReuseportSockarray, and CgroupArray. skep stores the values; whoever carries
/// out a redirect gives them a meaning (ifindex, CPU queue size, socket number...).
class TargetMap : public Map {
public:
    using Map::Map;
    [[nodiscard]] static TargetMap* from(Map& map) noexcept;

    /// The stored value, zero-extended to 8 bytes; false if there is none.
    virtual bool target(const std::byte* key, std::uint64_t& value) noexcept = 0;
};

} // namespace skep::maps
