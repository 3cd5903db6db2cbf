// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "select.hpp"

#include <algorithm>
#include <vector>

#include "maker.hpp"

namespace skep::jit {
namespace {

using ir::Block;
using ir::Cond;
using ir::Graph;
using ir::Node;
using ir::Op;
using ir::Ref;
using ir::Term;

// --- uses ---

class Sweeper {
public:
    explicit Sweeper(Graph& graph) : graph_(graph) {}
    void run() {
        for (Node& node : graph_.nodes)
            node.uses = 0;
        for (std::size_t b = graph_.blocks.size(); b-- > 0;) {
            const Block& block = graph_.blocks[b];
            if (block.dead)
                continue;
            current_ = block.last;
            if (block.a != 0)
                use(block.a);
            if (block.term == Term::Branch)
                use(block.b);
            for (Ref ref = block.last; ref-- > block.first;) {
                current_ = ref;
                const Node& node = graph_.at(ref);
                if (shape_of(node.op).effect || node.uses != 0)
                    use_operands(ref);
            }
        }
        for (Ref ref = 1; ref < graph_.nodes.size(); ++ref) {
            Node& node = graph_.at(ref);
            if (node.uses == 0 && !shape_of(node.op).effect)
                node.op = Op::None;
        }
    }

private:
    void use(Ref ref) {
        Node& node = graph_.at(ref);
        if (node.uses == UINT16_MAX)
            return;
        // What stands behind and was passed over, because nobody seemed to use it.
        if (node.uses++ == 0 && ref >= current_ && !shape_of(node.op).effect)
            late_.push_back(ref);
    }
    void use_operands(Ref ref) {
        ir::for_each_operand(graph_, graph_.at(ref), [&](Ref operand) { use(operand); });
        while (!late_.empty()) {
            const Ref next = late_.back();
            late_.pop_back();
            ir::for_each_operand(graph_, graph_.at(next), [&](Ref operand) { use(operand); });
        }
    }

    Graph& graph_;
    Ref current_ = 0;
    std::vector<Ref> late_;
};

// --- selection ---

class Selector {
public:
    Selector(Graph& graph, const Target& target) : graph_(graph), target_(target) {}
    void run() {
        for (Block& block : graph_.blocks) {
            if (block.dead)
                continue;
            block_first_ = block.first;
            last_effect_ = block.first == 0 ? 0 : block.first - 1;
            for (Ref ref = block.first; ref < block.last; ++ref) {
                visit(ref);
                if (shape_of(at(ref).op).effect)
                    last_effect_ = ref;
            }
            visit_branch(block);
        }
    }

private:
    [[nodiscard]] Node& at(Ref ref) noexcept { return graph_.at(ref); }
    [[nodiscard]] bool is_constant(Ref ref) const noexcept {
        return graph_.at(ref).op == Op::Const;
    }
    [[nodiscard]] std::int64_t value(Ref ref) const noexcept { return graph_.at(ref).imm; }

    /// One user less.
    void drop(Ref ref) {
        Node& node = at(ref);
        if (node.uses == UINT16_MAX)
            return;
        --node.uses;
        if (node.uses != 0 || shape_of(node.op).effect)
            return;
        const Node gone = node;
        node.op = Op::None;
        ir::for_each_operand(graph_, gone, [&](Ref operand) { drop(operand); });
    }
    /// One user more, which is not the one that it may have been folded into.
    void keep(Ref ref) {
        Node& node = at(ref);
        if (node.uses != UINT16_MAX)
            ++node.uses;
        node.flags &= static_cast<std::uint8_t>(~ir::kFolded);
    }

    void visit(Ref ref) {
        Node& node = at(ref);
        if (shape_of(node.op).memory) {
            fold_address(node);
            if (node.op == Op::Store && target_.updates)
                make_update(node);
            return;
        }
        switch (node.op) {
        case Op::Add:
            if (target_.lea && make_lea(node))
                return;
            [[fallthrough]];
        case Op::And:
        case Op::Or:
        case Op::Xor:
        case Op::Sub:
        case Op::Mul:
            if (node.op == Op::Mul && target_.lea && multiply_by_lea(node))
                return;
            if (target_.memory_operands)
                fold_load(node);
            return;
        default:
            return;
        }
    }

