// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "generator.hpp"

#include <array>

namespace skep::test {
namespace {

using isa::Insn;
namespace op = isa;

// r6 points to the map value and r10 to the stack; r9 counts loops; the rest are numbers.
constexpr std::array<std::uint8_t, 8> kNumbers{0, 1, 2, 3, 4, 5, 7, 8};
constexpr std::array<std::uint8_t, 4> kSizes{op::kB, op::kH, op::kW, op::kDw};
constexpr std::uint8_t kBase = 6;
constexpr std::uint8_t kCounter = 9;
constexpr std::uint8_t kEnd = 0xd0;
// Marks a call of the shared function; join() puts the distance in.
constexpr std::int32_t kToFunction = -1;

Insn insn(unsigned opcode, unsigned dst, unsigned src, int off, std::int64_t imm) {
    Insn made;
    made.opcode = static_cast<std::uint8_t>(opcode);
    made.dst = dst & 15U;
    made.src = src & 15U;
    made.off = static_cast<std::int16_t>(off);
    made.imm = static_cast<std::int32_t>(imm);
    return made;
}

void append(Item& to, const Item& from) {
    to.insert(to.end(), from.begin(), from.end());
}

class Maker {
public:
    explicit Maker(Random& random) : random_(random) {}

    Item item() {
        switch (random_.below(16)) {
        case 0:
            return branch();
        case 1:
            return loop();
        case 2:
            return call();
        default:
            return simple();
        }
    }

private:
    unsigned number() { return kNumbers[random_.below(kNumbers.size())]; }

    std::int32_t immediate() {
        constexpr std::array<std::int32_t, 8> kEdges{0,   1,   -1, 2, 0x7fffffff, -0x7fffffff - 1,
                                                     255, -128};
        if (random_.one_in(2))
            return kEdges[random_.below(kEdges.size())];
        return static_cast<std::int32_t>(random_.next());
    }

    Item simple() {
        switch (random_.below(8)) {
        case 0:
            return {load()};
        case 1:
            return {store()};
        case 2:
            return atomic();
        case 3:
            return {swap()};
        case 4:
            return wide();
        default:
            return {arithmetic()};
        }
    }

    // add sub mul div or and lsh rsh neg mod xor mov arsh
    Insn arithmetic() {
        const unsigned kind = random_.below(13);
        const bool wide = random_.one_in(2);
        const unsigned cls = wide ? op::kAlu64 : op::kAlu;
        if (kind == 8) // neg
            return insn(cls | 0x80U, number(), 0, 0, 0);
        const bool divides = kind == 3 || kind == 9;
        const int off = divides && random_.one_in(2) ? 1 : 0; // sdiv, smod
        if (random_.one_in(2)) {
            int extend = 0;
            if (kind == 11 && random_.one_in(2))
                extend = 8 << random_.below(wide ? 3 : 2);
            return insn(cls | kind << 4U | op::kX, number(), number(), off + extend, 0);
        }
        std::int32_t imm = immediate();
        if (kind == 6 || kind == 7 || kind == 12)
            imm = static_cast<std::int32_t>(random_.below(wide ? 64 : 32));
        if (divides && imm == 0)
            imm = 3;
        return insn(cls | kind << 4U, number(), 0, off, imm);
    }

    Insn swap() {
        constexpr std::array<unsigned, 3> kKinds{op::kAlu | kEnd, op::kAlu | kEnd | op::kX,
                                                 op::kAlu64 | kEnd};
        return insn(kKinds[random_.below(3)], number(), 0, 0, 16 << random_.below(3));
    }

    Item wide() {
        const std::uint64_t value = random_.next();
        return {insn(op::kLddw, number(), 0, 0, static_cast<std::int32_t>(value)),
                insn(0, 0, 0, 0, static_cast<std::int32_t>(value >> 32U))};
    }

    struct Place {
        unsigned base;
        int off;
    };

