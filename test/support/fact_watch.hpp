// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "skep/exec/context.hpp"
#include "skep/exec/run_context.hpp"
#include "skep/isa/insn.hpp"
#include "skep/program/facts.hpp"
#include "skep/program/program.hpp"

namespace skep::test {

/// Compares each moment of a traced run with the facts that engines rely on, after another
/// observer.
class FactWatch final : public exec::Observer {
public:
    FactWatch(const Program& program, const Facts& facts, exec::Observer& other)
        : program_(program), facts_(facts), other_(other) {}

    /// What does not hold, the first time; "" if all did.
    [[nodiscard]] const std::string& violation() const noexcept { return violation_; }
    [[nodiscard]] std::uint64_t compared() const noexcept { return compared_; }

    void before(const exec::Moment& moment) noexcept override {
        other_.before(moment);
        if (!violation_.empty())
            return;
        if (moment.program != &program_) {
            last_ = kNone;
            return;
        }
        behind(moment);
        at(moment);
        last_ = moment.insn;
        depth_ = moment.frames.size();
    }

private:
    static constexpr std::uint32_t kNone = 0xffffffff;

    void fail(std::uint32_t insn, const std::string& what, std::uint64_t value) {
        violation_ = "instruction " + std::to_string(insn) + ": " + what + ", " +
                     std::to_string(value) + " is not in its fact";
    }

    void number(std::uint32_t insn, const NumberFact& fact, const char* what, std::uint64_t value) {
        if (!fact.known)
            return;
        ++compared_;
        if (!fact.contains(value))
            fail(insn, what, value);
    }

    /// What the last instruction did.
    void behind(const exec::Moment& moment) {
        if (last_ == kNone || depth_ != moment.frames.size())
            return;
        const isa::Insn& insn = program_.insns[last_];
        const InsnFact& fact = facts_.insns[last_];
        const unsigned cls = insn.opcode & isa::kClassMask;
        const unsigned op = insn.opcode & 0xf0U;
        const std::uint32_t next = last_ + (insn.opcode == isa::kLddw ? 2 : 1);
        if ((cls == isa::kJmp || cls == isa::kJmp32) && op != 0x80 && op != 0x90 && op != 0x00 &&
            op != 0xe0) {
            if (moment.insn == next ? !fact.falls_through : !fact.jumps)
                fail(last_, "the jump", moment.insn == next ? 0 : 1);
            return;
        }
        if (moment.insn != next || cls == isa::kSt || cls == isa::kStx || cls == isa::kJmp32)
            return;
        if (cls == isa::kJmp && (insn.opcode != isa::kCall || insn.src == isa::kCallLocal))
            return;
        const unsigned to = cls == isa::kJmp || (cls == isa::kLd && insn.opcode != isa::kLddw)
                                ? 0U
                                : unsigned{insn.dst};
        number(last_, fact.result, "the result", moment.registers[to]);
    }

    void at(const exec::Moment& moment) {
        const isa::Insn& insn = program_.insns[moment.insn];
        const InsnFact& fact = facts_.insns[moment.insn];
        if (!fact.reached)
            return fail(moment.insn, "it is not reached", 0);
        const unsigned dst = insn.opcode == isa::kExit ? 0U : unsigned{insn.dst};
        number(moment.insn, fact.dst, "dst", moment.registers[dst]);
        number(moment.insn, fact.src, "src", moment.registers[insn.src]);
        if (fact.access.memory == Memory::Packet && moment.context != nullptr) {
            const bool load = (insn.opcode & isa::kClassMask) == isa::kLdx;
            const auto data = reinterpret_cast<std::uint64_t>(moment.context->packet().data);
            const auto distance = static_cast<std::int64_t>(
                moment.registers[load ? insn.src : insn.dst] +
                static_cast<std::uint64_t>(std::int64_t{insn.off}) - data);
            ++compared_;
            if (distance < fact.access.low || distance > fact.access.high ||
                distance % fact.access.alignment != 0)
                fail(moment.insn, "the packet offset", static_cast<std::uint64_t>(distance));
        }
        if (const CallFact* call = facts_.call_at(moment.insn))
            for (unsigned i = 0; i < 5; ++i)
                number(moment.insn, call->arguments[i], "an argument", moment.registers[i + 1]);
    }

    const Program& program_;
    const Facts& facts_;
    exec::Observer& other_;
    std::string violation_;
    std::uint64_t compared_ = 0;
    std::uint32_t last_ = kNone;
    std::size_t depth_ = 0;
};

} // namespace skep::test
