// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "skep/base/pool.hpp"
#include "skep/isa/insn.hpp"
#include "stack.hpp"

namespace skep::verifier {

/// How a symbol came to be; of a symbol that nothing is known of, Op::Source.
enum class Op : uint8_t {
    Source,
    ZeroExtend,
    SignExtend,
    And,
    ShiftLeft,
    ShiftRight,
    Add,
    Subtract,
    Multiply
};

struct Node {
    Op op = Op::Source;
    uint8_t width = 64; ///< of extensions: bits
    Sym a = 0;
    i64 a_off = 0;
    Sym b = 0; ///< of Add and Subtract
    i64 b_off = 0;
    u64 imm = 0; ///< mask, shift count or factor

    friend bool operator==(const Node&, const Node&) = default;
};

/// All symbols of one analysis. Append-only: a symbol never changes its meaning.
class Symbols {
public:
    Symbols() : nodes_(1) {}
    Sym fresh() { return make({}); }
    Sym make(const Node& node) {
        nodes_.push_back(node);
        return static_cast<Sym>(nodes_.size() - 1);
    }
    [[nodiscard]] const Node& operator[](Sym sym) const { return nodes_[sym]; }

    // A number beside each symbol, for one comparison of states at a time.
    void unmark_all() const {
        if (++stamp_ == 0) {
            marks_.clear();
            stamp_ = 1;
        }
        marks_.resize(nodes_.size());
    }
    /// Of a symbol that was there when they were unmarked.
    void mark(Sym sym, u32 number) const { marks_[sym] = {stamp_, number}; }
    /// The mark, or none: as of symbols that were made since unmark_all().
    [[nodiscard]] u32 marked(Sym sym, u32 none) const {
        return sym < marks_.size() && marks_[sym].stamp == stamp_ ? marks_[sym].number : none;
    }

private:
    struct Mark {
        u32 stamp = 0;
        u32 number = 0;
    };
    std::vector<Node> nodes_;
    mutable std::vector<Mark> marks_;
    mutable u32 stamp_ = 0;
};

struct Frame {
    std::array<Val, isa::kRegisters> regs{};
    Stack stack;
    u32 return_to = 0;  ///< slot behind the call, or of the call if it is a callback's frame
    u32 callback = 0;   ///< the helper that called this function; 0: the program did
    u32 function = 0;   ///< its first slot
    u32 round = 0;      ///< of the callback that is being called, where rounds are counted
    u32 references = 0; ///< how many were held when a callback began
};

/// sym + c <= the packet's length (Region::Packet), or <= the bytes of metadata (Region::Meta).
struct PacketBound {
    Region region = Region::Packet;
    Sym sym = 0;
    i64 c = 0;

    friend bool operator==(const PacketBound&, const PacketBound&) = default;
};

/// a - b <= c, of the symbols as signed numbers (not modulo anything).
struct Difference {
    Sym a = 0;
    Sym b = 0;
    i64 c = 0;

    friend bool operator==(const Difference&, const Difference&) = default;
};

/// What holds at one point of the program, on some paths to it.
struct State {
    PoolVector<Frame> frames;
    PoolVector<std::pair<Sym, Fact>> facts; ///< by symbol; of the others nothing is known
    PoolVector<PacketBound> bounds;         ///< at most one for each region and symbol
    PoolVector<Difference> differences;     ///< few: at most kMostDifferences
    PoolVector<u32> references; ///< instances that must be given back, in the order of taking
    u32 held_lock = 0;          ///< instance + 1 of the value whose lock is held
    u32 held_map = 0;           ///< and its map

    [[nodiscard]] Frame& frame() { return frames.back(); }
    [[nodiscard]] const Frame& frame() const { return frames.back(); }
    /// What is known of a symbol; valid until a fact changes.
    [[nodiscard]] const Fact& fact(Sym sym) const;
    void set_fact(Sym sym, const Fact& fact);
    /// There is a fact of this symbol.
    [[nodiscard]] bool knows(Sym sym) const;
    /// The bound of a symbol, or nullptr.
    [[nodiscard]] const PacketBound* bound(Region region, Sym sym) const;
    void add_bound(const PacketBound& bound);

    static constexpr std::size_t kMostDifferences = 16;
    static constexpr i64 kUnbounded = INT64_MAX;
    /// The least c that is known with a - b <= c, as signed numbers; kUnbounded: none is. Looks at
    /// `depth` differences in a row, and at the facts.
    [[nodiscard]] i64 difference(Sym a, Sym b, int depth = 3) const;
    /// Notes a - b <= c. One more than there is room for is forgotten.
    void add_difference(const Difference& difference);
    /// What is known of a value.
    [[nodiscard]] Fact of(const Val& val) const;
};

/// Refines a symbol and all that depend on it or define it. False: no such state.
[[nodiscard]] bool refine(State& state, const Symbols& symbols, Sym sym, const Fact& with);
/// The most that the sum of two numbers is, as a signed one; State::kUnbounded: it may wrap around.
/// Knows of sums in which what is added here is taken off there.
[[nodiscard]] i64 highest_sum(const State& state, const Symbols& symbols, const Val& a,
                              const Val& b);
/// The fact of a node from those of its operands.
[[nodiscard]] Fact evaluate(const State& state, const Node& node);

/// Drops what no register or cell refers to.
void forget_unused(State& state, const Symbols& symbols);

/// A hash of all that joined states must have in common: kinds, regions, nullness, resources.
[[nodiscard]] u64 shape(const State& state);
/// Every concrete state of a is one of b.
[[nodiscard]] bool within(const State& a, const State& b, const Symbols& symbols);
/// A state that holds both. Requires the same shape. With `widening`, what b adds to a goes beyond
/// b, so that a series of joins ends.
[[nodiscard]] State join(const State& a, const State& b, Symbols& symbols,
                         const domain::Widening* widening = nullptr);

} // namespace skep::verifier