    [[nodiscard]] bool offset_fits(std::int64_t offset) const noexcept {
        return offset >= target_.least_offset && offset <= target_.greatest_offset;
    }

    /// Takes sums into the address of an access.
    void fold_address(Node& node) {
        for (;;) {
            const Node& base = at(node.a);
            if (base.op != Op::Add || base.width != 8 || base.uses != 1)
                break;
            if (is_constant(base.b)) {
                if (offset_fits(node.imm + value(base.b))) {
                    const Ref sum = node.a;
                    node.imm += value(base.b);
                    node.a = base.a;
                    keep(node.a);
                    drop(sum);
                    continue;
                }
                if (at(base.a).op == Op::Frame)
                    break;
            }
            if (node.c != 0 || (!target_.index_and_offset && node.imm != 0))
                break;
            const Ref sum = node.a;
            Ref index = base.b;
            Ref start = base.a;
            if (scale_of(start, node.width) != 0 && scale_of(index, node.width) == 0)
                std::swap(index, start);
            if (at(start).op == Op::Frame || at(index).op == Op::Frame)
                break;
            node.a = start;
            node.c = index;
            keep(start);
            keep(index);
            drop(sum);
            if (const unsigned scale = scale_of(index, node.width); scale != 0) {
                node.scale = static_cast<std::uint8_t>(scale);
                node.c = at(index).a;
                keep(node.c);
                drop(index);
            }
        }
    }

    /// The scale that a shift is in an address, if it has no other use; else 0.
    [[nodiscard]] unsigned scale_of(Ref ref, unsigned width) const noexcept {
        const Node& node = graph_.at(ref);
        if (node.op != Op::Shl || node.width != 8 || node.uses != 1 || !is_constant(node.b))
            return 0;
        const auto count = static_cast<std::uint64_t>(value(node.b));
        const bool fits = target_.any_scale ? count <= 3 : (1U << count) == width && count <= 3;
        return fits ? static_cast<unsigned>(count) : 0;
    }

    /// x + (y << 1..3), x + y + c.
    bool make_lea(Node& node) {
        if (node.width != 8)
            return false;
        const auto shift = [&](Ref ref) -> unsigned {
            const Node& inner = at(ref);
            return inner.op == Op::Shl && inner.width == 8 && inner.uses == 1 &&
                           is_constant(inner.b) && value(inner.b) <= 3
                       ? static_cast<unsigned>(value(inner.b))
                       : 0;
        };
        if (is_constant(node.b)) {
            const Node inner = at(node.a);
            const bool sums = inner.uses == 1 &&
                              ((inner.op == Op::Add && inner.width == 8 && !is_constant(inner.b)) ||
                               (inner.op == Op::Lea && inner.width == 8));
            const std::int64_t offset = value(node.b) + (inner.op == Op::Lea ? inner.imm : 0);
            if (!sums || offset < INT32_MIN || offset > INT32_MAX)
                return false;
            const Ref sum = node.a;
            node.op = Op::Lea;
            node.a = inner.a;
            node.b = inner.b;
            node.scale = inner.op == Op::Lea ? inner.scale : std::uint8_t{0};
            node.imm = offset;
            keep(node.a);
            if (node.b != 0)
                keep(node.b);
            drop(sum);
            return true;
        }
        if (at(node.a).op == Op::Frame || at(node.b).op == Op::Frame)
            return false;
        if (shift(node.b) == 0 && shift(node.a) != 0)
            std::swap(node.a, node.b);
        const unsigned scale = shift(node.b);
        if (scale == 0 || is_constant(node.a))
            return false;
        const Ref shifted = node.b;
        node.op = Op::Lea;
        node.scale = static_cast<std::uint8_t>(scale);
        node.b = at(shifted).a;
        node.imm = 0;
        keep(node.b);
        drop(shifted);
        return true;
    }