    // Only the map value may be accessed at an odd address: the verifier is strict about the stack.
    Place place(unsigned log_size, bool aligned) {
        const int size = 1 << log_size;
        if (random_.one_in(2))
            return {10, -64 + static_cast<int>(random_.below(64U >> log_size)) * size};
        if (aligned)
            return {kBase, static_cast<int>(random_.below(64U >> log_size)) * size};
        return {kBase, static_cast<int>(random_.below(65U - static_cast<unsigned>(size)))};
    }

    Insn load() {
        const unsigned log_size = random_.below(4);
        const Place at = place(log_size, false);
        const bool sign = log_size < 3 && random_.one_in(2);
        return insn(op::kLdx | (sign ? op::kMemSx : op::kMem) | kSizes[log_size], number(), at.base,
                    at.off, 0);
    }

    Insn store() {
        const unsigned log_size = random_.below(4);
        const Place at = place(log_size, false);
        if (random_.one_in(3))
            return insn(op::kSt | op::kMem | kSizes[log_size], at.base, 0, at.off, immediate());
        return insn(op::kStx | op::kMem | kSizes[log_size], at.base, number(), at.off, 0);
    }

    Item atomic() {
        constexpr std::array<std::int32_t, 10> kOps{0x00, 0x40, 0x50, 0xa0, 0x01,
                                                    0x41, 0x51, 0xa1, 0xe1, 0xf1};
        const unsigned which = random_.below(12);
        const unsigned log_size = which < 10 ? 2 + random_.below(2) : random_.below(4);
        const Place at = place(log_size, true);
        const unsigned opcode = op::kStx | op::kAtomic | kSizes[log_size];
        if (which == 10) // load-acquire
            return {insn(opcode, number(), at.base, at.off, 0x100)};
        std::int32_t operation = which == 11 ? 0x110 : kOps[which];
        // Linux 6.18 follows no precision through a fetch from the stack (docs/agreement.md).
        if (at.base == isa::kFramePointer && which < 10 && (operation & 1) != 0)
            operation = operation < 0xe0 ? operation & ~1 : 0;
        Item made{insn(opcode, at.base, number(), at.off, operation)};
        // Linux 6.18 may leave the upper half of r0 as it was (docs/agreement.md): w0 = w0.
        if (operation == 0xf1 && log_size == 2)
            made.push_back(insn(op::kAlu | 0xb8, 0, 0, 0, 0));
        return made;
    }

    Item straight(unsigned count) {
        Item made;
        for (unsigned i = 0; i < count; ++i)
            append(made, simple());
        return made;
    }

    // if (...) { a } else { b }; the jump over b is a long or a short one.
    Item branch() {
        constexpr std::array<unsigned, 11> kTests{0x10, 0x20, 0x30, 0x40, 0x50, 0x60,
                                                  0x70, 0xa0, 0xb0, 0xc0, 0xd0};
        const unsigned test = kTests[random_.below(kTests.size())];
        const unsigned cls = random_.one_in(2) ? op::kJmp : op::kJmp32;
        const Item first = straight(1 + random_.below(3));
        const Item second = straight(1 + random_.below(3));
        const int over = static_cast<int>(first.size()) + 1;
        Item made;
        if (random_.one_in(2))
            made.push_back(insn(cls | test | op::kX, number(), number(), over, 0));
        else
            made.push_back(insn(cls | test, number(), 0, over, immediate()));
        append(made, first);
        const int rest = static_cast<int>(second.size());
        made.push_back(random_.one_in(2) ? insn(op::kJmp, 0, 0, rest, 0)
                                         : insn(op::kJmp32, 0, 0, 0, rest));
        append(made, second);
        return made;
    }

    Item loop() {
        Item made{insn(op::kAlu64 | 0xb0U, kCounter, 0, 0, 1 + random_.below(6))};
        const Item body = straight(1 + random_.below(3));
        append(made, body);
        made.push_back(insn(op::kAlu64, kCounter, 0, 0, -1));
        made.push_back(insn(op::kJmp | 0x50U, kCounter, 0, -static_cast<int>(body.size()) - 2, 0));
        return made;
    }

