// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "domain/fact.hpp"
#include "skep/isa/insn.hpp"

namespace skep::verifier {

using domain::Fact;
using domain::i64;
using domain::u32;
using domain::u64;
using std::uint16_t;
using std::uint8_t;

/// A number that has a name: equal symbols are equal numbers, on this path. Symbol 0 is zero.
using Sym = u32;

enum class Kind : uint8_t { Uninit, Scalar, Pointer };

enum class Region : uint8_t {
    None,
    Context,
    Stack,     ///< aux: frame
    Packet,    ///< offset from data
    Meta,      ///< offset from data_meta
    PacketEnd, ///< data_end itself
    MapValue,  ///< aux: map
    Map,       ///< aux: map
    Memory,    ///< aux: bytes
    Socket,    ///< aux: spec::SocketKind, and the instance of its owner << kOwnerShift
    Object,    ///< a kernel object that only helpers look into; aux: kIsSocket, and the owner
    FlowKeys,  ///< struct bpf_flow_keys
    Function,  ///< aux: its first slot
    Iterator,  ///< in a stack cell only; aux: 1 if it may still give a number, else 0
};

/// What a register or a stack cell holds: nothing, a number, or a pointer. The number, or the
/// pointer's distance from the start of its region, is sym + off (mod 2^64).
struct Val {
    Kind kind = Kind::Uninit;
    Region region = Region::None;
    bool nullable = false;
    bool read_only = false;
    u32 aux = 0;
    u32 instance = 0; ///< of pointers that a call returned: one null test tells about all copies
    Sym sym = 0;
    i64 off = 0;

    friend bool operator==(const Val&, const Val&) = default;
};

/// Of sockets and objects: what aux is besides the owner, the instance that was taken when it
/// became the program's (0: it did not).
constexpr u32 kOwnerShift = 2;
constexpr u32 kIsSocket = 1;
[[nodiscard]] inline bool has_owner(const Val& val) {
    return val.kind == Kind::Pointer &&
           (val.region == Region::Socket || val.region == Region::Object);
}
[[nodiscard]] inline u32 owner_of(const Val& val) {
    return has_owner(val) ? val.aux >> kOwnerShift : 0;
}
[[nodiscard]] inline u32 class_of(const Val& val) {
    return has_owner(val) ? val.aux & ((1U << kOwnerShift) - 1) : val.aux;
}

[[nodiscard]] inline Val number(Sym sym, i64 off = 0) {
    return {.kind = Kind::Scalar, .sym = sym, .off = off};
}

/// How a symbol came to be; of a symbol that nothing is known of, Op::Source.
enum class Op : uint8_t {
    Source,
    ZeroExtend,
    SignExtend,
    And,
    ShiftLeft,
    ShiftRight,
    Add,
    Subtract
};

struct Node {
    Op op = Op::Source;
    uint8_t width = 64; ///< of extensions: bits
    Sym a = 0;
    i64 a_off = 0;
    Sym b = 0; ///< of Add and Subtract
    i64 b_off = 0;
    u64 imm = 0; ///< mask or shift count

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
    void mark(Sym sym, u32 number) const { marks_[sym] = {stamp_, number}; }
    /// The mark, or none.
    [[nodiscard]] u32 marked(Sym sym, u32 none) const {
        return marks_[sym].stamp == stamp_ ? marks_[sym].number : none;
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

/// Four bytes of stack. A store of 1, 2, 4 or 8 bytes at the first of them is remembered whole.
struct Cell {
    Val val;
    uint8_t size = 0; ///< bytes of `val` that were stored here; 0: none; kRest: of the cell before
    uint8_t written = 0; ///< a bit per byte
    static constexpr uint8_t kRest = 0xff;

    friend bool operator==(const Cell&, const Cell&) = default;
};

struct Frame {
    std::array<Val, isa::kRegisters> regs{};
    std::vector<Cell> stack; ///< [i]: bytes -4 * (i + 1) to -4 * i - 1
    u32 return_to = 0;       ///< slot behind the call, or of the call if it is a callback's frame
    u32 callback = 0;        ///< the helper that called this function; 0: the program did
    u32 function = 0;        ///< its first slot
    u32 round = 0;           ///< of the callback that is being called, where rounds are counted
    u32 references = 0;      ///< how many were held when a callback began

    [[nodiscard]] Cell* cell(i64 offset) {
        const auto index = static_cast<std::size_t>((-offset - 1) / 4);
        return index < stack.size() ? &stack[index] : nullptr;
    }
};

/// sym + c <= the packet's length (Region::Packet), or <= the bytes of metadata (Region::Meta).
struct PacketBound {
    Region region = Region::Packet;
    Sym sym = 0;
    i64 c = 0;

    friend bool operator==(const PacketBound&, const PacketBound&) = default;
};

/// What holds at one point of the program, on some paths to it.
struct State {
    std::vector<Frame> frames;
    std::vector<std::pair<Sym, Fact>> facts; ///< by symbol; of the others nothing is known
    std::vector<PacketBound> bounds;         ///< at most one for each region and symbol
    std::vector<u32> references; ///< instances that must be given back, in the order of taking
    u32 held_lock = 0;           ///< instance + 1 of the value whose lock is held
    u32 held_map = 0;            ///< and its map

    [[nodiscard]] Frame& frame() { return frames.back(); }
    [[nodiscard]] const Frame& frame() const { return frames.back(); }
    [[nodiscard]] Fact fact(Sym sym) const;
    void set_fact(Sym sym, const Fact& fact);
    /// There is a fact of this symbol.
    [[nodiscard]] bool knows(Sym sym) const;
    /// The bound of a symbol, or nullptr.
    [[nodiscard]] const PacketBound* bound(Region region, Sym sym) const;
    void add_bound(const PacketBound& bound);
    /// What is known of a value.
    [[nodiscard]] Fact of(const Val& val) const;
};

/// Refines a symbol and all that depend on it or define it. False: no such state.
[[nodiscard]] bool refine(State& state, const Symbols& symbols, Sym sym, const Fact& with);
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