    /// 3x, 5x and 9x.
    bool multiply_by_lea(Node& node) {
        if (!is_constant(node.b))
            return false;
        const std::int64_t factor = value(node.b);
        if (factor != 3 && factor != 5 && factor != 9)
            return false;
        drop(node.b);
        node.op = Op::Lea;
        node.scale = factor == 3 ? 1 : factor == 5 ? 2 : 3;
        node.b = node.a;
        node.imm = 0;
        keep(node.b);
        return true;
    }

    /// A load that only this node uses, with nothing between that changes memory.
    [[nodiscard]] bool foldable(Ref ref, unsigned width) const noexcept {
        const Node& load = graph_.at(ref);
        return load.op == Op::Load && load.uses == 1 && load.width == width && ref > last_effect_ &&
               ref >= block_first_ && !load.has(ir::kFolded);
    }

    void fold_load(Node& node) {
        if (node.op != Op::Sub && !foldable(node.b, node.width) && foldable(node.a, node.width) &&
            !is_constant(node.b))
            std::swap(node.a, node.b);
        if (foldable(node.b, node.width) && !(node.width == 8 && at(node.b).has(ir::kSigned)))
            at(node.b).flags |= ir::kFolded;
    }

    /// memory = memory op x.
    void make_update(Node& node) {
        Node& changed = at(node.b);
        const bool arithmetic = changed.op == Op::Add || changed.op == Op::Sub ||
                                changed.op == Op::And || changed.op == Op::Or ||
                                changed.op == Op::Xor;
        if (!arithmetic || changed.uses != 1 || (node.width == 8 && changed.width != 8))
            return;
        const auto same_place = [&](Ref ref) {
            const Node& load = at(ref);
            return load.op == Op::Load && load.uses == 1 && load.width == node.width &&
                   load.a == node.a && load.c == node.c && load.scale == node.scale &&
                   load.imm == node.imm && ref > last_effect_ && ref >= block_first_;
        };
        if (!same_place(changed.a)) {
            if (changed.op == Op::Sub || !same_place(changed.b))
                return;
            std::swap(changed.a, changed.b);
        }
        const Ref whole = node.b;
        node.op = Op::Update;
        node.aux = static_cast<std::uint8_t>(changed.op);
        node.b = changed.b;
        keep(node.b);
        drop(whole);
    }

    void visit_branch(Block& block) {
        if (block.term != Term::Branch)
            return;
        // A mask against zero is a test.
        if ((block.cond == Cond::Eq || block.cond == Cond::Ne) && is_constant(block.b) &&
            value(block.b) == 0) {
            const Ref masked = block.a;
            Node& mask = at(masked);
            const bool narrower = mask.width <= block.width || block.width == 4;
            if (mask.op == Op::And && mask.uses == 1 && narrower && mask.width == block.width) {
                const Ref zero = block.b;
                block.cond = block.cond == Cond::Eq ? Cond::TestNot : Cond::Test;
                block.a = mask.a;
                block.b = mask.b;
                keep(block.a);
                keep(block.b);
                drop(masked);
                drop(zero);
                return;
            }
            if (mask.op == Op::And && mask.uses == 1 && mask.width == 4 && block.width == 8) {
                const Ref zero = block.b;
                block.cond = block.cond == Cond::Eq ? Cond::TestNot : Cond::Test;
                block.width = 4;
                block.a = mask.a;
                block.b = mask.b;
                keep(block.a);
                keep(block.b);
                drop(masked);
                drop(zero);
                return;
            }
        }
        if (!target_.memory_operands || block.cond == Cond::Test || block.cond == Cond::TestNot)
            return;
        if (foldable(block.a, block.width) && !at(block.a).has(ir::kSigned)) {
            at(block.a).flags |= ir::kFolded;
            return;
        }
        if (foldable(block.b, block.width) && !at(block.b).has(ir::kSigned))
            at(block.b).flags |= ir::kFolded;
    }

