// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

/// The compiler's intermediate form: one function of machine code as a list of nodes in static
/// single assignment, grouped into blocks that stand in reverse postorder.
///
/// Invariants:
/// 1. An operand of a node stands before it, but for operands of phis that come along back edges.
/// 2. A block's nodes are consecutive, its phis first.
/// 3. Every value is 64 bits wide. Nodes of width 4 compute on the low halves of their operands and
///    clear the upper half of their result.
/// 4. Loads, stores, atomics and calls keep their order.
namespace skep::jit::ir {

/// A node by its index; 0: none.
using Ref = std::uint32_t;

enum class Op : std::uint8_t {
    None,  ///< deleted
    Const, ///< imm
    Param, ///< imm: the number of the argument register, 0 to 4
    Run,   ///< the exec::RunContext of this run
    Frame, ///< address: the end of the function's stack plus imm
    Phi,   ///< operands [a, a + b) of Graph::pool, in the order of the block's predecessors

    // Two operands, a and b.
    Add,
    Sub,
    Mul,
    And,
    Or,
    Xor,
    Shl, ///< counts are taken modulo the width
    Shr,
    Sar,
    Rol,
    MulHigh, ///< the upper half of the 128-bit product of unsigned numbers
    Udiv,    ///< division by zero yields 0; kNonZero: b is not 0
    Umod,    ///< by zero: a
    Sdiv,
    Smod,
    Lea, ///< a + (b << scale) + imm, 64 bits; b may be none

    // One operand, a.
    Neg,
    Swap16, ///< of the low 16 bits; the rest becomes zero
    Swap32,
    Swap64,
    Sext8,
    Sext16,
    Sext32,
    Zext8,
    Zext16,
    Zext32,

    Select, ///< cond(a, b) ? pool[c] : pool[c + 1]; width of the comparison

    // Memory at a + (c << scale) + imm, c may be none; width: bytes.
    Load,   ///< kSigned: sign-extended. b: the epoch of memory in which it was made, no operand
    Store,  ///< the low bytes of b
    Update, ///< memory = memory `aux` b, plain; aux: Op (made by select())

    // Atomics at a + imm; width 4 or 8.
    AtomicAdd, ///< b; kFetch: the result is the old value
    AtomicOr,
    AtomicAnd,
    AtomicXor,
    AtomicXchg,
    AtomicCmpxchg, ///< writes b if memory equals c; the result is the old value
    LoadAcquire,
    StoreRelease,

    Call,            ///< imm: address of a C function; arguments [a, a + b) of the pool; result r0
    CallLocal,       ///< imm: function of the program, by index; arguments likewise
    FunctionAddress, ///< imm: function of the program: its address
    TailCall, ///< operands [a, a + 4) of the pool: context, map, index, run. Goes on if it fails
    Check,    ///< imm: index into Graph::checks: a must be a number as stated there; b: the run
    Count_,
};

/// Conditions, as pairs of opposites.
enum class Cond : std::uint8_t {
    Eq,
    Ne,
    Ult,
    Uge,
    Ule,
    Ugt,
    Slt,
    Sge,
    Sle,
    Sgt,
    Test,    ///< (a & b) != 0
    TestNot, ///< (a & b) == 0
};
[[nodiscard]] constexpr Cond opposite(Cond cond) noexcept {
    return static_cast<Cond>(std::to_underlying(cond) ^ 1U);
}
/// The condition with its operands exchanged.
[[nodiscard]] constexpr Cond mirrored(Cond cond) noexcept {
    switch (cond) {
    case Cond::Ult:
        return Cond::Ugt;
    case Cond::Ugt:
        return Cond::Ult;
    case Cond::Ule:
        return Cond::Uge;
    case Cond::Uge:
        return Cond::Ule;
    case Cond::Slt:
        return Cond::Sgt;
    case Cond::Sgt:
        return Cond::Slt;
    case Cond::Sle:
        return Cond::Sge;
    case Cond::Sge:
        return Cond::Sle;
    default:
        return cond;
    }
}

enum Flags : std::uint8_t {
    kUpperZero = 1, ///< the upper half of the result is zero
    kSigned = 2,    ///< of loads
    kFetch = 4,     ///< of atomics
    kNonZero = 8,   ///< Udiv and the like: b is not 0; of others: the result is not 0
    kFolded = 16,   ///< computed by its only user (set by select())
    kPassRun = 32,  ///< of calls: the last operand is the run, and the sixth argument
};

inline constexpr std::uint8_t kNoHome = 0xff;

struct Node {
    Op op = Op::None;
    std::uint8_t width = 8;
    /// The BPF register that the value was written to: where it is best kept. kNoHome: none.
    std::uint8_t home = kNoHome;
    std::uint8_t flags = 0;
    Ref a = 0;
    Ref b = 0;
    Ref c = 0;
    std::int64_t imm = 0;
    std::uint32_t insn = 0; ///< the instruction that it comes from
    std::uint16_t uses = 0; ///< saturates
    std::uint8_t scale = 0; ///< of Lea and memory: 0 to 3
    std::uint8_t aux = 0;   ///< of Select: Cond; of Update: Op

