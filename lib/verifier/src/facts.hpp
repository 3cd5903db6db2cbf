// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "skep/program/facts.hpp"
#include "walker.hpp"

namespace skep::verifier {

/// Gathers facts while the checker walks: what holds in every state at an instruction.
class FactCollector final : public Watcher {
public:
    explicit FactCollector(const Walker& walker)
        : walker_(&walker), seen_(walker.program().insns.size()) {}

    void before(const State& state, u32 pc) override;
    void after(const State& state, u32 pc) override;
    void went(u32 pc, bool jumped) override;
    void stack(const State& state, const Val& base, i64 low, i64 high, bool reads,
               bool direct) override;

    [[nodiscard]] Facts take() const;

private:
    /// The join of all states; nothing yet, numbers, pointers, or both.
    struct Joined {
        bool any = false;
        bool number = true;
        bool pointer = true;
        Fact fact;
        Region region = Region::None;
        bool mixed = false;
        bool nullable = false;
        i64 map = -2; ///< -1: several

        void add(const State& state, const Val& val, i64 off = 0);
        [[nodiscard]] NumberFact to_number() const;
        [[nodiscard]] PointerFact to_pointer() const;
    };
    struct Seen {
        bool reached = false;
        bool jumps = false;
        bool falls_through = false;
        Joined dst, src, result, address;
    };
    struct Call {
        std::array<Joined, 5> arguments;
        Joined key;
        bool key_known = true;
    };
    struct Function {
        u64 address_taken = 0;
        bool reads_unwritten = false;
    };

    void call(const State& state, u32 pc);
    void numbers(const State& state, u32 helper);

    const Walker* walker_;
    std::vector<Seen> seen_;
    std::map<u32, Call> calls_;
    std::map<u32, Function> functions_;
};

} // namespace skep::verifier
