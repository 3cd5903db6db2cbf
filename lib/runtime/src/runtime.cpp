// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/runtime/runtime.hpp"
#include "skep/runtime/verify.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <utility>

#include "host.hpp"
#include "make_maps.hpp"
#include "skep/base/suggest.hpp"
#include "skep/helpers/helpers.hpp"
#include "skep/interp/interp.hpp"
#include "skep/jit/jit.hpp"
#include "skep/maps/epoch.hpp"
#include "skep/maps/slots.hpp"

namespace skep::runtime {

struct LoadedProgram::State {
    Runtime::State* owner = nullptr;
    std::shared_ptr<const Program> program;
    /// One of the two, or none: not asked for.
    std::shared_ptr<const interp::Code> code;
    std::shared_ptr<const jit::Code> native;

    std::mutex counters_mutex;
    std::vector<std::shared_ptr<detail::RunCounters>> counters; ///< of its Runners

    [[nodiscard]] bool ready() const noexcept { return code != nullptr || native != nullptr; }
};

struct Runtime::State {
    State(const object::Object& from, const LoadOptions& with)
        : object(from), options(with), host(with.host) {}

    object::Object object;
    LoadOptions options;
    SystemHost host;
    std::vector<std::shared_ptr<maps::Map>> maps;
    std::vector<exec::MapSlot> slots;
    std::vector<LoadedProgram::State> programs; ///< in the object's order