    Graph& graph_;
    const Target& target_;
    Ref block_first_ = 0;
    Ref last_effect_ = 0;
};

// --- branches ---

constexpr unsigned kMostMoved = 3;    ///< operations that are done in any case then
constexpr unsigned kMostSelected = 2; ///< values

bool is_cheap(Op op) noexcept {
    return (op >= Op::Add && op <= Op::Rol && op != Op::Mul) || (op >= Op::Lea && op <= Op::Zext32);
}

/// Where a branch and a way around it meet again, the values that differ become selections. The
/// blocks are as they stand: branch, side, meeting; so nothing has to be moved.
class Converter {
public:
    explicit Converter(Graph& graph) : graph_(graph) {}
    bool run() {
        bool any = false;
        // Backwards, so that what is inside another one comes first.
        for (auto b = static_cast<std::uint32_t>(graph_.blocks.size()); b-- > 0;)
            any |= !graph_.blocks[b].dead && graph_.blocks[b].term == Term::Branch && convert(b);
        return any;
    }

private:
    [[nodiscard]] bool is_side(std::uint32_t index, std::uint32_t from) const {
        const Block& block = graph_.blocks[index];
        if (block.dead || block.predecessor_count != 1 || block.term != Term::Jump ||
            graph_.predecessors[block.predecessors] != from)
            return false;
        unsigned moved = 0;
        for (Ref ref = block.first; ref < block.last; ++ref) {
            const Op op = graph_.at(ref).op;
            if (op == Op::None || op == Op::Const)
                continue;
            if (!is_cheap(op) || ++moved > kMostMoved)
                return false;
        }
        return true;
    }

    bool convert(std::uint32_t index) {
        Block& branch = graph_.blocks[index];
        const std::uint32_t side = index + 1;
        if (side >= graph_.blocks.size() || !is_side(side, index))
            return false;
        const std::uint32_t meeting = graph_.blocks[side].successors[0];
        const bool taken = branch.successors[1] == side;
        if (branch.successors[taken ? 0 : 1] != meeting || meeting <= side)
            return false;
        Block& join = graph_.blocks[meeting];
        if (join.predecessor_count != 2 || meeting == index)
            return false;
        unsigned selected = 0;
        for (Ref ref = join.first; ref < join.first + join.phis; ++ref) {
            const Node& phi = graph_.at(ref);
            if (phi.op != Op::Phi)
                continue;
            ++selected;
            if (graph_.pool[phi.a] == 0 || graph_.pool[phi.a + 1] == 0)
                return false;
        }
        if (selected == 0 || selected > kMostSelected)
            return false;
        const bool first = graph_.predecessors[join.predecessors] == side;
        for (Ref ref = join.first; ref < join.first + join.phis; ++ref) {
            Node& phi = graph_.at(ref);
            if (phi.op != Op::Phi)
                continue;
            const Ref around = graph_.pool[phi.a + (first ? 1 : 0)];
            const Ref through = graph_.pool[phi.a + (first ? 0 : 1)];
            graph_.pool[phi.a] = taken ? through : around;
            graph_.pool[phi.a + 1] = taken ? around : through;
            phi.op = Op::Select;
            phi.c = phi.a;
            phi.a = branch.a;
            phi.b = branch.b;
            phi.width = branch.width;
            phi.aux = static_cast<std::uint8_t>(branch.cond);
            phi.imm = 0;
        }
        join.phis = 0;
        join.predecessor_count = 1;
        graph_.predecessors[join.predecessors] = index;
        branch.last = graph_.blocks[side].last;
        branch.term = Term::Jump;
        branch.successors[0] = meeting;
        branch.successor_count = 1;
        branch.a = branch.b = 0;
        Block& gone = graph_.blocks[side];
        gone.first = gone.last;
        gone.dead = true;
        return true;
    }

    Graph& graph_;
};

} // namespace

void sweep(Graph& graph) {
    Sweeper(graph).run();
}

void convert_branches(Graph& graph) {
    if (Converter(graph).run())
        sweep(graph);
}

void select(Graph& graph, const Target& target) {
    Selector(graph, target).run();
}

} // namespace skep::jit
