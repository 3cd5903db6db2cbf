// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "console.hpp"
#include "disassembly.hpp"
#include "skep/program/program.hpp"
#include "skep/verifier/verifier.hpp"

namespace skep::tool {

/// What the verifier found in one program, for people and for machines. Borrows its arguments.
class Diagnostics {
public:
    Diagnostics(const Console& console, const Disassembly& disassembly, const Program& program,
                const verifier::Report& report)
        : console_(console), disassembly_(disassembly), program_(program), report_(report) {}

    /// Each finding as rustc shows errors: its lines with what happened there, the way, and what
    /// Linux would say.
    [[nodiscard]] std::string text() const;
    /// The same content: an array.
    [[nodiscard]] Json json() const;
    /// The same content: SARIF 2.1.0 results; `uri` is of the object, for programs without lines.
    [[nodiscard]] Json sarif(const std::string& uri) const;

private:
    /// A place in the source, or an instruction where there is no source.
    struct Span {
        std::uint32_t insn = 0;
        std::string text; ///< what to say of it
        bool primary = false;
    };

    [[nodiscard]] std::string about(const verifier::Note& note) const;
    [[nodiscard]] std::string variable(std::uint32_t insn, int reg) const;
    [[nodiscard]] std::string way(const verifier::Finding& finding) const;
    [[nodiscard]] std::string one(const verifier::Finding& finding) const;
    [[nodiscard]] Json place(std::uint32_t insn) const;

    const Console& console_;
    const Disassembly& disassembly_;
    const Program& program_;
    const verifier::Report& report_;
};

} // namespace skep::tool