    Result<void> compile(std::size_t index);
    Result<void> fill_prog_arrays();
};

Engine default_engine() noexcept {
    return Engine::Interp; // Until compiled programs agree on every scenario: docs/plan.md.
}

namespace {

/// What engines ask for at a tail call: the code in a slot. All of a runtime are for one engine.
const void* tail_target(exec::RunContext* /*run*/, const void* map, std::uint32_t index) noexcept {
    // Engines hand back the Map of a MapSlot, which is ours and not const.
    auto* array =
        maps::ProgArrayMap::from(*const_cast<maps::Map*>(static_cast<const maps::Map*>(map)));
    return array == nullptr ? nullptr : array->get(index);
}

const exec::HelperTable& standard_helpers() noexcept {
    return helpers::table();
}

/// What all runs of a program have in common.
void set_up(exec::RunContext& run, LoadedProgram::State& state, std::uint32_t cpu) noexcept {
    Runtime::State& owner = *state.owner;
    run.host = &owner.host;
    run.cpu = cpu < owner.options.cpus ? cpu : 0;
    run.tail_target = tail_target;
}

std::size_t index_of(const object::Object& object, const std::string& name) {
    const auto found =
        std::ranges::find(object.programs, name, [](const auto& program) { return program->name; });
    return static_cast<std::size_t>(found - object.programs.begin());
}

} // namespace

Result<void> Runtime::State::compile(std::size_t index) {
    LoadedProgram::State& loaded = programs[index];
    if (loaded.ready())
        return {};
    const bool compiles = options.engine == Engine::Jit;
    std::shared_ptr<const Facts> facts;
    if (compiles || options.engine == Engine::Interp)
        facts = SKEP_TRY(prove(*loaded.program, map_views(object), compiles));
    const exec::HelperTable* table =
        options.helpers != nullptr ? options.helpers : &standard_helpers();
    const auto named = [&](Error error) {
        error.message = "program \"" + loaded.program->name + "\": " + error.message;
        return std::unexpected(std::move(error));
    };
    if (compiles) {
        auto native = jit::Code::compile(loaded.program,
                                         {.maps = slots, .helpers = table, .facts = facts.get()});
        if (!native)
            return named(std::move(native).error());
        loaded.native = *std::move(native);
        return {};
    }
    const auto mode = options.engine == Engine::Checked  ? interp::Mode::Checked
                      : options.engine == Engine::Traced ? interp::Mode::Traced
                                                         : interp::Mode::Unchecked;
    auto code =
        interp::Code::compile(loaded.program,
                              {.maps = slots,
                               .helpers = table,
                               .zero_uninitialised_stack = options.zero_uninitialised_stack},
                              mode);
    if (!code)
        return named(std::move(code).error());
    loaded.code = *std::move(code);
    return {};
}

Result<void> Runtime::State::fill_prog_arrays() {
    for (std::size_t i = 0; i < maps.size(); ++i) {
        maps::ProgArrayMap* array = maps::ProgArrayMap::from(*maps[i]);
        for (const auto& [slot, name] : object.maps[i].slots) {
            if (array == nullptr)
                break;
            SKEP_TRY(object.program(name)); // Says what is not there, with a suggestion.
            const std::size_t index = index_of(object, name);
            SKEP_TRY(compile(index));
            const LoadedProgram::State& target = programs[index];
            const std::shared_ptr<const void> code =
                target.native != nullptr ? std::shared_ptr<const void>(target.native) : target.code;
            const int bad = array->set(slot, code, name);
            if (bad < 0)
                return fail(ErrorCode::Invalid, "map \"" + array->def().name + "\": program \"" +
                                                    name + "\" in slot " + std::to_string(slot) +
                                                    " is refused: " + std::strerror(-bad));
        }
    }
    return {};
}

Result<std::unique_ptr<Runtime>> Runtime::load(const object::Object& object,
                                               const LoadOptions& options,
                                               std::span<const std::string> programs) {
    if (options.cpus == 0)
        return fail(ErrorCode::Invalid, "0 CPUs, expected at least 1");
    auto state = std::make_unique<State>(object, options);
    state->maps = SKEP_TRY(make_maps(state->object, options.cpus));
    state->slots = make_slots(state->object, state->maps);
    state->programs = std::vector<LoadedProgram::State>(state->object.programs.size());
    for (std::size_t i = 0; i < state->programs.size(); ++i) {
        state->programs[i].owner = state.get();
        state->programs[i].program = state->object.programs[i];
    }
    for (const std::string& name : programs) {
        SKEP_TRY(state->object.program(name));
        SKEP_TRY(state->compile(index_of(state->object, name)));
    }
    for (std::size_t i = 0; programs.empty() && i < state->programs.size(); ++i)
        if (state->programs[i].program->autoload)
            SKEP_TRY(state->compile(i));
    SKEP_TRY(state->fill_prog_arrays());
    return std::unique_ptr<Runtime>(new Runtime(std::move(state)));
}

Runtime::Runtime(std::unique_ptr<State> state) : state_(std::move(state)) {}
Runtime::~Runtime() = default;

Result<LoadedProgram> Runtime::program(const std::string& name) const {
    SKEP_TRY(state_->object.program(name));
    LoadedProgram::State& loaded = state_->programs[index_of(state_->object, name)];
    if (!loaded.ready())
        return fail(ErrorCode::Invalid, "program \"" + name + "\" was not loaded", {},
                    "name it when loading: it is not loaded by default");
    return LoadedProgram(loaded);
}

std::vector<LoadedProgram> Runtime::programs() const {
    std::vector<LoadedProgram> loaded;
    for (LoadedProgram::State& program : state_->programs)
        if (program.ready())
            loaded.push_back(LoadedProgram(program));
    return loaded;
}

Result<std::shared_ptr<maps::Map>> Runtime::map(const std::string& name) const {
    const std::uint32_t index = SKEP_TRY(state_->object.map_index(name));
    return state_->maps[index];
}

std::span<const std::shared_ptr<maps::Map>> Runtime::maps() const noexcept {
    return state_->maps;
}

const object::Object& Runtime::object() const noexcept {
    return state_->object;
}

exec::Host& Runtime::host() noexcept {
    return state_->host;
}

void Runtime::set_time_ns(std::uint64_t ns) noexcept {
    state_->host.set_time_ns(ns);
}

std::uint64_t Runtime::lost_events() const noexcept {
    return state_->host.lost_events();
}

const Program& LoadedProgram::program() const noexcept {
    return *state_->program;
}

RunResult LoadedProgram::run(exec::Context& context, std::uint32_t cpu,
                             exec::Observer* observer) const noexcept {
    Runtime::State& owner = *state_->owner;
    if (context.layout().type != state_->program->type)
        return {.trap = {.kind = exec::TrapKind::BadContext,
                         .program = state_->program.get(),
                         .detail = "the context is of another program type"}};
    const maps::EpochGuard guard;
    exec::RunContext run;
    set_up(run, *state_, cpu);
    run.context = &context;
    run.observer = observer;
    if (state_->native != nullptr) {
        const jit::RunOutcome outcome = state_->native->run(run);
        return {.retval = static_cast<std::uint32_t>(outcome.r0),
                .r0 = outcome.r0,
                .trap = outcome.trap,
                .redirect = run.redirect};
    }
    const interp::RunOutcome outcome = state_->code->run(run, owner.options.fuel);
    return {.retval = static_cast<std::uint32_t>(outcome.r0),
            .r0 = outcome.r0,
            .trap = outcome.trap,
            .instructions = outcome.instructions,
            .redirect = run.redirect};
}

RunStatistics LoadedProgram::statistics() const {
    const std::lock_guard lock(state_->counters_mutex);
    RunStatistics sum;
    for (const auto& counters : state_->counters) {
        sum.runs += counters->runs.load(std::memory_order_relaxed);
        sum.traps += counters->traps.load(std::memory_order_relaxed);
        sum.sampled += counters->sampled.load(std::memory_order_relaxed);
        sum.sampled_ns += counters->sampled_ns.load(std::memory_order_relaxed);
    }
    return sum;
}

const jit::Code* LoadedProgram::native() const noexcept {
    return state_->native.get();
}

namespace {

/// The interpreter in the form of a compiled program.
std::uint64_t interpret(std::uint64_t /*context*/, exec::RunContext* run) noexcept {
    const auto& state = *static_cast<const LoadedProgram::State*>(run->runtime);
    return state.code->run(*run, state.owner->options.fuel).r0;
}

} // namespace

Runner::Runner(const LoadedProgram& program, std::uint32_t cpu) {
    LoadedProgram::State& state = *program.state_;
    set_up(run_, state, cpu);
    run_.runtime = &state;
    entry_ = interpret;
    if (state.native != nullptr) {
        jit::Code::prepare(run_);
        entry_ = state.native->entry();
    }
    if (!state.owner->options.statistics)
        return;
    counted_ = std::make_shared<detail::RunCounters>();
    const std::lock_guard lock(state.counters_mutex);
    state.counters.push_back(counted_);
}

SKEP_CALLS_CODE std::uint64_t Runner::run_timed(std::uint64_t context) noexcept {
    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t r0 = entry_(context, &run_);
    const auto took = std::chrono::steady_clock::now() - begin;
    add(counted_->sampled, 1);
    add(counted_->sampled_ns, static_cast<std::uint64_t>(took.count()));
    if (run_.trap)
        add(counted_->traps, 1);
    return r0;
}

} // namespace skep::runtime
