// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// What step.cpp writes instead of an operation is the same number (O10), and what it concludes of
// memory is so over the integers (O8).
#include "symbolic_fact.hpp"

#include "domain/rules.hpp"

namespace skep::verifier::domain {
namespace {

class Rules : public FactProofs {
protected:
    static Term any(const char* name) { return {Paths::current().variable(name, 1)}; }
    static Term zero_extended(const Term& x, unsigned width) {
        return shift_right(shift_left(x, 64 - width), 64 - width);
    }
    static Term sign_extended(const Term& x, unsigned width) {
        return shift_right_signed(shift_left(x, 64 - width), 64 - width);
    }
    /// For any numbers.
    void identity(const std::string& what, const std::function<Claim(Term, Term, Term)>& claim) {
        prove(64, what, [&] { return claim(any("x"), any("y"), any("c")); });
    }
};

TEST_F(Rules, an_extension_of_what_fits_is_the_number) {
    for (const unsigned width : {8U, 16U, 32U})
        for (const bool is_signed : {false, true})
            prove(64, "extends_to_itself", [&] {
                const Member a = any_member();
                speak_of({a.x});
                Paths::current().assume(extends_to_itself(a.fact, width, is_signed));
                return same(is_signed ? sign_extended(a.x, width) : zero_extended(a.x, width), a.x);
            });
}
TEST_F(Rules, a_mask_that_clears_nothing_is_no_operation) {
    prove(64, "clears_nothing", [&] {
        const Member a = any_member();
        const Term mask = any("mask");
        Paths::current().assume(clears_nothing(a.fact, mask));
        return same(a.x & mask, a.x);
    });
    // The operand of a 32-bit mask is not narrowed first.
    identity("mask of 32 bits", [](const Term& x, const Term&, const Term& c) {
        return same(zero_extended(x & c, 32), x & zero_extended(c, 32));
    });
}
TEST_F(Rules, shifts_of_low_halves) {
    for (unsigned count = 1; count < 32; ++count)
        prove(64, "shifts_within_half", [&] {
            const Member a = any_member();
            const Term low = zero_extended(a.x, 32);
            speak_of({a.x});
            Paths::current().assume(shifts_within_half(a.fact, count));
            return same(shift_left(a.x, count), zero_extended(shift_left(a.x, count), 32)) &&
                   same(low, a.x);
        });
}
TEST_F(Rules, shifts_to_and_fro_are_extensions) {
    for (const unsigned kept : {8U, 16U, 32U})
        identity("shl, shr and arsh", [&](const Term& x, const Term&, const Term&) {
            const Term shifted = shift_left(x, 64 - kept);
            return same(shift_right(shifted, 64 - kept), x & low_mask(x, kept)) &&
                   same(shift_right_signed(shifted, 64 - kept),
                        Term{z3::sext(x.bits.extract(kept - 1, 0), 64 - kept)});
        });
}
TEST_F(Rules, sums_with_constants_move_the_offset) {
    identity("(x + c) + y", [](const Term& x, const Term& y, const Term& c) {
        return same((x + c) + y, x + (c + y)) && same((x + c) - y, x + (c - y)) &&
               same((x + c) - (x + y), c - y) && same((x + y) - y, x) &&
               same(Term{} - (x + c), (Term{} - x) - c);
    });
    identity("of 32 bits", [](const Term& x, const Term& y, const Term&) {
        const HalfTerm a = low_half(x);
        const HalfTerm b = low_half(y);
        return same(widened(a + b), zero_extended(x + y, 32)) &&
               same(widened(a - b), zero_extended(x - y, 32));
    });
}
TEST_F(Rules, narrow_operations_are_those_of_extended_operands) {
    identity("of 32 bits", [](const Term& x, const Term& y, const Term&) {
        const HalfTerm a = low_half(x);
        const HalfTerm b = low_half(y);
        const Term p = widened(a);
        const Term q = widened(b);
        return same(widened(a | b), zero_extended(p | q, 32)) &&
               same(widened(a ^ b), zero_extended(p ^ q, 32)) &&
               same(widened(a & b), zero_extended(p & q, 32)) &&
               same(widened(HalfTerm{z3::shl(a.bits, (b & word(b, 31)).bits)}),
                    zero_extended(shift_left_by(p, q & word(q, 31)), 32)) &&
               same(widened(HalfTerm{z3::lshr(a.bits, (b & word(b, 31)).bits)}),
                    zero_extended(shift_right_by(p, q & word(q, 31)), 32)) &&
               same(widened(HalfTerm{z3::ashr(a.bits, (b & word(b, 31)).bits)}),
                    zero_extended(shift_right_signed_by(widened_signed(a), q & word(q, 31)), 32));
    });
}
TEST_F(Rules, parts_of_what_was_stored) {
    // A load of some bytes of a stored word is a shift and an extension.
    for (unsigned at = 0; at < 64; at += 8)
        for (const unsigned width : {8U, 16U, 32U})
            if (at + width <= 64)
                identity("load", [&](const Term& x, const Term&, const Term&) {
                    const Term bytes{z3::zext(x.bits.extract(at + width - 1, at), 64 - width)};
                    return same(zero_extended(shift_right(x, at), width), bytes);
                });
}

/// Signed numbers as integers that nothing wraps.
z3::expr integer(const Term& x) {
    return z3::sext(x.bits, 16);
}
Claim at_most_integer(const z3::expr& a, const z3::expr& b) {
    return {z3::sle(a, b)};
}
/// low <= x <= high, by powers of two.
Claim is_between(const Term& x, unsigned low, unsigned high) {
    return !below_signed(x, Term{} - shift_left(word(x, 1), low)) &&
           below_signed(x, shift_left(word(x, 1), high));
}

class Memory : public Rules {};

TEST_F(Memory, an_access_inside_touches_no_other_byte) {
    prove(64, "extent_of", [&] {
        const Member a = any_member();
        const Term off = any("off");
        const Term size = any("size");
        const Term memory = any("memory");
        speak_of({a.x});
        Paths::current().assume(is_between(off, 16, 16) && is_between(size, 0, 33) &&
                                !is_negative(size) && is_between(memory, 0, 33));
        const auto extent = extent_of(a.fact, off, size);
        // The obligation of memory() and stack_range().
        Paths::current().assume(!is_negative(extent.low) && !below_signed(memory, extent.high));
        const z3::expr first = integer(a.x) + integer(off);
        return at_most_integer(integer(Term{}), first) &&
               at_most_integer(first + integer(size), integer(memory));
    });
}
TEST_F(Memory, a_test_of_a_packet_pointer_is_a_bound) {
    prove(64, "learn_packet", [&] {
        const Term x = any("x");
        const Term off = any("off");
        const Term length = any("length");
        // The pointer lies x + off from the data, and no pointer is moved farther than 2^29.
        const Term place = x + off;
        Paths::current().assume(is_between(place, 30, 30) && is_between(length, 0, 32) &&
                                !is_negative(length) && may_bound<Term>(off));
        const Term low = Term{} - shift_left(word(x, 1), 62);
        const auto bound = [&](const Term& c) {
            return at_most_integer(integer(x) + integer(c), integer(length)) &&
                   !below_signed(x, low);
        };
        const Claim at_most_end = !below_signed(length, place);
        const Claim below_end = below_signed(place, length);
        return (!at_most_end || bound(off)) && (!below_end || bound(off + word(x, 1)));
    });
}
TEST_F(Memory, a_bound_covers_what_ends_before_it) {
    prove(64, "implies_bound", [&] {
        const Term x = any("x");
        const Term c = any("c");
        const Term end = any("end");
        Paths::current().assume(implies_bound(c, end));
        return at_most_integer(integer(x) + integer(end), integer(x) + integer(c)) &&
               is_between(end, 32, 32);
    });
    // Where the pointer lies, modulo 2^64, is the integer that the bound speaks of.
    prove(64, "places", [&] {
        const Term x = any("x");
        const Term off = any("off");
        Paths::current().assume(is_between(x, 62, 62) && may_bound<Term>(off));
        return Claim{integer(x + off) == integer(x) + integer(off)};
    });
}
TEST_F(Memory, a_bound_says_how_many_bytes_there_are) {
    prove(64, "bytes_below", [&] {
        const Member a = any_member();
        const Term c = any("c");
        const Term length = any("length");
        speak_of({a.x});
        Paths::current().assume(at_most_integer(integer(a.x) + integer(c), integer(length)));
        Paths::current().assume(is_between(c, 33, 33) && is_between(length, 0, 32) &&
                                !is_negative(length));
        return !below_signed(length, bytes_below(a.fact, c));
    });
}

} // namespace
} // namespace skep::verifier::domain
