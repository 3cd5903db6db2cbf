// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "program_generator.hpp"

#include <array>
#include <iterator>

#include "generator.hpp"

namespace skep::test {
namespace {

using isa::Insn;

constexpr std::uint8_t kMap = 6;    // the map's value
constexpr std::uint8_t kPacket = 7; // data; data_end is at fp-8, the context at fp-16
constexpr std::array<std::uint8_t, 6> kNumbers{0, 2, 3, 4, 8, 9};
constexpr std::uint8_t kScratch = 5;
constexpr std::uint8_t kOther = 1;

class Maker {
public:
    explicit Maker(std::uint64_t seed) : random_(seed) {}

    std::vector<Insn> make() {
        with_function_ = random_.one_in(3);
        with_bodies_ = random_.one_in(2);
        store(isa::kDw, 10, -16, 1);
        find_packet(1);
        lddw(kMap, isa::kLddwMapValue, 0);
        for (const std::uint8_t reg : kNumbers)
            move(reg, static_cast<std::int32_t>(random_.below(100)) - 50);
        fill_stack();
        const std::uint32_t steps = 3 + random_.below(25);
        for (std::uint32_t i = 0; i < steps; ++i)
            step(2);
        code_.push_back({.opcode = 0xbf, .dst = 0, .src = number()});
        code_.push_back({.opcode = isa::kExit});
        function();
        bodies();
        return std::move(code_);
    }

private:
    std::uint8_t number() { return kNumbers[random_.below(kNumbers.size())]; }
    void find_packet(std::uint8_t context) {
        load(isa::kW, kScratch, context, 4);
        load(isa::kW, kPacket, context, 0);
        store(isa::kDw, 10, -8, kScratch);
    }
    void fill_stack() {
        for (int at = -24; at >= -64; at -= 8)
            store(isa::kDw, 10, static_cast<std::int16_t>(at), number());
    }
    void load(std::uint8_t size, std::uint8_t dst, std::uint8_t src, std::int16_t off) {
        const bool is_signed = size != isa::kDw && src != 1 && src != kScratch && random_.one_in(5);
        code_.push_back({.opcode = static_cast<std::uint8_t>(isa::kLdx | size |
                                                             (is_signed ? isa::kMemSx : isa::kMem)),
                         .dst = dst,
                         .src = src,
                         .off = off});
    }
    void store(std::uint8_t size, std::uint8_t dst, std::int16_t off, std::uint8_t src) {
        code_.push_back({.opcode = static_cast<std::uint8_t>(isa::kStx | size | isa::kMem),
                         .dst = dst,
                         .src = src,
                         .off = off});
    }
    void move(std::uint8_t dst, std::int32_t imm) {
        code_.push_back({.opcode = 0xb7, .dst = dst, .imm = imm});
    }
    void copy(std::uint8_t dst, std::uint8_t src) {
        code_.push_back({.opcode = 0xbf, .dst = dst, .src = src});
    }
    void lddw(std::uint8_t dst, std::uint8_t kind, std::uint64_t value) {
        code_.push_back({.opcode = isa::kLddw,
                         .dst = dst,
                         .src = kind,
                         .imm = static_cast<std::int32_t>(value)});
        code_.push_back({.imm = static_cast<std::int32_t>(value >> 32)});
    }
    std::int32_t constant() {
        static constexpr std::int32_t kEdges[] = {
            0,   1,   -1,  2,    7,  8,   15,  16,   31,   63,   64,        127,
            128, 255, 256, 1500, -8, -64, -16, 4096, 0xff, 1024, INT32_MAX, INT32_MIN};
        switch (random_.below(4)) {
        case 0:
            return static_cast<std::int32_t>(random_.next());
        case 1:
            return static_cast<std::int32_t>(random_.below(70));
        default:
            return kEdges[random_.below(std::size(kEdges))];
        }
    }

    void alu(std::uint8_t dst) {
        static constexpr std::uint8_t kOps[] = {0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x50, 0x60,
                                                0x70, 0x70, 0x80, 0x90, 0xa0, 0xb0, 0xc0, 0xd0};
        const std::uint8_t op = kOps[random_.below(std::size(kOps))];
        const bool wide = !random_.one_in(3);
        const auto cls = static_cast<std::uint8_t>(wide ? isa::kAlu64 : isa::kAlu);
        const bool from_register = random_.one_in(2) && op != 0x80 && op != 0xd0;
        Insn insn{.opcode =
                      static_cast<std::uint8_t>(cls | op | (from_register ? isa::kX : isa::kK)),
                  .dst = dst};
        if (op == 0xd0) {
            static constexpr std::int32_t kWidths[] = {16, 32, 64};
            insn.imm = kWidths[random_.below(3)];
        } else if (from_register) {
            insn.src = number();
            if ((op == 0x30 || op == 0x90) && random_.one_in(2))
                insn.off = 1;
            if (op == 0xb0 && random_.one_in(3))
                insn.off = random_.one_in(2) ? 8 : 16;
        } else if (op != 0x80) {
            insn.imm = constant();
            if (op == 0x60 || op == 0x70 || op == 0xc0)
                insn.imm &= wide ? 63 : 31;
            if ((op == 0x30 || op == 0x90) && insn.imm == 0)
                insn.imm = 3;
        }
        code_.push_back(insn);
    }

