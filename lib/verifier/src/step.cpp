// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic, jumps, calls of functions and exits.
#include "step.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "domain/rules.hpp"
#include "skep/program/control_flow.hpp"

namespace skep::verifier {

using domain::Compare;
namespace {

/// Offsets may wander this far: so that sums of two never wrap. (Linux: BPF_MAX_VAR_OFF.)
constexpr i64 kMaxOffset = i64{1} << 29;

const char* name(const Val& val) {
    if (val.kind == Kind::Uninit)
        return "not initialised";
    if (val.kind == Kind::Scalar)
        return "a number";
    switch (val.region) {
    case Region::Context:
        return "the context";
    case Region::Stack:
        return "a stack pointer";
    case Region::Packet:
        return "a packet pointer";
    case Region::Meta:
        return "a pointer to packet metadata";
    case Region::PacketEnd:
        return "the end of the packet";
    case Region::MapValue:
        return "a map value";
    case Region::Map:
        return "a map";
    case Region::Memory:
        return "memory";
    case Region::Socket:
        return "a socket";
    case Region::Object:
        return "a kernel object";
    case Region::FlowKeys:
        return "flow keys";
    case Region::Function:
        return "a function";
    case Region::Iterator:
        return "an iterator";
    case Region::None:
        break;
    }
    return "a pointer";
}

Compare compare_of(unsigned op) {
    switch (op) {
    case 0x10:
        return Compare::Eq;
    case 0x20:
        return Compare::Gt;
    case 0x30:
        return Compare::Ge;
    case 0x40:
        return Compare::Set;
    case 0x50:
        return Compare::Ne;
    case 0x60:
        return Compare::Sgt;
    case 0x70:
        return Compare::Sge;
    case 0xa0:
        return Compare::Lt;
    case 0xb0:
        return Compare::Le;
    case 0xc0:
        return Compare::Slt;
    default:
        return Compare::Sle;
    }
}

/// x ? x.
bool of_equals(Compare compare, bool& known) {
    known = compare != Compare::Set && compare != Compare::NotSet;
    return compare == Compare::Eq || compare == Compare::Ge || compare == Compare::Le ||
           compare == Compare::Sge || compare == Compare::Sle;
}

} // namespace

Stepper::Stepper(const Program& program, const ControlFlow& flow, std::span<const MapView> maps,
                 Symbols& symbols)
    : program_(program), flow_(flow), maps_(maps.begin(), maps.end()), object_maps_(maps.size()),
      symbols_(symbols), layout_(spec::find_context(program.type)),
      contracts_(program, flow, layout_ == nullptr ? std::string_view{} : layout_->name) {
    for (u32 i = 0; i < object_maps_; ++i)
        if (const auto& inner = maps[i].def->inner; inner != nullptr) {
            inner_maps_[i] = static_cast<u32>(maps_.size());
            maps_.push_back({.def = inner.get(), .special = maps[i].inner_special});
        }
    for (const ExternRef& external : program.externs)
        kfuncs_.push_back(external.function ? kfunc_named(external.name) : Kfunc::Unknown);
}

bool Stepper::fail(u32 pc, const char* code, std::string message) {
    finding_ = {.code = code, .insn = pc, .message = std::move(message), .reg = subject_};
    unsupported_ = false;
    return false;
}

bool Stepper::unknown(u32 pc, std::string message) {
    finding_ = {.code = "V900", .insn = pc, .message = std::move(message)};
    unsupported_ = true;
    return false;
}

bool Stepper::may_use(const MapView& map) const {
    using enum spec::ProgramType;
    const auto t = program_.type;
    const bool tracing = t == Kprobe || t == Tracepoint || t == PerfEvent || t == RawTracepoint ||
                         t == RawTracepointWritable;
    return std::ranges::none_of(map.special, [&](const SpecialField& field) {
        return (field.kind == SpecialField::Kind::SpinLock && (tracing || t == SocketFilter)) ||
               (field.kind == SpecialField::Kind::Timer && tracing);
    });
}

std::optional<State> Stepper::initial() {
    contract_ = nullptr;
    in_timer_ = false;
    using enum spec::ProgramType;
    switch (program_.type) {
    case Tracing:
    case Lsm:
    case StructOps:
    case Ext:
    case Unspec:
        unknown(0, "programs of this type are not supported yet");
        return std::nullopt;
    default:
        break;
    }
    if (layout_ == nullptr) {
        unknown(0, "the context of this program type is not known");
        return std::nullopt;
    }
    State state;
    state.frames.resize(1);
    state.frame().regs[1] = {.kind = Kind::Pointer, .region = Region::Context};
    state.frame().regs[10] = {.kind = Kind::Pointer, .region = Region::Stack};
    return state;
}

bool Stepper::readable(const State& state, u32 pc, unsigned reg) {
    if (state.frame().regs[reg].kind != Kind::Uninit)
        return true;
    subject_ = static_cast<int>(reg);
    return fail(pc, "V301", fmt::format("r{} is read, but was never written", reg));
}

/// The address of an access, else what is written.
int Stepper::subject_of(const isa::Insn& insn) {
    switch (insn.opcode & isa::kClassMask) {
    case isa::kLdx:
        return insn.src;
    case isa::kJmp:
    case isa::kJmp32:
        return insn.opcode == isa::kExit ? 0 : insn.opcode == isa::kCall ? -1 : int{insn.dst};
    default:
        return insn.opcode == isa::kLddw ? -1 : int{insn.dst};
    }
}

bool Stepper::step(State& state, u32 pc) {
    const isa::Insn& insn = program_.insns[pc];
    subject_ = subject_of(insn);
    switch (insn.opcode & isa::kClassMask) {
    case isa::kAlu:
    case isa::kAlu64:
        return alu(state, pc);
    case isa::kLdx:
        return load(state, pc);
    case isa::kSt:
        return store(state, pc);
    case isa::kStx:
        return (insn.opcode & isa::kModeMask) == isa::kAtomic ? atomic(state, pc)
                                                              : store(state, pc);
    case isa::kLd:
        return insn.opcode == isa::kLddw ? load_immediate(state, pc) : load_packet(state, pc);
    default:
        return call(state, pc);
    }
}

Val Stepper::fresh(State& state, const Fact& fact) {
    if (fact.is_constant())
        return number(0, static_cast<i64>(fact.bits.value));
    const Sym sym = symbols_.fresh();
    state.set_fact(sym, fact); // Even if it says nothing: refinements reach what has one.
    return number(sym);
}

Val Stepper::named(State& state, const Node& node) {
    const Fact fact = evaluate(state, node);
    if (fact.is_constant())
        return number(0, static_cast<i64>(fact.bits.value));
    // The same operation on the same numbers is the same number.
    for (const auto& [sym, known] : state.facts)
        if (symbols_[sym] == node)
            return number(sym);
    const Sym sym = symbols_.make(node);
    state.set_fact(sym, fact);
    return number(sym);
}

Val Stepper::extended(State& state, const Val& a, unsigned width, bool is_signed) {
    if (width == 64)
        return number(a.sym, a.off);
    const Fact fact = state.of(a);
    const Fact wanted =
        is_signed ? domain::sign_extend(fact, width) : domain::zero_extend(fact, width);
    if (domain::extends_to_itself(fact, width, is_signed))
        return number(a.sym, a.off);
    if (wanted.is_constant())
        return number(0, static_cast<i64>(wanted.bits.value));
    return named(state, {.op = is_signed ? Op::SignExtend : Op::ZeroExtend,
                         .width = static_cast<uint8_t>(width),
                         .a = a.sym,
                         .a_off = a.off});
}

Val Stepper::scalar_alu(State& state, unsigned op, bool wide, bool is_signed, const Val& a,
                        const Val& b) {
    const unsigned width = wide ? 64 : 32;
    const auto narrowed = [&](const Val& val, bool with_sign) {
        return wide ? val : extended(state, val, 32, with_sign);
    };
    const bool b_constant = state.of(b).is_constant();
    const u64 constant = state.of(b).bits.value;
    const auto finish = [&](const Fact& fact) {
        return fresh(state, wide ? fact : domain::zero_extend(fact, 32));
    };
    switch (op) {
    case 0x00: // add
        if (b_constant && wide)
            return number(a.sym, static_cast<i64>(static_cast<u64>(a.off) + constant));
        if (b_constant)
            return extended(state,
                            number(a.sym, static_cast<i64>(static_cast<u64>(a.off) + constant)), 32,
                            false);
        if (state.of(a).is_constant() && wide)
            return number(b.sym,
                          static_cast<i64>(static_cast<u64>(b.off) + state.of(a).bits.value));
        if (wide)
            return named(state,
                         {.op = Op::Add, .a = a.sym, .a_off = a.off, .b = b.sym, .b_off = b.off});
        return finish(domain::add(state.of(narrowed(a, false)), state.of(narrowed(b, false))));
    case 0x10: { // sub
        if (a.sym == b.sym) {
            const auto difference =
                static_cast<i64>(static_cast<u64>(a.off) - static_cast<u64>(b.off));
            return number(0, wide ? difference : static_cast<i64>(static_cast<u32>(difference)));
        }
        const auto moved = static_cast<i64>(static_cast<u64>(a.off) - constant);
        if (b_constant)
            return wide ? number(a.sym, moved) : extended(state, number(a.sym, moved), 32, false);
        if (!wide)
            return finish(
                domain::subtract(state.of(narrowed(a, false)), state.of(narrowed(b, false))));
        // (x + y) - y
        const Node& sum = symbols_[a.sym];
        if (sum.op == Op::Add && a.off == 0 && sum.b == b.sym && sum.b_off == b.off)
            return number(sum.a, sum.a_off);
        return named(state,
                     {.op = Op::Subtract, .a = a.sym, .a_off = a.off, .b = b.sym, .b_off = b.off});
    }
    case 0x20:
        return finish(domain::multiply(state.of(narrowed(a, false)), state.of(narrowed(b, false))));
    case 0x30: {
        const Fact x = state.of(narrowed(a, is_signed));
        const Fact y = state.of(narrowed(b, is_signed));
        return finish(is_signed ? domain::divide_signed(x, y) : domain::divide(x, y));
    }
    case 0x90: {
        const Fact x = state.of(narrowed(a, is_signed));
        const Fact y = state.of(narrowed(b, is_signed));
        return finish(is_signed ? domain::remainder_signed(x, y) : domain::remainder(x, y));
    }
    case 0x40:
        return finish(domain::bit_or(state.of(narrowed(a, false)), state.of(narrowed(b, false))));
    case 0x50:
        if (b_constant) {
            const u64 mask = wide ? constant : constant & 0xffffffff;
            if (domain::clears_nothing(state.of(a), mask))
                return number(a.sym, a.off);
            return named(state, {.op = Op::And, .a = a.sym, .a_off = a.off, .imm = mask});
        }
        return finish(domain::bit_and(state.of(narrowed(a, false)), state.of(narrowed(b, false))));
    case 0xa0:
        return finish(domain::bit_xor(state.of(narrowed(a, false)), state.of(narrowed(b, false))));
    case 0x60: { // shl
        const Val x = narrowed(a, false);
        const unsigned count = static_cast<unsigned>(constant) & (width - 1);
        if (b_constant && count == 0)
            return x;
        if (b_constant && (wide || domain::shifts_within_half(state.of(x), count)))
            return named(state, {.op = Op::ShiftLeft, .a = x.sym, .a_off = x.off, .imm = count});
        return finish(domain::shift_left(state.of(x), state.of(b), width));
    }
    case 0x70: { // shr
        const Val x = narrowed(a, false);
        const unsigned count = static_cast<unsigned>(constant) & (width - 1);
        if (b_constant && count == 0)
            return x;
        if (!b_constant)
            return finish(domain::shift_right(state.of(x), state.of(b), width));
        const Node& node = symbols_[x.sym];
        const unsigned kept = 64 - count;
        if (node.op == Op::ShiftLeft && x.off == 0 && node.imm == count && wide &&
            (kept == 8 || kept == 16 || kept == 32))
            return extended(state, number(node.a, node.a_off), kept, false);
        return named(state, {.op = Op::ShiftRight, .a = x.sym, .a_off = x.off, .imm = count});
    }
    case 0xc0: { // arsh
        const unsigned count = static_cast<unsigned>(constant) & (width - 1);
        const Node& node = symbols_[a.sym];
        const unsigned kept = 64 - count;
        if (b_constant && node.op == Op::ShiftLeft && a.off == 0 && node.imm == count && wide &&
            (kept == 8 || kept == 16 || kept == 32))
            return extended(state, number(node.a, node.a_off), kept, true);
        return finish(domain::shift_right_signed(state.of(narrowed(a, true)), state.of(b), width));
    }
    default:
        return finish(Fact{});
    }
}

bool Stepper::alu(State& state, u32 pc) {
    const isa::Insn& insn = program_.insns[pc];
    const bool wide = (insn.opcode & isa::kClassMask) == isa::kAlu64;
    const unsigned op = insn.opcode & 0xf0U;
    const bool from_register = (insn.opcode & isa::kSrcMask) == isa::kX;
    auto& regs = state.frame().regs;
    if (insn.dst == isa::kFramePointer)
        return fail(pc, "V204", "r10 may not be written");
    if (op == 0xd0) { // byte order
        if (!readable(state, pc, insn.dst))
            return false;
        if (regs[insn.dst].kind == Kind::Pointer) { // A number without meaning.
            regs[insn.dst] = fresh(state, Fact{});
            return true;
        }
        const auto bits = static_cast<unsigned>(insn.imm);
        const bool swap = wide || from_register;
        regs[insn.dst] = swap ? fresh(state, domain::swap_bytes(state.of(regs[insn.dst]), bits))
                         : bits == 64 ? regs[insn.dst]
                                      : extended(state, regs[insn.dst], bits, false);
        return true;
    }
    if (from_register && !readable(state, pc, insn.src))
        return false;
    const Val b = from_register ? regs[insn.src] : number(0, insn.imm);
    if (op == 0xb0) { // mov
        if (from_register && insn.off != 0) {
            if (insn.off == 1)
                return unknown(pc, "addr_space_cast is not supported yet");
            if (b.kind == Kind::Pointer) {
                regs[insn.dst] = fresh(state, Fact{});
                return true;
            }
            const Val made = extended(state, b, static_cast<unsigned>(insn.off), true);
            regs[insn.dst] = wide ? made : extended(state, made, 32, false);
            return true;
        }
        if (wide)
            regs[insn.dst] = b;
        else if (b.kind == Kind::Pointer)
            regs[insn.dst] = fresh(state, Fact::of_width(32));
        else
            regs[insn.dst] = extended(state, b, 32, false);
        return true;
    }
    if (!readable(state, pc, insn.dst))
        return false;
    const Val a = regs[insn.dst];
    if (op == 0x80) { // neg
        if (a.kind == Kind::Pointer) {
            regs[insn.dst] = fresh(state, Fact{});
            return true;
        }
        regs[insn.dst] = scalar_alu(state, 0x10, wide, false, number(0, 0), a);
        return true;
    }
    if (a.kind == Kind::Pointer || b.kind == Kind::Pointer)
        return pointer_alu(state, pc, op, a, b, wide);
    if ((op == 0x30 || op == 0x90) && !from_register && insn.imm == 0)
        return fail(pc, "V204", "division by the constant 0");
    regs[insn.dst] = scalar_alu(state, op, wide, insn.off == 1, a, b);
    return true;
}

bool Stepper::pointer_alu(State& state, u32 pc, unsigned op, const Val& a, const Val& b,
                          bool wide) {
    Val& dst = state.frame().regs[program_.insns[pc].dst];
    if (!wide) { // A number without meaning.
        dst = fresh(state, Fact::of_width(32));
        return true;
    }
    if (a.kind == Kind::Pointer && b.kind == Kind::Pointer) {
        if (op != 0x10)
            return fail(pc, "V204", fmt::format("operation on {} and {}", name(a), name(b)));
        const bool same_place =
            a.region == b.region && a.aux == b.aux && a.instance == b.instance && a.sym == b.sym;
        dst = same_place
                  ? number(0, static_cast<i64>(static_cast<u64>(a.off) - static_cast<u64>(b.off)))
                  : fresh(state, Fact{});
        return true;
    }
    if (op != 0x00 && op != 0x10)
        return fail(
            pc, "V204",
            fmt::format("only + and - are allowed on {}", name(a.kind == Kind::Pointer ? a : b)));
    if (op == 0x10 && b.kind == Kind::Pointer)
        return fail(pc, "V204", fmt::format("{} is subtracted from a number", name(b)));
    const Val& pointer = a.kind == Kind::Pointer ? a : b;
    const Val& distance = a.kind == Kind::Pointer ? b : a;
    const Fact fact = state.of(distance);
    // Linux keeps this away from its compilers to native code.
    if (op == 0x10 && pointer.region == Region::Stack)
        return fail(pc, "V204", "subtraction from a stack pointer");
    if (pointer.nullable)
        return fail(pc, "V201", fmt::format("arithmetic on {} that may be null", name(pointer)));
    switch (pointer.region) {
    case Region::PacketEnd:
    case Region::Socket:
    case Region::Object:
    case Region::Map:
    case Region::Function:
    case Region::Iterator:
        if (!(fact.is_constant() && fact.bits.value == 0))
            return fail(pc, "V204", fmt::format("arithmetic on {}", name(pointer)));
        break;
    case Region::Context:
    case Region::FlowKeys:
        if (!fact.is_constant())
            return fail(pc, "V604", "a variable offset into the context");
        break;
    default:
        break;
    }
    if (fact.smin() < -kMaxOffset || fact.smax() > kMaxOffset)
        return fail(pc, "V204",
                    fmt::format("{} is moved by {} to {}, which is not bounded", name(pointer),
                                fact.smin(), fact.smax()));
    const Val moved =
        scalar_alu(state, op, true, false, number(pointer.sym, pointer.off), distance);
    const Fact total = state.of(moved);
    if (total.smin() < -kMaxOffset || total.smax() > kMaxOffset)
        return fail(pc, "V204", fmt::format("the offset of {} is not bounded", name(pointer)));
    Val made = pointer;
    made.sym = moved.sym;
    made.off = moved.off;
    dst = made;
    return true;
}

void Stepper::set_null(State& state, u32 instance, bool null) {
    for (Frame& frame : state.frames) {
        const auto is_meant = [&](const Val& val) {
            return val.kind == Kind::Pointer && val.instance == instance && val.nullable;
        };
        const auto change = [&](Val& val) {
            if (null)
                val = number(0, 0);
            else
                val.nullable = false;
        };
        for (Val& val : frame.regs)
            if (is_meant(val))
                change(val);
        frame.stack.change_pointers(is_meant, change);
    }
    if (null)
        std::erase(state.references, instance);
}

void Stepper::learn_packet(State& state, Compare compare, const Val& a, const Val& b) {
    const auto learn = [&](Region region, const Val& pointer, i64 more) {
        if (domain::may_bound<u64>(static_cast<u64>(pointer.off)))
            state.add_bound({region, pointer.sym, pointer.off + more});
    };
    const auto below = [&](const Val& low, const Val& high, i64 more) {
        if (low.region == Region::Packet && high.region == Region::PacketEnd)
            learn(Region::Packet, low, more);
        // data is the end of the metadata.
        if (low.region == Region::Meta && high.region == Region::Packet && high.sym == 0 &&
            high.off == 0)
            learn(Region::Meta, low, more);
    };
    switch (compare) {
    case Compare::Le:
        return below(a, b, 0);
    case Compare::Lt:
        return below(a, b, 1);
    case Compare::Ge:
        return below(b, a, 0);
    case Compare::Gt:
        return below(b, a, 1);
    case Compare::Eq:
        below(a, b, 0);
        return below(b, a, 0);
    default:
        return;
    }
}

std::optional<bool> Stepper::decided(const State& state, u32 pc) const {
    const isa::Insn& insn = program_.insns[pc];
    const bool from_register = (insn.opcode & isa::kSrcMask) == isa::kX;
    const Val& a = state.frame().regs[insn.dst];
    const Val b = from_register ? state.frame().regs[insn.src] : number(0, insn.imm);
    if ((insn.opcode & isa::kClassMask) != isa::kJmp || a.kind != Kind::Scalar ||
        b.kind != Kind::Scalar)
        return std::nullopt;
    return domain::decide(compare_of(insn.opcode & 0xf0U), state.of(a), state.of(b));
}

bool Stepper::branch(State& state, u32 pc, bool taken) {
    const isa::Insn& insn = program_.insns[pc];
    const bool wide = (insn.opcode & isa::kClassMask) == isa::kJmp;
    const bool from_register = (insn.opcode & isa::kSrcMask) == isa::kX;
    Compare compare = compare_of(insn.opcode & 0xf0U);
    if (!taken)
        compare = domain::opposite(compare);
    const Val a = state.frame().regs[insn.dst];
    const Val b = from_register ? state.frame().regs[insn.src] : number(0, insn.imm);
    if (a.kind == Kind::Pointer || b.kind == Kind::Pointer) {
        if (!wide)
            return true;
        const Val& pointer = a.kind == Kind::Pointer ? a : b;
        const Val& other = a.kind == Kind::Pointer ? b : a;
        if (other.kind == Kind::Scalar && state.of(other).is_constant() &&
            state.of(other).bits.value == 0) {
            const bool null = compare == Compare::Eq || compare == Compare::Le;
            const bool not_null = compare == Compare::Ne || compare == Compare::Gt;
            if (pointer.nullable && (compare == Compare::Eq || compare == Compare::Ne))
                set_null(state, pointer.instance, null);
            else if (!pointer.nullable && (null || not_null) && null)
                return false; // A pointer that is not null is never 0.
            return true;
        }
        if (a.kind == Kind::Pointer && b.kind == Kind::Pointer) {
            learn_packet(state, compare, a, b);
            // What equals a pointer that is not null is not null.
            if (compare == Compare::Eq && a.nullable != b.nullable)
                set_null(state, a.nullable ? a.instance : b.instance, false);
        }
        return true;
    }
    if (a.sym == b.sym && a.off == b.off) {
        bool known = false;
        const bool yes = of_equals(compare, known);
        if (known) {
            return yes;
        }
    }
    Fact x = state.of(a);
    Fact y = state.of(b);
    if (!(wide ? domain::assume(compare, x, y) : domain::assume_low(compare, x, y)))
        return false;
    if (!refine(state, symbols_, a.sym, domain::moved(x, u64{0} - static_cast<u64>(a.off))) ||
        !refine(state, symbols_, b.sym, domain::moved(y, u64{0} - static_cast<u64>(b.off))))
        return false;
    return learn_difference(state, wide, compare, a, b);
}

/// Notes which number is how much below the other, where both are such that the comparison is one
/// of whole numbers. False: it contradicts what is known.
bool Stepper::learn_difference(State& state, bool wide, Compare compare, const Val& a,
                               const Val& b) {
    constexpr i64 kNarrow = INT32_MAX;
    constexpr i64 kExact = i64{1} << 40;
    if (a.sym == b.sym || a.sym == 0 || b.sym == 0)
        return true;
    const auto whole = [&](const Val& val, bool is_signed) {
        const Fact fact = state.of(val);
        const Fact of_sym = state.fact(val.sym);
        const i64 least = wide && is_signed ? -kExact : 0;
        const i64 most = wide ? kExact : kNarrow;
        return fact.smin() >= least && fact.smax() <= most && of_sym.smin() >= -kExact &&
               of_sym.smax() <= kExact && val.off > -kExact && val.off < kExact;
    };
    const auto below = [&](const Val& low, const Val& high, i64 more, bool is_signed) {
        if (!whole(low, is_signed) || !whole(high, is_signed))
            return true;
        const Difference made{low.sym, high.sym, high.off - low.off - more};
        const i64 reverse = state.difference(made.b, made.a);
        if (reverse != State::kUnbounded && made.c + reverse < 0)
            return false;
        if (state.difference(made.a, made.b) <= made.c)
            return true; // It follows from what is known.
        state.add_difference(made);
        return true;
    };
    using enum Compare;
    switch (compare) {
    case Eq:
        return below(a, b, 0, true) && below(b, a, 0, true);
    case Le:
    case Sle:
        return below(a, b, 0, compare == Sle);
    case Lt:
    case Slt:
        return below(a, b, 1, compare == Slt);
    case Ge:
    case Sge:
        return below(b, a, 0, compare == Sge);
    case Gt:
    case Sgt:
        return below(b, a, 1, compare == Sgt);
    default:
        return true;
    }
}

} // namespace skep::verifier
