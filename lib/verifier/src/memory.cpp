// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Loads and stores: each proves that its bytes are the program's.
#include <algorithm>
#include <fmt/format.h>

#include "domain/rules.hpp"
#include "skep/base/bytes.hpp"
#include "skep/isa/decode.hpp"
#include "skep/spec/socket.hpp"
#include "step.hpp"

namespace skep::verifier {
namespace {

constexpr i64 kStack = isa::kMaxStackDepth;
constexpr u32 kReadOnlyToPrograms = 1U << 7;  // BPF_F_RDONLY_PROG
constexpr u32 kWriteOnlyToPrograms = 1U << 8; // BPF_F_WRONLY_PROG

bool writes_packets(spec::ProgramType type) {
    using enum spec::ProgramType;
    return type == Xdp || type == SchedCls || type == SchedAct || type == LwtXmit ||
           type == SkSkb || type == SkMsg || type == CgroupSockopt;
}

} // namespace

Stepper::Range Stepper::range_of(const State& state, const Val& base, i64 off,
                                 const Access& access) const {
    const auto extent =
        domain::extent_of(state.of(base), static_cast<u64>(off), static_cast<u64>(access.size));
    Range range{static_cast<i64>(extent.low), static_cast<i64>(extent.high)};
    if (access.length.kind != Kind::Scalar)
        return range;
    const i64 sum = highest_sum(state, symbols_, base, access.length);
    if (sum != State::kUnbounded)
        range.high = std::min(range.high, sum + off);
    return range;
}

/// Where an access to the stack may lie; the frame is base.aux.
bool Stepper::stack_range(State& state, const Val& base, i64 off, const Access& access, i64& low,
                          i64& high) {
    const Fact fact = state.of(base);
    const Range range = range_of(state, base, off, access);
    low = range.low;
    high = range.high;
    if (low < -kStack || high > 0)
        return fail(
            access.pc, "V103",
            fmt::format("{} bytes at fp{:+} to fp{:+} are accessed, the stack is fp-512 to fp-1",
                        access.size, low, high - 1));
    const bool exact = fact.is_constant();
    if ((!access.helper || access.aligned) && exact && low % access.size != 0)
        return fail(access.pc, "V106",
                    fmt::format("{} bytes at fp{:+}: an access to the stack must be aligned",
                                access.size, low));
    if (!access.helper && !exact) {
        const u64 known = (fact.bits.mask | (fact.bits.value + static_cast<u64>(off))) &
                          (static_cast<u64>(access.size) - 1);
        if (known != 0)
            return fail(access.pc, "V106", "a variable offset into the stack is not aligned");
    }
    if (base.aux >= state.frames.size())
        return fail(access.pc, "V103", "the function whose stack it is has returned");
    Frame& frame = state.frames[base.aux];
    const std::size_t cells = Stack::index_of(low) + 1;
    if (watcher_ != nullptr) {
        const isa::Insn& insn = program_.insns[access.pc];
        const bool load = (insn.opcode & isa::kClassMask) == isa::kLdx;
        const bool direct = !access.helper && base.aux + 1 == state.frames.size() &&
                            (load ? insn.src : insn.dst) == isa::kFramePointer;
        watcher_->stack(state, base, low, high, !access.write || access.aligned, direct);
    }
    if (frame.stack.size() >= cells)
        return true;
    frame.stack.grow(cells);
    u32& most = stack_used_[frame.function];
    most = std::max(most, static_cast<u32>(frame.stack.size() * 4));
    return true;
}

bool Stepper::memory(State& state, const Val& base, i64 off, const Access& access) {
    const u32 pc = access.pc;
    if (base.kind != Kind::Pointer)
        return fail(pc, "V202", "a number is used as an address");
    if (base.nullable)
        return fail(pc, "V201", "the pointer may be null");
    const Fact fact = state.of(base);
    const auto [low, high] = range_of(state, base, off, access);
    if (access.write && base.read_only)
        return fail(pc, "V606", "the memory is read-only");
    const auto inside = [&](i64 size, const char* code, const char* what) {
        if (low >= 0 && high <= size)
            return true;
        return fail(pc, code,
                    fmt::format("{} bytes at {} of {} of {} bytes", access.size,
                                low + access.size == high
                                    ? fmt::format("offset {}", low)
                                    : fmt::format("offset {} to {}", low, high - access.size),
                                what, size));
    };
    if (access.aligned && base.region != Region::Stack) {
        const u64 loose = (fact.bits.mask | (fact.bits.value + static_cast<u64>(off))) &
                          (static_cast<u64>(access.size) - 1);
        if (loose != 0)
            return fail(pc, "V106", "an atomic access must be aligned");
    }
    const bool packet = base.region == Region::Packet || base.region == Region::Meta;
    if (strict_ && !access.helper && !access.aligned && base.region != Region::Stack &&
        base.region != Region::Context) {
        // The kernel puts packets two bytes behind a multiple of four (NET_IP_ALIGN).
        const auto shift = static_cast<u64>(off + (packet ? 2 : 0));
        const Fact at = domain::moved(fact, shift);
        if (((at.bits.mask | at.bits.value) & (static_cast<u64>(access.size) - 1)) != 0)
            return fail(pc, "V106",
                        fmt::format("{} bytes at offset {:+}: the access may not be aligned",
                                    access.size, off));
    }
    switch (base.region) {
    case Region::Packet:
    case Region::Meta: {
        if (access.write && !writes_packets(program_.type))
            return fail(pc, "V606", "programs of this type may not write to packets");
        if (access.helper && access.size == 0)
            return true;
        if (access.helper && !access.packet)
            return fail(pc, "V601", "this helper does not take packet memory");
        if (low < 0)
            return fail(pc, "V101", fmt::format("reads {} bytes before the packet's data", -low));
        // The access ends at sym + end; modulo 2^64, which may_bound() excludes.
        const u64 end = static_cast<u64>(base.off) + static_cast<u64>(off + access.size);
        const bool comparable = domain::may_bound<u64>(static_cast<u64>(base.off));
        for (const PacketBound& bound : state.bounds) {
            if (bound.region != base.region)
                continue;
            if (bound.sym == base.sym && comparable &&
                domain::implies_bound(static_cast<u64>(bound.c), end))
                return true;
            if (high <= static_cast<i64>(
                            domain::bytes_below(state.fact(bound.sym), static_cast<u64>(bound.c))))
                return true;
        }
        const PacketBound* nearest = state.bound(base.region, base.sym);
        const std::string place = fmt::format(
            "{} bytes at {}", access.size,
            low + access.size == high ? fmt::format("offset {}", low)
                                      : fmt::format("offset {} to {}", low, high - access.size));
        return fail(pc, "V101",
                    nearest == nullptr
                        ? fmt::format("{} of the packet: no test says that they exist", place)
                        : fmt::format("{} of the packet: the tests say so of {} bytes less", place,
                                      static_cast<i64>(end) - nearest->c));
    }
    case Region::MapValue: {
        const MapView& map = maps_[base.aux];
        for (const SpecialField& field : map.special) {
            if (high <= i64{field.offset} || low >= i64{field.offset} + i64{field.size})
                continue;
            if (field.kind == SpecialField::Kind::Other)
                return unknown(pc, "kernel pointers, lists and trees in map values are not "
                                   "supported yet");
            return fail(pc, "V606",
                        fmt::format("bytes {} to {} of the map value are a {}: only its helpers "
                                    "may touch it",
                                    field.offset, field.offset + field.size - 1,
                                    field.kind == SpecialField::Kind::Timer ? "timer" : "lock"));
        }
        if (access.write && (map.def->flags & kReadOnlyToPrograms) != 0)
            return fail(pc, "V606", "the map is read-only to programs");
        if (!access.write && (map.def->flags & kWriteOnlyToPrograms) != 0)
            return fail(pc, "V606", "the map is write-only to programs");
        return inside(map.def->value_size, "V102", "a map value");
    }
    case Region::Memory:
        return inside(base.aux, "V104", "memory");
    case Region::Stack: {
        i64 from = 0;
        i64 to = 0;
        return stack_range(state, base, off, access, from, to);
    }
    case Region::Context:
        if (access.helper)
            return fail(pc, "V604", "the context is not plain memory");
        return true; // Fields are checked by the access itself.
    case Region::Socket:
        if (access.write || access.helper)
            return fail(pc, "V606", "sockets are only read, and field by field");
        return spec::socket_readable(static_cast<spec::SocketKind>(class_of(base)), low,
                                     access.size) ||
               fail(pc, "V604",
                    fmt::format("sockets have no field of {} bytes at offset {} that this pointer "
                                "reaches",
                                access.size, low));
    case Region::FlowKeys:
        if (access.helper)
            return fail(pc, "V601", "this helper does not take flow keys");
        return inside(spec::kFlowKeysSize, "V104", "the flow keys");
    case Region::Object:
        if (access.write)
            return fail(pc, "V606", "kernel objects are read-only");
        return unknown(pc, "fields of kernel objects are not supported yet");
    case Region::Map:
        if (!access.write && !access.helper && low >= 0)
            return unknown(pc, "reading the kernel's map structure is not supported yet");
        break;
    case Region::PacketEnd:
    case Region::Function:
    case Region::Iterator:
    case Region::None:
        break;
    }
    return fail(pc, "V204", "this pointer may not be read or written through");
}

bool Stepper::context_load(State& state, u32 pc, const Val& base, Val& out) {
    const isa::Insn& insn = program_.insns[pc];
    const i64 size = isa::access_size(insn.opcode);
    const Fact fact = state.of(base);
    if (!fact.is_constant() || base.off != 0 || base.sym != 0)
        return fail(pc, "V604", "the context pointer was modified");
    const i64 off = insn.off;
    const bool write = (insn.opcode & isa::kClassMask) != isa::kLdx;
    if (off < 0 || off % size != 0)
        return fail(pc, "V604",
                    fmt::format("context offset {} is not a multiple of {}", off, size));
    out = {};
    if (layout_->fields.empty()) {
        using enum spec::ProgramType;
        const bool raw = program_.type == RawTracepoint || program_.type == RawTracepointWritable;
        const i64 limit = raw ? 96 : program_.type == Syscall ? 65536 : 8192;
        if (off + size > limit || (write && program_.type != Syscall) || (raw && size != 8))
            return fail(pc, "V604", fmt::format("{} bytes at context offset {}", size, off));
        out = fresh(state, Fact::of_width(static_cast<unsigned>(size * 8)));
        return true;
    }
    const spec::ContextField* field = spec::field_at(*layout_, static_cast<u32>(off));
    if (field == nullptr || off + size > field->offset + spec::reach_of(*layout_, *field))
        return fail(
            pc, "V604",
            fmt::format("{} has no field of {} bytes at offset {}", layout_->name, size, off));
    if (write ? !field->writable : !field->readable)
        return fail(pc, "V604",
                    fmt::format("{}.{} may not be {}", layout_->name, field->name,
                                write ? "written" : "read"));
    if (size < field->min_width)
        return fail(pc, "V604",
                    fmt::format("{}.{} is accessed by {} bytes, at least {}", layout_->name,
                                field->name, size, field->min_width));
    if (field->kind == spec::FieldKind::Scalar) {
        out = fresh(state, Fact::of_width(static_cast<unsigned>(size * 8)));
        return true;
    }
    if (write || size != field->size || off != field->offset)
        return fail(pc, "V604", fmt::format("{}.{} is a pointer", layout_->name, field->name));
    if ((insn.opcode & isa::kModeMask) == isa::kMemSx)
        return fail(pc, "V604", "a pointer has no sign to extend");
    switch (field->kind) {
    case spec::FieldKind::PacketData:
        out = {.kind = Kind::Pointer, .region = Region::Packet};
        return true;
    case spec::FieldKind::PacketEnd:
        out = {.kind = Kind::Pointer, .region = Region::PacketEnd};
        return true;
    case spec::FieldKind::PacketMeta:
        out = {.kind = Kind::Pointer, .region = Region::Meta};
        return true;
    case spec::FieldKind::OptVal:
        out = {.kind = Kind::Pointer, .region = Region::Packet};
        return true;
    case spec::FieldKind::OptValEnd:
        out = {.kind = Kind::Pointer, .region = Region::PacketEnd};
        return true;
    case spec::FieldKind::Socket:
    case spec::FieldKind::Socket2: {
        const auto socket = spec::context_socket(program_.type, field->kind);
        out = {.kind = Kind::Pointer,
               .region = Region::Socket,
               .nullable = socket.nullable,
               .aux = static_cast<u32>(socket.kind),
               .instance = symbols_.fresh()};
        return true;
    }
    case spec::FieldKind::FlowKeys:
        out = {.kind = Kind::Pointer, .region = Region::FlowKeys};
        return true;
    case spec::FieldKind::BtfPointer:
        out = {.kind = Kind::Pointer, .region = Region::Object};
        return true;
    default:
        return unknown(pc, fmt::format("{}.{} is not supported yet", layout_->name, field->name));
    }
}

Val Stepper::stack_load(State& state, u32 frame, i64 off, i64 size, bool is_signed) {
    Frame& where = state.frames[frame];
    const Fact any = is_signed ? Fact{} : Fact::of_width(static_cast<unsigned>(size * 8));
    // The store that the bytes come from begins at one of the cells below.
    for (i64 start = off - (off & 3); start >= off - 7 && start >= -kStack; start -= 4) {
        const std::size_t index = Stack::index_of(start);
        if (index >= where.stack.size())
            break;
        const i64 stored = where.stack.remembered(index);
        if (stored == 0)
            continue;
        if (off + size > start + stored)
            break;
        const Val val = where.stack.value(index);
        if (val.kind == Kind::Pointer) {
            if (off == start && size == 8 && !is_signed)
                return val;
            break; // Bytes of an address.
        }
        const Fact fact = state.of(val);
        const auto shift = static_cast<unsigned>(off - start) * 8;
        Val part = val;
        if (fact.is_constant())
            part = number(0, static_cast<i64>(fact.bits.value >> shift));
        else if (shift != 0)
            part =
                named(state, {.op = Op::ShiftRight, .a = val.sym, .a_off = val.off, .imm = shift});
        if (size == 8)
            return part;
        return extended(state, part, static_cast<unsigned>(size * 8), is_signed);
    }
    return fresh(state, any);
}

/// A load may take a pointer whole or not at all.
bool Stepper::whole_pointers(State& state, u32 pc, u32 frame, i64 off, i64 size) {
    Frame& where = state.frames[frame];
    for (const i64 start : {off, off & ~i64{7}}) {
        if ((start & 3) != 0)
            continue;
        const std::size_t index = Stack::index_of(start);
        if (index >= where.stack.size())
            continue;
        if (where.stack.remembered(index) != 8 || where.stack.value(index).kind != Kind::Pointer)
            continue;
        if (where.stack.value(index).region == Region::Iterator)
            return fail(pc, "V605", "an iterator is read as memory");
        if (start != off || size != 8)
            return fail(pc, "V205", "a part of a pointer is read from the stack");
    }
    return true;
}

void Stepper::stack_touch(State& state, u32 frame, i64 low, i64 high, bool initialises) {
    Frame& where = state.frames[frame];
    // Stores that reach into the range are no longer whole.
    for (i64 start = std::max(-kStack, (low - 7) & ~i64{3}); start < high; start += 4) {
        const std::size_t index = Stack::index_of(start);
        if (index >= where.stack.size())
            continue;
        if (start + where.stack.remembered(index) > low)
            where.stack.forget(index);
    }
    if (!initialises)
        return;
    for (i64 start = low & ~i64{3}; start < high; start += 4) {
        const auto first = static_cast<unsigned>(std::max(low - start, i64{0}));
        const auto last = static_cast<unsigned>(std::min(high - start, i64{4}));
        where.stack.write(Stack::index_of(start), (1U << last) - (1U << first));
    }
}

void Stepper::stack_store(State& state, u32 frame, i64 off, i64 size, const Val& val) {
    stack_touch(state, frame, off, off + size, true);
    if ((off & 3) != 0 || (val.kind == Kind::Pointer && size != 8))
        return;
    Frame& where = state.frames[frame];
    where.stack.remember(Stack::index_of(off),
                         size == 8 ? val
                                   : extended(state, val, static_cast<unsigned>(size * 8), false),
                         static_cast<unsigned>(size));
}

bool Stepper::load(State& state, u32 pc) {
    const isa::Insn& insn = program_.insns[pc];
    if (!readable(state, pc, insn.src))
        return false;
    if (insn.dst == isa::kFramePointer)
        return fail(pc, "V204", "r10 may not be written");
    const Val base = state.frame().regs[insn.src];
    const i64 size = isa::access_size(insn.opcode);
    const bool is_signed = (insn.opcode & isa::kModeMask) == isa::kMemSx;
    if (!memory(state, base, insn.off, {.pc = pc, .size = size}))
        return false;
    Val loaded;
    const auto width = static_cast<unsigned>(size * 8);
    const Fact fact = state.of(base);
    if (base.region == Region::Context) {
        if (!context_load(state, pc, base, loaded))
            return false;
        if (is_signed && loaded.kind == Kind::Scalar)
            loaded = extended(state, loaded, width, true);
    } else if (base.region == Region::Stack && fact.is_constant()) {
        if (!whole_pointers(state, pc, base.aux, static_cast<i64>(fact.bits.value) + insn.off,
                            size))
            return false;
        loaded = stack_load(state, base.aux, static_cast<i64>(fact.bits.value) + insn.off, size,
                            is_signed);
    } else {
        const bool constant = base.region == Region::MapValue && fact.is_constant() &&
                              !maps_[base.aux].constants.empty();
        if (constant) {
            u64 bits = 0;
            const Bytes contents = maps_[base.aux].constants;
            const auto at = fact.bits.value + static_cast<u64>(i64{insn.off});
            if (in_range(at, static_cast<u64>(size), contents.size()))
                std::memcpy(&bits, contents.data() + at, static_cast<std::size_t>(size));
            loaded = extended(state, number(0, static_cast<i64>(bits)), width, is_signed);
        } else {
            const Val raw = fresh(state, Fact::of_width(width));
            loaded = is_signed ? extended(state, raw, width, true) : raw;
        }
    }
    state.frame().regs[insn.dst] = loaded;
    return true;
}

bool Stepper::store(State& state, u32 pc) {
    const isa::Insn& insn = program_.insns[pc];
    const bool from_register = (insn.opcode & isa::kClassMask) == isa::kStx;
    if (!readable(state, pc, insn.dst) || (from_register && !readable(state, pc, insn.src)))
        return false;
    const Val base = state.frame().regs[insn.dst];
    const i64 size = isa::access_size(insn.opcode);
    const Val val = from_register ? state.frame().regs[insn.src] : number(0, insn.imm);
    if (!memory(state, base, insn.off, {.pc = pc, .size = size, .write = true}))
        return false;
    if (base.region == Region::Context) {
        Val ignored;
        return context_load(state, pc, base, ignored);
    }
    if (base.region != Region::Stack)
        return true;
    const Fact fact = state.of(base);
    if (fact.is_constant()) {
        stack_store(state, base.aux, static_cast<i64>(fact.bits.value) + insn.off, size, val);
        return true;
    }
    stack_touch(state, base.aux, fact.smin() + insn.off, fact.smax() + insn.off + size, false);
    return true;
}

bool Stepper::atomic(State& state, u32 pc) {
    const isa::Insn& insn = program_.insns[pc];
    const i64 size = isa::access_size(insn.opcode);
    auto& regs = state.frame().regs;
    constexpr i64 kLoadAcquire = 0x100;
    constexpr i64 kStoreRelease = 0x110;
    const bool load_only = insn.imm == kLoadAcquire;
    const unsigned address = load_only ? insn.src : insn.dst;
    if (!readable(state, pc, address) || (!load_only && !readable(state, pc, insn.src)))
        return false;
    const Val base = regs[address];
    if (base.kind == Kind::Pointer &&
        (base.region == Region::Context || base.region == Region::Packet ||
         base.region == Region::Meta || base.region == Region::Socket))
        return fail(pc, "V204", "atomic accesses to contexts, packets and sockets are not allowed");
    const bool compares = insn.imm == 0xf1;
    if (compares && !readable(state, pc, 0))
        return false;
    if (compares && regs[0].kind == Kind::Pointer)
        return fail(pc, "V205", "a compare-and-exchange of a pointer");
    const Val val = load_only ? Val{} : regs[insn.src];
    if (!memory(state, base, insn.off,
                {.pc = pc, .size = size, .write = !load_only, .aligned = true}))
        return false;
    const Fact fact = state.of(base);
    const bool exact = base.region == Region::Stack && fact.is_constant();
    const i64 off = static_cast<i64>(fact.bits.value) + insn.off;
    if (load_only) {
        if (insn.dst == isa::kFramePointer)
            return fail(pc, "V204", "r10 may not be written");
        regs[insn.dst] = exact ? stack_load(state, base.aux, off, size, false)
                               : fresh(state, Fact::of_width(static_cast<unsigned>(size * 8)));
        return true;
    }
    if (base.region == Region::Stack) {
        if (exact && insn.imm == kStoreRelease)
            stack_store(state, base.aux, off, size, val);
        else if (exact)
            stack_touch(state, base.aux, off, off + size, true);
        else
            stack_touch(state, base.aux, fact.smin() + insn.off, fact.smax() + insn.off + size,
                        false);
    }
    if (insn.imm != kStoreRelease && (insn.imm & 1) != 0) { // fetch
        const unsigned target = compares ? 0U : unsigned{insn.src};
        if (target == isa::kFramePointer)
            return fail(pc, "V204", "r10 may not be written");
        state.frame().regs[target] = fresh(state, Fact::of_width(static_cast<unsigned>(size * 8)));
    }
    return true;
}

bool Stepper::load_immediate(State& state, u32 pc) {
    const isa::Insn& insn = program_.insns[pc];
    Val& dst = state.frame().regs[insn.dst];
    if (insn.dst == isa::kFramePointer)
        return fail(pc, "V204", "r10 may not be written");
    const auto upper = static_cast<u32>(program_.insns[pc + 1].imm);
    switch (insn.src) {
    case isa::kLddwImm:
        dst = number(0, static_cast<i64>(u64{static_cast<u32>(insn.imm)} | u64{upper} << 32));
        return true;
    case isa::kLddwMapFd:
    case isa::kLddwMapValue: {
        const auto map = static_cast<u32>(insn.imm);
        if (map >= object_maps_)
            return fail(pc, "V701", fmt::format("there is no map {}", map));
        if (!may_use(maps_[map]))
            return fail(pc, "V602",
                        fmt::format("programs of this type may not use map \"{}\": its values have "
                                    "locks or timers",
                                    maps_[map].def->name));
        if (insn.src == isa::kLddwMapFd) {
            dst = {.kind = Kind::Pointer, .region = Region::Map, .aux = map};
            return true;
        }
        if (upper >= maps_[map].def->value_size)
            return fail(pc, "V102",
                        fmt::format("byte {} of a map value of {} bytes", upper,
                                    maps_[map].def->value_size));
        dst = {.kind = Kind::Pointer, .region = Region::MapValue, .aux = map, .off = i64{upper}};
        return true;
    }
    case isa::kLddwFunc:
        dst = {.kind = Kind::Pointer,
               .region = Region::Function,
               .aux = static_cast<u32>(isa::target_of(insn, pc))};
        return true;
    default:
        return unknown(pc, "lddw of a kernel variable is not supported yet");
    }
}

bool Stepper::load_packet(State& state, u32 pc) {
    const isa::Insn& insn = program_.insns[pc];
    using enum spec::ProgramType;
    if (program_.type != SocketFilter && program_.type != SchedCls && program_.type != SchedAct)
        return fail(pc, "V602", "programs of this type have no legacy packet loads");
    const bool indirect = (insn.opcode & isa::kModeMask) == isa::kInd;
    if (!readable(state, pc, 6) || (indirect && !readable(state, pc, insn.src)))
        return false;
    const Val context = state.frame().regs[6];
    if (context.kind != Kind::Pointer || context.region != Region::Context || context.off != 0 ||
        context.sym != 0)
        return fail(pc, "V601", "r6 must hold the context");
    if (!state.references.empty() || state.held_lock != 0)
        return fail(pc, "V401", "the load may end the function, and a resource is held");
    for (unsigned reg = 1; reg <= 5; ++reg)
        state.frame().regs[reg] = {};
    state.frame().regs[0] =
        fresh(state, Fact::of_width(static_cast<unsigned>(isa::access_size(insn.opcode) * 8)));
    return true;
}

void Stepper::forget_packet(State& state) {
    state.bounds.clear();
    const auto stale = [](const Val& val) {
        return val.kind == Kind::Pointer &&
               (val.region == Region::Packet || val.region == Region::Meta ||
                val.region == Region::PacketEnd);
    };
    for (Frame& frame : state.frames) {
        for (Val& val : frame.regs)
            if (stale(val))
                val = fresh(state, Fact{}); // A number without meaning.
        frame.stack.forget_pointers(stale);
    }
}

void Stepper::forget_instance(State& state, u32 instance) {
    std::erase(state.references, instance);
    const auto owned = [instance](const Val& val) {
        return val.kind == Kind::Pointer && (val.instance == instance || owner_of(val) == instance);
    };
    for (Frame& frame : state.frames) {
        for (Val& val : frame.regs)
            if (owned(val))
                val = fresh(state, Fact{});
        frame.stack.forget_pointers(owned);
    }
}

} // namespace skep::verifier
