// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "build.hpp"
#include "code.hpp"
#include "emitted.hpp"
#include "select.hpp"
#include "skep/base/check.hpp"
#include "support.hpp"

namespace skep::jit {
namespace {

#if defined(__aarch64__)
constexpr Arch kNative = Arch::Arm64;
#else
constexpr Arch kNative = Arch::X64;
#endif

/// "count_packets.hash"
std::string name_of(const Program& program, const FunctionPlan& function) {
    if (function.begin == 0)
        return program.name;
    const Subprogram* found = program.subprogram_of(function.begin);
    const std::string own =
        found != nullptr && !found->name.empty() ? found->name : std::to_string(function.begin);
    return program.name + "." + own;
}

/// Functions whose address or call is left in the code.
void note_needs(const ir::Graph& graph, ProgramPlan& plan) {
    for (const ir::Node& node : graph.nodes)
        if (node.op == ir::Op::CallLocal || node.op == ir::Op::FunctionAddress)
            plan.functions[static_cast<std::size_t>(node.imm)].needs_code = true;
}

} // namespace

Result<Image> translate(const Program& program, const Binding& binding, Arch arch,
                        const Options& options) {
    SKEP_CHECK(binding.facts != nullptr && binding.facts->insns.size() == program.insns.size());
    ProgramPlan plan = make_plan(program, binding);
    const auto count = static_cast<std::uint32_t>(plan.functions.size());
    const std::unique_ptr<Backend> backend =
        arch == Arch::X64 ? make_x64(program, count, options) : make_a64(program, count, options);
    Outline outline;
    ir::Graph graph;
    Allocation allocation;
    Builder builder(plan, options, graph);
    std::vector<bool> done(count);
    for (std::uint32_t i = 0; i < count;) {
        if (done[i] || !plan.functions[i].needs_code) {
            ++i;
            continue;
        }
        done[i] = true;
        make_outline(plan, i, outline);
        SKEP_TRY(builder.build(outline));
        sweep(graph);
        convert_branches(graph);
        select(graph, backend->target());
        if (backend->target().combine != nullptr)
            backend->target().combine(graph);
        note_needs(graph, plan);
        allocate(graph, backend->target(), allocation);
        backend->emit(graph, allocation, i);
        i = 0;
    }
    const std::vector<std::uint32_t> order = backend->order();
    Image image = backend->finish();
    for (std::size_t i = 0; i < order.size(); ++i)
        image.functions[i].name = name_of(program, plan.functions[order[i]]);
    return image;
}

bool available() noexcept {
#if defined(__x86_64__) || defined(__aarch64__)
    return true;
#else
    return false;
#endif
}

Result<std::shared_ptr<const Code>> Code::compile(std::shared_ptr<const Program> program,
                                                  const Binding& binding, const Options& options) {
    if (!available())
        return fail(ErrorCode::Unsupported, "there is no compiler for this machine", {},
                    "the interpreter runs everywhere: --engine interp");
    Image image = SKEP_TRY(translate(*program, binding, kNative, options));
    CodePiece piece = SKEP_TRY(CodePiece::place(image.code));
    image.code = {};
    return std::make_shared<const CodeImpl>(std::move(program), std::move(image), std::move(piece));
}

void Code::prepare(exec::RunContext& run) noexcept {
    run.callback = support::call_back;
}

SKEP_CALLS_CODE RunOutcome CodeImpl::run(exec::RunContext& run) const noexcept {
    prepare(run);
    run.trap = {};
    run.tail_calls = 0;
    const std::uint64_t r0 = entry()(run.context->address(), &run);
    return {.r0 = run.trap ? 0 : r0, .trap = run.trap};
}

} // namespace skep::jit
