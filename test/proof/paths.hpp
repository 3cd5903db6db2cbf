// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <vector>
#include <z3++.h>

namespace skep::verifier::domain {

/// A condition on symbolic words. Where C++ asks for its truth (`if`, `?:`), the proof follows both
/// ways, one after the other.
struct Claim {
    z3::expr is;

    explicit operator bool() const;
    friend Claim operator&&(const Claim& a, const Claim& b) { return {a.is && b.is}; }
    friend Claim operator||(const Claim& a, const Claim& b) { return {a.is || b.is}; }
    Claim operator!() const { return {!is}; }
};
inline Claim both(const Claim& a, const Claim& b) {
    return a && b;
}
inline Claim either(const Claim& a, const Claim& b) {
    return a || b;
}
inline Claim negate(const Claim& a) {
    return !a;
}

/// Proves statements about code that is written for numbers: runs it with symbols once for each
/// way through it, and asks Z3 whether the statement can fail on that way.
class Paths {
public:
    /// The words of the proofs to come have `width` bits.
    explicit Paths(unsigned width) : width_(width) {
        before_ = current_;
        current_ = this;
    }
    ~Paths() { current_ = before_; }
    Paths(const Paths&) = delete;
    Paths& operator=(const Paths&) = delete;
    static Paths& current() { return *current_; }

    [[nodiscard]] z3::expr number(std::uint64_t n, unsigned part) {
        return context_.bv_val(n, width_ / part);
    }
    [[nodiscard]] z3::expr variable(const std::string& name, unsigned part) {
        return context_.bv_const((name + "#" + std::to_string(names_++)).c_str(), width_ / part);
    }
    /// The same for the same arguments.
    [[nodiscard]] z3::expr unknown_claim(const char* name, const std::vector<z3::expr>& of) {
        return apply(name, of, context_.bool_sort());
    }
    [[nodiscard]] z3::expr unknown_word(const char* name, const std::vector<z3::expr>& of,
                                        unsigned part) {
        return apply(name, of, context_.bv_sort(width_ / part));
    }
    /// Either.
    [[nodiscard]] Claim some_claim() {
        return {context_.bool_const(("any#" + std::to_string(names_++)).c_str())};
    }
    [[nodiscard]] bool any() {
        const z3::expr is = some_claim().is;
        if (at_ == choices_.size())
            choices_.push_back({.yes = true, .both = true});
        const bool yes = choices_[at_++].yes;
        return yes;
    }
    [[nodiscard]] unsigned width() const { return width_; }
    [[nodiscard]] Claim claim(bool is) { return {context_.bool_val(is)}; }
    /// On this way from here on.
    void assume(const Claim& claim) { way_.push_back(claim.is); }

    /// `statement` makes its variables, assumes what it needs and returns what must then hold.
    void prove(const std::string& what, const std::function<Claim()>& statement) {
        choices_.clear();
        bool possible = false; // An assumption that nothing satisfies would prove anything.
        ways = 0;
        do {
            at_ = 0;
            names_ = 0;
            way_.clear();
            const Claim claim = statement();
            ++ways;
            possible = possible || check(context_.bool_val(true)) == z3::sat;
            const z3::check_result result = check(!claim.is);
            if (result != z3::unsat) {
                ADD_FAILURE() << what << " at " << width_ << " bits: "
                              << (result == z3::sat ? model_ : std::string("Z3 gave up"));
                return;
            }
        } while (next());
        EXPECT_TRUE(possible) << what << ": the assumptions contradict each other";
    }

    bool decide(const z3::expr& condition) {
        const z3::expr is = condition.simplify();
        if (is.is_true() || is.is_false())
            return is.is_true();
        if (at_ == choices_.size()) {
            const bool yes = check(is, kQuick) != z3::unsat;
            const bool no = !yes || check(!is, kQuick) != z3::unsat;
            choices_.push_back({.yes = yes, .both = yes && no});
        }
        const bool yes = choices_[at_++].yes;
        way_.push_back(yes ? is : !is);
        return yes;
    }

    int ways = 0; ///< of the last proof

private:
    struct Choice {
        bool yes;
        bool both; ///< the other one is still to be followed
    };
    static constexpr unsigned kQuick = 40;
    static constexpr unsigned kPatient = 300'000;

    z3::expr apply(const char* name, const std::vector<z3::expr>& of, const z3::sort& range) {
        functions_ = true;
        z3::expr_vector arguments(context_);
        z3::sort_vector domain(context_);
        for (const z3::expr& argument : of) {
            arguments.push_back(argument.simplify());
            domain.push_back(argument.get_sort());
        }
        return context_.function((name + std::to_string(of[0].get_sort().bv_size())).c_str(),
                                 domain, range)(arguments);
    }

    z3::check_result check(const z3::expr& more, unsigned milliseconds = kPatient) {
        z3::solver solver(context_, functions_ ? "QF_UFBV" : "QF_BV"); // Faster without functions.
        z3::params params(context_);
        params.set("timeout", milliseconds);
        solver.set(params);
        for (const z3::expr& is : way_)
            solver.add(is);
        solver.add(more);
        const z3::check_result result = solver.check();
        if (result == z3::sat)
            model_ = solver.get_model().to_string();
        return result;
    }
    bool next() {
        while (!choices_.empty() && !choices_.back().both)
            choices_.pop_back();
        if (choices_.empty())
            return false;
        choices_.back() = {.yes = !choices_.back().yes, .both = false};
        return true;
    }

    z3::context context_;
    unsigned width_;
    std::vector<z3::expr> way_; ///< assumptions and choices, in order
    std::vector<Choice> choices_;
    std::size_t at_ = 0;
    int names_ = 0;
    bool functions_ = false; ///< some were applied
    std::string model_;
    Paths* before_ = nullptr;
    inline static Paths* current_ = nullptr;
};

inline Claim::operator bool() const {
    return Paths::current().decide(is);
}

} // namespace skep::verifier::domain
