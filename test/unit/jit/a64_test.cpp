// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The back end for arm64 on graphs made by hand and at random. Everywhere: each instruction can be
// encoded. On arm64: the code gives what the operations are defined to give.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <optional>
#include <set>
#include <vector>

#include "a64/combine.hpp"
#include "a64/emit_basics.hpp"
#include "allocate.hpp"
#include "emitted.hpp"
#include "maker.hpp"
#include "memory/code_memory.hpp"
#include "select.hpp"
#include "skep/exec/run_context.hpp"
#include "skep/program/program.hpp"

namespace skep::jit {
namespace {

using ir::Cond;
using ir::Op;
using ir::Ref;

// --- numbers that instructions hold ---

/// Every number that the architecture manual's definition of logical immediates gives.
std::set<std::uint64_t> logical_numbers(unsigned width) {
    std::set<std::uint64_t> all;
    for (unsigned part = 2; part <= width * 8; part *= 2)
        for (unsigned ones = 1; ones < part; ++ones)
            for (unsigned by = 0; by < part; ++by) {
                const std::uint64_t low = ~std::uint64_t{0} >> (64 - part);
                const std::uint64_t run = ~std::uint64_t{0} >> (64 - ones);
                const std::uint64_t rotated =
                    by == 0 ? run : (run >> by | run << (part - by)) & low;
                std::uint64_t whole = 0;
                for (unsigned at = 0; at < width * 8; at += part)
                    whole |= rotated << at;
                all.insert(whole);
            }
    return all;
}

TEST(logical_immediates, are_those_of_the_manual) {
    for (const unsigned width : {4U, 8U}) {
        const auto all = logical_numbers(width);
        EXPECT_EQ(all.size(), width == 8 ? 5334U : 1302U);
        for (const std::uint64_t number : all) {
            EXPECT_TRUE(a64::fits_logical(number, width)) << std::hex << number;
            for (unsigned bit = 0; bit < width * 8; ++bit) {
                const std::uint64_t other = number ^ std::uint64_t{1} << bit;
                EXPECT_EQ(a64::fits_logical(other, width), all.contains(other))
                    << std::hex << other;
            }
        }
    }
}

TEST(add_immediates, have_twelve_bits_and_may_be_shifted_by_twelve) {
    for (const std::uint64_t fits : {0U, 1U, 4095U, 4096U, 0xfff000U})
        EXPECT_TRUE(a64::fits_add(fits)) << fits;
    for (const std::uint64_t not_so : {4097U, 0xfff001U, 0x1000000U})
        EXPECT_FALSE(a64::fits_add(not_so)) << not_so;
}

TEST(offsets, are_scaled_or_small) {
    EXPECT_TRUE(a64::fits_offset(-256, 8));
    EXPECT_FALSE(a64::fits_offset(-257, 1));
    EXPECT_TRUE(a64::fits_offset(255, 8));
    EXPECT_FALSE(a64::fits_offset(257, 2));
    EXPECT_TRUE(a64::fits_offset(258, 2));
    EXPECT_TRUE(a64::fits_offset(32760, 8));
    EXPECT_FALSE(a64::fits_offset(32768, 8));
}

// --- graphs ---

/// A function that is made node by node.
class Function {
public:
    Function() {
        graph.clear();
        for (std::int64_t i = 0; i < 5; ++i)
            params.push_back(make.add({.op = Op::Param, .imm = i}));
        run = make.add({.op = Op::Run});
    }
    /// The nodes so far that belong to no block are the next one.
    ir::Block& end_block() {
        const std::uint32_t first = graph.blocks.empty() ? 1 : graph.blocks.back().last;
        graph.blocks.push_back(
            {.first = first, .last = static_cast<std::uint32_t>(graph.nodes.size())});
        return graph.blocks.back();
    }
    void end_with(Ref result) {
        ir::Block& block = end_block();
        block.term = ir::Term::Return;
        block.a = result;
    }
    void compile() {
        const Program program;
        const Options options;
        const auto backend = make_a64(program, 1, options);
        sweep(graph);
        select(graph, backend->target());
        backend->target().combine(graph);
        allocate(graph, backend->target(), places);
        backend->emit(graph, places, 0);
        code = backend->finish().code;
    }
    /// r0 of the compiled function; nothing where the machine is another one.
    std::optional<std::uint64_t> operator()(const std::array<std::uint64_t, 5>& arguments = {}) {
        if (code.empty())
            compile();
#if defined(__aarch64__)
        auto piece = CodePiece::place(code);
        EXPECT_TRUE(piece.has_value());
        if (!piece)
            return std::nullopt;
        exec::RunContext context;
        const auto entry = reinterpret_cast<exec::HelperFn>(
            reinterpret_cast<std::uintptr_t>(piece->bytes().data()));
        return entry(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                     &context);
#else
        static_cast<void>(arguments);
        return std::nullopt;
#endif
    }

