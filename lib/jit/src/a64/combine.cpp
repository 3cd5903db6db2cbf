// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "combine.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "field.hpp"

namespace skep::jit::a64 {
namespace {

using ir::Block;
using ir::Cond;
using ir::Graph;
using ir::Node;
using ir::Op;
using ir::Ref;

class Combiner {
public:
    explicit Combiner(Graph& graph) : graph_(graph) {}
    void run() {
        for (Block& block : graph_.blocks) {
            if (block.dead)
                continue;
            first_ = block.first;
            for (Ref ref = block.first; ref < block.last; ++ref)
                if (!at(ref).has(ir::kFolded))
                    visit(at(ref));
            if (block.term == ir::Term::Branch)
                fold_compared(block.cond, block.width, block.a, block.b);
        }
    }

private:
    [[nodiscard]] Node& at(Ref ref) noexcept { return graph_.at(ref); }
    [[nodiscard]] const Node& at(Ref ref) const noexcept { return graph_.at(ref); }
    [[nodiscard]] bool is_constant(Ref ref) const noexcept { return at(ref).op == Op::Const; }
    [[nodiscard]] bool is_folded(Ref ref) const noexcept {
        return ref != 0 && at(ref).has(ir::kFolded);
    }

    /// Only one node uses it, it is made in this block, and it takes no other into itself.
    [[nodiscard]] bool single(Ref ref) const noexcept {
        const Node& node = at(ref);
        if (node.uses != 1 || ref < first_ || node.has(ir::kFolded))
            return false;
        const ir::Shape shape = ir::shape_of(node.op);
        return !shape.pool && !shape.effect && !(shape.a && is_folded(node.a)) &&
               !(shape.b && is_folded(node.b));
    }
    bool fold(Ref ref) noexcept {
        at(ref).flags |= ir::kFolded;
        return true;
    }

    /// A shift by a constant, of that width.
    [[nodiscard]] bool is_shift(Ref ref, unsigned width, bool rotates) const noexcept {
        const Node& node = at(ref);
        const bool fits = node.op == Op::Shl || node.op == Op::Shr || node.op == Op::Sar ||
                          (rotates && node.op == Op::Rol);
        return fits && node.width == width && is_constant(node.b);
    }
    [[nodiscard]] bool is_extension(Ref ref, unsigned width) const noexcept {
        const Node& node = at(ref);
        switch (node.op) {
        case Op::Zext8:
        case Op::Zext16:
        case Op::Zext32:
            return true;
        case Op::Sext8:
        case Op::Sext16:
        case Op::Sext32:
            return node.width == width;
        default:
            return false;
        }
    }
    [[nodiscard]] bool is_product(Ref ref, unsigned width) const noexcept {
        return at(ref).op == Op::Mul && at(ref).width == width;
    }
    /// ~x.
    [[nodiscard]] bool is_not(Ref ref, unsigned width) const noexcept {
        const Node& node = at(ref);
        return node.op == Op::Xor && node.width == width && is_constant(node.b) &&
               (width == 4 ? static_cast<std::uint32_t>(at(node.b).imm) == UINT32_MAX
                           : at(node.b).imm == -1);
    }

    bool fold_sum(const Node& node, Ref ref) {
        return single(ref) &&
               (is_shift(ref, node.width, false) || is_extension(ref, node.width) ||
                is_product(ref, node.width)) &&
               fold(ref);
    }
    bool fold_logical(const Node& node, Ref ref) {
        return single(ref) && (is_shift(ref, node.width, true) || is_not(ref, node.width)) &&
               fold(ref);
    }
    bool fold_long(Ref ref, Op extension) { return single(ref) && at(ref).op == extension; }

    void fold_product(Node& node) {
        if (node.width != 8)
            return;
        for (const Op op : {Op::Zext32, Op::Sext32}) {
            const bool constant = op == Op::Zext32 && is_constant(node.b) &&
                                  static_cast<std::uint64_t>(at(node.b).imm) <= UINT32_MAX;
            if (fold_long(node.a, op) &&
                (constant || (node.a != node.b && fold_long(node.b, op)))) {
                fold(node.a);
                if (!constant)
                    fold(node.b);
                return;
            }
        }
    }

    void fold_compared(Cond cond, unsigned width, Ref a, Ref b) {
        if (is_constant(a) || is_constant(b) || !single(b))
            return;
        const bool test = cond == Cond::Test || cond == Cond::TestNot;
        if (is_shift(b, width, test) || (!test && is_extension(b, width)))
            fold(b);
    }

