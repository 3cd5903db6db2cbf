// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "emitter.hpp"

#include <algorithm>
#include <bit>

#include "../support.hpp"
#include "skep/base/check.hpp"

namespace skep::jit::x64 {

using asmjit::x86::CondCode;
using asmjit::x86::Gp;
using asmjit::x86::Mem;
using ir::Cond;
using ir::Node;
using ir::Op;
using ir::Ref;
using ir::Term;

Emitter::Emitter(const Program& program, std::uint32_t functions, const Options& /*options*/)
    : program_(program), bmi2_(has_bmi2()) {
    code_.init(asmjit::Environment(asmjit::Arch::kX64));
    code_.setErrorHandler(&strict_);
    code_.attach(&as_);
    functions_.reserve(functions);
    for (std::uint32_t i = 0; i < functions; ++i)
        functions_.push_back(as_.newLabel());
}

Image Emitter::finish() {
    SKEP_CHECK(!code_.hasUnresolvedLinks());
    const asmjit::CodeBuffer& buffer = code_.textSection()->buffer();
    const auto* bytes = reinterpret_cast<const std::byte*>(buffer.data());
    image_.code.assign(bytes, bytes + buffer.size());
    return std::move(image_);
}

void Emitter::note_line(std::uint32_t insn) {
    if (line_ == insn + 1)
        return;
    line_ = insn + 1;
    const auto offset = static_cast<std::uint32_t>(as_.offset());
    if (!image_.lines.empty() && image_.lines.back().offset == offset)
        image_.lines.back().insn = insn;
    else
        image_.lines.push_back({offset, insn});
}

// --- places ---

Gp Emitter::reg(unsigned number, unsigned width) noexcept {
    switch (width) {
    case 1:
        return asmjit::x86::gpb_lo(number);
    case 2:
        return asmjit::x86::gpw(number);
    case 4:
        return asmjit::x86::gpd(number);
    default:
        return asmjit::x86::gpq(number);
    }
}

Mem Emitter::slot(std::int16_t place, unsigned width) const noexcept {
    return asmjit::x86::ptr(asmjit::x86::rsp, (-1 - place) * 8, width);
}

std::int64_t Emitter::frame_offset(std::int64_t offset) const noexcept {
    return static_cast<std::int64_t>(slot_bytes_) + graph_->frame_bytes + offset;
}

Gp Emitter::result(Ref ref, unsigned width) const noexcept {
    return reg(in_register(ref) ? static_cast<unsigned>(place(ref)) : unsigned{kR11}, width);
}

void Emitter::keep(Ref ref) {
    const std::int16_t to = place(ref);
    if (to < 0 && to != Allocation::kNowhere)
        as_.mov(slot(to), reg(kR11));
}

void Emitter::load_number(const Gp& to, std::uint64_t number) {
    const unsigned id = to.id();
    if (number <= UINT32_MAX)
        as_.mov(reg(id, 4), static_cast<std::uint32_t>(number));
    else if (static_cast<std::int64_t>(number) >= INT32_MIN &&
             static_cast<std::int64_t>(number) < 0)
        as_.mov(reg(id, 8), static_cast<std::int64_t>(number));
    else
        as_.movabs(reg(id, 8), static_cast<std::int64_t>(number));
}

/// Brings a value into a register. Flags stay as they are.
void Emitter::materialise(const Gp& to, Ref ref) {
    const Node& node = at(ref);
    switch (node.op) {
    case Op::Const:
        load_number(to, static_cast<std::uint64_t>(node.imm));
        return;
    case Op::Frame:
        as_.lea(reg(to.id()), asmjit::x86::ptr(asmjit::x86::rsp,
                                               static_cast<std::int32_t>(frame_offset(node.imm))));
        return;
    case Op::FunctionAddress:
        as_.lea(reg(to.id()), asmjit::x86::ptr(functions_[static_cast<std::size_t>(node.imm)]));
        return;
    default:
        break;
    }
    const std::int16_t from = place(ref);
    if (from == Allocation::kNowhere)
        return; // Nobody wrote it.
    if (from >= 0)
        move(to.id(), static_cast<unsigned>(from));
    else
        as_.mov(reg(to.id()), slot(from));
}

void Emitter::move(unsigned to, unsigned from) {
    if (to != from)
        as_.mov(reg(to), reg(from));
}

Gp Emitter::value(Ref ref, Register scratch, unsigned width) {
    if (in_register(ref))
        return reg(static_cast<unsigned>(place(ref)), width);
    materialise(reg(scratch), ref);
    return reg(scratch, width);
}

/// Uses r10 at most.
Mem Emitter::address(const Node& node, unsigned width) {
    const Node& base = at(node.a);
    const auto offset = static_cast<std::int32_t>(node.imm);
    const bool indexed = ir::shape_of(node.op).memory && node.c != 0;
    if (base.op == Op::Frame) {
        const auto from = static_cast<std::int32_t>(frame_offset(base.imm)) + offset;
        if (!indexed)
            return asmjit::x86::ptr(asmjit::x86::rsp, from, width);
        return asmjit::x86::ptr(asmjit::x86::rsp, value(node.c, kR10), node.scale, from, width);
    }
    if (!indexed)
        return asmjit::x86::ptr(value(node.a, kR10), offset, width);
    if (in_register(node.a) || in_register(node.c))
        return asmjit::x86::ptr(value(node.a, kR10), value(node.c, kR10), node.scale, offset,
                                width);
    materialise(reg(kR10), node.c);
    if (node.scale != 0)
        as_.shl(reg(kR10), node.scale);
    if (place(node.a) < 0 && !is_remade(base.op)) {
        as_.add(reg(kR10), slot(place(node.a)));
    } else {
        as_.push(reg(kR11));
        materialise(reg(kR11), node.a);
        as_.add(reg(kR10), reg(kR11));
        as_.pop(reg(kR11));
    }
    return asmjit::x86::ptr(reg(kR10), offset, width);
}

bool Emitter::immediate(Ref ref, unsigned width, std::int32_t& out) const noexcept {
    if (!is_constant(ref))
        return false;
    const std::int64_t number = at(ref).imm;
    if (width <= 4) { // Of narrower ones, what remains of it, with its sign.
        const unsigned rest = 32 - width * 8;
        out = static_cast<std::int32_t>(static_cast<std::uint32_t>(number) << rest) >>
              static_cast<int>(rest);
    } else {
        if (number < INT32_MIN || number > INT32_MAX)
            return false;
        out = static_cast<std::int32_t>(number);
    }
    return true;
}

// --- moves that happen at once ---

void Emitter::one_move(const Move& made) {
    if (made.to >= 0) {
        if (made.from >= 0)
            move(static_cast<unsigned>(made.to), static_cast<unsigned>(made.from));
        else if (made.from == Allocation::kNowhere)
            materialise(reg(static_cast<unsigned>(made.to)), made.value);
        else
            as_.mov(reg(static_cast<unsigned>(made.to)), slot(made.from));
        return;
    }
    if (made.from >= 0) {
        as_.mov(slot(made.to), reg(static_cast<unsigned>(made.from)));
        return;
    }
    std::int32_t number = 0;
    if (made.from == Allocation::kNowhere && immediate(made.value, 8, number)) {
        as_.mov(slot(made.to), number);
        return;
    }
    if (made.from == Allocation::kNowhere)
        materialise(reg(kR10), made.value);
    else
        as_.mov(reg(kR10), slot(made.from));
    as_.mov(slot(made.to), reg(kR10));
}

void Emitter::move_all(std::vector<Move>& moves) {
    std::erase_if(moves, [](const Move& m) { return m.to == m.from; });
    while (!moves.empty()) {
        const auto waits = [&](const Move& m) {
            return std::ranges::any_of(
                moves, [&](const Move& other) { return &other != &m && other.from == m.to; });
        };
        const auto ready = std::ranges::find_if_not(moves, waits);
        if (ready != moves.end()) {
            one_move(*ready);
            *ready = moves.back();
            moves.pop_back();
            continue;
        }
        // Only cycles are left: what the first would overwrite waits in r11.
        const std::int16_t saved = moves.front().to;
        one_move({.to = kR11, .from = saved});
        for (Move& m : moves)
            if (m.from == saved)
                m.from = kR11;
    }
}

void Emitter::collect_moves(std::uint32_t from, std::uint32_t to) {
    moves_.clear();
    const ir::Block& block = graph_->blocks[to];
    std::uint32_t index = 0;
    while (graph_->predecessors[block.predecessors + index] != from)
        ++index;
    for (Ref ref = block.first; ref < block.first + block.phis; ++ref) {
        const Node& phi = at(ref);
        if (phi.op != Op::Phi || place(ref) == Allocation::kNowhere)
            continue;
        const Ref operand = graph_->pool[phi.a + index];
        if (operand == 0 || operand == ref)
            continue;
        const std::int16_t source =
            is_remade(at(operand).op) ? Allocation::kNowhere : place(operand);
        if (source == place(ref) || (source == Allocation::kNowhere && !is_remade(at(operand).op)))
            continue;
        moves_.push_back({.to = place(ref), .from = source, .value = operand});
    }
}

bool Emitter::needs_moves(std::uint32_t from, std::uint32_t to) {
    if (graph_->blocks[to].phis == 0)
        return false;
    collect_moves(from, to);
    return !moves_.empty();
}

void Emitter::edge(std::uint32_t from, std::uint32_t to) {
    if (graph_->blocks[to].phis == 0)
        return;
    collect_moves(from, to);
    move_all(moves_);
}

// --- blocks ---

/// Where control really goes: blocks that do nothing are passed over.
std::uint32_t Emitter::through(std::uint32_t index) {
    for (unsigned steps = 0; steps < 16; ++steps) {
        const ir::Block& block = graph_->blocks[index];
        if (block.term != Term::Jump)
            return index;
        for (Ref ref = block.first; ref < block.last; ++ref) {
            const Node& node = at(ref);
            if (node.op != Op::None && node.op != Op::Phi && !is_remade(node.op))
                return index;
        }
        if (needs_moves(index, block.successors[0]))
            return index;
        index = block.successors[0];
    }
    return index;
}

std::uint32_t Emitter::next_of(std::uint32_t index) const noexcept {
    ++index;
    while (index < graph_->blocks.size() && graph_->blocks[index].dead)
        ++index;
    return index;
}

namespace {

CondCode code_of(Cond cond) noexcept {
    static constexpr std::array<CondCode, 12> kCodes{
        CondCode::kE,          CondCode::kNE,         CondCode::kUnsignedLT, CondCode::kUnsignedGE,
        CondCode::kUnsignedLE, CondCode::kUnsignedGT, CondCode::kSignedLT,   CondCode::kSignedGE,
        CondCode::kSignedLE,   CondCode::kSignedGT,   CondCode::kNE,         CondCode::kE,
    };
    return kCodes[std::to_underlying(cond)];
}

} // namespace

void Emitter::branch(std::uint32_t index) {
    const ir::Block& block = graph_->blocks[index];
    Cond cond = block.cond;
    compare(cond, block.width, block.a, block.b);
    const std::uint32_t next = next_of(index);
    std::uint32_t taken = block.successors[1];
    std::uint32_t other = block.successors[0];
    // The one that follows is not jumped to.
    if (taken == next && other != next) {
        std::swap(taken, other);
        cond = ir::opposite(cond);
    }
    // A way back, or the only one that needs moves, goes on here: one jump less.
    if (needs_moves(index, taken) &&
        (taken <= index || (!needs_moves(index, other) && other != next))) {
        std::swap(taken, other);
        cond = ir::opposite(cond);
    }
    if (needs_moves(index, taken)) {
        const Label stub = as_.newLabel();
        stubs_.push_back({.kind = Stub::Kind::Edge, .from = stub, .block = index, .to = taken});
        as_.j(code_of(cond), stub);
    } else {
        as_.j(code_of(cond), blocks_[through(taken)]);
    }
    edge(index, other);
    const std::uint32_t target = through(other);
    if (target != through(next < graph_->blocks.size() ? next : other) ||
        next >= graph_->blocks.size())
        as_.jmp(blocks_[target]);
}

void Emitter::terminator(std::uint32_t index) {
    const ir::Block& block = graph_->blocks[index];
    switch (block.term) {
    case Term::Branch:
        note_line(block.insn);
        branch(index);
        return;
    case Term::Jump: {
        edge(index, block.successors[0]);
        const std::uint32_t next = next_of(index);
        const std::uint32_t target = through(block.successors[0]);
        if (next >= graph_->blocks.size() || target != through(next))
            as_.jmp(blocks_[target]);
        return;
    }
    case Term::Return:
        note_line(block.insn);
        if (block.a != 0) {
            if (is_constant(block.a) && at(block.a).imm == 0)
                as_.xor_(asmjit::x86::eax, asmjit::x86::eax);
            else
                materialise(reg(kRax), block.a);
        }
        epilogue();
        as_.ret();
        return;
    }
}

void Emitter::block(std::uint32_t index) {
    const ir::Block& block = graph_->blocks[index];
    as_.bind(blocks_[index]);
    const Function* emit = table();
    for (Ref ref = block.first; ref < block.last; ++ref) {
        const Node& node = at(ref);
        if (node.op == Op::None || node.has(ir::kFolded))
            continue;
        note_line(node.insn);
        (this->*emit[std::to_underlying(node.op)])(ref, node);
    }
    terminator(index);
}

void Emitter::prologue() {
    pushed_.clear();
    for (const Register saved : {kRbx, kRbp, kR12, kR13, kR14, kR15})
        if ((allocation_->used >> saved & 1) != 0) {
            pushed_.push_back(saved);
            as_.push(reg(saved));
        }
    slot_bytes_ = allocation_->slots * 8;
    frame_size_ = slot_bytes_ + graph_->frame_bytes;
    const bool calls = graph_->calls || !graph_->checks.empty();
    const std::uint32_t above = 8 + static_cast<std::uint32_t>(pushed_.size()) * 8;
    if (calls || frame_size_ != 0)
        frame_size_ = (above + frame_size_ + 15) / 16 * 16 - above;
    if (frame_size_ != 0)
        as_.sub(asmjit::x86::rsp, frame_size_);
    if (graph_->zero_frame) {
        as_.xor_(reg(kR11, 4), reg(kR11, 4));
        for (std::uint32_t at = 0; at < graph_->frame_bytes; at += 8)
            as_.mov(asmjit::x86::qword_ptr(asmjit::x86::rsp,
                                           static_cast<std::int32_t>(slot_bytes_ + at)),
                    reg(kR11));
    }
    // Arguments go to their places at once.
    moves_.clear();
    const ir::Block& entry = graph_->blocks[0];
    for (Ref ref = entry.first; ref < entry.last; ++ref) {
        const Node& node = at(ref);
        if ((node.op != Op::Param && node.op != Op::Run) || place(ref) == Allocation::kNowhere)
            continue;
        const std::size_t number =
            node.op == Op::Run ? run_argument(function_) : static_cast<std::size_t>(node.imm);
        moves_.push_back(
            {.to = place(ref), .from = static_cast<std::int16_t>(target().arguments[number])});
    }
    move_all(moves_);
}

void Emitter::epilogue() {
    if (frame_size_ != 0)
        as_.add(asmjit::x86::rsp, frame_size_);
    for (std::size_t i = pushed_.size(); i-- > 0;)
        as_.pop(reg(pushed_[i]));
}

void Emitter::stubs() {
    for (std::size_t i = 0; i < stubs_.size(); ++i) {
        const Stub stub = stubs_[i];
        as_.bind(stub.from);
        switch (stub.kind) {
        case Stub::Kind::Edge:
            edge(stub.block, stub.to);
            as_.jmp(blocks_[through(stub.to)]);
            break;
        case Stub::Kind::Divide: {
            // The divisor is 0, or -1 in signed divisions; the dividend is in rax.
            const Node& node = at(stub.ref);
            const Gp a = reg(kRax, node.width);
            const Gp d = reg(kRdx, node.width);
            const Gp b = reg(stub.divisor, node.width);
            if (node.op == Op::Udiv) {
                as_.xor_(reg(kRax, 4), reg(kRax, 4));
            } else if (node.op == Op::Umod) {
                as_.mov(d, a);
            } else if (node.op == Op::Sdiv) {
                as_.neg(a);
                as_.and_(a, b); // 0, or the dividend negated
            } else {
                as_.mov(d, b);
                as_.not_(d);
                as_.and_(d, a); // the dividend, or 0
            }
            as_.jmp(stub.back);
            break;
        }
        case Stub::Kind::Check: {
            const Node& node = at(stub.ref);
            materialise(reg(kRdi), node.b);
            load_number(reg(kRsi), reinterpret_cast<std::uint64_t>(&program_));
            load_number(reg(kRdx), node.insn);
            load_number(reg(kRax), reinterpret_cast<std::uint64_t>(&support::wrong_fact));
            as_.call(reg(kRax));
            as_.xor_(reg(kRax, 4), reg(kRax, 4));
            epilogue();
            as_.ret();
            break;
        }
        }
    }
    stubs_.clear();
}

void Emitter::emit(const ir::Graph& graph, const Allocation& allocation, std::uint32_t function) {
    graph_ = &graph;
    allocation_ = &allocation;
    function_ = function;
    line_ = 0;
    as_.align(asmjit::AlignMode::kCode, 16);
    const auto begin = static_cast<std::uint32_t>(as_.offset());
    as_.bind(functions_[function]);
    blocks_.clear();
    for (std::size_t i = 0; i < graph.blocks.size(); ++i)
        blocks_.push_back(as_.newLabel());
    prologue();
    for (std::uint32_t i = 0; i < graph.blocks.size(); ++i)
        if (!graph.blocks[i].dead)
            block(i);
    stubs();
    order_.push_back(function);
    image_.functions.push_back(
        {.offset = begin, .size = static_cast<std::uint32_t>(as_.offset()) - begin, .name = {}});
}

} // namespace skep::jit::x64

namespace skep::jit {

std::unique_ptr<Backend> make_x64(const Program& program, std::uint32_t functions,
                                  const Options& options) {
    return std::make_unique<x64::Emitter>(program, functions, options);
}

} // namespace skep::jit
