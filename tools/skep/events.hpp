// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "console.hpp"
#include "skep/maps/ringbuf.hpp"
#include "skep/runtime/runtime.hpp"

namespace skep::tool {

/// What programs say while they run: printk lines, and records of ring buffers and of perf event
/// arrays. Text goes to stdout as it comes; for JSON it is kept until the end.
class Events {
public:
    /// `type`: the struct that records are; empty: "event", where it fits. `limit`: records to show
    /// as text; further ones are counted.
    Events(const Console& console, std::shared_ptr<const btf::Btf> btf, std::string type,
           std::uint64_t limit);

    /// Looks for ring buffers. NotFound if the given type is not in the object's BTF.
    Result<void> watch(const runtime::Runtime& runtime);
    [[nodiscard]] bool watches() const noexcept { return !rings_.empty(); }

    void printk(std::string_view text);
    void perf(const maps::Map& map, std::uint32_t cpu, Bytes record);
    /// Takes what is in the ring buffers.
    void drain();
    /// Records that were not shown because of the limit.
    [[nodiscard]] std::uint64_t hidden() const noexcept {
        return count_ > limit_ ? count_ - limit_ : 0;
    }
    /// Adds "printk" and "events", if there are any.
    void add_to(Json& json) const;

private:
    void record(const std::string& map, Bytes bytes);

    struct Ring {
        Events* owner;
        std::string name;
        maps::RingbufReader reader;
    };
    const Console& console_;
    std::shared_ptr<const btf::Btf> btf_;
    std::string type_;
    std::uint32_t type_id_ = 0;
    std::vector<Ring> rings_;
    std::uint64_t limit_;
    std::uint64_t count_ = 0;
    Json printk_ = Json::array();
    Json events_ = Json::array();
};

} // namespace skep::tool
