// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Arguments of helpers against their prototypes: what the verifier proves for verified programs.
#include "machine.hpp"

namespace skep::interp {
namespace {

using spec::ArgKind;

constexpr std::uint32_t kDynptrBytes = 16;
/// As the verifier's BPF_MAX_VAR_SIZ: no larger size is meant.
constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 29;

/// The check of one call: the argument under way and what earlier ones established.
struct Checker {
    Machine& machine;
    RegFile& regs;
    const CallSite& site;
    const spec::MapDef* map = nullptr;

    [[nodiscard]] const Capability& cap(std::size_t arg) const noexcept {
        return regs.caps[arg + 1];
    }
    [[nodiscard]] std::uint64_t value(std::size_t arg) const noexcept {
        return regs.values[arg + 1];
    }

    [[nodiscard]] Access access(std::size_t arg, std::uint64_t size, bool write) const noexcept {
        return {.address = value(arg),
                .size = static_cast<std::uint32_t>(size),
                .reg = static_cast<std::uint8_t>(arg + 1),
                .write = write,
                .helper = site.id};
    }
    bool refuse(std::size_t arg, const char* needed) const noexcept {
        set_trap(machine, TrapKind::BadArgument, cap(arg), access(arg, 0, false), needed);
        return false;
    }
    [[nodiscard]] bool memory(std::size_t arg, std::uint64_t size, bool read,
                              bool write) const noexcept {
        if (read && reach(machine, cap(arg), access(arg, size, false)) == nullptr)
            return false;
        return !write || reach(machine, cap(arg), access(arg, size, true)) != nullptr;
    }
    [[nodiscard]] bool sized(std::size_t arg, bool read, bool write) const noexcept;
    [[nodiscard]] bool of_map(std::size_t arg, bool key, bool write) const noexcept;
    [[nodiscard]] bool text(std::size_t arg) const noexcept;
    [[nodiscard]] bool dynptr(std::size_t arg, bool out) const noexcept;
    [[nodiscard]] bool in_map_value(std::size_t arg, std::uint32_t size) const noexcept;
    [[nodiscard]] bool is_null(std::size_t arg) const noexcept {
        return value(arg) == 0 && cap(arg).kind == RegionKind::None;
    }
    bool check(std::size_t arg) noexcept;
};

bool Checker::sized(std::size_t arg, bool read, bool write) const noexcept {
    if (arg == 4)
        return refuse(arg, "the prototype names no size");
    const std::uint64_t size = value(arg + 1);
    const ArgKind kind = site.proto->args[arg + 1];
    if (cap(arg + 1).kind != RegionKind::None)
        return refuse(arg + 1, "a size was needed, not a pointer");
    if (size == 0 && kind == ArgKind::Size)
        return refuse(arg + 1, "a size of at least 1 was needed");
    if (size > kMaxSize)
        return refuse(arg + 1, "the size is negative or too large");
    if (is_null(arg) && site.proto->nullable[arg])
        return size == 0 ? true : refuse(arg, "a null pointer needs size 0");
    return memory(arg, size, read, write);
}

bool Checker::of_map(std::size_t arg, bool key, bool write) const noexcept {
    if (map == nullptr)
        return refuse(arg, "no map was given before it");
    return memory(arg, key ? map->key_size : map->value_size, !write, write);
}

bool Checker::text(std::size_t arg) const noexcept {
    if (cap(arg).kind != RegionKind::MapValue || (cap(arg).flags & exec::kReadOnly) == 0)
        return refuse(arg, "a string in read-only map memory was needed");
    const std::uint64_t offset = value(arg) - cap(arg).base;
    if (offset >= cap(arg).size)
        return refuse(arg, "the string lies outside its map value");
    const auto* from = reinterpret_cast<const char*>(value(arg));
    if (std::memchr(from, 0, cap(arg).size - offset) == nullptr)
        return refuse(arg, "the string has no end");
    return true;
}

/// A dynptr on the stack is known by the capability that its initialisation left in both slots.
bool Checker::dynptr(std::size_t arg, bool out) const noexcept {
    const Capability& at = cap(arg);
    const std::uint64_t address = value(arg);
    if (at.kind == RegionKind::Object && at.base == address && !out)
        return true; // Given to a callback.
    if (at.kind != RegionKind::Stack || address % 8 != 0)
        return refuse(arg, "a dynptr on the stack was needed");
    if (!memory(arg, kDynptrBytes, !out, out))
        return false;
    const std::size_t slot = (address - at.base) / 8;
    Capability* spilled = &machine.frame(at.id).spilled[slot];
    const Capability mark{.base = address, .kind = RegionKind::Object, .id = 0xd};
    if (out) {
        spilled[0] = spilled[1] = mark;
        return true;
    }
    for (int i = 0; i < 2; ++i)
        if (spilled[i].kind != mark.kind || spilled[i].base != address || spilled[i].id != mark.id)
            return refuse(arg, "the dynptr is not initialised");
    return true;
}

bool Checker::in_map_value(std::size_t arg, std::uint32_t size) const noexcept {
    if (cap(arg).kind != RegionKind::MapValue)
        return refuse(arg, "a field of a map value was needed");
    return memory(arg, size, true, true);
}

bool Checker::check(std::size_t arg) noexcept {
    const ArgKind kind = site.proto->args[arg];
    const RegionKind region = cap(arg).kind;
    if (kind == ArgKind::None)
        return true;
    if (region == RegionKind::Unset) {
        set_trap(machine, TrapKind::Uninitialised, {}, access(arg, 0, false));
        return false;
    }
    const bool has_size =
        kind == ArgKind::Memory || kind == ArgKind::MemoryOut || kind == ArgKind::MemoryInOut;
    if (site.proto->nullable[arg] && is_null(arg) && !has_size)
        return true;
    switch (kind) {
    case ArgKind::None:
    case ArgKind::Anything:
    case ArgKind::Scalar:
    case ArgKind::Size: // With the memory before it.
    case ArgKind::SizeOrZero:
    case ArgKind::ConstSize:
        return true;
    case ArgKind::Context:
        return (region == RegionKind::Context && value(arg) == machine.context_address) ||
               refuse(arg, "the context was needed, unmodified");
    case ArgKind::MapPointer:
        if (region != RegionKind::Map)
            return refuse(arg, "a map was needed");
        map = reinterpret_cast<const spec::MapDef*>(cap(arg).base);
        return true;
    case ArgKind::MapKey:
        return of_map(arg, true, false);
    case ArgKind::MapValue:
        return of_map(arg, false, false);
    case ArgKind::MapValueOut:
        return of_map(arg, false, true);
    case ArgKind::Memory:
        return sized(arg, true, false);
    case ArgKind::MemoryOut:
        return sized(arg, false, true);
    case ArgKind::MemoryInOut:
        return sized(arg, true, true);
    case ArgKind::FixedMemory:
        return memory(arg, site.proto->fixed_size[arg], true, false);
    case ArgKind::FixedMemoryOut:
        return memory(arg, site.proto->fixed_size[arg], false, true);
    case ArgKind::FixedMemoryInOut:
        return memory(arg, site.proto->fixed_size[arg], true, true);
    case ArgKind::ConstString:
        return text(arg);
    case ArgKind::Function:
        return (region == RegionKind::Function && value(arg) == cap(arg).base) ||
               refuse(arg, "a function was needed");
    case ArgKind::StackPointerOrNull:
        return region == RegionKind::Stack || is_null(arg) ||
               refuse(arg, "a pointer to the stack was needed, or null");
    case ArgKind::SpinLock:
        return in_map_value(arg, 4);
    case ArgKind::Timer:
        return in_map_value(arg, 16);
    case ArgKind::KptrSlot:
        return in_map_value(arg, 8);
    case ArgKind::RingbufRecord:
        return (region == RegionKind::Memory && (cap(arg).flags & exec::kReleasable) != 0 &&
                value(arg) == cap(arg).base) ||
               refuse(arg, "a reserved ring buffer record was needed, from its start");
    case ArgKind::Dynptr:
        return dynptr(arg, false);
    case ArgKind::DynptrOut:
        return dynptr(arg, true);
    case ArgKind::Socket:
        return (region == RegionKind::Socket && value(arg) == cap(arg).base) ||
               refuse(arg, "a socket was needed");
    case ArgKind::BtfPointer:
        return ((region == RegionKind::Object || region == RegionKind::Socket) &&
                value(arg) == cap(arg).base) ||
               refuse(arg, "a kernel object was needed");
    }
    return refuse(arg, "the prototype asks for something unknown");
}

} // namespace

bool check_arguments(Machine& machine, RegFile& regs, const CallSite& site) noexcept {
    if (site.proto == nullptr)
        return true; // A helper of the host's own: it checks for itself.
    Checker checker{.machine = machine, .regs = regs, .site = site};
    for (std::size_t arg = 0; arg < 5; ++arg)
        if (!checker.check(arg))
            return false;
    return true;
}

bool lookup_array_checked(Machine& machine, RegFile& regs, const CallSite& site) noexcept {
    const exec::MapSlot& map = *site.map;
    const auto* def = static_cast<const spec::MapDef*>(map.def);
    const Access key{.address = regs.values[2], .size = 4, .reg = 2, .helper = site.id};
    const std::byte* bytes = reach(machine, regs.caps[2], key);
    if (bytes == nullptr)
        return false;
    std::uint32_t index = 0;
    std::memcpy(&index, bytes, sizeof index);
    regs.values[0] = 0;
    regs.caps[0] = {};
    if (index < def->max_entries) {
        regs.values[0] =
            reinterpret_cast<std::uint64_t>(map.values) + std::uint64_t{index} * map.stride;
        regs.caps[0] = {.base = regs.values[0],
                        .size = def->value_size,
                        .kind = RegionKind::MapValue,
                        .flags = write_flag(map.read_only)};
    }
    for (std::size_t i = 1; i <= 5; ++i)
        regs.caps[i] = kUnset;
    return true;
}

} // namespace skep::interp
