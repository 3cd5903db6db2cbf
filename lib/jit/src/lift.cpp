// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// What each instruction becomes: a row of a table says which of a few functions makes its nodes.
#include <bit>

#include "build.hpp"
#include "skep/base/check.hpp"
#include "skep/isa/decode.hpp"
#include "skep/isa/encode.hpp"
#include "skep/spec/context.hpp"
#include "support.hpp"

namespace skep::jit {

using ir::Node;
using ir::Op;
using ir::Ref;

struct Builder::Lift {
    Member lift = &Builder::lift_unsupported;
    Op op = Op::None;
    std::uint8_t width = 8; ///< of operations; bytes of accesses
    std::uint8_t flags = 0;
};

const Builder::Lift& Builder::lift_of(isa::Op op) noexcept {
    static constexpr std::array<Lift, isa::kOpCount> kRows = [] {
        std::array<Lift, isa::kOpCount> rows{};
        const auto set = [&](isa::Op name, Lift row) { rows[std::to_underlying(name)] = row; };
#define SKEP_ALU(name, made)                                                                       \
    set(isa::Op::name##64Imm, {&Builder::lift_alu, Op::made, 8});                                  \
    set(isa::Op::name##64Reg, {&Builder::lift_alu, Op::made, 8});                                  \
    set(isa::Op::name##32Imm, {&Builder::lift_alu, Op::made, 4});                                  \
    set(isa::Op::name##32Reg, {&Builder::lift_alu, Op::made, 4});
        SKEP_ALU(Add, Add)
        SKEP_ALU(Sub, Sub)
        SKEP_ALU(Mul, Mul)
        SKEP_ALU(Div, Udiv)
        SKEP_ALU(Sdiv, Sdiv)
        SKEP_ALU(Mod, Umod)
        SKEP_ALU(Smod, Smod)
        SKEP_ALU(Or, Or)
        SKEP_ALU(And, And)
        SKEP_ALU(Xor, Xor)
        SKEP_ALU(Lsh, Shl)
        SKEP_ALU(Rsh, Shr)
        SKEP_ALU(Arsh, Sar)
#undef SKEP_ALU
        set(isa::Op::Mov64Imm, {&Builder::lift_mov, Op::None, 8});
        set(isa::Op::Mov64Reg, {&Builder::lift_mov, Op::None, 8});
        set(isa::Op::Mov32Imm, {&Builder::lift_mov, Op::Zext32, 4});
        set(isa::Op::Mov32Reg, {&Builder::lift_mov, Op::Zext32, 4});
        set(isa::Op::Movsx64From8, {&Builder::lift_mov, Op::Sext8, 8});
        set(isa::Op::Movsx64From16, {&Builder::lift_mov, Op::Sext16, 8});
        set(isa::Op::Movsx64From32, {&Builder::lift_mov, Op::Sext32, 8});
        set(isa::Op::Movsx32From8, {&Builder::lift_mov, Op::Sext8, 4});
        set(isa::Op::Movsx32From16, {&Builder::lift_mov, Op::Sext16, 4});
        set(isa::Op::Neg64, {&Builder::lift_unary, Op::Neg, 8});
        set(isa::Op::Neg32, {&Builder::lift_unary, Op::Neg, 4});
        // The machines that we compile for are little-endian.
        set(isa::Op::Le16, {&Builder::lift_unary, Op::Zext16, 8});
        set(isa::Op::Le32, {&Builder::lift_unary, Op::Zext32, 8});
        set(isa::Op::Le64, {&Builder::lift_unary, Op::None, 8});
        set(isa::Op::Be16, {&Builder::lift_unary, Op::Swap16, 8});
        set(isa::Op::Be32, {&Builder::lift_unary, Op::Swap32, 8});
        set(isa::Op::Be64, {&Builder::lift_unary, Op::Swap64, 8});
        set(isa::Op::Bswap16, {&Builder::lift_unary, Op::Swap16, 8});
        set(isa::Op::Bswap32, {&Builder::lift_unary, Op::Swap32, 8});
        set(isa::Op::Bswap64, {&Builder::lift_unary, Op::Swap64, 8});
        for (const isa::OpInfo& info : isa::all_ops()) {
            const auto size = static_cast<std::uint8_t>(info.access_size());
            switch (info.format) {
            case isa::Format::Ldx: {
                const bool sign = (info.opcode & isa::kModeMask) == isa::kMemSx;
                const auto flags = static_cast<std::uint8_t>(sign ? ir::kSigned : 0);
                set(info.op, {&Builder::lift_load, Op::Load, size, flags});
                break;
            }
            case isa::Format::St:
            case isa::Format::Stx:
                set(info.op, {&Builder::lift_store, Op::Store, size});
                break;
            case isa::Format::LdAbs:
            case isa::Format::LdInd:
                set(info.op, {&Builder::lift_packet, Op::Call, size});
                break;
            case isa::Format::Lddw:
            case isa::Format::LddwMap:
            case isa::Format::LddwMapValue:
            case isa::Format::LddwBtfId:
            case isa::Format::LddwFunc:
                set(info.op, {&Builder::lift_lddw, Op::Const});
                break;
            case isa::Format::JmpImm:
            case isa::Format::JmpReg:
            case isa::Format::Ja:
            case isa::Format::Gotol:
            case isa::Format::Exit:
                set(info.op, {&Builder::lift_jump});
                break;
            default:
                break;
            }
        }
#define SKEP_ATOMIC(name, made)                                                                    \
    set(isa::Op::Atomic##name##W, {&Builder::lift_atomic, Op::Atomic##made, 4});                   \
    set(isa::Op::Atomic##name##Dw, {&Builder::lift_atomic, Op::Atomic##made, 8});                  \
    set(isa::Op::AtomicFetch##name##W, {&Builder::lift_atomic, Op::Atomic##made, 4, ir::kFetch});  \
    set(isa::Op::AtomicFetch##name##Dw, {&Builder::lift_atomic, Op::Atomic##made, 8, ir::kFetch});
        SKEP_ATOMIC(Add, Add)
        SKEP_ATOMIC(Or, Or)
        SKEP_ATOMIC(And, And)
        SKEP_ATOMIC(Xor, Xor)
#undef SKEP_ATOMIC
        set(isa::Op::AtomicXchgW, {&Builder::lift_atomic, Op::AtomicXchg, 4, ir::kFetch});
        set(isa::Op::AtomicXchgDw, {&Builder::lift_atomic, Op::AtomicXchg, 8, ir::kFetch});
        set(isa::Op::AtomicCmpxchgW, {&Builder::lift_atomic, Op::AtomicCmpxchg, 4, ir::kFetch});
        set(isa::Op::AtomicCmpxchgDw, {&Builder::lift_atomic, Op::AtomicCmpxchg, 8, ir::kFetch});
#define SKEP_ORDERED(size, bytes)                                                                  \
    set(isa::Op::LoadAcquire##size, {&Builder::lift_ordered, Op::LoadAcquire, bytes});             \
    set(isa::Op::StoreRelease##size, {&Builder::lift_ordered, Op::StoreRelease, bytes});
        SKEP_ORDERED(B, 1)
        SKEP_ORDERED(H, 2)
        SKEP_ORDERED(W, 4)
        SKEP_ORDERED(Dw, 8)
#undef SKEP_ORDERED
        set(isa::Op::CallHelper, {&Builder::lift_call_helper});
        set(isa::Op::CallLocal, {&Builder::lift_call_local});
        return rows;
    }();
    return kRows[std::to_underlying(op)];
}

Result<void> Builder::lift(std::uint32_t insn) {
    at_ = insn;
    insn_ = plan_.insn(insn);
    op_ = plan_.ops[insn];
    fact_ = &plan_.fact(insn);
    make_.set_origin(insn);
    const Lift& row = lift_of(op_->op);
    return (this->*row.lift)(row);
}

Result<void> Builder::lift_unsupported(const Lift& /*row*/) {
    const char* what = op_->format == isa::Format::CallKfunc ? "calls of kernel functions are"
                       : op_->format == isa::Format::Callx   ? "indirect calls are"
                                                             : "arenas are";
    return fail(ErrorCode::Unsupported, std::string(what) + " not supported", {.instruction = at_});
}

Result<void> Builder::lift_jump(const Lift& /*row*/) {
    return {}; // The end of the block says it.
}

/// The number that an instruction leaves in a register. What is proved to be constant is one.
void Builder::finish(unsigned reg, Ref value) {
    if (options_.test_facts) {
        check(value, fact_->result);
    } else if (fact_->result.is_constant() && graph_.at(value).op != Op::Const) {
        value = make_.constant(fact_->result.bits);
    }
    Node& node = graph_.at(value);
    if (reg < isa::kFramePointer && (node.home == ir::kNoHome || reg >= 6))
        node.home = static_cast<std::uint8_t>(reg);
    write(reg, value);
}

void Builder::check(Ref value, const NumberFact& fact) {
    if (!fact.known)
        return;
    const auto index = static_cast<std::int64_t>(graph_.checks.size());
    graph_.checks.push_back({fact.umin, fact.umax, fact.smin, fact.smax, fact.bits, fact.unknown});
    make_.add({.op = Op::Check, .a = value, .b = run_, .imm = index});
}

/// src, or the immediate as the operation sees it.
Ref Builder::operand(const Lift& row) {
    if (op_->format == isa::Format::AluReg)
        return read(insn_.src);
    return make_.constant(row.width == 4 ? std::uint64_t{static_cast<std::uint32_t>(insn_.imm)}
                                         : static_cast<std::uint64_t>(std::int64_t{insn_.imm}));
}

Result<void> Builder::lift_alu(const Lift& row) {
    const Ref a = read(insn_.dst);
    const Ref b = operand(row);
    unsigned width = row.width;
    const bool divides =
        row.op == Op::Udiv || row.op == Op::Umod || row.op == Op::Sdiv || row.op == Op::Smod;
    if (!divides || options_.test_facts) {
        finish(insn_.dst, make_.binary(row.op, width, a, b));
        return {};
    }
    const bool is_signed = row.op == Op::Sdiv || row.op == Op::Smod;
    Op op = row.op;
    const NumberFact& x = fact_->dst;
    const NumberFact& y = fact_->src;
    if (width == 8 && x.upper_zero() &&
        (y.upper_zero() || (op_->format == isa::Format::AluImm && insn_.imm >= 0)) &&
        (!is_signed ||
         (x.smax <= INT32_MAX && (op_->format == isa::Format::AluImm || y.smax <= INT32_MAX))))
        width = 4;
    if (is_signed && width == 4 && row.width == 8)
        op = op == Op::Sdiv ? Op::Udiv : Op::Umod; // Neither is negative.
    const Ref made = make_.binary(op, width, a, b);
    Node& node = graph_.at(made);
    if (node.op == op && op_->format == isa::Format::AluReg && y.known &&
        (row.width == 8 ? y.non_zero() : y.non_zero() && y.upper_zero()))
        node.flags |= ir::kNonZero;
    finish(insn_.dst, made);
    return {};
}

Result<void> Builder::lift_mov(const Lift& row) {
    if (op_->format == isa::Format::AluImm) {
        finish(insn_.dst, operand(row));
        return {};
    }
    const Ref a = read(insn_.src);
    if (row.op == Op::None)
        finish(insn_.dst, a);
    else if (row.op == Op::Zext32 && fact_->src.upper_zero() && !options_.test_facts)
        finish(insn_.dst, a);
    else
        finish(insn_.dst, make_.unary(row.op, row.op == Op::Zext32 ? 8 : row.width, a));
    return {};
}

Result<void> Builder::lift_unary(const Lift& row) {
    const Ref a = read(insn_.dst);
    finish(insn_.dst, row.op == Op::None ? a : make_.unary(row.op, row.width, a));
    return {};
}

// --- memory ---

void Builder::remember(std::int64_t offset, unsigned size, Ref value) {
    forget(offset, size);
    held_.push_back({offset, size, value});
}

Ref Builder::recall(std::int64_t offset, unsigned size) const {
    for (const Held& held : held_)
        if (held.offset == offset && held.size == size)
            return held.value;
    return 0;
}

void Builder::forget(std::int64_t offset, unsigned size) {
    std::erase_if(held_, [&](const Held& held) {
        return held.offset < offset + size && offset < held.offset + held.size;
    });
}

/// A load of a field of the context that is a pointer. Pointers stand before the context.
bool Builder::load_context_pointer(unsigned size) {
    const PointerFact& address = fact_->access;
    if (address.memory != Memory::Context || address.low != address.high || size < 4)
        return false;
    const spec::ContextLayout* layout = spec::find_context(plan_.program->type);
    if (layout == nullptr || address.low < 0)
        return false;
    const auto place = static_cast<std::uint32_t>(address.low);
    const spec::ContextField* field = spec::field_at(*layout, place);
    if (field == nullptr || field->kind == spec::FieldKind::Scalar || field->offset != place ||
        field->size != size)
        return false;
    const std::int64_t from = insn_.off - address.low; // of the context, relative to the register
    finish(insn_.dst, make_.load(8, false, read(insn_.src),
                                 from + exec::Context::pointer_offset(field->kind)));
    return true;
}

Result<void> Builder::lift_load(const Lift& row) {
    const bool is_signed = (row.flags & ir::kSigned) != 0;
    if (const std::uint8_t slot = plan_.slot_of[at_]; slot != 0) {
        Ref value = read_var(static_cast<Var>(instance_->first_slot + slot - 1));
        if (is_signed)
            value = make_.unary(row.width == 1   ? Op::Sext8
                                : row.width == 2 ? Op::Sext16
                                                 : Op::Sext32,
                                8, value);
        finish(insn_.dst, value);
        return {};
    }
    if (!is_signed && load_context_pointer(row.width))
        return {};
    const Ref base = read(insn_.src);
    const Node& node = graph_.at(base);
    if (node.op == Op::Frame && !is_signed) {
        if (const Ref held = recall(node.imm + insn_.off, row.width); held != 0) {
            finish(insn_.dst, held);
            return {};
        }
    }
    const Ref value = make_.load(row.width, is_signed, base, insn_.off);
    finish(insn_.dst, value);
    return {};
}

Result<void> Builder::lift_store(const Lift& row) {
    const Ref value = op_->format == isa::Format::St
                          ? make_.constant(static_cast<std::uint64_t>(std::int64_t{insn_.imm}))
                          : read(insn_.src);
    const auto low_bytes = [&] {
        return row.width == 8 ? value
                              : make_.unary(row.width == 1   ? Op::Zext8
                                            : row.width == 2 ? Op::Zext16
                                                             : Op::Zext32,
                                            8, value);
    };
    if (const std::uint8_t slot = plan_.slot_of[at_]; slot != 0) {
        vars_[static_cast<std::size_t>(instance_->first_slot) + slot - 1] = low_bytes();
        return {};
    }
    const Ref base = read(insn_.dst);
    const bool in_frame = graph_.at(base).op == Op::Frame;
    const std::int64_t place = graph_.at(base).imm + insn_.off;
    make_.store(row.width, base, insn_.off, value);
    if (in_frame)
        remember(place, row.width, low_bytes());
    else if (fact_->access.memory == Memory::Stack || fact_->access.memory == Memory::Mixed ||
             fact_->access.memory == Memory::None)
        forget_all();
    return {};
}

Result<void> Builder::lift_atomic(const Lift& row) {
    const bool compares = row.op == Op::AtomicCmpxchg;
    const unsigned result = compares ? 0U : unsigned{insn_.src};
    Node node{.op = row.op,
              .width = row.width,
              .flags = row.flags,
              .a = read(insn_.dst),
              .b = read(insn_.src),
              .c = compares ? read(0) : 0,
              .imm = insn_.off};
    const bool fetches = (row.flags & ir::kFetch) != 0;
    if (fetches) {
        node.home = static_cast<std::uint8_t>(result);
        if (row.width == 4)
            node.flags |= ir::kUpperZero;
    }
    forget_all();
    const Ref made = make_.add(node);
    if (fetches)
        write(result, made);
    return {};
}

Result<void> Builder::lift_ordered(const Lift& row) {
    const bool loads = row.op == Op::LoadAcquire;
    Node node{.op = row.op,
              .width = row.width,
              .a = read(loads ? insn_.src : insn_.dst),
              .b = loads ? 0 : read(insn_.src),
              .imm = insn_.off};
    if (loads && row.width <= 4)
        node.flags = ir::kUpperZero;
    forget_all();
    const Ref made = make_.add(node);
    if (loads)
        finish(insn_.dst, made);
    return {};
}

// --- constants ---

Result<void> Builder::lift_lddw(const Lift& /*row*/) {
    const isa::Insn& second = plan_.insn(at_ + 1);
    const Place here{.instruction = at_};
    switch (op_->format) {
    case isa::Format::Lddw:
        finish(insn_.dst, make_.constant(isa::lddw_value(insn_, second)));
        return {};
    case isa::Format::LddwFunc: {
        const auto target = static_cast<std::uint32_t>(isa::target_of(insn_, at_));
        const Ref made = make_.add({.op = Op::FunctionAddress,
                                    .home = insn_.dst,
                                    .imm = static_cast<std::int64_t>(plan_.function_at(target))});
        write(insn_.dst, made);
        return {};
    }
    case isa::Format::LddwBtfId: {
        const auto index = static_cast<std::size_t>(static_cast<std::uint32_t>(insn_.imm));
        const auto& externs = plan_.program->externs;
        const ExternRef* ref = index < externs.size() ? &externs[index] : nullptr;
        if (ref == nullptr || !ref->weak || ref->kernel_type_id != 0)
            return fail(ErrorCode::Unsupported, "variables of the kernel are not supported", here);
        write(insn_.dst, make_.constant(0)); // A weak symbol that is not there is null.
        return {};
    }
    default:
        break;
    }
    const auto index = static_cast<std::uint32_t>(insn_.imm);
    const auto& maps = plan_.binding->maps;
    if (index >= maps.size())
        return fail(ErrorCode::Invalid,
                    "map " + std::to_string(index) + " is used, but the object has " +
                        std::to_string(maps.size()) + " maps",
                    here);
    const exec::MapSlot& map = maps[index];
    if (op_->format == isa::Format::LddwMap) {
        write(insn_.dst, make_.constant(reinterpret_cast<std::uint64_t>(map.map)));
        return {};
    }
    const auto offset = static_cast<std::uint32_t>(second.imm);
    if (map.values == nullptr || offset >= map.direct_size)
        return fail(ErrorCode::Invalid,
                    "offset " + std::to_string(offset) + " of a map value, expected one below " +
                        std::to_string(map.values == nullptr ? 0 : map.direct_size),
                    here);
    write(insn_.dst, make_.constant(reinterpret_cast<std::uint64_t>(map.values) + offset));
    return {};
}

Result<void> Builder::lift_packet(const Lift& row) {
    const Ref number = make_.constant(static_cast<std::uint64_t>(std::int64_t{insn_.imm}));
    const Ref offset =
        op_->format == isa::Format::LdInd
            ? make_.binary(Op::Add, 8, make_.unary(Op::Sext32, 8, read(insn_.src)), number)
            : number;
    const std::array arguments{run_, offset, make_.constant(row.width)};
    packet_ = make_.call(reinterpret_cast<const void*>(&support::load_packet), arguments, false);
    write(0, packet_);
    for (unsigned reg = 1; reg <= 5; ++reg)
        write(reg, 0);
    return {};
}

} // namespace skep::jit
