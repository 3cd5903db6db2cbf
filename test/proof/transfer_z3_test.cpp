// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Operations on facts: what an instruction makes of any members is a member of the result (O1,
// O7). Some are beyond Z3 at 64 bits: products are proved for words of 6 bits, quotients for 8, and
// shifts by what is not constant and extensions of signs for 16; low halves have half as many.
#include "symbolic_fact.hpp"

namespace skep::verifier::domain {
namespace {

using Transfer = FactProofs;

using Operator = SymbolicFact (*)(const SymbolicFact&, const SymbolicFact&) noexcept;

TEST_F(Transfer, of_moves) {
    for (const unsigned holes : {0U, 1U, 4U})
        prove(64, "moved", [&] {
            const Member a = any_member(holes);
            const Term distance{Paths::current().variable("distance", 1)};
            speak_of({a.x, a.x + distance});
            Lemmas::operands = {{a.x, distance}};
            return holds(moved(a.fact, distance), a.x + distance);
        });
}
TEST_F(Transfer, of_sums) {
    for (const unsigned holes : {0U, 1U})
        transfer(
            64, "add", Operator(add), [](const Term& x, const Term& y) { return x + y; }, holes);
}
TEST_F(Transfer, of_differences) {
    for (const unsigned holes : {0U, 1U})
        prove(64, "subtract", [&] {
            const Member a = any_member(holes);
            const Member b = any_member(holes);
            speak_of({a.x, b.x, a.x - b.x});
            Lemmas::operands = {{a.x, b.x}, {a.x, Term{} - b.x}};
            return holds(subtract(a.fact, b.fact), a.x - b.x);
        });
}

TEST_F(Transfer, of_bit_operations) {
    transfer(64, "and", Operator(bit_and), [](const Term& x, const Term& y) { return x & y; });
    transfer(64, "or", Operator(bit_or), [](const Term& x, const Term& y) { return x | y; });
    transfer(64, "xor", Operator(bit_xor), [](const Term& x, const Term& y) { return x ^ y; });
}

TEST_F(Transfer, of_products_of_6_bits) {
    transfer(6, "multiply", Operator(multiply),
             [](const Term& x, const Term& y) { return product(x, y); });
}
TEST_F(Transfer, of_quotients_of_8_bits) {
    transfer(8, "divide", Operator(divide),
             [](const Term& x, const Term& y) { return pick(is_zero(y), Term{}, quotient(x, y)); });
    transfer(8, "divide_signed", Operator(divide_signed), [](const Term& x, const Term& y) {
        return pick(is_zero(y), Term{}, quotient_signed(x, y));
    });
}
TEST_F(Transfer, of_remainders_of_8_bits) {
    transfer(8, "remainder", Operator(remainder), [](const Term& x, const Term& y) {
        return pick(is_zero(y), x, Term{z3::urem(x.bits, y.bits)});
    });
    transfer(8, "remainder_signed", Operator(remainder_signed), [](const Term& x, const Term& y) {
        return pick(is_zero(y), x, Term{z3::srem(x.bits, y.bits)});
    });
}

class Shifts : public FactProofs {
protected:
    /// By less than the width, and less than half of it.
    void shift(unsigned width, const std::string& what,
               SymbolicFact (*abstract)(const SymbolicFact&, const SymbolicFact&,
                                        unsigned) noexcept,
               Term (*concrete)(const Term&, const Term&)) {
        for (const unsigned counts : {width, width / 2})
            prove(width, what, [&] {
                const Member a = any_member();
                const Member n = any_member();
                const Term count = n.x & word(n.x, counts - 1);
                const Term value = concrete(a.x, count);
                speak_of({value, count, a.x, n.x});
                return holds(abstract(a.fact, n.fact, counts), value);
            });
    }
};
TEST_F(Shifts, of_16_bits_to_the_left) {
    shift(16, "shift_left", shift_left<Term>, shift_left_by);
}
TEST_F(Shifts, of_16_bits_to_the_right) {
    shift(16, "shift_right", shift_right<Term>, shift_right_by);
}
TEST_F(Shifts, of_16_bits_to_the_right_with_the_sign) {
    shift(16, "shift_right_signed", shift_right_signed<Term>, shift_right_signed_by);
}

class Extensions : public FactProofs {
protected:
    Extensions() { Lemmas::opaque = false; }

    template <class Abstract, class Concrete>
    void extension(unsigned width, const std::string& what, Abstract abstract, Concrete concrete) {
        for (const unsigned holes : {0U, 1U})
            prove(64, what + " of " + std::to_string(width), [&] {
                const Member a = any_member(holes);
                const Term value = concrete(a.x);
                const Term low = a.x & (width == 64 ? ones(a.x) : low_mask(a.x, width));
                speak_of({a.x, value, low});
                return holds(abstract(a.fact), value);
            });
    }
};
TEST_F(Extensions, with_zeros) {
    for (const unsigned width : {8U, 16U, 32U, 64U})
        extension(
            width, "zero_extend", [width](const SymbolicFact& a) { return zero_extend(a, width); },
            [width](const Term& x) { return shift_right(shift_left(x, 64 - width), 64 - width); });
}
TEST_F(Extensions, of_16_bits_with_the_sign) {
    for (const unsigned width : {4U, 8U, 16U})
        prove(16, "sign_extend", [&] {
            const Member a = any_member(1);
            const Term value = shift_right_signed(shift_left(a.x, 16 - width), 16 - width);
            const Term above = width == 16 ? Term{} : ~low_mask(a.x, width);
            speak_of({a.x, value, a.x & ~above});
            Lemmas::operands = {{a.x & ~above, above}};
            return holds(sign_extend<Term>(a.fact, width), value);
        });
}
TEST_F(Extensions, in_the_opposite_order_of_bytes) {
    for (const unsigned width : {16U, 32U, 64U})
        extension(
            width, "swap_bytes", [width](const SymbolicFact& a) { return swap_bytes(a, width); },
            [width](const Term& x) {
                Term swapped;
                for (unsigned byte = 0; byte < width; byte += 8)
                    swapped = swapped |
                              shift_left(shift_right(x, byte) & low_mask(x, 8), width - 8 - byte);
                return swapped;
            });
}

} // namespace
} // namespace skep::verifier::domain
