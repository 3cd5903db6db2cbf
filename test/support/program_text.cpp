// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "program_text.hpp"

#include <cstdio>

#include "skep/base/check.hpp"
#include "skep/isa/assemble.hpp"
#include "skep/isa/decode.hpp"

namespace skep::test {

std::shared_ptr<Program> program_of(std::vector<isa::Insn> code, spec::ProgramType type) {
    auto made = std::make_shared<Program>();
    made->name = "test";
    made->type = type;
    made->license = "GPL";
    made->insns = std::move(code);
    const auto starts = isa::function_starts(made->insns);
    for (std::size_t i = 0; i < starts.size(); ++i)
        made->subprograms.push_back({.start = starts[i],
                                     .end = i + 1 < starts.size()
                                                ? starts[i + 1]
                                                : static_cast<std::uint32_t>(made->insns.size())});
    return made;
}

std::shared_ptr<const Program> program(std::string_view text, spec::ProgramType type) {
    auto insns = isa::assemble(text);
    if (!insns)
        std::fprintf(stderr, "%s\n", insns.error().to_string().c_str());
    SKEP_CHECK(insns.has_value());
    return program_of(*std::move(insns), type);
}

} // namespace skep::test