    std::uint8_t comparison() {
        static constexpr std::uint8_t kOps[] = {0x10, 0x20, 0x30, 0x40, 0x50, 0x60,
                                                0x70, 0xa0, 0xb0, 0xc0, 0xd0};
        return static_cast<std::uint8_t>(kOps[random_.below(std::size(kOps))] |
                                         (random_.one_in(3) ? isa::kJmp32 : isa::kJmp));
    }
    /// A jump over what follows; land() says where it goes.
    std::size_t jump() {
        const bool from_register = random_.one_in(3);
        Insn insn{.opcode =
                      static_cast<std::uint8_t>(comparison() | (from_register ? isa::kX : isa::kK)),
                  .dst = number()};
        if (from_register)
            insn.src = number();
        else
            insn.imm = constant();
        code_.push_back(insn);
        return code_.size() - 1;
    }
    void land(std::size_t from) {
        code_[from].off = static_cast<std::int16_t>(code_.size() - from - 1);
    }
    /// if dst OP imm, over what follows.
    std::size_t unless(std::uint8_t op, std::uint8_t dst, std::int32_t imm) {
        code_.push_back(
            {.opcode = static_cast<std::uint8_t>(op | isa::kJmp), .dst = dst, .imm = imm});
        return code_.size() - 1;
    }
    static std::int32_t bytes_of(std::uint8_t size) {
        return static_cast<std::int32_t>(isa::access_size(size));
    }
    std::uint8_t size() {
        static constexpr std::uint8_t kSizes[] = {isa::kB, isa::kH, isa::kW, isa::kDw};
        return kSizes[random_.below(4)];
    }
    void access(std::uint8_t width, std::uint8_t base, std::int16_t off) {
        switch (random_.below(3)) {
        case 0:
            store(width, base, off, number());
            break;
        case 1:
            if (width == isa::kW || width == isa::kDw) {
                static constexpr std::int32_t kAtomics[] = {0x00, 0x01, 0x40, 0x41, 0x50,
                                                            0x51, 0xa0, 0xa1, 0xe1, 0xf1};
                if (base != kPacket && off % 8 == 0 && random_.one_in(3)) {
                    code_.push_back(
                        {.opcode = static_cast<std::uint8_t>(isa::kStx | width | isa::kAtomic),
                         .dst = base,
                         .src = number(),
                         .off = off,
                         .imm = kAtomics[random_.below(std::size(kAtomics))]});
                    break;
                }
            }
            [[fallthrough]];
        default:
            load(width, number(), base, off);
        }
    }

    /// An index into the map's value that is bounded in one of several ways, some of them wrong.
    void map_access() {
        const std::uint8_t index = number();
        const std::uint8_t width = size();
        const std::int32_t room = static_cast<std::int32_t>(kValueBytes) - bytes_of(width);
        const std::int32_t slip = random_.one_in(12) ? 1 : 0;
        const auto off = static_cast<std::int16_t>(random_.below(3) == 0 ? random_.below(8) : 0);
        std::size_t over = 0;
        copy(kScratch, index);
        switch (random_.below(4)) {
        case 0: // mask
            code_.push_back({.opcode = 0x57, .dst = kScratch, .imm = 0x1f});
            break;
        case 1: // unsigned check
            over = unless(0x20, kScratch, room - off + slip);
            break;
        case 2: { // signed checks of the index itself
            over = unless(0x60, index, room - off + slip);
            const std::size_t below = unless(0xc0, index, random_.one_in(12) ? -1 : 0);
            copy(kScratch, index);
            add_and_access(width, off);
            land(below);
            land(over);
            return;
        }
        default: // remainder
            code_.push_back({.opcode = 0x97, .dst = kScratch, .imm = room - off + 1 + slip});
        }
        add_and_access(width, off);
        if (over != 0)
            land(over);
    }
    void add_and_access(std::uint8_t width, std::int16_t off) {
        copy(kOther, kMap);
        code_.push_back({.opcode = 0x0f, .dst = kOther, .src = kScratch});
        access(width, kOther, off);
    }

