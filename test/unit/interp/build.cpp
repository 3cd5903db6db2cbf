// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "build.hpp"

#include "quiet_host.hpp"

#include "skep/base/check.hpp"

namespace skep::test {

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