    void visit(Node& node) {
        if (ir::shape_of(node.op).memory) {
            if (node.c != 0 && single(node.c) &&
                (at(node.c).op == Op::Zext32 ||
                 (at(node.c).op == Op::Sext32 && at(node.c).width == 8)))
                fold(node.c);
            return;
        }
        switch (node.op) {
        case Op::Add:
            if (!is_constant(node.b) && !fold_sum(node, node.b) && fold_sum(node, node.a))
                std::swap(node.a, node.b);
            return;
        case Op::Sub:
            fold_sum(node, node.b);
            return;
        case Op::And:
        case Op::Or:
        case Op::Xor:
            if (is_constant(node.b)) {
                if (single(node.a) && field_of(graph_, node, at(node.a)).bits != 0)
                    fold(node.a);
            } else if (!fold_logical(node, node.b) && fold_logical(node, node.a)) {
                std::swap(node.a, node.b);
            }
            return;
        case Op::Zext8:
        case Op::Zext16:
        case Op::Zext32:
        case Op::Sext8:
        case Op::Sext16:
        case Op::Sext32:
        case Op::Shl:
            if (single(node.a) && field_of(graph_, node, at(node.a)).bits != 0)
                fold(node.a);
            return;
        case Op::Mul:
            fold_product(node);
            return;
        case Op::Neg:
            if (single(node.a) &&
                (is_shift(node.a, node.width, false) || is_product(node.a, node.width)))
                fold(node.a);
            return;
        case Op::Select:
            fold_compared(static_cast<Cond>(node.aux), node.width, node.a, node.b);
            return;
        default:
            return;
        }
    }

    Graph& graph_;
    Ref first_ = 0;
};

/// Low ones of a mask; 0: it is another number.
unsigned mask_bits(std::uint64_t mask) noexcept {
    return mask != 0 && (mask & (mask + 1)) == 0 ? static_cast<unsigned>(std::popcount(mask)) : 0;
}

unsigned extension_bits(Op op) noexcept {
    switch (op) {
    case Op::Zext8:
    case Op::Sext8:
        return 8;
    case Op::Zext16:
    case Op::Sext16:
        return 16;
    default:
        return 32;
    }
}

} // namespace

Field field_of(const Graph& graph, const Node& outer, const Node& inner) noexcept {
    const auto constant = [&](Ref ref) { return graph.at(ref).op == Op::Const; };
    const auto number = [&](Ref ref) { return static_cast<std::uint64_t>(graph.at(ref).imm); };
    const unsigned inner_bits = inner.width * 8U;
    const unsigned outer_bits = outer.width * 8U;
    if (outer.op == Op::Shl) {
        if (!constant(outer.b))
            return {};
        const auto shift = static_cast<unsigned>(number(outer.b) & (outer_bits - 1));
        const bool is_mask = inner.op == Op::And && constant(inner.b);
        const bool is_zext =
            inner.op == Op::Zext8 || inner.op == Op::Zext16 || inner.op == Op::Zext32;
        const bool is_sext = inner.op == Op::Sext32 && inner.width == 8 && outer.width == 8;
        unsigned bits = is_zext || is_sext ? extension_bits(inner.op) : 0;
        if (is_mask)
            bits = mask_bits(number(inner.b));
        if (bits == 0)
            return {};
        return {.at = shift,
                .bits = std::min(bits, outer_bits - shift),
                .is_signed = is_sext,
                .width = outer.width};
    }
    const bool right = inner.op == Op::Shr || inner.op == Op::Sar;
    if (!right || !constant(inner.b))
        return {};
    const auto shift = static_cast<unsigned>(number(inner.b) & (inner_bits - 1));
    switch (outer.op) {
    case Op::Sext8:
    case Op::Sext16:
    case Op::Sext32: {
        const unsigned bits = extension_bits(outer.op);
        if (shift + bits > std::min(inner_bits, outer_bits))
            return {};
        return {.at = shift, .bits = bits, .is_signed = true, .width = outer.width};
    }
    case Op::And:
    case Op::Zext8:
    case Op::Zext16:
    case Op::Zext32: {
        if (outer.op == Op::And && !constant(outer.b))
            return {};
        const unsigned bits =
            outer.op == Op::And ? mask_bits(number(outer.b)) : extension_bits(outer.op);
        if (bits == 0 || (inner.op == Op::Sar && shift + bits > inner_bits))
            return {};
        return {.at = shift,
                .bits = std::min(bits, inner_bits - shift),
                .is_signed = false,
                .width = inner.width};
    }
    default:
        return {};
    }
}

void combine(Graph& graph) {
    Combiner(graph).run();
}

} // namespace skep::jit::a64