    ir::Graph graph;
    Maker make{graph};
    std::vector<Ref> params;
    Ref run = 0;
    Allocation places;
    std::vector<std::byte> code;
};

void expect(const std::optional<std::uint64_t>& found, std::uint64_t wanted) {
    EXPECT_EQ(found.value_or(wanted), wanted);
}

constexpr std::array<std::uint64_t, 24> kNumbers{
    0,          1,          0xffff,     0x10000,        0x12345678,         0xffff1234,
    0x1234ffff, 0xffffffff, 0xfffffffe, 0x100000000,    0x5555555555555555, 0x123456789abcdef0,
    ~0ULL,      ~1ULL,      ~0xffffULL, ~0x12340000ULL, 0xffff0000ffff0000, 0x0000ffff00001234,
    1ULL << 63, ~0ULL >> 1, 4095,       4096,           0xfff000,           0x1000001,
};

TEST(numbers, are_loaded) {
    for (const std::uint64_t number : kNumbers) {
        Function f;
        f.end_with(f.make.constant(number));
        expect(f(), number);
    }
}

TEST(numbers, are_added_compared_and_masked) {
    for (const std::uint64_t number : kNumbers)
        for (const std::uint64_t x : {std::uint64_t{0}, number, 0x8000000080000001})
            for (const unsigned width : {4U, 8U})
                for (const Op op : {Op::Add, Op::Sub, Op::And, Op::Or, Op::Xor, Op::Mul}) {
                    Function f;
                    f.end_with(f.make.by(op, width, f.params[0], number));
                    expect(f({x}), evaluate(op, width, x, number));
                }
    for (const std::uint64_t number : kNumbers)
        for (const std::uint64_t x : {std::uint64_t{0}, number, 0x8000000080000001})
            for (const unsigned width : {4U, 8U})
                for (auto cond = 0U; cond <= std::to_underlying(Cond::TestNot); ++cond) {
                    Function f;
                    f.end_with(f.make.select(static_cast<Cond>(cond), width, f.params[0],
                                             f.make.constant(number), f.params[1], f.params[2]));
                    expect(f({x, 7, 9}), holds(static_cast<Cond>(cond), width, x, number) ? 7 : 9);
                }
}

TEST(selections, of_constants_are_increments_and_inversions) {
    for (const std::uint64_t yes : {0ULL, 1ULL, ~0ULL, 5ULL})
        for (const std::uint64_t no : {0ULL, 1ULL, ~0ULL, 5ULL})
            for (const std::uint64_t x : {3ULL, 4ULL}) {
                Function f;
                f.end_with(f.make.select(Cond::Ult, 8, f.params[0], f.make.constant(4),
                                         f.make.constant(yes), f.make.constant(no)));
                expect(f({x}), x < 4 ? yes : no);
            }
}

// --- distances ---

/// Goes over `nodes` products if its argument, or one bit of it, is zero.
void branch_over(Function& f, unsigned nodes, Cond cond, std::uint64_t number) {
    const Ref compared = f.make.constant(number);
    ir::Block& first = f.end_block();
    first.term = ir::Term::Branch;
    first.cond = cond;
    first.a = f.params[0];
    first.b = compared;
    first.successors = {1, 2};
    first.successor_count = 2;
    Ref product = f.params[0];
    for (unsigned i = 0; i < nodes; ++i)
        product = f.make.binary(Op::Mul, 8, product, f.params[1]);
    f.end_with(product);
    f.end_with(f.make.constant(77));
}

TEST(branches, reach_over_any_distance) {
    for (const unsigned nodes : {1U, 10'000U, 270'000U})
        for (const Cond cond : {Cond::Eq, Cond::TestNot, Cond::Ult}) {
            Function f;
            branch_over(f, nodes, cond, cond == Cond::TestNot ? 4 : cond == Cond::Ult ? 1 : 0);
            expect(f({0, 3}), 77);
            std::uint64_t power = 5;
            for (unsigned i = 0; i < nodes; ++i)
                power *= 3;
            expect(f({5, 3}), power);
            EXPECT_GE(f.code.size(), nodes * 4);
        }
}

TEST(slots, may_be_far_from_the_stack_pointer) {
    constexpr unsigned kCount = 6000;
    Function f;
    std::vector<Ref> values;
    for (unsigned i = 0; i < kCount; ++i) // Each needs a place until the end.
        values.push_back(f.make.add({.op = Op::MulHigh, .a = f.params[i % 2], .b = f.params[2]}));
    Ref sum = f.make.constant(0);
    for (unsigned i = kCount; i-- > 0;)
        sum = f.make.binary(Op::Add, 8, f.make.by(Op::Rol, 8, sum, 1), values[i]);
    f.end_with(sum);
    const std::array<std::uint64_t, 5> arguments{0x123456789abcdef0, 0xfedcba9876543210,
                                                 0xa5a5a5a55a5a5a5a};
    std::uint64_t wanted = 0;
    for (unsigned i = kCount; i-- > 0;)
        wanted = std::rotl(wanted, 1) +
                 static_cast<std::uint64_t>(
                     static_cast<unsigned __int128>(arguments[i % 2]) * arguments[2] >> 64);
    expect(f(arguments), wanted);
    EXPECT_GT(f.places.slots, 4096U); // What a load reaches from sp.
}

// --- random graphs ---

class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() noexcept {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }
    std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
    /// Any number of bits, near limits as often as not.
    std::uint64_t number() noexcept {
        const std::uint64_t shift = below(64);
        switch (below(6)) {
        case 0:
            return kNumbers[below(kNumbers.size())];
        case 1:
            return (std::uint64_t{1} << shift) - below(3);
        case 2:
            return ~(std::uint64_t{1} << shift);
        case 3:
            return below(70);
        default:
            return next() >> shift;
        }
    }

private:
    std::uint64_t state_;
};

std::uint64_t evaluate_unary(Op op, unsigned width, std::uint64_t x) {
    const auto cut = [&](std::int64_t value) {
        const auto bits = static_cast<std::uint64_t>(value);
        return width == 4 ? bits & UINT32_MAX : bits;
    };
    switch (op) {
    case Op::Neg:
        return evaluate(Op::Sub, width, 0, x);
    case Op::Swap16:
        return std::byteswap(static_cast<std::uint16_t>(x));
    case Op::Swap32:
        return std::byteswap(static_cast<std::uint32_t>(x));
    case Op::Swap64:
        return std::byteswap(x);
    case Op::Sext8:
        return cut(static_cast<std::int8_t>(x));
    case Op::Sext16:
        return cut(static_cast<std::int16_t>(x));
    case Op::Sext32:
        return cut(static_cast<std::int32_t>(x));
    case Op::Zext8:
        return static_cast<std::uint8_t>(x);
    case Op::Zext16:
        return static_cast<std::uint16_t>(x);
    default:
        return static_cast<std::uint32_t>(x);
    }
}

/// A graph of random operations, with the values that they have.
class RandomGraph {
public:
    static constexpr std::size_t kBytes = 256;

