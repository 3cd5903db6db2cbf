// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "emitter.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

#include "../support.hpp"
#include "emit_basics.hpp"
#include "skep/base/check.hpp"

namespace skep::jit::a64 {

using asmjit::a64::ptr;
using asmjit::a64::sp;
using ir::Cond;
using ir::Op;
using ir::Term;

Emitter::Emitter(const Program& program, std::uint32_t functions, const Options& /*options*/)
    : program_(program), lse_(has_lse()) {
    code_.init(asmjit::Environment(asmjit::Arch::kAArch64));
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
    for (const Distance& distance : distances_) {
        const auto to = static_cast<std::int64_t>(code_.labelOffset(functions_[distance.function]));
        const auto delta = static_cast<std::uint32_t>(to - distance.offset);
        constexpr std::uint32_t kImmediate = 5; // The bit where movz and movk have their 16 bits.
        for (const unsigned half : {0U, 1U}) {
            std::byte* at = image_.code.data() + distance.offset + 4 * (1 + half);
            std::uint32_t word = 0;
            std::memcpy(&word, at, sizeof word);
            word |= (delta >> (16 * half) & 0xffff) << kImmediate;
            std::memcpy(at, &word, sizeof word);
        }
    }
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

Emitter::Gp Emitter::reg(unsigned number, unsigned width) noexcept {
    if (width == 8)
        return asmjit::a64::x(number);
    return asmjit::a64::w(number);
}

Emitter::Gp Emitter::zero(unsigned width) noexcept {
    if (width == 8)
        return asmjit::a64::xzr;
    return asmjit::a64::wzr;
}

void Emitter::load_slot(const Gp& to, std::int16_t place) {
    const std::int64_t offset = (-1 - place) * 8;
    if (fits_offset(offset, 8)) {
        as_.ldr(to, ptr(sp, static_cast<std::int32_t>(offset)));
        return;
    }
    add_number(as_, to, sp, offset, to);
    as_.ldr(to, ptr(to));
}

void Emitter::store_slot(const Gp& from, std::int16_t place) {
    const std::int64_t offset = (-1 - place) * 8;
    if (fits_offset(offset, 8)) {
        as_.str(from, ptr(sp, static_cast<std::int32_t>(offset)));
        return;
    }
    add_number(as_, reg(kX15), sp, offset, reg(kX15));
    as_.str(from, ptr(reg(kX15)));
}

std::int64_t Emitter::frame_offset(std::int64_t offset) const noexcept {
    return static_cast<std::int64_t>(slot_bytes_) + stack_bytes_ + offset;
}

Emitter::Gp Emitter::result(Ref ref, unsigned width) const noexcept {
    return reg(in_register(ref) ? static_cast<unsigned>(place(ref)) : unsigned{kX17}, width);
}

void Emitter::keep(Ref ref) {
    const std::int16_t to = place(ref);
    if (to < 0 && to != Allocation::kNowhere)
        store_slot(reg(kX17), to);
}

/// Brings a value into a register. Other registers and flags stay as they are.
void Emitter::materialise(const Gp& to, Ref ref) {
    const Node& node = at(ref);
    const Gp wide = reg(to.id());
    switch (node.op) {
    case Op::Const:
        load_number(as_, wide, static_cast<std::uint64_t>(node.imm));
        return;
    case Op::Frame:
        add_number(as_, wide, sp, frame_offset(node.imm), wide);
        return;
    case Op::FunctionAddress: {
        // adr alone reaches a megabyte. x15 is the only register that nothing is kept in here.
        distances_.push_back({.offset = static_cast<std::uint32_t>(as_.offset()),
                              .function = static_cast<std::uint32_t>(node.imm)});
        const Label here = as_.newLabel();
        as_.bind(here);
        as_.adr(wide, here);
        as_.movz(reg(kX15, 4), 0);
        as_.movk(reg(kX15, 4), 0, 16);
        as_.add(wide, wide, reg(kX15), asmjit::arm::sxtw(0));
        return;
    }
    default:
        break;
    }
    const std::int16_t from = place(ref);
    if (from == Allocation::kNowhere)
        return; // Nobody wrote it.
    if (from >= 0)
        move(to.id(), static_cast<unsigned>(from));
    else
        load_slot(wide, from);
}

void Emitter::move(unsigned to, unsigned from) {
    if (to != from)
        as_.mov(reg(to), reg(from));
}

Emitter::Gp Emitter::value(Ref ref, Register scratch, unsigned width) {
    if (in_register(ref))
        return reg(static_cast<unsigned>(place(ref)), width);
    materialise(reg(scratch), ref);
    return reg(scratch, width);
}

Emitter::Gp Emitter::value_or_zero(Ref ref, Register scratch, unsigned width) {
    if (is_constant(ref) && number(ref, width) == 0)
        return zero(width);
    return value(ref, scratch, width);
}

/// A constant as an operation of that width sees it.
std::uint64_t Emitter::number(Ref ref, unsigned width) const noexcept {
    const auto all = static_cast<std::uint64_t>(at(ref).imm);
    return width >= 8 ? all : all & ~std::uint64_t{0} >> (64 - width * 8);
}

// --- moves that happen at once ---

void Emitter::one_move(const Move& made) {
    if (made.to >= 0) {
        const Gp to = reg(static_cast<unsigned>(made.to));
        if (made.from >= 0)
            move(to.id(), static_cast<unsigned>(made.from));
        else if (made.from == Allocation::kNowhere)
            materialise(to, made.value);
        else
            load_slot(to, made.from);
        return;
    }
    if (made.from >= 0) {
        store_slot(reg(static_cast<unsigned>(made.from)), made.to);
        return;
    }
    if (made.from == Allocation::kNowhere) {
        store_slot(value_or_zero(made.value, kX16), made.to);
        return;
    }
    load_slot(reg(kX16), made.from);
    store_slot(reg(kX16), made.to);
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
        // Only cycles are left: what the first would overwrite waits in x17.
        const std::int16_t saved = moves.front().to;
        one_move({.to = kX17, .from = saved});
        for (Move& m : moves)
            if (m.from == saved)
                m.from = kX17;
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
        const bool remade = is_remade(at(operand).op);
        const std::int16_t source = remade ? Allocation::kNowhere : place(operand);
        if (source == place(ref) || (source == Allocation::kNowhere && !remade))
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

// --- distances ---

namespace {

/// No node's code is longer, in bytes: three operands and a result in slots that are far from sp,
/// or numbers of four parts.
constexpr std::uint64_t kLongestNode = 144;
constexpr std::uint64_t kLongestCall = 512;
constexpr std::uint64_t kLongestMove = 40;
constexpr std::uint64_t kLongestEnd = 256; ///< of a block, without moves

constexpr std::uint64_t longest(Op op) noexcept {
    switch (op) {
    case Op::None:
    case Op::Const:
    case Op::Frame:
    case Op::FunctionAddress:
    case Op::Param:
    case Op::Run:
    case Op::Phi:
        return 0;
    case Op::Call:
    case Op::CallLocal:
    case Op::TailCall:
    case Op::Check:
        return kLongestCall;
    default:
        return kLongestNode;
    }
}

} // namespace

void Emitter::bound_sizes() {
    starts_.clear();
    std::uint64_t at_most = 0;
    for (const ir::Block& block : graph_->blocks) {
        starts_.push_back(at_most);
        if (block.dead)
            continue;
        for (Ref ref = block.first; ref < block.last; ++ref)
            at_most += longest(at(ref).op);
        at_most += kLongestEnd;
        for (std::uint32_t s = 0; s < block.successor_count; ++s)
            at_most += kLongestMove * graph_->blocks[block.successors[s]].phis;
    }
    starts_.push_back(at_most);
}

std::uint64_t Emitter::distance(std::uint32_t from, std::uint32_t to) const noexcept {
    return to > from ? starts_[to] - starts_[from] : starts_[from + 1] - starts_[to];
}

// --- branches ---

void Emitter::jump_if_one(const Test& test, const Label& to) {
    switch (test.kind) {
    case Test::Kind::Flags:
        as_.b(test.code, to);
        break;
    case Test::Kind::Zero:
        if (test.inverted)
            as_.cbnz(test.reg, to);
        else
            as_.cbz(test.reg, to);
        break;
    case Test::Kind::Bit:
        if (test.inverted)
            as_.tbnz(test.reg, test.bit, to);
        else
            as_.tbz(test.reg, test.bit, to);
        break;
    }
}

/// `far`: no more bytes than that lie between here and there.
void Emitter::jump_if(const Test& test, const Label& to, std::uint64_t far) {
    constexpr std::uint64_t kReach = 1U << 20;
    constexpr std::uint64_t kReachOfBits = 1U << 15;
    if (far < (test.kind == Test::Kind::Bit ? kReachOfBits : kReach)) {
        jump_if_one(test, to);
        return;
    }
    Test other = test;
    other.inverted = !test.inverted;
    if (test.kind == Test::Kind::Flags)
        other.code = asmjit::a64::negateCond(test.code);
    const Label over = as_.newLabel();
    jump_if_one(other, over);
    as_.b(to);
    as_.bind(over);
}

void Emitter::jump_if(CondCode code, const Label& to, std::uint64_t far) {
    jump_if(Test{.kind = Test::Kind::Flags, .code = code}, to, far);
}

/// The cheapest test of a condition: of a register, of one bit, or of the flags. `near`: one bit
/// can be tested.
Emitter::Test Emitter::test(Cond cond, unsigned width, Ref a, Ref b, bool near) {
    if (!is_constant(b) || is_constant(a))
        return {.kind = Test::Kind::Flags, .code = compare(cond, width, a, b)};
    const std::uint64_t n = number(b, width);
    const unsigned sign = width * 8 - 1;
    const bool zero = n == 0;
    if (zero && (cond == Cond::Eq || cond == Cond::Ne || cond == Cond::Ule || cond == Cond::Ugt))
        return {.kind = Test::Kind::Zero,
                .inverted = cond == Cond::Ne || cond == Cond::Ugt,
                .reg = value(a, kX17, width)};
    const auto bit = [&](unsigned which, bool set) {
        return Test{.kind = Test::Kind::Bit,
                    .inverted = set,
                    .reg = value(a, kX17, which < 32 ? 4 : 8),
                    .bit = which};
    };
    if (near && zero && (cond == Cond::Slt || cond == Cond::Sge))
        return bit(sign, cond == Cond::Slt);
    if (near && (cond == Cond::Test || cond == Cond::TestNot) && std::has_single_bit(n))
        return bit(static_cast<unsigned>(std::countr_zero(n)), cond == Cond::Test);
    return {.kind = Test::Kind::Flags, .code = compare(cond, width, a, b)};
}

// --- blocks ---

bool Emitter::is_empty(std::uint32_t index) {
    const ir::Block& block = graph_->blocks[index];
    if (block.term != Term::Jump)
        return false;
    for (Ref ref = block.first; ref < block.last; ++ref) {
        const Node& node = at(ref);
        if (node.op != Op::None && node.op != Op::Phi && !is_remade(node.op))
            return false;
    }
    return !needs_moves(index, block.successors[0]);
}

/// Where control really goes: blocks that do nothing are not written.
void Emitter::find_goals() {
    const auto count = static_cast<std::uint32_t>(graph_->blocks.size());
    std::vector<bool> empty(count);
    for (std::uint32_t i = 0; i < count; ++i)
        empty[i] = i != 0 && !graph_->blocks[i].dead && is_empty(i);
    goals_.resize(count);
    for (std::uint32_t i = count; i-- > 0;) {
        std::uint32_t goal = i;
        std::uint32_t steps = 0;
        for (; empty[goal] && steps < count; ++steps) {
            goal = graph_->blocks[goal].successors[0];
            if (goal > i) // Its own is known.
                goal = goals_[goal];
        }
        goals_[i] = steps == count ? i : goal; // Else it is a loop that does nothing.
    }
}

/// The block whose code stands behind this one's.
std::uint32_t Emitter::next_of(std::uint32_t index) const noexcept {
    ++index;
    while (index < graph_->blocks.size() && !is_written(index))
        ++index;
    return index;
}

void Emitter::branch(std::uint32_t index) {
    const ir::Block& block = graph_->blocks[index];
    Cond cond = block.cond;
    const std::uint32_t next = next_of(index);
    std::uint32_t taken = block.successors[1];
    std::uint32_t other = block.successors[0];
    const auto exchange = [&] {
        std::swap(taken, other);
        cond = ir::opposite(cond);
    };
    const auto follows = [&](std::uint32_t to) {
        return goals_[to] == next && (to == next || !needs_moves(index, to));
    };
    // The one that follows is not jumped to.
    if (follows(taken) && !follows(other))
        exchange();
    // A way back, or the only one that needs moves, goes on here: one jump less.
    if (needs_moves(index, taken) &&
        (taken <= index || (!needs_moves(index, other) && !follows(other))))
        exchange();
    const bool by_stub = needs_moves(index, taken);
    const std::uint32_t goal = goals_[taken];
    const std::uint64_t far = by_stub ? distance_to_stubs(index) : distance(index, goal);
    constexpr std::uint64_t kNear = 1U << 15;
    const Test made = test(cond, block.width, block.a, block.b, far < kNear);
    if (by_stub) {
        const Label stub = as_.newLabel();
        stubs_.push_back({.kind = Stub::Kind::Edge, .from = stub, .block = index, .to = taken});
        jump_if(made, stub, far);
    } else {
        jump_if(made, blocks_[goal], far);
    }
    edge(index, other);
    if (goals_[other] != next)
        as_.b(blocks_[goals_[other]]);
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
        const std::uint32_t goal = goals_[block.successors[0]];
        if (goal != next_of(index))
            as_.b(blocks_[goal]);
        return;
    }
    case Term::Return:
        note_line(block.insn);
        if (block.a != 0)
            materialise(reg(kX0), block.a);
        epilogue();
        as_.ret(reg(kLink));
        return;
    }
}

void Emitter::block(std::uint32_t index) {
    block_ = index;
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

// --- frames ---

/// Pairs of 8 bytes of the BPF stack become zero.
void Emitter::zero_frame() {
    constexpr std::int32_t kReach = 512;
    std::int64_t from = slot_bytes_;
    const std::int64_t end = from + stack_bytes_;
    while (from < end) {
        add_number(as_, reg(kX16), sp, from, reg(kX16));
        const auto piece = static_cast<std::int32_t>(std::min<std::int64_t>(end - from, kReach));
        std::int32_t at = 0;
        for (; at + 16 <= piece; at += 16)
            as_.stp(zero(8), zero(8), ptr(reg(kX16), at));
        if (at < piece)
            as_.str(zero(8), ptr(reg(kX16), at));
        from += piece;
    }
}

/// Arguments go to their places at once.
void Emitter::place_arguments() {
    moves_.clear();
    const ir::Block& entry = graph_->blocks[0];
    for (Ref ref = entry.first; ref < entry.last; ++ref) {
        const Node& node = at(ref);
        if ((node.op != Op::Param && node.op != Op::Run) || place(ref) == Allocation::kNowhere)
            continue;
        const std::size_t index =
            node.op == Op::Run ? run_argument(function_) : static_cast<std::size_t>(node.imm);
        moves_.push_back(
            {.to = place(ref), .from = static_cast<std::int16_t>(target().arguments[index])});
    }
    move_all(moves_);
}

void Emitter::prologue() {
    saved_.clear();
    if (graph_->calls || !graph_->checks.empty()) {
        saved_.push_back(kFramePointer);
        saved_.push_back(kLink);
    }
    for (std::uint8_t number = kX19; number <= kX28; ++number)
        if ((allocation_->used >> number & 1) != 0)
            saved_.push_back(number);
    const auto bytes = static_cast<std::int32_t>((saved_.size() + 1) / 2 * 16);
    for (std::size_t i = 0; i < saved_.size(); i += 2) {
        const auto offset = static_cast<std::int32_t>(i * 8);
        const Mem to = i == 0 ? asmjit::a64::ptr_pre(sp, -bytes) : ptr(sp, offset);
        if (i + 1 < saved_.size())
            as_.stp(reg(saved_[i]), reg(saved_[i + 1]), to);
        else
            as_.str(reg(saved_[i]), to);
    }
    if (!saved_.empty() && saved_.front() == kFramePointer)
        as_.mov(reg(kFramePointer), sp);
    slot_bytes_ = allocation_->slots * 8;
    stack_bytes_ = (graph_->frame_bytes + 7) / 8 * 8;
    frame_size_ = (slot_bytes_ + stack_bytes_ + 15) / 16 * 16;
    if (frame_size_ != 0)
        add_number(as_, sp, sp, -std::int64_t{frame_size_}, reg(kX16));
    if (graph_->zero_frame)
        zero_frame();
    place_arguments();
}

/// Changes no register that is allocated or holds an argument, nor x16 and x17.
void Emitter::epilogue() {
    if (frame_size_ != 0)
        add_number(as_, sp, sp, frame_size_, reg(kX15));
    const auto bytes = static_cast<std::int32_t>((saved_.size() + 1) / 2 * 16);
    for (std::size_t pair = (saved_.size() + 1) / 2; pair-- > 0;) {
        const std::size_t i = pair * 2;
        const Mem from =
            i == 0 ? asmjit::a64::ptr_post(sp, bytes) : ptr(sp, static_cast<std::int32_t>(i * 8));
        if (i + 1 < saved_.size())
            as_.ldp(reg(saved_[i]), reg(saved_[i + 1]), from);
        else
            as_.ldr(reg(saved_[i]), from);
    }
}

void Emitter::stubs() {
    for (std::size_t i = 0; i < stubs_.size(); ++i) {
        const Stub stub = stubs_[i];
        as_.bind(stub.from);
        switch (stub.kind) {
        case Stub::Kind::Edge:
            edge(stub.block, stub.to);
            as_.b(blocks_[goals_[stub.to]]);
            break;
        case Stub::Kind::Check: {
            const Node& node = at(stub.ref);
            materialise(reg(kX0), node.b);
            load_number(as_, reg(kX1), reinterpret_cast<std::uint64_t>(&program_));
            load_number(as_, reg(kX2), node.insn);
            load_number(as_, reg(kX16), reinterpret_cast<std::uint64_t>(&support::wrong_fact));
            as_.blr(reg(kX16));
            load_number(as_, reg(kX0), 0);
            epilogue();
            as_.ret(reg(kLink));
            break;
        }
        }
    }
    stubs_.clear();
}

void Emitter::emit(const ir::Graph& graph, const Allocation& allocation, std::uint32_t function) {
    function_ = function;
    graph_ = &graph;
    allocation_ = &allocation;
    line_ = 0;
    as_.align(asmjit::AlignMode::kCode, 16);
    const auto begin = static_cast<std::uint32_t>(as_.offset());
    as_.bind(functions_[function]);
    blocks_.clear();
    for (std::size_t i = 0; i < graph.blocks.size(); ++i)
        blocks_.push_back(as_.newLabel());
    bound_sizes();
    find_goals();
    prologue();
    for (std::uint32_t i = 0; i < graph.blocks.size(); ++i)
        if (is_written(i))
            block(i);
    stubs();
    order_.push_back(function);
    image_.functions.push_back(
        {.offset = begin, .size = static_cast<std::uint32_t>(as_.offset()) - begin, .name = {}});
}

} // namespace skep::jit::a64

namespace skep::jit {

std::unique_ptr<Backend> make_a64(const Program& program, std::uint32_t functions,
                                  const Options& options) {
    return std::make_unique<a64::Emitter>(program, functions, options);
}

} // namespace skep::jit
