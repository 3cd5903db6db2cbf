// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "build.hpp"

#include <algorithm>
#include <bit>

#include "skep/base/check.hpp"
#include "skep/isa/decode.hpp"

namespace skep::jit {

using ir::Cond;
using ir::Node;
using ir::Op;
using ir::Ref;
using ir::Term;

namespace {

constexpr std::uint64_t kBudget = std::uint64_t{8} << 20; // BPF_MAX_LOOPS, of may_goto

} // namespace

/// Blocks: the entry, then the parts in their order.
void Builder::lay_out() {
    const auto count = static_cast<std::uint32_t>(outline_->order.size());
    graph_.blocks.assign(count + 1, {});
    ir::Block& entry = graph_.blocks[0];
    entry.successors[0] = 1;
    entry.successor_count = 1;
    for (std::uint32_t i = 0; i < count; ++i) {
        const Part& part = outline_->parts[outline_->order[i]];
        ir::Block& block = graph_.blocks[i + 1];
        block.successor_count = part.successor_count;
        for (std::uint32_t s = 0; s < part.successor_count; ++s)
            block.successors[s] = outline_->parts[part.successors[s]].order + 1;
    }
    for (const ir::Block& block : graph_.blocks)
        for (std::uint32_t s = 0; s < block.successor_count; ++s)
            ++graph_.blocks[block.successors[s]].predecessor_count;
    std::uint32_t place = 0;
    for (ir::Block& block : graph_.blocks) {
        block.predecessors = place;
        place += block.predecessor_count;
        block.predecessor_count = 0;
    }
    graph_.predecessors.assign(place, 0);
    for (std::uint32_t i = 0; i <= count; ++i)
        for (std::uint32_t s = 0; s < graph_.blocks[i].successor_count; ++s) {
            ir::Block& target = graph_.blocks[graph_.blocks[i].successors[s]];
            graph_.predecessors[target.predecessors + target.predecessor_count++] = i;
        }
    graph_.loops = outline_->loops;
    for (std::uint32_t l = 0; l < graph_.loops.size(); ++l) {
        ir::Loop& loop = graph_.loops[l];
        ++loop.first;
        ++loop.last;
        for (std::uint32_t b = loop.first; b <= loop.last; ++b)
            graph_.blocks[b].loop = l + 1; // Inner loops come later.
    }
}

void Builder::open_entry() {
    const Instance& root = outline_->instances[0];
    const FunctionPlan& function = plan_.functions[root.function];
    vars_.fill(0);
    graph_.blocks[0].first = static_cast<std::uint32_t>(graph_.nodes.size());
    make_.set_origin(function.begin);
    run_ = make_.add({.op = Op::Run, .home = root.function == 0 ? std::uint8_t{2} : ir::kNoHome});
    const std::uint64_t live = outline_->parts[0].live;
    for (unsigned i = 0; i < 5; ++i)
        if ((live >> (i + 1) & 1) != 0)
            vars_[i + 1] =
                make_.add({.op = Op::Param, .home = static_cast<std::uint8_t>(i + 1), .imm = i});
    if (root.budget != kNoVar)
        vars_[root.budget] = make_.constant(kBudget);
    if (outline_->zero_frame && !function.slots.empty()) {
        const Ref zero = make_.constant(0);
        for (std::size_t i = 0; i < function.slots.size(); ++i)
            vars_[root.first_slot + i] = zero;
    }
    graph_.blocks[0].last = static_cast<std::uint32_t>(graph_.nodes.size());
}

/// The value of a variable where ways meet.
void Builder::join(std::uint32_t index, Var var) {
    const ir::Block& block = graph_.blocks[index];
    const std::uint32_t vars = outline_->vars;
    const bool comes_back = block.loop != 0 && graph_.loops[block.loop - 1].first == index;
    const bool changes = comes_back && (outline_->loop_defs[block.loop - 1] >> var & 1) != 0;
    Ref same = 0;
    bool differs = changes;
    for (std::uint32_t p = 0; p < block.predecessor_count; ++p) {
        const std::uint32_t from = graph_.predecessors[block.predecessors + p];
        if (from >= index)
            continue; // If it does not change in the loop, it is what came in.
        const Ref value = outs_[std::size_t{from} * vars + var];
        if (value == 0) { // Not written on this way, so nobody reads it behind.
            vars_[var] = 0;
            return;
        }
        differs |= same != 0 && value != same;
        same = value;
    }
    if (!differs) {
        vars_[var] = same;
        return;
    }
    Node phi{
        .op = Op::Phi, .a = static_cast<Ref>(graph_.pool.size()), .b = block.predecessor_count};
    phi.imm = var;
    if (var <= 5)
        phi.home = var;
    else
        for (unsigned i = 0; i < 4; ++i)
            if (outline_->instances[0].saved[i] == var || instance_->saved[i] == var)
                phi.home = static_cast<std::uint8_t>(6 + i);
    bool narrow = !comes_back;
    for (std::uint32_t p = 0; p < block.predecessor_count; ++p) {
        const std::uint32_t from = graph_.predecessors[block.predecessors + p];
        const Ref value = from < index ? outs_[std::size_t{from} * vars + var] : 0;
        graph_.pool.push_back(value);
        narrow &= value != 0 && graph_.at(value).has(ir::kUpperZero);
    }
    if (narrow)
        phi.flags = ir::kUpperZero;
    vars_[var] = make_.add(phi);
    ++graph_.blocks[index].phis;
}

/// Behind a test of a selection against zero it is known what was selected.
void Builder::refine(std::uint32_t index) {
    const ir::Block& block = graph_.blocks[index];
    if (block.predecessor_count != 1)
        return;
    const ir::Block& from = graph_.blocks[graph_.predecessors[block.predecessors]];
    if (from.term != Term::Branch || (from.cond != Cond::Eq && from.cond != Cond::Ne) ||
        from.width != 8 || from.a == 0 || from.b == 0)
        return;
    const Node& tested = graph_.at(from.a);
    const Node& other = graph_.at(from.b);
    if (tested.op != Op::Select || other.op != Op::Const || other.imm != 0)
        return;
    const bool zero = (from.cond == Cond::Eq) == (from.successors[1] == index);
    const Ref yes = graph_.pool[tested.c];
    const Ref no = graph_.pool[tested.c + 1];
    const Node& otherwise = graph_.at(no);
    if (zero || otherwise.op != Op::Const || otherwise.imm != 0)
        return;
    for (unsigned v = 0; v < outline_->vars; ++v)
        if (vars_[v] == from.a)
            vars_[v] = yes;
}

void Builder::open_block(std::uint32_t index, const Part& part) {
    ir::Block& block = graph_.blocks[index];
    block.first = static_cast<std::uint32_t>(graph_.nodes.size());
    instance_ = &outline_->instances[part.instance];
    make_.set_origin(part.begin);
    make_.new_epoch();
    held_.clear();
    const std::uint32_t vars = outline_->vars;
    if (block.predecessor_count == 1) {
        const std::uint32_t from = graph_.predecessors[block.predecessors];
        std::copy_n(outs_.begin() + std::size_t{from} * vars, vars, vars_.begin());
        refine(index);
        return;
    }
    vars_.fill(0);
    for (std::uint64_t live = part.live; live != 0; live &= live - 1)
        join(index, static_cast<Var>(std::countr_zero(live)));
}

Ref Builder::read_var(Var var) {
    if (vars_[var] == 0) // Nobody reads what was never written, but calls that take any value.
        vars_[var] = make_.constant(0);
    return vars_[var];
}

Ref Builder::frame(std::int64_t offset) {
    return make_.add({.op = Op::Frame, .imm = instance_->frame_top + offset});
}

Ref Builder::read(unsigned reg) {
    return reg == isa::kFramePointer ? frame(0) : read_var(var(reg));
}

void Builder::write(unsigned reg, Ref value) {
    vars_[var(reg)] = value;
}

// bpf_loop(rounds, callback, context, 0): the callback gets the number of the round and the context
// and says 1 to stop; the result counts the rounds that were begun.
void Builder::loop_part(std::uint32_t index, const Part& part) {
    ir::Block& block = graph_.blocks[index];
    const Instance& instance = *instance_;
    switch (part.kind) {
    case Part::Kind::LoopInit:
        vars_[instance.round] = make_.constant(0);
        vars_[instance.rounds] = read_var(1);
        vars_[instance.context] = read_var(3);
        return;
    case Part::Kind::LoopHead:
        block.term = Term::Branch;
        block.cond = Cond::Uge;
        block.a = read_var(instance.round);
        block.b = read_var(instance.rounds);
        vars_[1] = block.a;
        vars_[2] = read_var(instance.context);
        return;
    case Part::Kind::LoopNext:
        vars_[instance.round] = make_.by(Op::Add, 8, read_var(instance.round), 1);
        block.term = Term::Branch;
        block.cond = Cond::Ne;
        block.a = read_var(0);
        block.b = make_.constant(0);
        return;
    default:
        vars_[0] = read_var(instance.round);
        return;
    }
}

Result<void> Builder::fill(std::uint32_t index, const Part& part) {
    switch (part.kind) {
    case Part::Kind::Plain:
    case Part::Kind::Inline:
    case Part::Kind::Packet:
        for (std::uint32_t i = part.begin; i < part.end; ++i)
            if (plan_.ops[i] != nullptr)
                SKEP_TRY(lift(i));
        end_block(index, part);
        break;
    case Part::Kind::Zero:
        graph_.blocks[index].term = Term::Return;
        graph_.blocks[index].a = make_.constant(0);
        break;
    default:
        graph_.blocks[index].insn = part.begin;
        loop_part(index, part);
        break;
    }
    graph_.blocks[index].last = static_cast<std::uint32_t>(graph_.nodes.size());
    std::copy_n(vars_.begin(), outline_->vars, outs_.begin() + std::size_t{index} * outline_->vars);
    return {};
}

namespace {

struct Comparison {
    Cond cond;
    std::uint8_t width;
};

/// Of conditional jumps; others: nothing to compare.
constexpr std::array<Comparison, isa::kOpCount> kComparisons = [] {
    std::array<Comparison, isa::kOpCount> rows{};
#define SKEP_COMPARE(name, cond)                                                                   \
    rows[std::to_underlying(isa::Op::name##64Imm)] = {Cond::cond, 8};                              \
    rows[std::to_underlying(isa::Op::name##64Reg)] = {Cond::cond, 8};                              \
    rows[std::to_underlying(isa::Op::name##32Imm)] = {Cond::cond, 4};                              \
    rows[std::to_underlying(isa::Op::name##32Reg)] = {Cond::cond, 4};
    SKEP_COMPARE(Jeq, Eq)
    SKEP_COMPARE(Jne, Ne)
    SKEP_COMPARE(Jgt, Ugt)
    SKEP_COMPARE(Jge, Uge)
    SKEP_COMPARE(Jlt, Ult)
    SKEP_COMPARE(Jle, Ule)
    SKEP_COMPARE(Jset, Test)
    SKEP_COMPARE(Jsgt, Sgt)
    SKEP_COMPARE(Jsge, Sge)
    SKEP_COMPARE(Jslt, Slt)
    SKEP_COMPARE(Jsle, Sle)
#undef SKEP_COMPARE
    return rows;
}();

} // namespace

void Builder::end_branch(ir::Block& block, std::uint32_t at) {
    const isa::Insn& insn = plan_.insn(at);
    const isa::OpInfo& op = *plan_.ops[at];
    const Comparison& compared = kComparisons[std::to_underlying(op.op)];
    block.term = Term::Branch;
    block.cond = compared.cond;
    block.width = compared.width;
    block.a = read(insn.dst);
    block.b = op.format == isa::Format::JmpReg
                  ? read(insn.src)
                  : make_.constant(compared.width == 4
                                       ? std::uint64_t{static_cast<std::uint32_t>(insn.imm)}
                                       : static_cast<std::uint64_t>(std::int64_t{insn.imm}));
    if (graph_.at(block.a).op == Op::Const && graph_.at(block.b).op != Op::Const) {
        std::swap(block.a, block.b);
        block.cond = ir::mirrored(block.cond);
    }
    prefer_next(block);
    if (graph_.at(block.a).op != Op::Const || graph_.at(block.b).op != Op::Const)
        return;
    // Decided; the other way keeps its phis' operands.
    const bool jumps =
        holds(block.cond, block.width, static_cast<std::uint64_t>(graph_.at(block.a).imm),
              static_cast<std::uint64_t>(graph_.at(block.b).imm));
    block.successors[0] = block.successors[jumps ? 1 : 0];
    block.successor_count = 1;
    block.term = Term::Jump;
    block.a = block.b = 0;
}

/// A loop that tests a counter's value before its last step would keep both: the test of the value
/// behind the step says the same if the step cannot wrap.
void Builder::prefer_next(ir::Block& block) {
    const Node& compared = graph_.at(block.a);
    const Node& limit = graph_.at(block.b);
    const bool is_signed = block.cond >= Cond::Slt;
    if (compared.op != Op::Phi || limit.op != Op::Const || is_signed || options_.test_facts)
        return;
    const std::uint64_t most = block.width == 4 ? UINT32_MAX : UINT64_MAX;
    const auto bound = static_cast<std::uint64_t>(limit.imm);
    for (unsigned v = 0; v < outline_->vars; ++v) {
        const Node& next = graph_.at(vars_[v]);
        if (next.op != Op::Add || next.a != block.a || next.width != block.width ||
            graph_.at(next.b).op != Op::Const)
            continue;
        const auto step = static_cast<std::uint64_t>(graph_.at(next.b).imm);
        const NumberFact& result = plan_.fact(next.insn).result;
        if (!result.known || result.umin < step || result.umax > most || bound > most - step)
            continue;
        block.a = vars_[v];
        block.b = make_.constant(bound + step);
        return;
    }
}

void Builder::end_block(std::uint32_t index, const Part& part) {
    ir::Block& block = graph_.blocks[index];
    std::uint32_t last = part.end;
    while (last > part.begin && plan_.ops[last - 1] == nullptr)
        --last;
    block.insn = last > part.begin ? last - 1 : part.begin;
    make_.set_origin(block.insn);
    if (part.kind == Part::Kind::Packet) {
        block.term = Term::Branch;
        block.cond = Cond::Slt;
        block.a = packet_;
        block.b = make_.constant(0);
        return;
    }
    if (block.successor_count == 0) {
        block.term = Term::Return;
        block.a = read_var(0);
        return;
    }
    if (part.kind == Part::Kind::Inline || last == part.begin)
        return;
    const isa::OpInfo& op = *plan_.ops[last - 1];
    if (block.successor_count < 2)
        return;
    if (op.op == isa::Op::MayGoto) {
        block.term = Term::Branch;
        block.cond = Cond::Eq;
        block.a = read_var(instance_->budget);
        block.b = make_.constant(0);
        vars_[instance_->budget] = make_.by(Op::Add, 8, block.a, ~std::uint64_t{0});
        return;
    }
    end_branch(block, last - 1);
}

/// What phis get from the ends of loops.
void Builder::close_phis() {
    for (std::uint32_t b = 1; b < graph_.blocks.size(); ++b) {
        const ir::Block& block = graph_.blocks[b];
        for (Ref ref = block.first; ref < block.first + block.phis; ++ref) {
            const Node phi = graph_.at(ref);
            for (std::uint32_t p = 0; p < block.predecessor_count; ++p) {
                const std::uint32_t from = graph_.predecessors[block.predecessors + p];
                if (from >= b)
                    graph_.pool[phi.a + p] = outs_[std::size_t{from} * outline_->vars +
                                                   static_cast<std::size_t>(phi.imm)];
            }
        }
    }
}

Result<void> Builder::build(const Outline& outline) {
    outline_ = &outline;
    graph_.clear();
    graph_.frame_bytes = outline.frame_bytes;
    graph_.zero_frame = outline.zero_frame;
    lay_out();
    outs_.resize(graph_.blocks.size() * outline.vars);
    open_entry();
    std::copy_n(vars_.begin(), outline.vars, outs_.begin());
    for (std::uint32_t i = 0; i < outline.order.size(); ++i) {
        const Part& part = outline.parts[outline.order[i]];
        open_block(i + 1, part);
        SKEP_TRY(fill(i + 1, part));
    }
    close_phis();
    return {};
}

} // namespace skep::jit
