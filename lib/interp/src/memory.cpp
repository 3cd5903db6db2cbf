// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>

#include "machine.hpp"
#include "skep/base/bytes.hpp"

namespace skep::interp {
namespace {

std::byte* at(std::uint64_t address) noexcept {
    return reinterpret_cast<std::byte*>(address);
}

/// What of a capability can be accessed: the stack and the context say size 0 in registers.
std::uint32_t extent(const Machine& machine, const Capability& cap) noexcept {
    if (cap.kind == RegionKind::Stack)
        return isa::kMaxStackDepth;
    if (cap.kind == RegionKind::Context)
        return static_cast<std::uint32_t>(machine.run->context->bytes().size());
    return cap.size;
}

bool is_memory(RegionKind kind) noexcept {
    switch (kind) {
    case RegionKind::Stack:
    case RegionKind::Context:
    case RegionKind::Packet:
    case RegionKind::MapValue:
    case RegionKind::MapKey:
    case RegionKind::Memory:
    case RegionKind::Socket:
        return true;
    default:
        return false;
    }
}

/// Kind, bounds and direction: what holds for every access.
bool permitted(Machine& machine, const Capability& cap, const Access& access) noexcept {
    if (!is_memory(cap.kind)) {
        set_trap(machine, TrapKind::NotAPointer, cap, access);
        return false;
    }
    const std::uint64_t offset = access.address - cap.base;
    if (!in_range(offset, access.size, extent(machine, cap))) {
        set_trap(machine, TrapKind::OutOfBounds, cap, access);
        return false;
    }
    const bool read_only = (cap.flags & exec::kReadOnly) != 0 || cap.kind == RegionKind::Socket;
    if (access.write && read_only) {
        set_trap(machine, TrapKind::ReadOnly, cap, access);
        return false;
    }
    if (cap.kind == RegionKind::Stack && cap.id > machine.depth) {
        set_trap(machine, TrapKind::OutOfBounds, cap, access, "the function has returned");
        return false;
    }
    return true;
}

bool is_written(const Frame& frame, std::uint32_t offset, std::uint32_t size) noexcept {
    if (offset % 8 + size <= 8) {
        const unsigned mask = ((1U << size) - 1) << offset % 8;
        return (frame.written[offset / 8] & mask) == mask;
    }
    for (std::uint32_t i = offset; i < offset + size;) {
        if (i % 8 == 0 && offset + size - i >= 8 && frame.written[i / 8] == 0xff) {
            i += 8;
            continue;
        }
        if ((frame.written[i / 8] >> (i % 8) & 1) == 0)
            return false;
        ++i;
    }
    return true;
}

void mark_written(Frame& frame, std::uint32_t offset, std::uint32_t size) noexcept {
    if (size != 0 && offset % 8 + size <= 8) {
        frame.written[offset / 8] |= static_cast<std::uint8_t>(((1U << size) - 1) << offset % 8);
        frame.spilled[offset / 8] = {};
        return;
    }
    for (std::uint32_t i = offset; i < offset + size; ++i)
        frame.written[i / 8] |= static_cast<std::uint8_t>(1U << i % 8);
    for (std::uint32_t slot = offset / 8; slot * 8 < offset + size; ++slot)
        frame.spilled[slot] = {};
}

/// A helper may leave a part of its output as it was: what was there before must not show.
void zero_unwritten(Frame& frame, std::uint32_t offset, std::uint32_t size) noexcept {
    for (std::uint32_t i = offset; i < offset + size; ++i)
        if ((frame.written[i / 8] >> (i % 8) & 1) == 0)
            frame.stack[i] = std::byte{0};
}

struct FieldAccess {
    const spec::ContextField* field = nullptr;
    bool pointer = false;
};

/// Checks a context access against the layout; a layout without fields is plain memory.
bool check_field(Machine& machine, const Capability& cap, const Access& access,
                 FieldAccess& found) noexcept {
    const spec::ContextLayout& layout = machine.run->context->layout();
    if (layout.fields.empty())
        return true;
    const auto refuse = [&](const char* detail) {
        set_trap(machine, TrapKind::BadContext, cap, access, detail);
        return false;
    };
    const auto offset = static_cast<std::uint32_t>(access.address - cap.base);
    found.field = spec::field_at(layout, offset);
    if (found.field == nullptr)
        return refuse("there is no such field");
    const spec::ContextField& field = *found.field;
    if (access.write ? !field.writable : !field.readable)
        return refuse(access.write ? "the field cannot be written" : "the field cannot be read");
    if (offset + access.size > field.offset + spec::reach_of(layout, field))
        return refuse("the access leaves its field");
    if (access.size < field.min_width)
        return refuse("the access is narrower than the field allows");
    if (offset % access.size != 0)
        return refuse("the access is misaligned");
    found.pointer = field.kind != spec::FieldKind::Scalar;
    if (found.pointer && (access.size != field.size || offset != field.offset))
        return refuse("a pointer field must be read whole");
    return true;
}

std::uint64_t read_value(const std::byte* from, std::uint32_t size, Extend extend) noexcept {
    const bool sign = extend == Extend::Sign;
    switch (size) {
    case 1:
        return sign ? static_cast<std::uint64_t>(std::int64_t{load<std::int8_t>(from)})
                    : load<std::uint8_t>(from);
    case 2:
        return sign ? static_cast<std::uint64_t>(std::int64_t{load<std::int16_t>(from)})
                    : load<std::uint16_t>(from);
    case 4:
        return sign ? static_cast<std::uint64_t>(std::int64_t{load<std::int32_t>(from)})
                    : load<std::uint32_t>(from);
    default:
        return load<std::uint64_t>(from);
    }
}

std::uint64_t displaced(std::uint64_t value, std::int16_t off) noexcept {
    return value + static_cast<std::uint64_t>(std::int64_t{off});
}

} // namespace

void set_trap(Machine& machine, TrapKind kind, const Capability& cap, const Access& access,
              const char* detail) noexcept {
    exec::Trap& trap = machine.trap();
    trap = {.kind = kind,
            .address = access.address,
            .offset = static_cast<std::int64_t>(access.address - cap.base),
            .size = access.size,
            .region_size = extent(machine, cap),
            .region = static_cast<std::uint8_t>(cap.kind),
            .reg = access.reg,
            .write = access.write,
            .helper = access.helper,
            .detail = detail};
}

std::byte* reach(Machine& machine, const Capability& cap, const Access& access) noexcept {
    if (!permitted(machine, cap, access))
        return nullptr;
    if (cap.kind == RegionKind::Context && access.helper != 0) {
        set_trap(machine, TrapKind::BadArgument, cap, access, "the context is not plain memory");
        return nullptr;
    }
    if (cap.kind == RegionKind::Stack) {
        Frame& frame = machine.frame(cap.id);
        const auto offset = static_cast<std::uint32_t>(access.address - cap.base);
        if (access.write) {
            if (access.helper != 0)
                zero_unwritten(frame, offset, access.size);
            mark_written(frame, offset, access.size);
        } else if (!is_written(frame, offset, access.size)) {
            set_trap(machine, TrapKind::Uninitialised, cap, access);
            return nullptr;
        }
    }
    return at(access.address);
}

bool slow_load(Machine& machine, RegFile& regs, const Slot& slot, std::uint32_t size,
               Extend extend) noexcept {
    const Capability cap = regs.cap(slot.src);
    const std::uint64_t address = displaced(regs.value(slot.src), slot.off);
    const Access access{
        .address = address, .size = size, .reg = static_cast<std::uint8_t>(slot.src / 8)};
    const std::byte* bytes = reach(machine, cap, access);
    if (bytes == nullptr)
        return false;
    Capability loaded;
    std::uint64_t value = 0;
    if (cap.kind == RegionKind::Context) {
        FieldAccess found;
        if (!check_field(machine, cap, access, found))
            return false;
        if (found.pointer) {
            if (extend == Extend::Sign) {
                set_trap(machine, TrapKind::BadContext, cap, access, "a pointer has no sign");
                return false;
            }
            value = machine.run->context->pointer(found.field->kind);
            if (value != 0)
                loaded = machine.run->context->capability(found.field->kind);
        } else {
            value = read_value(bytes, size, extend);
        }
    } else {
        value = read_value(bytes, size, extend);
        const std::uint64_t offset = address - cap.base;
        if (cap.kind == RegionKind::Stack && size == 8 && offset % 8 == 0)
            loaded = machine.frame(cap.id).spilled[offset / 8];
    }
    regs.value(slot.dst) = value;
    regs.cap(slot.dst) = loaded;
    return true;
}

bool slow_store(Machine& machine, RegFile& regs, const Slot& slot, std::uint32_t size,
                std::uint64_t value, const Capability& stored) noexcept {
    const Capability cap = regs.cap(slot.dst);
    const std::uint64_t address = displaced(regs.value(slot.dst), slot.off);
    const Access access{.address = address,
                        .size = size,
                        .reg = static_cast<std::uint8_t>(slot.dst / 8),
                        .write = true};
    std::byte* bytes = reach(machine, cap, access);
    if (bytes == nullptr)
        return false;
    if (FieldAccess found; cap.kind == RegionKind::Context) {
        if (!check_field(machine, cap, access, found))
            return false;
        if (found.pointer) {
            set_trap(machine, TrapKind::BadContext, cap, access, "the field is a pointer");
            return false;
        }
    }
    std::memcpy(bytes, &value, size); // Little-endian: the low bytes come first.
    const std::uint64_t offset = address - cap.base;
    if (cap.kind == RegionKind::Stack && size == 8 && offset % 8 == 0) {
        machine.frame(cap.id).spilled[offset / 8] = stored;
        machine.foreign_spill |= stored.kind == RegionKind::Stack && stored.id != cap.id;
    }
    return true;
}

std::byte* reach_atomic(Machine& machine, RegFile& regs, const Slot& slot, std::uint8_t reg,
                        std::uint32_t size, bool write) noexcept {
    const Capability cap = regs.cap(reg);
    const Access access{.address = displaced(regs.value(reg), slot.off),
                        .size = size,
                        .reg = static_cast<std::uint8_t>(reg / 8),
                        .write = write};
    if (cap.kind == RegionKind::Context || cap.kind == RegionKind::Packet ||
        cap.kind == RegionKind::Socket) {
        set_trap(machine, TrapKind::BadInstruction, cap, access,
                 "atomic accesses to contexts, packets and sockets are not allowed");
        return nullptr;
    }
    if (!permitted(machine, cap, access))
        return nullptr;
    if (access.address % size != 0) {
        set_trap(machine, TrapKind::Misaligned, cap, access);
        return nullptr;
    }
    Access read = access;
    read.write = false;
    const bool ordered_store = write && slot.imm == 1;
    if (!ordered_store && reach(machine, cap, read) == nullptr)
        return nullptr;
    return reach(machine, cap, access);
}

bool Machine::push(bool checked) noexcept {
    const std::uint32_t first = frame().first;
    if (depth + 1 - first == isa::kMaxCallFrames) {
        set_trap(*this, exec::TrapKind::BadCall, {}, {}, "more than 8 nested calls");
        return false;
    }
    if (depth + 1 == isa::kMaxCallFrames && more == nullptr)
        more.reset(new (std::nothrow) Frame[kMaxDepth - isa::kMaxCallFrames]);
    if (depth + 1 >= isa::kMaxCallFrames && more == nullptr) {
        set_trap(*this, exec::TrapKind::BadCall, {}, {},
                 "no memory for the stack of one more call");
        return false;
    }
    ++depth;
    frame().first = first;
    open_frame(checked);
    return true;
}

void Machine::open_frame(bool checked) noexcept {
    Frame& opened = frame();
    opened.may_goto = std::uint64_t{8} << 20; // BPF_MAX_LOOPS
    if (!checked) {
        opened.stack.fill(std::byte{0}); // The verifier lets programs read what they did not write.
        return;
    }
    if (!code->zero_stack) {
        opened.written.fill(0);
        return;
    }
    opened.written.fill(0xff);
    opened.stack.fill(std::byte{0});
    opened.spilled.fill({});
}

void Machine::forget_frame(std::uint32_t number) noexcept {
    for (std::uint32_t i = 0; i < number; ++i)
        frame(i).for_each_spilled([number](Capability& cap) {
            if (cap.kind == RegionKind::Stack && cap.id == number)
                cap = {};
        });
}

void Machine::revoke() noexcept {
    const bool moved = (run->pending & exec::kPacketMoved) != 0;
    const bool released = (run->pending & exec::kReleased) != 0;
    const auto sweep = [&](Capability& cap) {
        if ((moved && cap.kind == RegionKind::Packet) ||
            (released && cap.base == run->released && cap.kind != RegionKind::None))
            cap = {};
    };
    for (RegFile* file = regs; file != nullptr; file = file->below)
        std::ranges::for_each(file->caps, sweep);
    for (std::uint32_t i = 0; i <= depth; ++i) {
        frame(i).for_each_spilled(sweep);
        if (frame(i).return_to != nullptr)
            std::ranges::for_each(frame(i).saved_caps, sweep);
    }
    run->pending = 0;
}

} // namespace skep::interp
