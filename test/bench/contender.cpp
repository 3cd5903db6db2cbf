// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "contender.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <ctime>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel_bpf.hpp"
#include "kernel_object.hpp"
#include "make_maps.hpp"
#include "native.hpp"
#include "skep/helpers/helpers.hpp"
#include "skep/jit/jit.hpp"
#include "skep/maps/epoch.hpp"
#include "skep/maps/ringbuf.hpp"
#include "skep/runtime/input.hpp"
#include "skep/runtime/runtime.hpp"
#include "skep/runtime/verify.hpp"

namespace skep::bench {
namespace {

using spec::MapKind;

bool per_cpu(MapKind kind) noexcept {
    return kind == MapKind::PercpuArray || kind == MapKind::PercpuHash ||
           kind == MapKind::LruPercpuHash;
}

/// True of maps whose elements can be walked and compared.
bool comparable(const spec::MapDef& def) noexcept {
    return def.kind == MapKind::Array || def.kind == MapKind::Hash ||
           def.kind == MapKind::LruHash || def.kind == MapKind::LpmTrie || per_cpu(def.kind);
}

/// A value as user space gives it: for per-CPU maps once for every CPU.
std::vector<std::byte> user_value(const spec::MapDef& def, std::vector<std::byte> value,
                                  std::uint32_t cpus) {
    if (!per_cpu(def.kind))
        return value;
    value.resize((value.size() + 7) / 8 * 8);
    std::vector<std::byte> all;
    for (std::uint32_t cpu = 0; cpu < cpus; ++cpu)
        all.insert(all.end(), value.begin(), value.end());
    return all;
}

/// Digests a map through `next` (key after a key) and `read`. Order does not matter.
std::uint64_t digest_map(const spec::MapDef& def, std::uint32_t cpus, auto&& next, auto&& read) {
    if (!comparable(def))
        return 0;
    std::vector<std::byte> key(def.key_size), after(def.key_size);
    std::vector<std::byte> value = user_value(def, std::vector<std::byte>(def.value_size), cpus);
    std::uint64_t sum = 1;
    for (bool more = next(nullptr, after.data()) == 0; more;
         more = next(key.data(), after.data()) == 0) {
        key = after;
        if (read(key.data(), value.data()) != 0)
            continue;
        if (per_cpu(def.kind)) // Counters: their sums over the CPUs.
            for (std::size_t at = def.value_size / 8 * 8; at + 8 <= value.size(); at += 8) {
                std::byte* to = &value[at % (value.size() / cpus)];
                store(to, load<std::uint64_t>(to) + load<std::uint64_t>(&value[at]));
            }
        std::uint64_t h = 0xcbf29ce484222325; // FNV-1a
        const auto add = [&](std::span<const std::byte> bytes) {
            for (const std::byte b : bytes)
                h = (h ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3;
        };
        add(key);
        add(std::span(value).first(def.value_size));
        sum += h;
    }
    return sum;
}

/// Moves a ring buffer's consumer to where its producer is; the pages are the kernel's layout.
void drain_ring(std::byte* consumer, const std::byte* producer) noexcept {
    const auto position =
        std::atomic_ref(*reinterpret_cast<std::uint64_t*>(const_cast<std::byte*>(producer)))
            .load(std::memory_order_acquire);
    std::atomic_ref(*reinterpret_cast<std::uint64_t*>(consumer))
        .store(position, std::memory_order_release);
}

/// The object in skep, with its maps filled.
Result<std::unique_ptr<runtime::Runtime>> load(const Subject& subject, runtime::Engine engine) {
    const std::uint32_t cpus = std::max(2U, test::kernel::possible_cpus());
    auto made = SKEP_TRY(
        runtime::Runtime::load(subject.object, {.engine = engine, .cpus = cpus, .host = {}}));
    for (const Element& element : subject.elements) {
        maps::Map& map = *made->maps()[element.map];
        const auto value = user_value(map.def(), element.value, cpus);
        if (const int bad = map.write(element.key.data(), value.data(), 0); bad != 0)
            return fail(ErrorCode::Invalid,
                        "map \"" + map.def().name + "\": " + std::strerror(-bad));
    }
    return made;
}

/// What is the same for all that runs on skep's maps.
class OwnMaps : public Runner {
public:
    explicit OwnMaps(std::unique_ptr<runtime::Runtime> runtime) : runtime_(std::move(runtime)) {}

    void drain() override {
        for (const auto& map : runtime_->maps())
            if (const maps::RingbufMap* ring = maps::RingbufMap::from(*map))
                drain_ring(ring->consumer_page(), ring->data_pages());
    }

    std::uint64_t digest(std::uint32_t index) override {
        maps::Map& map = *runtime_->maps()[index];
        return digest_map(
            map.def(), map.cpus(),
            [&](const std::byte* key, std::byte* next) { return map.next_key(key, next); },
            [&](const std::byte* key, std::byte* value) { return map.read(key, value); });
    }

protected:
    std::unique_ptr<runtime::Runtime> runtime_;
};

class EngineRunner final : public OwnMaps {
public:
    EngineRunner(std::unique_ptr<runtime::Runtime> runtime, const runtime::LoadedProgram& program,
                 const spec::ContextLayout& layout)
        : OwnMaps(std::move(runtime)),
          threads_{Thread(program, layout, 0), Thread(program, layout, 1)} {}

    Result<Sample> run(std::uint32_t times, std::uint32_t cpu) override {
        Thread& thread = threads_[cpu];
        Sample sample;
        std::uint64_t r0 = 0;
        const double start = thread_ns();
        for (std::uint32_t i = 0; i < times; ++i) {
            r0 = thread.runner.run(thread.context);
            if (thread.runner.trap()) [[unlikely]]
                return fail(ErrorCode::Invalid,
                            "it traps: " + exec::describe(thread.runner.trap()));
        }
        sample.ns = (thread_ns() - start) / times;
        sample.retval = static_cast<std::uint32_t>(r0);
        return sample;
    }

private:
    struct Thread {
        Thread(const runtime::LoadedProgram& program, const spec::ContextLayout& layout,
               std::uint32_t cpu)
            : runner(program, cpu), context(layout) {
            (void)runtime::PacketInput(layout, {}).load(context, suite_frame());
        }
        runtime::Runner runner;
        exec::Context context;
    };

    std::array<Thread, 2> threads_; ///< by CPU
};

template <runtime::Engine kEngine>
Result<std::unique_ptr<Runner>> make_engine(const Subject& subject) {
    auto loaded = SKEP_TRY(load(subject, kEngine));
    const auto program = SKEP_TRY(loaded->program(subject.name()));
    const auto* layout = SKEP_TRY(runtime::context_of(program.program().type));
    return std::make_unique<EngineRunner>(std::move(loaded), program, *layout);
}

/// The machine has no such engine: say so instead of measuring another one.
Result<std::unique_ptr<Runner>> make_jit(const Subject& subject) {
    if (!jit::available())
        return fail(ErrorCode::Unsupported, "no compiler for this machine");
    return make_engine<runtime::Engine::Jit>(subject);
}

class NativeRunner final : public OwnMaps {
public:
    NativeRunner(std::unique_ptr<runtime::Runtime> runtime, std::string name,
                 native::Function function, const spec::ContextLayout& layout)
        : OwnMaps(std::move(runtime)), name_(std::move(name)), function_(function),
          context_(layout), frame_(suite_frame()) {
        run_.host = &runtime_->host();
        run_.context = &context_;
        packet_.data = reinterpret_cast<unsigned long>(frame_.data());
        packet_.data_meta = packet_.data;
        packet_.data_end = packet_.data + frame_.size();
        packet_.ingress_ifindex = 1;
    }

    Result<Sample> run(std::uint32_t times, std::uint32_t cpu) override {
        run_.cpu = cpu;
        native::bind(name_, *runtime_, run_);
        Sample sample;
        const double start = thread_ns();
        for (std::uint32_t i = 0; i < times; ++i) {
            const maps::EpochGuard guard; // As every run of an engine.
            sample.retval = static_cast<std::uint32_t>(function_(&packet_));
        }
        sample.ns = (thread_ns() - start) / times;
        return sample;
    }

private:
    std::string name_;
    native::Function function_;
    exec::Context context_;
    exec::RunContext run_;
    native::XdpMd packet_;
    std::vector<std::byte> frame_;
};

Result<std::unique_ptr<Runner>> make_native(const Subject& subject) {
    const native::Function function = native::find(subject.entry.name);
    if (function == nullptr)
        return fail(ErrorCode::NotFound, std::string(subject.entry.not_native));
    // Its maps and host only: nothing is run by the engine.
    auto loaded = SKEP_TRY(load(subject, runtime::Engine::Unchecked));
    const auto* layout = SKEP_TRY(runtime::context_of(spec::ProgramType::Xdp));
    return std::make_unique<NativeRunner>(std::move(loaded), subject.name(), function, *layout);
}

/// The pages of a ring buffer in the kernel that its consumer sees.
class KernelRing {
public:
    explicit KernelRing(int fd) : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
        consumer_ = ::mmap(nullptr, page_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        producer_ = ::mmap(nullptr, page_, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(page_));
    }
    ~KernelRing() {
        ::munmap(consumer_, page_);
        ::munmap(producer_, page_);
    }
    KernelRing(const KernelRing&) = delete;
    KernelRing& operator=(const KernelRing&) = delete;

    void drain() noexcept {
        if (consumer_ != MAP_FAILED && producer_ != MAP_FAILED)
            drain_ring(static_cast<std::byte*>(consumer_), static_cast<std::byte*>(producer_));
    }

private:
    std::size_t page_;
    void* consumer_;
    void* producer_;
};

class KernelRunner final : public Runner {
public:
    KernelRunner(const Subject& subject, test::kernel::Loaded loaded)
        : subject_(subject), loaded_(std::move(loaded)), frame_(suite_frame()) {
        for (std::size_t i = 0; i < subject.object.maps.size(); ++i)
            if (subject.object.maps[i].def.kind == MapKind::Ringbuf)
                rings_.push_back(std::make_unique<KernelRing>(loaded_.map(i)));
    }

    Result<Sample> run(std::uint32_t times, std::uint32_t /*cpu: where the thread is*/) override {
        test::kernel::TestRun run{.data_in = frame_, .repeat = times, .data_room = 0};
        const int bad = test::kernel::prog_test_run(loaded_.program(subject_.name()), run);
        if (bad != 0)
            return fail(ErrorCode::Environment,
                        std::string("BPF_PROG_TEST_RUN: ") + std::strerror(-bad));
        // Its own figure: the call as a whole costs more than the runs of a short sample.
        return Sample{run.retval, static_cast<double>(run.duration_ns)};
    }

    void drain() override {
        for (const auto& ring : rings_)
            ring->drain();
    }

    std::uint64_t digest(std::uint32_t index) override {
        const int fd = loaded_.map(index);
        return digest_map(
            subject_.object.maps[index].def, test::kernel::possible_cpus(),
            [&](const std::byte* key, std::byte* next) {
                return test::kernel::map_next_key(fd, key, next);
            },
            [&](const std::byte* key, std::byte* value) {
                return test::kernel::map_lookup(fd, key, value);
            });
    }

private:
    const Subject& subject_;
    test::kernel::Loaded loaded_;
    std::vector<std::byte> frame_;
    std::vector<std::unique_ptr<KernelRing>> rings_;
};

Result<std::unique_ptr<Runner>> make_kernel(const Subject& subject) {
    std::string why;
    if (!test::kernel::available(&why))
        return fail(ErrorCode::Environment, why);
    auto loaded = SKEP_TRY(test::kernel::Loaded::load(subject.object, {subject.name()}));
    const std::uint32_t cpus = test::kernel::possible_cpus();
    for (const Element& element : subject.elements) {
        const auto& def = subject.object.maps[element.map].def;
        const auto value = user_value(def, element.value, cpus);
        const int fd = loaded.map(element.map);
        if (const int bad = test::kernel::map_update(fd, element.key.data(), value.data());
            bad != 0)
            return fail(ErrorCode::Environment, "map \"" + def.name + "\": " + std::strerror(-bad));
    }
    return std::make_unique<KernelRunner>(subject, std::move(loaded));
}

#if defined(__aarch64__)
constexpr jit::Arch kHost = jit::Arch::Arm64;
#else
constexpr jit::Arch kHost = jit::Arch::X64;
#endif

constexpr std::array kContenders{
    Contender{"checked", make_engine<runtime::Engine::Checked>},
    Contender{"interp", make_engine<runtime::Engine::Interp>},
    Contender{"jit", make_jit},
    Contender{"kernel", make_kernel},
    Contender{"native", make_native},
};

} // namespace

std::span<const Contender> contenders() noexcept {
    return kContenders;
}

Result<CompileTime> compile_time(const Subject& subject, std::uint32_t rounds) {
    const auto maps = SKEP_TRY(runtime::make_maps(subject.object, 1));
    const auto slots = runtime::make_slots(subject.object, maps);
    const auto views = runtime::map_views(subject.object);
    std::vector<std::shared_ptr<const Facts>> facts;
    CompileTime result;
    for (const auto& program : subject.object.programs) {
        facts.push_back(SKEP_TRY(runtime::prove(*program, views, true)));
        result.insns += program->insns.size();
    }
    const auto time = [&](auto&& compile) -> Result<double> {
        std::vector<double> times;
        for (std::uint32_t round = 0; round < rounds; ++round) {
            const double start = thread_ns();
            for (std::size_t i = 0; i < facts.size(); ++i)
                SKEP_TRY(
                    compile(subject.object.programs[i], jit::Binding{.maps = slots,
                                                                     .helpers = &helpers::table(),
                                                                     .facts = facts[i].get()}));
            times.push_back((thread_ns() - start) / 1000);
        }
        return median(std::move(times));
    };
    result.us = SKEP_TRY(time([](const auto& program, const jit::Binding& binding) {
        return jit::Code::compile(program, binding);
    }));
    result.translate_us = SKEP_TRY(time([](const auto& program, const jit::Binding& binding) {
        return jit::translate(*program, binding, kHost);
    }));
    return result;
}

Result<double> run_cost(const Subject& empty, bool statistics, std::uint32_t rounds) {
    constexpr std::uint32_t kRuns = 100'000;
    const auto loaded = SKEP_TRY(runtime::Runtime::load(
        empty.object, {.engine = runtime::Engine::Jit, .host = {}, .statistics = statistics}));
    const auto program = SKEP_TRY(loaded->program(empty.name()));
    const auto* layout = SKEP_TRY(runtime::context_of(program.program().type));
    exec::Context context(*layout);
    SKEP_TRY(runtime::PacketInput(*layout, {}).load(context, suite_frame()));
    runtime::Runner runner(program);
    std::vector<double> times;
    for (std::uint32_t round = 0; round < rounds; ++round) {
        const double start = thread_ns();
        for (std::uint32_t i = 0; i < kRuns; ++i)
            runner.run(context);
        times.push_back((thread_ns() - start) / kRuns);
    }
    return median(std::move(times));
}

double thread_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

double median(std::vector<double> values) {
    if (values.empty())
        return 0;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

} // namespace skep::bench
