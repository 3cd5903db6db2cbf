// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Calls of helpers: arguments against the prototype, what comes back, what is gone afterwards.
#include <algorithm>
#include <fmt/format.h>

#include "skep/base/bytes.hpp"
#include "skep/spec/socket.hpp"
#include "step.hpp"

namespace skep::verifier {

using spec::ArgKind;
using spec::MapKind;
using spec::RetKind;

namespace {

constexpr u32 kTailCall = 12;
constexpr u32 kRingbufReserve = 131;
constexpr i64 kMaxSize = i64{1} << 29; // BPF_MAX_VAR_SIZ
constexpr i64 kMaxErrno = 4095;

/// Helpers that take a reference which must be given back.
bool acquires(u32 id) {
    return id == kRingbufReserve || id == 84 || id == 85 || id == 99; // sk(c)_lookup_*
}
/// Helpers that read packet memory in place.
bool takes_packet(u32 id) {
    return id <= 3 || id == 28 || (id >= 84 && id <= 87) || id == 99 || id == 100 || id == 110 ||
           id == 195 || (id >= 204 && id <= 207);
}
constexpr u32 kGetLocalStorage = 81;
/// sk_release: gives back the socket in r1.
constexpr u32 kSkRelease = 86;
constexpr u32 kSpinLock = 93;
constexpr u32 kSpinUnlock = 94;
constexpr u32 kTimerInit = 169;
constexpr u32 kTimerSetCallback = 170;
constexpr u32 kSkFullsock = 95;
constexpr u32 kTcpSock = 96;
constexpr u32 kGetListenerSock = 98;
constexpr u32 kSkcLookupTcp = 99;

/// Helpers that give another view of the socket in r1, which lives as long (is_ptr_cast_function).
bool casts_socket(u32 id) {
    return id == kSkFullsock || id == kTcpSock || (id >= 136 && id <= 140) || id == 178 ||
           id == 196; // skc_to_*
}
/// Helpers that do not take sockets as typed kernel objects (ARG_PTR_TO_SOCK_COMMON).
bool views_only(u32 id) {
    return id == kSkFullsock || id == kTcpSock || id == kGetListenerSock;
}
bool of_sockets(MapKind kind) {
    return kind == MapKind::Sockmap || kind == MapKind::Sockhash;
}
/// A typed kernel object that is a socket.
bool is_socket_object(const Val& val) {
    return val.kind == Kind::Pointer && val.region == Region::Object && class_of(val) == kIsSocket;
}
spec::SocketKind socket_from(u32 id) {
    return id == kTcpSock        ? spec::SocketKind::Tcp
           : id == kSkcLookupTcp ? spec::SocketKind::Common
                                 : spec::SocketKind::Full;
}

/// Whether a helper takes maps of a kind, and a kind of map is for that helper (Linux:
/// check_map_func_compatibility).
bool fits(u32 id, MapKind kind) {
    const auto is = [kind](std::initializer_list<MapKind> kinds) {
        return std::ranges::find(kinds, kind) != kinds.end();
    };
    using enum MapKind;
    switch (id) {
    case 1: // map_lookup_elem
        return !is({ProgArray,
                    PerfEventArray,
                    StackTrace,
                    CgroupArray,
                    Ringbuf,
                    UserRingbuf,
                    CgroupStorage,
                    PercpuCgroupStorage,
                    Devmap,
                    DevmapHash,
                    Cpumap,
                    SkStorage,
                    InodeStorage,
                    TaskStorage,
                    CgrpStorage,
                    Queue,
                    Stack,
                    BloomFilter,
                    ReuseportSockarray,
                    StructOps,
                    Arena});
    case 2: // map_update_elem
    case 3: // map_delete_elem
        return is({Hash, Array, PercpuHash, PercpuArray, LruHash, LruPercpuHash, LpmTrie}) ||
               is({Sockmap, Sockhash});
    case kTailCall:
        return kind == ProgArray;
    case 22: // perf_event_read
    case 25: // perf_event_output
    case 55:
    case 111:
    case 121:
        return kind == PerfEventArray;
    case 27: // get_stackid
        return kind == StackTrace;
    case 33: // skb_under_cgroup
    case 35: // current_task_under_cgroup
        return kind == CgroupArray;
    case 51: // redirect_map
        return is({Devmap, DevmapHash, Cpumap, Xskmap});
    case 52: // sk_redirect_map
    case 53: // sock_map_update
    case 60: // msg_redirect_map
        return kind == Sockmap;
    case 70:
    case 71:
    case 72:
        return kind == Sockhash;
    case 81: // get_local_storage
        return is({CgroupStorage, PercpuCgroupStorage});
    case 82: // sk_select_reuseport
        return is({ReuseportSockarray, Sockmap, Sockhash});
    case 87: // map_push_elem
        return is({Queue, Stack, BloomFilter});
    case 88: // map_pop_elem
        return is({Queue, Stack});
    case 89: // map_peek_elem
        return is({Queue, Stack, BloomFilter});
    case 130:
    case 131:
    case 134:
    case 198:
        return kind == Ringbuf;
    case 164: // for_each_map_elem
        return is({Hash, Array, PercpuHash, PercpuArray, LruHash, LruPercpuHash});
    case 195: // map_lookup_percpu_elem
        return is({PercpuArray, PercpuHash, LruPercpuHash});
    default:
        return true;
    }
}

/// Linux: may_update_sockmap.
bool changes_socket_maps(spec::ProgramType type, u32 id) {
    using enum spec::ProgramType;
    if (type == SockOps)
        return id == 3; // delete
    return type == SocketFilter || type == SchedCls || type == SchedAct || type == Xdp ||
           type == SkReuseport || type == FlowDissector || type == SkLookup;
}

} // namespace

bool Stepper::sized_memory(State& state, u32 pc, const spec::HelperProto& proto, unsigned arg) {
    const unsigned reg = arg + 1;
    const Val pointer = state.frame().regs[reg];
    if (arg == 4 || !readable(state, pc, reg + 1))
        return arg != 4 ? false : unknown(pc, "a buffer without a size");
    const Val size = state.frame().regs[reg + 1];
    subject_ = static_cast<int>(reg + 1);
    if (size.kind != Kind::Scalar)
        return fail(pc, "V105", fmt::format("r{} is a pointer, a size was needed", reg + 1));
    const Fact fact = state.of(size);
    const ArgKind kind = proto.args[arg + 1];
    if (fact.smin() < 0 || fact.smax() > kMaxSize)
        return fail(pc, "V105",
                    fmt::format("the size in r{} is {} to {}: it may be negative or is "
                                "not bounded",
                                reg + 1, fact.smin(), fact.smax()));
    if (fact.umin() == 0 && kind == ArgKind::Size)
        return fail(pc, "V105", fmt::format("the size in r{} may be 0", reg + 1));
    size_limit_ = static_cast<i64>(fact.umax());
    const bool null = pointer.kind == Kind::Scalar && state.of(pointer).is_constant() &&
                      state.of(pointer).bits.value == 0;
    if (null && proto.nullable[arg]) {
        if (fact.umax() == 0)
            return true;
        return fail(pc, "V201",
                    fmt::format("r{} is null, and r{} says {} bytes", reg, reg + 1, fact.umax()));
    }
    if (pointer.kind == Kind::Scalar && fact.umax() == 0 && kind == ArgKind::SizeOrZero &&
        proto.nullable[arg])
        return true;
    const ArgKind memory_kind = proto.args[arg];
    subject_ = static_cast<int>(reg);
    const bool write = memory_kind != ArgKind::Memory;
    const Access access{.pc = pc,
                        .size = static_cast<i64>(fact.umax()),
                        .write = write,
                        .helper = true,
                        .packet = takes_packet(proto.id),
                        .length = size};
    // A number in place of a pointer is named by what was needed.
    if (!memory(state, pointer, 0, access))
        return false;
    if (pointer.region == Region::Stack && write) {
        const Fact at = state.of(pointer);
        if (at.is_constant() && fact.umax() != 0) {
            const auto low = static_cast<i64>(at.bits.value);
            const bool exact = fact.is_constant() || memory_kind == ArgKind::MemoryOut;
            stack_touch(state, pointer.aux, low, low + access.size, exact);
        } else if (fact.umax() != 0) {
            stack_touch(state, pointer.aux, at.smin(), range_of(state, pointer, 0, access).high,
                        false);
        }
    }
    return true;
}

bool Stepper::argument(State& state, u32 pc, const spec::HelperProto& proto, unsigned arg) {
    const unsigned reg = arg + 1;
    const ArgKind kind = proto.args[arg];
    if (kind == ArgKind::None)
        return true;
    subject_ = static_cast<int>(reg);
    if (!readable(state, pc, reg))
        return false;
    const Val val = state.frame().regs[reg];
    const Fact fact = val.kind == Kind::Scalar ? state.of(val) : Fact{};
    const bool null = val.kind == Kind::Scalar && fact.is_constant() && fact.bits.value == 0;
    const auto wrong = [&](const char* needed) {
        return fail(pc, "V601", fmt::format("bpf_{} needs {} in r{}", proto.name, needed, reg));
    };
    if (null && proto.nullable[arg] && kind != ArgKind::Memory && kind != ArgKind::MemoryOut &&
        kind != ArgKind::MemoryInOut)
        return true;
    const auto fixed = [&](i64 size, bool write) {
        const bool word = kind == ArgKind::FixedMemoryOut && size == 8;
        if (!memory(state, val, 0,
                    {.pc = pc,
                     .size = size,
                     .write = write,
                     .helper = true,
                     .aligned = word,
                     .packet = takes_packet(proto.id)}))
            return false;
        const Fact at = state.of(val);
        if (write && val.region == Region::Stack)
            stack_touch(state, val.aux, at.smin(), at.smax() + size, at.is_constant());
        return true;
    };
    switch (kind) {
    case ArgKind::Anything:
    case ArgKind::None:
        return true;
    case ArgKind::Scalar:
    case ArgKind::Size:
    case ArgKind::SizeOrZero:
        return val.kind == Kind::Scalar || wrong("a number");
    case ArgKind::ConstSize:
        if (val.kind != Kind::Scalar || !fact.is_constant())
            return wrong("a constant");
        constant_size_ = static_cast<i64>(fact.bits.value);
        return (*constant_size_ >= 0 && *constant_size_ < kMaxSize) || wrong("a size below 2^29");
    case ArgKind::Context:
        return (val.kind == Kind::Pointer && val.region == Region::Context && val.sym == 0 &&
                val.off == 0) ||
               wrong("the context, unmodified,");
    case ArgKind::MapPointer: {
        if (val.kind != Kind::Pointer || val.region != Region::Map)
            return wrong("a map");
        if (val.nullable)
            return fail(pc, "V201", fmt::format("the map in r{} may be null", reg));
        map_ = val.aux;
        const spec::MapDef& def = *maps_[val.aux].def;
        if (of_sockets(def.kind) && (proto.id == 2 || proto.id == 3) &&
            !changes_socket_maps(program_.type, proto.id))
            return fail(pc, "V602", "programs of this type may not change maps of sockets");
        if (!fits(proto.id, def.kind))
            return fail(pc, "V601",
                        fmt::format("bpf_{} does not work on map \"{}\": its kind does "
                                    "not fit",
                                    proto.name, def.name));
        return true;
    }
    case ArgKind::MapKey:
    case ArgKind::MapValue:
    case ArgKind::MapValueOut: {
        if (!map_)
            return wrong("a map before it and memory");
        const spec::MapDef& def = *maps_[*map_].def;
        const bool write = kind == ArgKind::MapValueOut;
        if (kind == ArgKind::MapValue && of_sockets(def.kind)) {
            if (val.kind == Kind::Pointer && val.nullable)
                return fail(pc, "V201", fmt::format("the socket in r{} may be null", reg));
            return val.region == Region::Socket || is_socket_object(val) || wrong("a socket");
        }
        return fixed(kind == ArgKind::MapKey ? def.key_size : def.value_size, write);
    }
    case ArgKind::Memory:
    case ArgKind::MemoryOut:
    case ArgKind::MemoryInOut:
        return sized_memory(state, pc, proto, arg);
    case ArgKind::FixedMemory:
        return fixed(proto.fixed_size[arg], false);
    case ArgKind::FixedMemoryOut:
    case ArgKind::FixedMemoryInOut:
        return fixed(proto.fixed_size[arg], true);
    case ArgKind::ConstString: {
        if (val.kind != Kind::Pointer || val.region != Region::MapValue || val.sym != 0 ||
            maps_[val.aux].constants.empty())
            return wrong("a string in read-only data");
        const Bytes text = maps_[val.aux].constants;
        if (val.off < 0 || static_cast<u64>(val.off) >= text.size())
            return wrong("a string in read-only data");
        const auto rest = text.subspan(static_cast<std::size_t>(val.off));
        return std::ranges::find(rest, std::byte{0}) != rest.end() || wrong("a string with an end");
    }
    case ArgKind::RingbufRecord: {
        if (val.kind != Kind::Pointer || val.region != Region::Memory || val.nullable ||
            val.sym != 0 || val.off != 0 ||
            std::ranges::find(state.references, val.instance) == state.references.end())
            return wrong("a record that bpf_ringbuf_reserve gave");
        released_ = val.instance;
        return true;
    }
    case ArgKind::Socket:
        if (val.kind == Kind::Pointer && val.region == Region::Object && class_of(val) != kIsSocket)
            return unknown(pc, "kernel objects as sockets are not supported yet");
        if (!has_owner(val) || (val.region == Region::Object && views_only(proto.id)))
            return wrong("a socket");
        if (val.nullable)
            return fail(pc, "V201", fmt::format("the socket in r{} may be null", reg));
        if (proto.id == kSkRelease) {
            if (std::ranges::find(state.references, owner_of(val)) == state.references.end())
                return fail(pc, "V402", "the socket was not taken, or is released already");
            released_ = owner_of(val);
        }
        return true;
    case ArgKind::BtfPointer:
        if (val.kind == Kind::Pointer && val.region == Region::Socket)
            return unknown(pc, "sockets as kernel objects are not supported yet");
        return (val.kind == Kind::Pointer && val.region == Region::Object) ||
               wrong("a kernel object");
    case ArgKind::Function:
        if (proto.id == kTimerSetCallback) {
            if (val.kind != Kind::Pointer || val.region != Region::Function)
                return wrong("a function");
            const auto [at, fresh] =
                timer_callbacks_.try_emplace(val.aux, state.frame().regs[1].aux);
            return fresh || at->second == state.frame().regs[1].aux ||
                   unknown(pc, "a callback for the timers of several maps is not supported yet");
        }
        if (!calls_back(pc))
            return unknown(pc,
                           fmt::format("callbacks of bpf_{} are not supported yet", proto.name));
        return (val.kind == Kind::Pointer && val.region == Region::Function) || wrong("a function");
    case ArgKind::StackPointerOrNull:
        return null || (val.kind == Kind::Pointer && val.region == Region::Stack) ||
               wrong("a pointer to the stack, or null,");
    case ArgKind::SpinLock:
        return lock(state, pc, val, proto.id == kSpinLock);
    case ArgKind::Timer:
        if (!special_field(state, pc, val, SpecialField::Kind::Timer))
            return false;
        if (proto.id != kTimerInit)
            return true;
        if (const Val& map = state.frame().regs[2];
            map.kind == Kind::Pointer && map.region == Region::Map && map.aux != val.aux)
            return fail(pc, "V601", "the timer is not one of the map in r2");
        return true;
    case ArgKind::KptrSlot:
    case ArgKind::Dynptr:
    case ArgKind::DynptrOut:
        break;
    }
    return unknown(pc, fmt::format("bpf_{} is not supported yet", proto.name));
}

/// A pointer to a lock or a timer in a map value.
bool Stepper::special_field(State& state, u32 pc, const Val& val, SpecialField::Kind kind) {
    const char* needed = kind == SpecialField::Kind::Timer ? "a timer" : "a lock";
    if (val.kind != Kind::Pointer || val.region != Region::MapValue)
        return fail(pc, "V601", fmt::format("r1 must point to {} in a map value", needed));
    if (val.nullable)
        return fail(pc, "V201", "the map value in r1 may be null");
    const Fact at = state.of(val);
    for (const SpecialField& field : maps_[val.aux].special)
        if (field.kind == kind && at.is_constant() && at.bits.value == field.offset)
            return true;
    return fail(pc, "V601", fmt::format("r1 does not point to {} of its map's values", needed));
}

bool Stepper::lock(State& state, u32 pc, const Val& val, bool take) {
    if (!special_field(state, pc, val, SpecialField::Kind::SpinLock))
        return false;
    if (take && state.held_lock != 0)
        return fail(pc, "V403", "a second lock is taken while one is held");
    if (!take && state.held_lock == 0)
        return fail(pc, "V403", "no lock is held here");
    if (!take && (state.held_lock != val.instance + 1 || state.held_map != val.aux + 1))
        return fail(pc, "V403", "another lock is held than the one in r1");
    state.held_lock = take ? val.instance + 1 : 0;
    state.held_map = take ? val.aux + 1 : 0;
    return true;
}

bool Stepper::result(State& state, u32 pc, const spec::HelperProto& proto) {
    Val& r0 = state.frame().regs[0];
    const auto pointer = [&](Region region, u32 aux, bool nullable) {
        const u32 instance = symbols_.fresh();
        r0 = {.kind = Kind::Pointer,
              .region = region,
              .nullable = nullable,
              .aux = aux,
              .instance = instance};
        return true;
    };
    const auto take = [&] {
        state.references.push_back(r0.instance);
        return true;
    };
    const auto socket = [&](spec::SocketKind kind, bool taken) {
        pointer(Region::Socket, static_cast<u32>(kind), true);
        const u32 owner = taken ? r0.instance : casts_socket(proto.id) ? cast_owner_ : 0;
        r0.aux |= owner << kOwnerShift;
        return !taken || take();
    };
    switch (proto.ret) {
    case RetKind::Scalar: {
        Fact fact;
        if (proto.id == 8) // get_smp_processor_id
            fact = Fact::between(0, 8191);
        else if (proto.id == 45 || proto.id == 67 || proto.id == 114 || proto.id == 115 ||
                 proto.id == 141) // strings and stacks: an error or at most the size
            fact.arc =
                domain::arc_between(static_cast<u64>(-kMaxErrno), static_cast<u64>(size_limit_));
        (void)domain::reduce(fact);
        r0 = fresh(state, fact);
        return true;
    }
    case RetKind::Void:
    case RetKind::Never:
        r0 = {};
        return true;
    case RetKind::MapValueOrNull:
    case RetKind::MapValue: {
        if (!map_)
            return unknown(pc, "a value of no map");
        const spec::MapDef& def = *maps_[*map_].def;
        if (def.kind == MapKind::ArrayOfMaps || def.kind == MapKind::HashOfMaps) {
            const auto inner = inner_maps_.find(*map_);
            if (inner == inner_maps_.end())
                return unknown(pc, "it is not known which maps this map of maps holds");
            return pointer(Region::Map, inner->second, true);
        }
        if (of_sockets(def.kind))
            return socket(spec::SocketKind::Full, true);
        if (def.kind == MapKind::Xskmap)
            return socket(spec::SocketKind::Xdp, false);
        return pointer(Region::MapValue, *map_, proto.ret == RetKind::MapValueOrNull);
    }
    case RetKind::MemoryOrNull:
        if (proto.id != kRingbufReserve || !constant_size_)
            break;
        return pointer(Region::Memory, static_cast<u32>(*constant_size_), true) && take();
    case RetKind::SocketOrNull:
        return socket(socket_from(proto.id), acquires(proto.id));
    case RetKind::BtfPointer:
        return pointer(Region::Object, 0, false);
    case RetKind::BtfPointerOrNull:
        return pointer(Region::Object,
                       casts_socket(proto.id) ? kIsSocket | cast_owner_ << kOwnerShift : 0, true);
    case RetKind::Memory:
        break;
    }
    return unknown(pc, fmt::format("what bpf_{} returns is not supported yet", proto.name));
}

bool Stepper::call(State& state, u32 pc) {
    const isa::Insn& insn = program_.insns[pc];
    if (insn.opcode == isa::kCall && insn.src == isa::kCallKfunc)
        return call_kfunc(state, pc);
    if (insn.opcode != isa::kCall || insn.src != isa::kCallHelper)
        return unknown(pc, "this instruction is not supported yet");
    const auto id = static_cast<u32>(insn.imm);
    const spec::HelperProto* proto = spec::find_helper(id);
    if (proto == nullptr) {
        for (const Poisoned& poisoned : program_.poisoned)
            if (poisoned.insn == pc)
                return fail(pc, "V701",
                            fmt::format("the target's types have no {}, which this needs (CO-RE)",
                                        poisoned.what));
        return fail(pc, "V602", fmt::format("there is no helper {}", id));
    }
    const auto available = spec::helper_available(program_.type, program_.attach_type, id);
    if (!available)
        return unknown(pc, "the helpers of this program type are not known");
    if (!*available)
        return fail(pc, "V602",
                    fmt::format("bpf_{} is not for programs of this type", proto->name));
    if (proto->gpl_only && !program_.gpl_compatible())
        return fail(pc, "V602",
                    fmt::format("bpf_{} is for GPL-compatible programs, the licence is "
                                "\"{}\"",
                                proto->name, program_.license));
    if (state.held_lock != 0 && id != kSpinUnlock && id != kSpinLock)
        return fail(pc, "V403", fmt::format("bpf_{} is called while a lock is held", proto->name));
    map_ = std::nullopt;
    constant_size_ = std::nullopt;
    size_limit_ = 0;
    released_ = 0;
    cast_owner_ = owner_of(state.frame().regs[1]);
    for (unsigned arg = 0; arg < 5; ++arg)
        if (!argument(state, pc, *proto, arg))
            return false;
    if (id == kGetLocalStorage) {
        const Val& flags = state.frame().regs[2];
        const Fact fact = flags.kind == Kind::Scalar ? state.of(flags) : Fact{};
        if (!fact.is_constant() || fact.bits.value != 0)
            return fail(pc, "V601", "bpf_get_local_storage takes no flags");
    }
    if (id == kTailCall && !state.references.empty())
        return fail(pc, "V401", "a tail call with a resource that is not released");
    if (released_ != 0)
        forget_instance(state, released_);
    for (unsigned reg = 0; reg <= 5; ++reg)
        state.frame().regs[reg] = {};
    // The program that a function jumps to may change the packet before the caller goes on.
    if (proto->moves_packet || (id == kTailCall && state.frames.size() > 1))
        forget_packet(state);
    return result(state, pc, *proto);
}

bool Stepper::is_tail_call(u32 pc) const {
    const isa::Insn& insn = program_.insns[pc];
    return insn.opcode == isa::kCall && insn.src == isa::kCallHelper &&
           static_cast<u32>(insn.imm) == kTailCall;
}

void Stepper::return_anything(State& state) {
    state.frame().regs[0] = fresh(state, Fact{});
}

} // namespace skep::verifier