    // r1 to r5 are gone after a call.
    Item call() {
        Item made{insn(op::kCall, 0, op::kCallLocal, 0, kToFunction)};
        for (unsigned reg = 1; reg <= 5; ++reg)
            made.push_back(insn(op::kLdx | op::kMem | op::kDw, reg, kBase,
                                static_cast<int>(random_.below(8)) * 8, 0));
        return made;
    }

    Random& random_;
};

Item prologue(std::int32_t map, std::uint32_t region) {
    Item made{insn(op::kLddw, kBase, op::kLddwMapValue, 0, map), insn(0, 0, 0, 0, region)};
    int from = 0;
    for (unsigned i = 0; i < 8; ++i) {
        made.push_back(insn(op::kLdx | op::kMem | op::kDw, kNumbers.at(i), kBase, from, 0));
        made.push_back(insn(op::kStx | op::kMem | op::kDw, 10, kNumbers.at(i), from - 64, 0));
        from += 8;
    }
    made.push_back(insn(op::kAlu64 | 0xb0U, kCounter, 0, 0, 0));
    return made;
}

Item epilogue() {
    Item made;
    int to = static_cast<int>(kWorkBytes);
    for (unsigned reg = 0; reg < 10; ++reg, to += 8)
        if (reg != kBase)
            made.push_back(insn(op::kStx | op::kMem | op::kDw, kBase, reg, to, 0));
    for (int from = -64; from < 0; from += 8, to += 8) {
        made.push_back(insn(op::kLdx | op::kMem | op::kDw, 1, 10, from, 0));
        made.push_back(insn(op::kStx | op::kMem | op::kDw, kBase, 1, to, 0));
    }
    return made;
}

// Mixes its five arguments, through a stack frame of its own.
Item function() {
    return {insn(op::kStx | op::kMem | op::kDw, 10, 1, -8, 0),
            insn(op::kAlu64 | 0x20U | op::kX, 2, 3, 0, 0),
            insn(op::kAlu64 | 0xa0U | op::kX, 4, 5, 0, 0),
            insn(op::kLdx | op::kMem | op::kDw, 0, 10, -8, 0),
            insn(op::kAlu64 | op::kX, 0, 2, 0, 0),
            insn(op::kAlu | 0xa0U | op::kX, 0, 4, 0, 0),
            insn(op::kExit, 0, 0, 0, 0)};
}

} // namespace

std::uint64_t Random::next() noexcept {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
}

std::uint32_t Random::below(std::uint32_t bound) noexcept {
    return static_cast<std::uint32_t>((next() >> 32U) * bound >> 32U);
}

Sequence make_sequence(std::uint64_t seed, std::uint64_t number) {
    Random random(seed * 0x9e3779b97f4a7c15U ^ number * 0xd1342543de82ef95U);
    Maker maker(random);
    Sequence made;
    const unsigned count = 4 + random.below(13);
    for (unsigned i = 0; i < count; ++i)
        made.items.push_back(maker.item());
    return made;
}

std::vector<isa::Insn> join(const std::vector<Sequence>& sequences, std::int32_t map) {
    Item code;
    std::uint32_t region = 0;
    for (const Sequence& sequence : sequences) {
        append(code, prologue(map, region));
        for (const Item& item : sequence.items)
            append(code, item);
        append(code, epilogue());
        region += kRegionBytes;
    }
    code.push_back(insn(op::kExit, 0, 0, 0, 0));
    const auto target = static_cast<std::int32_t>(code.size());
    bool called = false;
    for (std::int32_t at = 0; at < target; ++at) {
        Insn& one = code[static_cast<std::size_t>(at)];
        if (one.opcode == op::kCall) {
            one.imm = target - at - 1;
            called = true;
        }
    }
    if (called) // The kernel refuses a function that nothing calls.
        append(code, function());
    return code;
}

} // namespace skep::test