    explicit RandomGraph(std::uint64_t seed) : random_(seed) {
        for (std::uint64_t& argument : arguments)
            argument = random_.number();
        for (std::byte& byte : before)
            byte = static_cast<std::byte>(random_.next());
        memory_ = before;
        arguments[4] = reinterpret_cast<std::uint64_t>(memory.data());
        for (unsigned i = 0; i < 4; ++i)
            values_.push_back({function.params[i], arguments[i]});
        const std::uint64_t count = 5 + random_.below(120);
        for (std::uint64_t i = 0; i < count; ++i)
            step();
        Value sum = values_.back();
        const std::size_t kept = random_.below(30); // More of them: more registers.
        for (std::size_t i = 0; i < std::min(kept, values_.size()); ++i)
            sum = binary(Op::Xor, 8, binary(Op::Rol, 8, sum, constant(7)), values_[i]);
        result = sum.number;
        function.end_with(sum.ref);
    }

    Function function;
    std::array<std::uint64_t, 5> arguments{};
    std::array<std::byte, kBytes> memory{};
    std::array<std::byte, kBytes> before{}; ///< what memory has to be before the run
    std::uint64_t result = 0;
    [[nodiscard]] const std::array<std::byte, kBytes>& after() const noexcept { return memory_; }

private:
    struct Value {
        Ref ref = 0;
        std::uint64_t number = 0;
    };

    Value constant(std::uint64_t number) { return {function.make.constant(number), number}; }
    Value binary(Op op, unsigned width, Value a, Value b) {
        return {function.make.binary(op, width, a.ref, b.ref),
                evaluate(op, width, a.number, b.number)};
    }
    Value unary(Op op, unsigned width, Value a) {
        return {function.make.unary(op, width, a.ref), evaluate_unary(op, width, a.number)};
    }
    /// Mostly one of the last ones: what only one node uses can be folded into it.
    Value pick() {
        const std::size_t last = std::min<std::size_t>(values_.size(), 4);
        return random_.below(3) != 0 ? values_[values_.size() - 1 - random_.below(last)]
                                     : values_[random_.below(values_.size())];
    }
    Value operand() { return random_.below(4) == 0 ? constant(random_.number()) : pick(); }
    unsigned width() { return random_.below(2) == 0 ? 4 : 8; }
    template <std::size_t N>
    Op one_of(const std::array<Op, N>& ops) {
        return ops[random_.below(N)];
    }

