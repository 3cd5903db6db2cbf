// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "build.hpp"

#include "quiet_host.hpp"

#include "skep/base/check.hpp"
#include "skep/isa/assemble.hpp"
#include "skep/isa/decode.hpp"

namespace skep::test {
std::shared_ptr<const Program> program(std::string_view text, spec::ProgramType type) {
    auto insns = isa::assemble(text);
    if (!insns)
        ADD_FAILURE() << insns.error().to_string();
    SKEP_CHECK(insns.has_value());
    auto made = std::make_shared<Program>();
    made->name = "test";
    made->type = type;
    made->insns = *std::move(insns);
    const auto starts = isa::function_starts(made->insns);
    for (std::size_t i = 0; i < starts.size(); ++i)
        made->subprograms.push_back({.start = starts[i],
                                     .end = i + 1 < starts.size()
                                                ? starts[i + 1]
                                                : static_cast<std::uint32_t>(made->insns.size())});
    return made;
}

Result<std::unique_ptr<const interp::Code>> compile(std::string_view text, const Given& setup) {
    return interp::Code::compile(program(text, setup.type),
                                 {.maps = setup.maps,
                                  .helpers = setup.helpers,
                                  .zero_uninitialised_stack = setup.zero_stack},
                                 setup.mode);
}

interp::RunOutcome run(const interp::Code& code, const Given& setup) {
    QuietHost host;
    exec::Context context(*spec::find_context(setup.type));
    SKEP_CHECK(context.set_packet(setup.packet).has_value());
    exec::RunContext state;
    state.host = &host;
    state.context = &context;
    state.tail_target = setup.tail_target;
    state.runtime = setup.runtime;
    return code.run(state, setup.fuel);
}

interp::RunOutcome run(std::string_view text, const Given& setup) {
    const auto code = compile(text, setup);
    if (!code)
        ADD_FAILURE() << code.error().to_string();
    SKEP_CHECK(code.has_value());
    return run(**code, setup);
}

std::string outcome(std::string_view text, const Given& setup) {
    const interp::RunOutcome result = run(text, setup);
    if (result.trap)
        return "insn " + std::to_string(result.trap.insn) + ": " + exec::describe(result.trap);
    return "r0 = " + std::to_string(result.r0);
}

} // namespace skep::test
