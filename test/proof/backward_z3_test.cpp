// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Backward refinement (O6): an operand whose result has a fact is in what that says of it. Sums and
// differences go back by differences and sums, which are proved as operations.
#include "symbolic_fact.hpp"

#include "domain/backward_ops.hpp"

namespace skep::verifier::domain {
namespace {

class Backward : public FactProofs {
protected:
    /// x and its result are members of any facts.
    template <class Back, class Forward>
    void back(const std::string& what, Forward forward, Back abstract, unsigned holes = 0,
              unsigned width = 64) {
        prove(width, what, [&] {
            const Member now = any_member(holes);
            const SymbolicFact result = any_fact(holes);
            const Term value = forward(now.x);
            speak_of({now.x, value});
            Paths::current().assume(result.contains(value));
            return holds(abstract(result, now.fact), now.x);
        });
    }
};

TEST_F(Backward, through_extensions) {
    for (const unsigned width : {8U, 16U, 32U})
        for (const unsigned holes : {0U, 1U}) {
            back(
                "before_zero_extend", [&](const Term& x) { return x & low_mask(x, width); },
                [&](const SymbolicFact& result, const SymbolicFact& now) {
                    return before_zero_extend(result, width, now);
                },
                holes);
            back(
                "before_sign_extend",
                [&](const Term& x) {
                    return shift_right_signed(shift_left(x, 64 - width), 64 - width);
                },
                [&](const SymbolicFact& result, const SymbolicFact&) {
                    return before_sign_extend(result, width);
                },
                holes);
        }
}
TEST_F(Backward, through_masks) {
    prove(64, "before_and", [&] {
        const Member a = any_member();
        const SymbolicFact result = any_fact();
        const Term mask{Paths::current().variable("mask", 1)};
        speak_of({a.x, a.x & mask});
        Paths::current().assume(result.contains(a.x & mask));
        return holds(before_and(result, mask), a.x);
    });
}
TEST_F(Backward, through_shifts) {
    for (const unsigned count : {1U, 3U, 32U, 63U}) {
        back(
            "before_shift_right", [&](const Term& x) { return shift_right(x, count); },
            [&](const SymbolicFact& result, const SymbolicFact&) {
                return before_shift_right(result, count);
            });
        back(
            "before_shift_left", [&](const Term& x) { return shift_left(x, count); },
            [&](const SymbolicFact& result, const SymbolicFact& now) {
                return before_shift_left(result, count, now);
            });
    }
}

// Quotients at 64 bits are too much for Z3.
TEST_F(Backward, through_products_of_16_bits) {
    for (const unsigned factor : {2U, 3U, 12U, 24U})
        back(
            "before_multiply", [&](const Term& x) { return product(x, word(x, factor)); },
            [&](const SymbolicFact& result, const SymbolicFact& now) {
                return before_multiply(result, word(result.umin(), factor), now);
            },
            0, 16);
}

} // namespace
} // namespace skep::verifier::domain