    void packet_access() {
        const std::uint8_t width = size();
        const auto off = static_cast<std::int16_t>(random_.below(20));
        copy(kOther, kPacket);
        if (random_.one_in(2)) {
            copy(kScratch, number());
            code_.push_back({.opcode = 0x57, .dst = kScratch, .imm = 0x3f});
            code_.push_back({.opcode = 0x0f, .dst = kOther, .src = kScratch});
        }
        copy(kScratch, kOther);
        const std::int32_t slip = random_.one_in(12) ? 1 : 0;
        code_.push_back({.opcode = 0x07, .dst = kScratch, .imm = off + bytes_of(width) - slip});
        const std::uint8_t end = number();
        load(isa::kDw, end, 10, -8);
        code_.push_back({.opcode = 0x2d, .dst = kScratch, .src = end});
        const std::size_t over = code_.size() - 1;
        code_.push_back({.opcode = 0xb7, .dst = end, .imm = 1});
        if (random_.one_in(3))
            store(width, kOther, off, number());
        else
            load(width, number(), kOther, off);
        code_.push_back({.opcode = 0x05, .off = 1});
        land(over);
        code_.push_back({.opcode = 0xb7, .dst = end, .imm = 2});
    }

    void stack_access() {
        const std::uint8_t width = size();
        const std::int32_t bytes = bytes_of(width);
        const auto slots = static_cast<std::uint32_t>(40 / bytes);
        const auto off = static_cast<std::int16_t>(
            -64 + static_cast<std::int32_t>(random_.below(slots)) * bytes);
        if (random_.one_in(2))
            store(width, 10, off, number());
        else
            load(width, number(), 10, off);
    }

    void loop(int depth) {
        const std::uint8_t counter = kNumbers[4 + random_.below(2)];
        const auto rounds = static_cast<std::int32_t>(1 + random_.below(12));
        move(counter, 0);
        const std::size_t head = code_.size();
        const std::uint32_t steps = 1 + random_.below(3);
        for (std::uint32_t i = 0; i < steps; ++i)
            step(depth - 1);
        code_.push_back({.opcode = 0x07, .dst = counter, .imm = 1});
        const auto back = static_cast<std::int16_t>(static_cast<std::int64_t>(head) -
                                                    static_cast<std::int64_t>(code_.size()) - 1);
        code_.push_back({.opcode = random_.one_in(2) ? std::uint8_t{0xa5} : std::uint8_t{0xc5},
                         .dst = counter,
                         .off = back,
                         .imm = rounds});
    }

    void call() {
        if (with_bodies_ && !random_.one_in(4)) {
            call_body();
        } else if (with_function_ && random_.one_in(2)) {
            copy(1, number());
            copy(2, number());
            calls_.push_back(code_.size());
            code_.push_back({.opcode = isa::kCall, .src = isa::kCallLocal});
        } else {
            code_.push_back({.opcode = isa::kCall, .imm = random_.one_in(2) ? 7 : 5});
        }
        for (const std::uint8_t reg : {std::uint8_t{2}, std::uint8_t{3}, std::uint8_t{4}})
            move(reg, constant());
    }

    void step(int depth) {
        switch (random_.below(depth > 0 ? 12 : 9)) {
        case 0:
        case 1:
        case 2:
            alu(number());
            break;
        case 3:
            map_access();
            break;
        case 4:
            packet_access();
            break;
        case 5:
            stack_access();
            break;
        case 6:
            load(size(), number(), kMap, static_cast<std::int16_t>(8 * random_.below(7)));
            break;
        case 7:
            lddw(number(), isa::kLddwImm, random_.next() >> random_.below(64));
            break;
        case 8:
            call();
            break;
        case 9:
        case 10: {
            const std::size_t from = jump();
            const std::uint32_t steps = 1 + random_.below(4);
            for (std::uint32_t i = 0; i < steps; ++i)
                step(depth - 1);
            land(from);
            break;
        }
        default:
            loop(depth);
        }
    }

    // --- functions with bodies like the program's: each may be called from many places ---

    enum Body : std::uint8_t {
        Number,  ///< a number from the map, the packet and two numbers
        Pointer, ///< into the map, or 0
        Mover,   ///< moves the packet, in some cases
        Leaf,    ///< of Number: the same, but calls no other
        kBodies
    };

