// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/exec/trap.hpp"

#include <cstdio>

#include "skep/exec/region.hpp"
#include "skep/spec/helper.hpp"

namespace skep::exec {
namespace {

std::string region_name(std::uint8_t kind) {
    switch (static_cast<RegionKind>(kind)) {
    case RegionKind::None:
    case RegionKind::Unset:
        break;
    case RegionKind::Stack:
        return "stack";
    case RegionKind::Context:
        return "context";
    case RegionKind::Packet:
        return "packet";
    case RegionKind::MapValue:
        return "map value";
    case RegionKind::MapKey:
        return "map key";
    case RegionKind::Memory:
        return "memory";
    case RegionKind::Map:
        return "map";
    case RegionKind::Function:
        return "function";
    case RegionKind::Socket:
        return "socket";
    case RegionKind::Object:
        return "kernel object";
    }
    return "number";
}

std::string hex(std::uint64_t value) {
    char text[24];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
    return text;
}

/// "stack-8", "packet+14"; offsets in the stack count from r10, as in the source of a program.
std::string position(const Trap& trap) {
    std::int64_t offset = trap.offset;
    if (trap.region == static_cast<std::uint8_t>(RegionKind::Stack))
        offset -= trap.region_size;
    return region_name(trap.region) + (offset < 0 ? "" : "+") + std::to_string(offset);
}

std::string access(const Trap& trap) {
    const std::string bytes =
        std::to_string(trap.size) + (trap.size == 1 ? " byte at " : " bytes at ");
    return (trap.write ? "writes " : "reads ") + bytes;
}

std::string extent(const Trap& trap) {
    if (trap.region_size == 0)
        return ", nothing is there";
    if (trap.region == static_cast<std::uint8_t>(RegionKind::Stack))
        return ", only -" + std::to_string(trap.region_size) + "..-1 are there";
    return ", only 0.." + std::to_string(trap.region_size - 1) + " are there";
}

std::string helper_prefix(const Trap& trap) {
    if (trap.helper == 0)
        return "";
    const spec::HelperProto* proto = spec::find_helper(trap.helper);
    const std::string name =
        proto != nullptr ? "bpf_" + std::string(proto->name) : "#" + std::to_string(trap.helper);
    return "helper " + name + ": ";
}

std::string with_detail(const std::string& text, const Trap& trap) {
    return *trap.detail == '\0' ? text : text + ": " + trap.detail;
}

std::string what(const Trap& trap) {
    const std::string reg = "r" + std::to_string(trap.reg);
    switch (trap.kind) {
    case TrapKind::None:
        return "no trap";
    case TrapKind::OutOfBounds:
        return with_detail(access(trap) + position(trap) + extent(trap), trap);
    case TrapKind::NotAPointer:
        if (trap.address < 4096)
            return access(trap) + "a null pointer (" + reg + " is " + hex(trap.address) + ")";
        return access(trap) + hex(trap.address) + ", but " + reg + " is a " +
               region_name(trap.region) + ", not a pointer to memory";
    case TrapKind::ReadOnly:
        return access(trap) + position(trap) + ", which is read-only";
    case TrapKind::Uninitialised:
        if (trap.size == 0)
            return "reads " + reg + ", which was never set";
        return access(trap) + position(trap) + ", where nothing was written";
    case TrapKind::BadContext:
        return with_detail(access(trap) + position(trap), trap);
    case TrapKind::BadArgument:
        return with_detail("bad argument " + reg + " (" + hex(trap.address) + ")", trap);
    case TrapKind::BadCall:
        return with_detail("bad call", trap);
    case TrapKind::OutOfFuel:
        return "the instruction limit was reached";
    case TrapKind::BadInstruction:
        return with_detail("cannot be run", trap);
    case TrapKind::Misaligned:
        return with_detail(access(trap) + hex(trap.address) + ", which is not a multiple of " +
                               std::to_string(trap.size),
                           trap);
    case TrapKind::Host:
        return with_detail("the host failed", trap);
    }
    return "unknown trap";
}

} // namespace

std::string describe(const Trap& trap) {
    return helper_prefix(trap) + what(trap);
}

} // namespace skep::exec
