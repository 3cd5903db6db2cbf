// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>

#include "program_text.hpp"

#include "skep/verifier/verifier.hpp"

namespace skep::test {

/// What verify() says of a program whose map 0 is an array of values of 16 bytes or as many.
inline verifier::Report report_of(std::string_view text,
                                  spec::ProgramType type = spec::ProgramType::Xdp,
                                  verifier::Options options = {}, std::uint32_t value_size = 16) {
    spec::MapDef def{
        .kind = spec::MapKind::Array, .key_size = 4, .value_size = value_size, .max_entries = 4};
    def.name = "values";
    const std::array maps{verifier::MapView{.def = &def}};
    options.max_visits = 100'000;
    return verifier::verify(*program(text, type), maps, options);
}

/// "accepted", or the code and the slot of the first finding: "V101 at 3". Map 0 is an array of
/// 16-byte values.
inline std::string judge(std::string_view text, spec::ProgramType type = spec::ProgramType::Xdp) {
    const verifier::Report report = report_of(text, type);
    if (report.outcome == verifier::Outcome::Accepted)
        return "accepted";
    const verifier::Finding& first = report.findings.front();
    return first.code + " at " + std::to_string(first.insn);
}

} // namespace skep::test