    /// In a body that calls none, nothing.
    void call_body() {
        if (body_ == Leaf || body_ == Mover)
            return;
        const auto body = body_ == Number ? Leaf : static_cast<Body>(random_.below(kBodies - 1));
        if (body == Mover && body_ != kBodies)
            return;
        const std::uint8_t given = number();
        if (random_.one_in(2)) // So that something is known of it, but not which number it is.
            code_.push_back({.opcode = 0x57, .dst = given, .imm = 0xff});
        copy(1, given);
        if (random_.one_in(2))
            code_.push_back(
                {.opcode = 0x07, .dst = 1, .imm = static_cast<std::int32_t>(random_.below(4))});
        copy(kScratch, number());
        if (body == Mover)
            load(isa::kDw, 3, 10, -16);
        else
            copy(3, kPacket);
        load(isa::kDw, 4, 10, -8);
        copy(2, kScratch);
        copy(5, kMap);
        places_[body].push_back(code_.size());
        code_.push_back({.opcode = isa::kCall, .src = isa::kCallLocal});
        if (body == Pointer) {
            const std::size_t null = unless(0x10, 0, 0);
            copy(kOther, 0);
            access(size(), kOther, static_cast<std::int16_t>(8 * random_.below(4)));
            land(null);
            move(0, constant());
        } else if (body == Mover && !random_.one_in(6)) {
            load(isa::kDw, kOther, 10, -16);
            find_packet(kOther);
        } else if (body == Mover) { // If it did not move, this may be well.
            packet_access();
        } else if (random_.one_in(2)) {
            copy(9, 0);
        }
    }

    void bodies() {
        for (std::uint8_t body = 0; body < kBodies; ++body) {
            if (places_[body].empty())
                continue;
            body_ = static_cast<Body>(body);
            for (const std::size_t at : places_[body])
                code_[at].imm = static_cast<std::int32_t>(code_.size() - at - 1);
            if (body_ == Pointer)
                give_pointer();
            else if (body_ == Mover)
                move_packet();
            else
                give_number();
        }
    }
    void give_number() {
        copy(kMap, 5);
        copy(kPacket, 3);
        store(isa::kDw, 10, -8, 4);
        copy(8, 1);
        copy(9, 2);
        for (const std::uint8_t reg : {std::uint8_t{0}, std::uint8_t{3}, std::uint8_t{4}})
            move(reg, constant());
        fill_stack();
        for (std::uint32_t i = 2 + random_.below(8); i > 0; --i)
            step(1);
        // What it got is what the caller has, too.
        copy(0, random_.one_in(2) ? std::uint8_t{8} : number());
        if (random_.one_in(2))
            code_.push_back({.opcode = 0x07, .dst = 0, .imm = constant()});
        code_.push_back({.opcode = isa::kExit});
    }
    void give_pointer() {
        move(0, 0);
        const std::size_t none = unless(comparison() & 0xf8U, 1, constant());
        code_.push_back({.opcode = 0x57, .dst = 2, .imm = random_.one_in(8) ? 0x3f : 0x1f});
        copy(0, 5);
        code_.push_back({.opcode = 0x0f, .dst = 0, .src = 2});
        land(none);
        code_.push_back({.opcode = isa::kExit});
    }
    void move_packet() {
        const std::size_t not_moved = unless(0x20, 1, constant());
        copy(1, 3);
        move(2, static_cast<std::int32_t>(random_.below(9)) - 4);
        code_.push_back({.opcode = isa::kCall, .imm = 44});
        land(not_moved);
        move(0, 1);
        code_.push_back({.opcode = isa::kExit});
    }

    /// r0 = something of r1 and r2.
    void function() {
        if (calls_.empty())
            return;
        for (const std::size_t at : calls_)
            code_[at].imm = static_cast<std::int32_t>(code_.size() - at - 1);
        copy(0, 1);
        store(isa::kDw, 10, -8, 2);
        for (std::uint32_t i = 1 + random_.below(4); i > 0; --i) {
            static constexpr std::uint8_t kOps[] = {0x0f, 0x1f, 0x5f, 0x4f, 0xaf, 0x2f};
            code_.push_back({.opcode = kOps[random_.below(std::size(kOps))], .dst = 0, .src = 2});
        }
        if (random_.one_in(2)) {
            code_.push_back({.opcode = 0x2d, .dst = 0, .src = 2, .off = 1});
            load(isa::kDw, 0, 10, -8);
        }
        code_.push_back({.opcode = isa::kExit});
    }

    Random random_;
    std::vector<Insn> code_;
    std::vector<std::size_t> calls_;
    bool with_function_ = false;
    bool with_bodies_ = false;
    Body body_ = kBodies;                                  ///< whose; kBodies: the program's
    std::array<std::vector<std::size_t>, kBodies> places_; ///< that call it
};

} // namespace

std::vector<Insn> make_program(std::uint64_t seed) {
    return Maker(seed * 0x9e3779b97f4a7c15 + 1).make();
}

} // namespace skep::test