    Value shift() {
        constexpr std::array kShifts{Op::Shl, Op::Shr, Op::Sar, Op::Rol};
        const Value count = random_.below(5) == 0 ? pick() : constant(random_.below(64));
        return binary(one_of(kShifts), width(), pick(), count);
    }
    Value extension() {
        constexpr std::array kZeros{Op::Zext8, Op::Zext16, Op::Zext32};
        constexpr std::array kSigns{Op::Sext8, Op::Sext16, Op::Sext32};
        return random_.below(2) == 0 ? unary(one_of(kZeros), 8, pick())
                                     : unary(one_of(kSigns), width(), pick());
    }
    Value selection() {
        const auto cond = static_cast<Cond>(random_.below(std::to_underlying(Cond::TestNot) + 1));
        const unsigned wide = width();
        const Value a = operand();
        const Value b = operand();
        const Value yes = operand();
        const Value no = operand();
        return {function.make.select(cond, wide, a.ref, b.ref, yes.ref, no.ref),
                holds(cond, wide, a.number, b.number) ? yes.number : no.number};
    }

    /// Somewhere in memory: base, maybe an index, maybe an offset.
    struct Address {
        Ref ref = 0;
        std::int64_t offset = 0;
        std::size_t at = 0;
    };
    Address address(unsigned size) {
        Address made{.ref = function.params[4]};
        if (random_.below(2) == 0) {
            const Value index = binary(Op::And, 4, pick(), constant(15));
            Value scaled = index;
            if (random_.below(2) == 0)
                scaled = binary(Op::Shl, 8, scaled,
                                constant(static_cast<unsigned>(std::countr_zero(size))));
            made.ref = function.make.binary(Op::Add, 8, made.ref, scaled.ref);
            made.at = scaled.number;
        }
        const std::uint64_t offset = random_.below(100);
        made.at += offset;
        if (random_.below(2) == 0)
            made.ref = function.make.by(Op::Add, 8, made.ref, offset);
        else
            made.offset = static_cast<std::int64_t>(offset);
        return made;
    }
    Value load() {
        const unsigned size = 1U << random_.below(4);
        const bool is_signed = size < 8 && random_.below(3) == 0;
        const Address from = address(size);
        std::uint64_t number = 0;
        std::memcpy(&number, memory_.data() + from.at, size);
        if (is_signed) {
            const unsigned unused = 64 - 8 * size;
            number =
                static_cast<std::uint64_t>(static_cast<std::int64_t>(number << unused) >> unused);
        }
        return {function.make.load(size, is_signed, from.ref, from.offset), number};
    }
    void store() {
        const unsigned size = 1U << random_.below(4);
        const Value stored = operand();
        const Address to = address(size);
        function.make.store(size, to.ref, to.offset, stored.ref);
        std::memcpy(memory_.data() + to.at, &stored.number, size);
    }

    void step() {
        constexpr std::array kArithmetic{Op::Add,  Op::Sub,  Op::Mul,  Op::And,  Op::Or,  Op::Xor,
                                         Op::Udiv, Op::Umod, Op::Sdiv, Op::Smod, Op::Add, Op::Sub};
        constexpr std::array kUnary{Op::Neg, Op::Swap16, Op::Swap32, Op::Swap64};
        switch (random_.below(12)) {
        case 0:
        case 1:
            values_.push_back(shift());
            return;
        case 2:
        case 3:
            values_.push_back(extension());
            return;
        case 4:
            values_.push_back(selection());
            return;
        case 5:
            values_.push_back(load());
            return;
        case 6:
            store();
            return;
        case 7: {
            const Op op = one_of(kUnary);
            values_.push_back(unary(op, op == Op::Neg ? width() : 8, pick()));
            return;
        }
        case 8: {
            const Value mask = constant((std::uint64_t{1} << random_.below(64)) - 1);
            values_.push_back(binary(Op::And, width(), pick(), mask));
            return;
        }
        case 9:
            values_.push_back(binary(Op::Xor, width(), pick(), constant(~std::uint64_t{0})));
            return;
        default:
            values_.push_back(binary(one_of(kArithmetic), width(), operand(), operand()));
            return;
        }
    }

    Random random_;
    std::vector<Value> values_;
    std::array<std::byte, kBytes> memory_{};
};

TEST(random_graphs, compute_what_their_operations_say) {
    const char* given = std::getenv("SKEP_SEED");
    const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 0) : 1;
    const std::uint64_t count = given != nullptr ? 1 : 3000;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        RandomGraph graph(seed);
        graph.memory = graph.before;
        const auto found = graph.function(graph.arguments);
        if (!found)
            continue;
        ASSERT_EQ(*found, graph.result) << "SKEP_SEED=" << seed;
        ASSERT_EQ(graph.memory, graph.after()) << "SKEP_SEED=" << seed;
    }
}

} // namespace
} // namespace skep::jit
