// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "skep/program/control_flow.hpp"
#include "skep/program/program.hpp"

namespace skep::verifier {

/// What a global function takes, by its type alone: so it is verified once, and each call need
/// only keep the contract.
struct Contract {
    struct Parameter {
        enum class Kind : std::uint8_t { Scalar, Context, Memory };
        Kind kind = Kind::Scalar;
        bool nullable = false;  ///< of memory
        std::uint32_t size = 0; ///< of memory, bytes
    };
    std::vector<Parameter> parameters;
    std::string fault;        ///< why such a function cannot be; "" if it can
    bool unsupported = false; ///< the fault is this verifier's
};

/// What calls of a program's functions do.
class Contracts {
public:
    /// `context` is the name of the structure that the program's type gets.
    Contracts(const Program& program, const ControlFlow& flow, std::string_view context);

    /// Of the function that begins at a slot; nullptr if calls walk into it.
    [[nodiscard]] const Contract* find(std::uint32_t slot) const;
    /// It, or a function it calls, may move the packet.
    [[nodiscard]] bool moves_packet(std::uint32_t slot) const;
    /// Its type is known, and it returns a number.
    [[nodiscard]] bool returns_number(std::uint32_t slot) const;

private:
    struct Function {
        std::uint32_t begin = 0;
        bool global = false;
        bool moves_packet = false;
        bool returns_number = false;
        Contract contract;
    };
    [[nodiscard]] const Function* at(std::uint32_t slot) const;
    std::vector<Function> functions_; ///< by begin
};

} // namespace skep::verifier