    [[nodiscard]] bool has(Flags flag) const noexcept { return (flags & flag) != 0; }
};
static_assert(sizeof(Node) == 32);

/// Which fields of a node are operands.
struct Shape {
    bool a : 1 = false;
    bool b : 1 = false;
    bool c : 1 = false;
    bool pool : 1 = false;   ///< operands are in the pool, at a; b of them
    bool result : 1 = false; ///< it has a value
    bool effect : 1 = false; ///< it must stay though nobody uses the value
    bool memory : 1 = false; ///< a, c, scale and imm are an address
};
namespace detail {
inline constexpr Shape kBinary{.a = true, .b = true, .result = true};
inline constexpr Shape kUnary{.a = true, .result = true};
inline constexpr Shape kLeaf{.result = true};
inline constexpr Shape kAtomic{.a = true, .b = true, .result = true, .effect = true};
inline constexpr std::array<Shape, std::to_underlying(Op::Count_)> kShapes = [] {
    std::array<Shape, std::to_underlying(Op::Count_)> shapes{};
    const auto set = [&](Op first, Op last, Shape shape) {
        for (auto i = std::to_underlying(first); i <= std::to_underlying(last); ++i)
            shapes[i] = shape;
    };
    set(Op::Const, Op::Frame, kLeaf);
    set(Op::Phi, Op::Phi, {.pool = true, .result = true});
    set(Op::Add, Op::Lea, kBinary);
    set(Op::Neg, Op::Zext32, kUnary);
    set(Op::Select, Op::Select, kBinary); // and two in the pool
    set(Op::Load, Op::Load, {.a = true, .c = true, .result = true, .memory = true});
    set(Op::Store, Op::Update, {.a = true, .b = true, .c = true, .effect = true, .memory = true});
    set(Op::AtomicAdd, Op::AtomicXchg, kAtomic);
    set(Op::AtomicCmpxchg, Op::AtomicCmpxchg,
        {.a = true, .b = true, .c = true, .result = true, .effect = true});
    set(Op::LoadAcquire, Op::LoadAcquire, {.a = true, .result = true, .effect = true});
    set(Op::StoreRelease, Op::StoreRelease, {.a = true, .b = true, .effect = true});
    set(Op::Call, Op::CallLocal, {.pool = true, .result = true, .effect = true});
    set(Op::FunctionAddress, Op::FunctionAddress, kLeaf);
    set(Op::TailCall, Op::TailCall, {.pool = true, .effect = true});
    set(Op::Check, Op::Check, {.a = true, .b = true, .effect = true});
    return shapes;
}();
} // namespace detail
[[nodiscard]] constexpr Shape shape_of(Op op) noexcept {
    return detail::kShapes[std::to_underlying(op)];
}

/// How a block ends.
enum class Term : std::uint8_t {
    Jump,   ///< to successor 0
    Branch, ///< cond(a, b): to successor 1, else to successor 0
    Return, ///< a
};

struct Block {
    std::uint32_t first = 0; ///< nodes [first, last)
    std::uint32_t last = 0;
    std::array<std::uint32_t, 2> successors{};
    std::uint32_t successor_count = 0;
    std::uint32_t predecessors = 0; ///< [predecessors, + predecessor_count) of Graph::predecessors
    std::uint32_t predecessor_count = 0;
    Term term = Term::Jump;
    Cond cond = Cond::Eq;
    std::uint8_t width = 8; ///< of the comparison
    bool dead = false;      ///< merged into another one
    Ref a = 0;              ///< compared, or returned
    Ref b = 0;              ///< compared
    std::uint32_t insn = 0; ///< of the terminator
    std::uint32_t loop = 0; ///< innermost loop, 1 + index into Graph::loops; 0: none
    std::uint32_t phis = 0; ///< how many
};

/// Blocks [first, last] of which control can come back to the first. Loops lie within each other or
/// apart.
struct Loop {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::uint32_t parent = 0; ///< 1 + index; 0: none
    std::uint32_t depth = 1;
};

/// A value that must lie in these bounds, when facts are tested.
struct Check {
    std::uint64_t umin, umax;
    std::int64_t smin, smax;
    std::uint64_t bits, unknown;
};

/// One function of machine code.
struct Graph {
    std::vector<Node> nodes; ///< from 1
    std::vector<Ref> pool;
    std::vector<Block> blocks; ///< in reverse postorder
    std::vector<std::uint32_t> predecessors;
    std::vector<Loop> loops;
    std::vector<Check> checks;
    std::uint32_t frame_bytes = 0; ///< of BPF stack that is in memory
    bool zero_frame = false;
    bool calls = false;

    [[nodiscard]] Node& at(Ref ref) noexcept { return nodes[ref]; }
    [[nodiscard]] const Node& at(Ref ref) const noexcept { return nodes[ref]; }
    void clear() noexcept {
        nodes.clear();
        nodes.emplace_back();
        pool.clear();
        blocks.clear();
        predecessors.clear();
        loops.clear();
        checks.clear();
        frame_bytes = 0;
        zero_frame = calls = false;
    }
};

/// Calls visit(Ref&) for each operand. Those of phis are 0 where nobody reads the value.
template <class G, class N, class Visit>
void for_each_operand(G& graph, N& node, Visit&& visit) {
    const Shape shape = shape_of(node.op);
    if (shape.pool) {
        for (std::uint32_t i = 0; i < node.b; ++i)
            if (graph.pool[node.a + i] != 0)
                visit(graph.pool[node.a + i]);
        return;
    }
    if (shape.a && node.a != 0)
        visit(node.a);
    if (shape.b && node.b != 0)
        visit(node.b);
    if (shape.c && node.c != 0)
        visit(node.c);
    if (node.op == Op::Select) {
        visit(graph.pool[node.c]);
        visit(graph.pool[node.c + 1]);
    }
}

} // namespace skep::jit::ir
