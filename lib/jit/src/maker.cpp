// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "maker.hpp"

#include <algorithm>
#include <bit>
#include <type_traits>
#include <utility>

#include "skep/base/check.hpp"

namespace skep::jit {
namespace {

using ir::Cond;
using ir::Node;
using ir::Op;
using ir::Ref;

template <class U>
std::uint64_t compute(Op op, U a, U b) noexcept {
    using S = std::make_signed_t<U>;
    constexpr U kCount = sizeof(U) * 8 - 1;
    const auto sa = static_cast<S>(a);
    const auto sb = static_cast<S>(b);
    switch (op) {
    case Op::Add:
        return static_cast<U>(a + b);
    case Op::Sub:
        return static_cast<U>(a - b);
    case Op::Mul:
        return static_cast<U>(a * b);
    case Op::And:
        return a & b;
    case Op::Or:
        return a | b;
    case Op::Xor:
        return a ^ b;
    case Op::Shl:
        return static_cast<U>(a << (b & kCount));
    case Op::Shr:
        return a >> (b & kCount);
    case Op::Sar:
        return static_cast<U>(sa >> (b & kCount));
    case Op::Rol:
        return std::rotl(a, static_cast<int>(b & kCount));
    case Op::Udiv:
        return b == 0 ? 0 : a / b;
    case Op::Umod:
        return b == 0 ? a : a % b;
    case Op::Sdiv:
        return b == 0 ? 0 : sb == -1 ? static_cast<U>(U{0} - a) : static_cast<U>(sa / sb);
    case Op::Smod:
        return b == 0 ? a : sb == -1 ? 0 : static_cast<U>(sa % sb);
    default:
        SKEP_CHECK(false);
        return 0;
    }
}

bool commutes(Op op) noexcept {
    return op == Op::Add || op == Op::Mul || op == Op::And || op == Op::Or || op == Op::Xor;
}

/// 2^n - 1 for n = 8, 16 or 32: the extension that a mask is; else None.
Op extension(std::uint64_t mask) noexcept {
    return mask == 0xff         ? Op::Zext8
           : mask == 0xffff     ? Op::Zext16
           : mask == 0xffffffff ? Op::Zext32
                                : Op::None;
}

/// Bytes that a value may have that are not zero.
unsigned bytes_of(const Node& node) noexcept {
    switch (node.op) {
    case Op::Load:
        return node.has(ir::kSigned) ? 8 : node.width;
    case Op::Zext8:
        return 1;
    case Op::Zext16:
    case Op::Swap16:
        return 2;
    default:
        return node.has(ir::kUpperZero) ? 4 : 8;
    }
}

} // namespace

std::uint64_t evaluate(Op op, unsigned width, std::uint64_t a, std::uint64_t b) noexcept {
    return width == 4 ? compute(op, static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(b))
                      : compute(op, a, b);
}

bool holds(Cond cond, unsigned width, std::uint64_t a, std::uint64_t b) noexcept {
    if (width == 4) {
        a &= UINT32_MAX;
        b &= UINT32_MAX;
    }
    const auto sign = [&](std::uint64_t x) {
        return width == 4 ? std::int64_t{static_cast<std::int32_t>(x)}
                          : static_cast<std::int64_t>(x);
    };
    switch (cond) {
    case Cond::Eq:
        return a == b;
    case Cond::Ne:
        return a != b;
    case Cond::Ult:
        return a < b;
    case Cond::Uge:
        return a >= b;
    case Cond::Ule:
        return a <= b;
    case Cond::Ugt:
        return a > b;
    case Cond::Slt:
        return sign(a) < sign(b);
    case Cond::Sge:
        return sign(a) >= sign(b);
    case Cond::Sle:
        return sign(a) <= sign(b);
    case Cond::Sgt:
        return sign(a) > sign(b);
    case Cond::Test:
        return (a & b) != 0;
    case Cond::TestNot:
        return (a & b) == 0;
    }
    return false;
}

Ref Maker::add(const Node& node) {
    graph_.nodes.push_back(node);
    graph_.nodes.back().insn = insn_;
    const ir::Shape shape = shape_of(node.op);
    if (shape.effect && node.op != Op::Check)
        ++epoch_;
    graph_.calls |= node.op == Op::Call || node.op == Op::CallLocal || node.op == Op::TailCall;
    return static_cast<Ref>(graph_.nodes.size() - 1);
}

Ref Maker::constant(std::uint64_t value) {
    Node node{.op = Op::Const, .imm = static_cast<std::int64_t>(value)};
    if (value <= UINT32_MAX)
        node.flags = ir::kUpperZero;
    if (value != 0)
        node.flags |= ir::kNonZero;
    return add(node);
}

/// The value as an operation of that width would leave it.
Ref Maker::fit(unsigned width, Ref a) {
    return width == 4 ? unary(Op::Zext32, 8, a) : a;
}

Ref Maker::unary(Op op, unsigned width, Ref a) {
    const Node& node = at(a);
    const unsigned bytes = bytes_of(node);
    const unsigned wanted = op == Op::Zext8 ? 1 : op == Op::Zext16 ? 2 : op == Op::Zext32 ? 4 : 0;
    if (wanted != 0 && bytes <= wanted)
        return a;
    if (is_constant(a)) {
        const std::uint64_t x = value(a);
        switch (op) {
        case Op::Neg:
            return constant(evaluate(Op::Sub, width, 0, x));
        case Op::Swap16:
            return constant(std::byteswap(static_cast<std::uint16_t>(x)));
        case Op::Swap32:
            return constant(std::byteswap(static_cast<std::uint32_t>(x)));
        case Op::Swap64:
            return constant(std::byteswap(x));
        case Op::Zext8:
        case Op::Zext16:
        case Op::Zext32:
            return constant(x & (~std::uint64_t{0} >> (64 - 8 * wanted)));
        case Op::Sext8:
        case Op::Sext16:
        case Op::Sext32: {
            const std::int64_t wide = op == Op::Sext8    ? static_cast<std::int8_t>(x)
                                      : op == Op::Sext16 ? static_cast<std::int16_t>(x)
                                                         : static_cast<std::int32_t>(x);
            const auto bits = static_cast<std::uint64_t>(wide);
            return constant(width == 4 ? bits & UINT32_MAX : bits);
        }
        default:
            break;
        }
    }
    // Only low bits are wanted: extensions below do not matter.
    const bool narrow = wanted != 0 || op == Op::Sext8 || op == Op::Sext16 || op == Op::Sext32 ||
                        op == Op::Swap16 || op == Op::Swap32;
    const unsigned reads = op == Op::Zext8 || op == Op::Sext8                         ? 1
                           : op == Op::Zext16 || op == Op::Sext16 || op == Op::Swap16 ? 2
                                                                                      : 4;
    if (narrow && (node.op == Op::Zext32 || node.op == Op::Sext32 ||
                   (reads <= 2 && (node.op == Op::Zext16 || node.op == Op::Sext16))))
        return unary(op, width, node.a);
    // A number that fits without its sign bit is its own extension.
    if ((op == Op::Sext32 && bytes < 4) || (op == Op::Sext16 && bytes < 2))
        return a;
    Node made{.op = op, .width = static_cast<std::uint8_t>(width), .a = a};
    if (width == 4 || wanted != 0 || op == Op::Swap16 || op == Op::Swap32)
        made.flags = ir::kUpperZero;
    return add(made);
}

Ref Maker::binary(Op op, unsigned width, Ref a, Ref b) {
    if (is_constant(a) && is_constant(b) && op != Op::MulHigh)
        return constant(evaluate(op, width, value(a), value(b)));
    if (is_constant(a) && commutes(op))
        std::swap(a, b);
    if (is_constant(b)) {
        const std::uint64_t x = width == 4 ? value(b) & UINT32_MAX : value(b);
        if (op == Op::Udiv || op == Op::Umod || op == Op::Sdiv || op == Op::Smod)
            return divide(op, width, a, x);
        return with_constant(op, width, a, x);
    }
    if (a == b) {
        if (op == Op::Sub || op == Op::Xor)
            return constant(0);
        if (op == Op::And || op == Op::Or)
            return fit(width, a);
    }
    if (op == Op::Or || op == Op::Add || op == Op::Xor) {
        if (const Ref merged = merge(width, a, b); merged != 0)
            return merged;
    }
    Node node{.op = op, .width = static_cast<std::uint8_t>(width), .a = a, .b = b};
    const bool both = at(a).has(ir::kUpperZero) && at(b).has(ir::kUpperZero);
    if (width == 4 || (both && (op == Op::Or || op == Op::Xor)) ||
        (op == Op::And && (at(a).has(ir::kUpperZero) || at(b).has(ir::kUpperZero))) ||
        (at(a).has(ir::kUpperZero) && (op == Op::Shr || op == Op::Udiv || op == Op::Umod)))
        node.flags = ir::kUpperZero;
    return add(node);
}

Ref Maker::with_constant(Op op, unsigned width, Ref a, std::uint64_t b) {
    const std::uint64_t ones = width == 4 ? UINT32_MAX : UINT64_MAX;
    const Node node = at(a);
    switch (op) {
    case Op::Sub:
        return by(Op::Add, width, a, (~b + 1) & ones);
    case Op::Add:
        if (b == 0)
            return fit(width, a);
        if (node.op == Op::Add && node.width == width && is_constant(node.b))
            return by(Op::Add, width, node.a, (value(node.b) + b) & ones);
        if (node.op == Op::Frame && width == 8) {
            Node moved = node;
            moved.imm += static_cast<std::int64_t>(b);
            return add(moved);
        }
        break;
    case Op::Or:
    case Op::Xor:
        if (b == 0)
            return fit(width, a);
        break;
    case Op::And:
        if (b == 0)
            return constant(0);
        if (b == ones)
            return fit(width, a);
        if (const Op zext = extension(b); zext != Op::None)
            return unary(zext, 8, a);
        if (node.op == Op::And && is_constant(node.b))
            return by(Op::And, width, node.a, value(node.b) & b);
        if (b <= UINT32_MAX)
            width = 4; // The upper half of the result is zero in any case.
        break;
    case Op::Mul:
        if (b == 0)
            return constant(0);
        if (b == 1)
            return fit(width, a);
        if (std::has_single_bit(b))
            return by(Op::Shl, width, a, static_cast<std::uint64_t>(std::countr_zero(b)));
        break;
    case Op::Shl:
    case Op::Shr:
    case Op::Sar:
    case Op::Rol: {
        b &= width * 8 - 1;
        if (b == 0)
            return fit(width, a);
        const unsigned kept = width * 8 - static_cast<unsigned>(b); // bits
        const bool opened = node.op == Op::Shl && node.width == width && is_constant(node.b) &&
                            value(node.b) == b && (kept == 8 || kept == 16 || kept == 32);
        if (opened && op == Op::Shr)
            return unary(kept == 8 ? Op::Zext8 : kept == 16 ? Op::Zext16 : Op::Zext32, 8, node.a);
        if (opened && op == Op::Sar)
            return unary(kept == 8    ? Op::Sext8
                         : kept == 16 ? Op::Sext16
                                      : Op::Sext32,
                         width, node.a);
        if (op != Op::Rol && node.op == op && node.width == width && is_constant(node.b) &&
            op != Op::Sar) {
            const std::uint64_t sum = value(node.b) + b;
            return sum >= width * 8 ? constant(0) : by(op, width, node.a, sum);
        }
        break;
    }
    default:
        break;
    }
    const Ref number = constant(b);
    Node made{.op = op, .width = static_cast<std::uint8_t>(width), .a = a, .b = number};
    if (width == 4 || (op == Op::Shr && (b >= 32 || at(a).has(ir::kUpperZero))) ||
        (op == Op::And && (at(a).has(ir::kUpperZero) || b <= UINT32_MAX)) ||
        ((op == Op::Or || op == Op::Xor) && b <= UINT32_MAX && at(a).has(ir::kUpperZero)))
        made.flags = ir::kUpperZero;
    if (op == Op::Or)
        made.flags |= ir::kNonZero;
    return add(made);
}

// Division by a constant is a multiplication (Granlund and Montgomery, 1994; Lemire, Kaser and
// Kurz, 2019, for 32 bits).
Ref Maker::divide(Op op, unsigned width, Ref a, std::uint64_t b) {
    if (op == Op::Sdiv || op == Op::Smod) {
        Node node{.op = op, .width = static_cast<std::uint8_t>(width), .a = a, .b = constant(b)};
        if (width == 4)
            node.flags = ir::kUpperZero;
        if (b == 0)
            return op == Op::Sdiv ? constant(0) : fit(width, a);
        node.flags |= ir::kNonZero;
        return add(node);
    }
    const bool quotient = op == Op::Udiv;
    if (b == 0)
        return quotient ? constant(0) : fit(width, a);
    if (std::has_single_bit(b))
        return quotient ? by(Op::Shr, width, a, static_cast<std::uint64_t>(std::countr_zero(b)))
                        : by(Op::And, width, a, b - 1);
    const bool narrow = width == 4 || at(a).has(ir::kUpperZero);
    Ref result = 0;
    if (narrow && b <= UINT32_MAX) {
        const Ref x = unary(Op::Zext32, 8, a);
        result = by(Op::MulHigh, 8, x, UINT64_MAX / b + 1);
        graph_.at(result).flags |= ir::kUpperZero;
    } else if (narrow) {
        return quotient ? constant(0) : a;
    } else {
        // floor(x / b) = floor(x * m / 2^(64 + s)) with m = ceil(2^(64 + s) / b), if m is exact
        // enough in 64 bits; else m has 65 bits and its highest is added by hand.
        const auto bits = static_cast<unsigned>(std::bit_width(b)); // 2^(bits-1) < b < 2^bits
        using Wide = unsigned __int128;
        const unsigned s = bits - 1;
        const Wide power = Wide{1} << (64 + s);
        const auto m = static_cast<std::uint64_t>((power + b - 1) / b);
        const auto error = static_cast<std::uint64_t>(Wide{m} * b - power);
        if (error <= (std::uint64_t{1} << s)) {
            result = by(Op::Shr, 8, by(Op::MulHigh, 8, a, m), s);
        } else {
            const Wide larger = ((Wide{1} << bits) - b) << 64;
            const auto rest = static_cast<std::uint64_t>(larger / b) + 1;
            const Ref high = by(Op::MulHigh, 8, a, rest);
            const Ref half = by(Op::Shr, 8, binary(Op::Sub, 8, a, high), 1);
            result = by(Op::Shr, 8, binary(Op::Add, 8, half, high), bits - 1);
        }
    }
    if (quotient)
        return result;
    const unsigned enough = narrow ? 4 : width;
    return binary(Op::Sub, enough, a, by(Op::Mul, enough, result, b));
}

bool Maker::adjacent(const Node& first, const Node& second) const noexcept {
    return first.op == Op::Load && second.op == Op::Load && !first.has(ir::kSigned) &&
           !second.has(ir::kSigned) && first.a == second.a && first.c == second.c &&
           first.b == epoch_ && second.b == epoch_ && first.imm + first.width == second.imm;
}

/// low | high << shift, as one load, if they are loads of neighbours; else 0.
Ref Maker::merge_loads(Ref low, Ref high, unsigned shift) {
    const auto loaded = [&](Ref ref) -> const Node& {
        const Node& node = at(ref);
        const bool swaps = node.op == Op::Swap16 || node.op == Op::Swap32;
        return swaps ? at(node.a) : node;
    };
    const auto swapped = [&](Ref ref) {
        const Node& node = at(ref);
        return (node.op == Op::Swap16 && loaded(ref).width == 2) ||
               (node.op == Op::Swap32 && loaded(ref).width == 4);
    };
    const Node first = loaded(low);
    const Node second = loaded(high);
    if (first.op != Op::Load || second.op != Op::Load || first.width != second.width ||
        first.width > 4 || shift != first.width * 8U)
        return 0;
    const bool bytes = first.width == 1;
    if ((bytes || (at(low).op == Op::Load && at(high).op == Op::Load)) && adjacent(first, second))
        return load(first.width * 2U, false, first.a, first.imm);
    if ((bytes || (swapped(low) && swapped(high))) && adjacent(second, first)) {
        const Ref wide = load(first.width * 2U, false, second.a, second.imm);
        return unary(first.width == 1   ? Op::Swap16
                     : first.width == 2 ? Op::Swap32
                                        : Op::Swap64,
                     8, wide);
    }
    return 0;
}

Ref Maker::rotate(unsigned width, Ref a, Ref b) {
    const Node& left = at(a);
    const Node& right = at(b);
    const auto shifts = [&](const Node& node, Op op) {
        return node.op == op && node.width == width && is_constant(node.b);
    };
    if (!shifts(left, Op::Shl) || !shifts(right, Op::Shr) || left.a != right.a ||
        value(left.b) + value(right.b) != width * 8)
        return 0;
    return by(Op::Rol, width, left.a, value(left.b));
}

/// a | b (or +, ^), where the two may be parts of one thing; else 0.
Ref Maker::merge(unsigned width, Ref a, Ref b) {
    const auto shift_of = [&](Ref ref) -> std::uint64_t {
        const Node& node = at(ref);
        return node.op == Op::Shl && is_constant(node.b) ? value(node.b) : 0;
    };
    if (const Ref rotated = rotate(width, a, b); rotated != 0)
        return rotated;
    if (const Ref rotated = rotate(width, b, a); rotated != 0)
        return rotated;
    std::uint64_t low = shift_of(a);
    std::uint64_t high = shift_of(b);
    if (low == high)
        return 0;
    if (low > high) {
        std::swap(low, high);
        std::swap(a, b);
    }
    // a is lower: itself, or shifted by `low`; b is shifted by `high`.
    const Ref inner_low = low == 0 ? a : at(a).a;
    const Ref inner_high = at(b).a;
    // Nothing may be lost at the top.
    const unsigned bits = std::min<unsigned>(width, at(b).width) * 8;
    if (high + (high - low) > bits)
        return 0;
    const Ref merged = merge_loads(inner_low, inner_high, static_cast<unsigned>(high - low));
    if (merged == 0)
        return 0;
    return low == 0 ? merged : by(Op::Shl, width, merged, low);
}

Ref Maker::select(Cond cond, unsigned width, Ref a, Ref b, Ref yes, Ref no) {
    if (yes == no)
        return yes;
    if (is_constant(a) && is_constant(b))
        return holds(cond, width, value(a), value(b)) ? yes : no;
    const auto place = static_cast<Ref>(graph_.pool.size());
    graph_.pool.push_back(yes);
    graph_.pool.push_back(no);
    Node node{
        .op = Op::Select, .width = static_cast<std::uint8_t>(width), .a = a, .b = b, .c = place};
    node.aux = std::to_underlying(cond);
    if (at(yes).has(ir::kUpperZero) && at(no).has(ir::kUpperZero))
        node.flags = ir::kUpperZero;
    return add(node);
}

Ref Maker::load(unsigned size, bool is_signed, Ref base, std::int64_t offset) {
    Node node{.op = Op::Load,
              .width = static_cast<std::uint8_t>(size),
              .a = base,
              .b = epoch_,
              .imm = offset};
    if (is_signed)
        node.flags = ir::kSigned;
    else if (size <= 4)
        node.flags = ir::kUpperZero;
    return add(node);
}

void Maker::store(unsigned size, Ref base, std::int64_t offset, Ref stored) {
    // Of what is stored only the low bytes count.
    for (;;) {
        const Node& node = at(stored);
        const bool extends = (size <= 4 && (node.op == Op::Zext32 || node.op == Op::Sext32)) ||
                             (size <= 2 && (node.op == Op::Zext16 || node.op == Op::Sext16)) ||
                             (size == 1 && (node.op == Op::Zext8 || node.op == Op::Sext8));
        if (!extends)
            break;
        stored = node.a;
    }
    add({.op = Op::Store,
         .width = static_cast<std::uint8_t>(size),
         .a = base,
         .b = stored,
         .imm = offset});
}

Ref Maker::call(const void* function, std::span<const Ref> arguments, bool pass_run) {
    const auto place = static_cast<Ref>(graph_.pool.size());
    graph_.pool.insert(graph_.pool.end(), arguments.begin(), arguments.end());
    Node node{.op = Op::Call,
              .a = place,
              .b = static_cast<Ref>(arguments.size()),
              .imm = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(function))};
    if (pass_run)
        node.flags = ir::kPassRun;
    return add(node);
}

} // namespace skep::jit
