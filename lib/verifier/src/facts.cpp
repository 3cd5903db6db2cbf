// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "facts.hpp"

#include <algorithm>
#include <bit>

#include "liveness.hpp"
#include "skep/isa/decode.hpp"
#include "skep/spec/helper.hpp"

namespace skep::verifier {
namespace {

constexpr i64 kSeveral = -1;
constexpr i64 kNoneYet = -2;

Memory memory_of(Region region) {
    switch (region) {
    case Region::Context:
        return Memory::Context;
    case Region::Stack:
        return Memory::Stack;
    case Region::Packet:
        return Memory::Packet;
    case Region::Meta:
        return Memory::Metadata;
    case Region::MapValue:
        return Memory::MapValue;
    default:
        return Memory::Other;
    }
}

bool has_map(Region region) {
    return region == Region::MapValue || region == Region::Map;
}

/// Of maps that map_lookup_elem and its like take: bytes of a key, if it fits.
unsigned key_size(const Walker& walker, const Val& map) {
    if (map.kind != Kind::Pointer || map.region != Region::Map)
        return 0;
    const u32 size = walker.stepper().map(map.aux).def->key_size;
    return size == 1 || size == 2 || size == 4 || size == 8 ? size : 0;
}

} // namespace

void FactCollector::Joined::add(const State& state, const Val& val, i64 off) {
    number &= val.kind == Kind::Scalar;
    pointer &= val.kind == Kind::Pointer;
    if (val.kind == Kind::Uninit)
        return;
    const Fact now = domain::moved(state.of(val), static_cast<u64>(off));
    fact = any ? domain::join(fact, now) : now;
    if (val.kind == Kind::Pointer) {
        mixed |= any && region != val.region;
        region = val.region;
        nullable |= val.nullable;
        const i64 its = has_map(val.region) ? i64{val.aux} : kSeveral;
        map = map == kNoneYet || map == its ? its : kSeveral;
    }
    any = true;
}

NumberFact FactCollector::Joined::to_number() const {
    if (!any || !number)
        return {};
    return {.known = true,
            .umin = fact.umin(),
            .umax = fact.umax(),
            .smin = fact.smin(),
            .smax = fact.smax(),
            .bits = fact.bits.value,
            .unknown = fact.bits.mask};
}

PointerFact FactCollector::Joined::to_pointer() const {
    if (!any || !pointer)
        return {};
    const u64 loose = fact.bits.value | fact.bits.mask;
    return {.memory = mixed ? Memory::Mixed : memory_of(region),
            .non_null = !nullable,
            .map = static_cast<std::int32_t>(std::max(map, kSeveral)),
            .low = fact.smin(),
            .high = fact.smax(),
            .alignment = static_cast<uint8_t>(1U << std::min(std::countr_zero(loose), 6))};
}

void FactCollector::before(const State& state, u32 pc) {
    const isa::Insn& insn = walker_->program().insns[pc];
    const auto& regs = state.frame().regs;
    Seen& seen = seen_[pc];
    seen.reached = true;
    const unsigned cls = insn.opcode & isa::kClassMask;
    if (insn.opcode == isa::kCall) {
        if (insn.src == isa::kCallHelper)
            call(state, pc);
        return;
    }
    if (insn.opcode == isa::kExit) {
        seen.dst.add(state, regs[0]);
        return;
    }
    if (cls == isa::kLd)
        return;
    if (cls == isa::kLdx) {
        seen.address.add(state, regs[insn.src], insn.off);
        return;
    }
    const bool stores = cls == isa::kSt || cls == isa::kStx;
    const bool acquires =
        cls == isa::kStx && insn.imm == 0x100 && (insn.opcode & isa::kModeMask) == isa::kAtomic;
    const unsigned op = insn.opcode & 0xf0U;
    const bool jump = cls == isa::kJmp || cls == isa::kJmp32;
    if (jump ? op == 0x00 || op == 0xe0
             : !stores && op == 0xb0 && (insn.opcode & isa::kSrcMask) == 0)
        return; // Reads nothing.
    if (stores)
        seen.address.add(state, regs[acquires ? insn.src : insn.dst], insn.off);
    else if (jump || op != 0xb0)
        seen.dst.add(state, regs[insn.dst]);
    const bool from_register = cls == isa::kStx || (insn.opcode & isa::kSrcMask) == isa::kX;
    if (from_register && !acquires)
        seen.src.add(state, regs[insn.src]);
}

/// Addresses of stack that a helper gets as numbers: it may read what lies there (bpf_probe_read),
/// however long.
void FactCollector::numbers(const State& state, u32 helper) {
    const spec::HelperProto* proto = spec::find_helper(helper);
    const bool more = proto != nullptr && proto->signature.ends_with("...)");
    for (unsigned i = 0; i < 5; ++i) {
        const Val& val = state.frame().regs[i + 1];
        if (val.kind != Kind::Pointer || val.region != Region::Stack ||
            val.aux >= state.frames.size())
            continue;
        const spec::ArgKind kind = proto == nullptr ? spec::ArgKind::Anything : proto->args[i];
        if (kind == spec::ArgKind::Anything || (more && kind == spec::ArgKind::None))
            functions_[state.frames[val.aux].function].address_taken = ~u64{0};
    }
}

void FactCollector::call(const State& state, u32 pc) {
    const auto& regs = state.frame().regs;
    numbers(state, static_cast<u32>(walker_->program().insns[pc].imm));
    Call& made = calls_[pc];
    for (unsigned i = 0; i < 5; ++i)
        made.arguments[i].add(state, regs[i + 1]);
    const Val& key = regs[2];
    const unsigned size = key_size(*walker_, regs[1]);
    const bool on_stack = key.kind == Kind::Pointer && key.region == Region::Stack &&
                          key.sym == 0 && key.aux < state.frames.size();
    const auto index = static_cast<std::size_t>((-key.off - 1) / 4);
    if (size == 0 || !on_stack || index >= state.frames[key.aux].stack.size()) {
        made.key_known = false;
        return;
    }
    const Stack& stack = state.frames[key.aux].stack;
    if (stack.remembered(index) != size || stack.value(index).kind != Kind::Scalar) {
        made.key_known = false;
        return;
    }
    made.key.add(state, stack.value(index));
}

void FactCollector::after(const State& state, u32 pc) {
    const isa::Insn& insn = walker_->program().insns[pc];
    const unsigned cls = insn.opcode & isa::kClassMask;
    const auto& regs = state.frame().regs;
    if (insn.opcode == isa::kCall || (cls == isa::kLd && insn.opcode != isa::kLddw))
        seen_[pc].result.add(state, regs[0]);
    else if (cls == isa::kAlu || cls == isa::kAlu64 || cls == isa::kLdx || cls == isa::kLd)
        seen_[pc].result.add(state, regs[insn.dst]);
}

void FactCollector::went(u32 pc, bool jumped) {
    (jumped ? seen_[pc].jumps : seen_[pc].falls_through) = true;
}

void FactCollector::stack(const State& state, const Val& base, i64 low, i64 high, bool reads,
                          bool direct) {
    const Frame& frame = state.frames[base.aux];
    Function& function = functions_[frame.function];
    if (!direct)
        for (i64 at = low; at < high; ++at)
            function.address_taken |= u64{1} << ((-at - 1) / 8);
    for (i64 at = low; reads && at < high; ++at) {
        const auto index = static_cast<std::size_t>((-at - 1) / 4);
        if (index >= frame.stack.size() ||
            (frame.stack.written(index) >> (static_cast<unsigned>(at) & 3U) & 1U) == 0)
            function.reads_unwritten = true;
    }
}

Facts FactCollector::take() const {
    const Program& program = walker_->program();
    Facts facts;
    facts.insns.resize(seen_.size());
    const auto unread = upper_halves_unread(program, walker_->flow());
    for (std::size_t i = 0; i < seen_.size(); ++i) {
        const Seen& seen = seen_[i];
        facts.insns[i] = {.reached = seen.reached,
                          .jumps = seen.jumps,
                          .falls_through = seen.falls_through,
                          .dst = seen.dst.to_number(),
                          .src = seen.src.to_number(),
                          .result = seen.result.to_number(),
                          .access = seen.address.to_pointer(),
                          .result_pointer = seen.result.to_pointer(),
                          .upper_unread = unread[i]};
    }
    for (const auto& [pc, call] : calls_) {
        CallFact made{.insn = pc};
        for (std::size_t i = 0; i < call.arguments.size(); ++i)
            made.arguments[i] = call.arguments[i].to_number();
        const PointerFact map = call.arguments[0].to_pointer();
        if (call.arguments[0].region == Region::Map && !call.arguments[0].mixed)
            made.map = map.map;
        const NumberFact key = call.key.to_number();
        if (call.key_known && key.is_constant())
            made.key = key.bits;
        facts.calls.push_back(made);
    }
    for (const FunctionRange& range : walker_->flow().functions) {
        const auto found = functions_.find(range.begin);
        FunctionFact made{.begin = range.begin,
                          .reached = seen_[range.begin].reached,
                          .stack_bytes = walker_->stepper().stack_used(range.begin)};
        if (found != functions_.end()) {
            const u32 slots = (made.stack_bytes + 7) / 8;
            made.address_taken =
                found->second.address_taken & (slots < 64 ? (u64{1} << slots) - 1 : ~u64{0});
            made.reads_unwritten = found->second.reads_unwritten;
        }
        facts.functions.push_back(made);
    }
    return facts;
}

} // namespace skep::verifier
