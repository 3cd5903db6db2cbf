// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <fmt/format.h>
#include <optional>

#include "cli.hpp"
#include "events.hpp"
#include "hex.hpp"
#include "input_file.hpp"
#include "run_report.hpp"
#include "show_map.hpp"
#include "skep/base/file.hpp"
#include "skep/runtime/verdict.hpp"

namespace skep::tool {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
    InputOptions input;
    std::string program, packet, pcap, ctx, event_type, write_pcapng, comm;
    std::optional<std::string> data;
    std::vector<std::string> map_set, set;
    std::uint64_t repeat = 1;
    std::uint64_t limit = 0;
    std::uint64_t events = 10;
    std::string clock = "capture";
    std::uint64_t fuel = 100'000'000;
    std::uint32_t cpu = 0;
    std::uint32_t cpus = 1;
    std::optional<std::uint64_t> seed, time;
    std::optional<std::uint32_t> pid;
    bool map_dump = false;
    bool zero_stack = false;
    bool checked = false;
    std::string engine = "auto";
};

/// --engine, and --checked for short.
runtime::Engine engine_of(const Options& options) {
    if (options.checked || options.engine == "checked")
        return runtime::Engine::Checked;
    if (options.engine == "interp")
        return runtime::Engine::Interp;
    return options.engine == "jit" ? runtime::Engine::Jit : runtime::default_engine();
}

/// A program ready to run and what belongs to it.
struct Session {
    object::Object object;
    std::unique_ptr<runtime::Runtime> runtime;
    std::optional<runtime::LoadedProgram> program;
    std::unique_ptr<exec::Context> context;
    std::unique_ptr<Events> events;
};

Result<void> set_globals(object::Object& object, const std::vector<std::string>& assignments) {
    for (const std::string& assignment : assignments) {
        const auto equals = assignment.find('=');
        if (equals == std::string::npos)
            return fail(ErrorCode::Invalid,
                        "--set: \"" + assignment + "\" is not of the form VARIABLE=VALUE");
        const std::string name = assignment.substr(0, equals);
        const std::string value = assignment.substr(equals + 1);
        if (value.starts_with("hex:")) {
            const auto bytes = SKEP_TRY(parse_hex(value.substr(4), "--set " + name));
            SKEP_TRY(object.set_global(name, bytes));
        } else {
            const std::int64_t number = SKEP_TRY(parse_integer(value, "--set " + name));
            SKEP_TRY(object.set_global_integer(name, number));
        }
    }
    return {};
}

std::unexpected<Error> not_an_integer(const std::string& name) {
    return fail(ErrorCode::Invalid, "--ctx: the value of \"" + name + "\" is not an integer");
}

Result<void> set_context_field(exec::Context& context, const std::string& name, const Json& value) {
    if (!value.is_number_integer())
        return not_an_integer(name);
    return runtime::set_field(context, name, static_cast<std::uint64_t>(value.get<std::int64_t>()));
}

/// The context as 64-bit words: the arguments of raw tracepoints and traced functions.
Result<std::unique_ptr<exec::Context>> context_of_words(const spec::ContextLayout& layout,
                                                        const Json& words) {
    if (!layout.fields.empty())
        return fail(ErrorCode::Invalid, "--ctx: " + std::string(layout.name) +
                                            " has fields: expected an object, {\"" +
                                            std::string(layout.fields[0].name) + "\": 0}");
    auto context = std::make_unique<exec::Context>(
        layout, static_cast<std::uint32_t>(words.size() * sizeof(std::uint64_t)));
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (!words[i].is_number_integer())
            return not_an_integer(fmt::format("[{}]", i));
        store(context->bytes().data() + i * sizeof(std::uint64_t), words[i].get<std::int64_t>());
    }
    return context;
}

/// --ctx: an object of fields, an array of words, or the context's bytes in hexadecimal.
Result<std::unique_ptr<exec::Context>> make_context(spec::ProgramType type,
                                                    const std::string& ctx) {
    const spec::ContextLayout* layout = SKEP_TRY(runtime::context_of(type));
    const std::string text = SKEP_TRY(text_or_file(ctx));
    const Json json = Json::parse(text, nullptr, false);
    if (json.is_array())
        return context_of_words(*layout, json);
    if (json.is_object()) {
        if (layout->fields.empty())
            return fail(ErrorCode::Invalid, "--ctx: this program's context has no named fields", {},
                        "give its 64-bit words as a JSON array, [1, 59], or its bytes in "
                        "hexadecimal");
        auto context = std::make_unique<exec::Context>(*layout);
        for (const auto& [name, value] : json.items()) {
            if (!value.is_array()) {
                SKEP_TRY(set_context_field(*context, name, value));
                continue;
            }
            for (std::size_t i = 0; i < value.size(); ++i)
                SKEP_TRY(set_context_field(*context, fmt::format("{}[{}]", name, i), value[i]));
        }
        return context;
    }
    const auto bytes = SKEP_TRY(parse_hex(text, "--ctx"));
    if (layout->size != 0 && bytes.size() > layout->size)
        return fail(ErrorCode::Invalid, fmt::format("--ctx: {} bytes, {} has {}", bytes.size(),
                                                    layout->name, layout->size));
    auto context =
        std::make_unique<exec::Context>(*layout, static_cast<std::uint32_t>(bytes.size()));
    std::ranges::copy(bytes, context->bytes().begin());
    return context;
}

/// --packet and --data: a frame in hexadecimal, or raw in a file.
Result<std::vector<std::byte>> read_packet(const std::string& packet) {
    if (packet.starts_with('@'))
        return read_file(packet.substr(1), std::uint64_t{1} << 24);
    return parse_hex(packet, "packet");
}

/// True if programs see the packets' own times.
bool by_capture(const Options& options) {
    return !options.pcap.empty() && options.clock == "capture" && !options.time;
}

runtime::LoadOptions load_options(const Options& options, Events* events) {
    runtime::LoadOptions load{.engine = engine_of(options),
                              .cpus = std::max(options.cpus, options.cpu + 1),
                              .fuel = options.fuel,
                              .zero_uninitialised_stack = options.zero_stack};
    load.host.fixed_time_ns = options.time;
    if (by_capture(options))
        load.host.fixed_time_ns = 0; // Moved with each packet.
    load.host.random_seed = options.seed;
    load.host.pid = options.pid;
    load.host.tgid = options.pid;
    load.host.comm = options.comm;
    load.host.printk = [events](std::string_view text) { events->printk(text); };
    load.host.perf_output = [events](const maps::Map& map, std::uint32_t cpu,
                                     std::span<const std::byte> record) {
        events->perf(map, cpu, record);
    };
    return load;
}

Result<Session> open_session(const Console& console, const Options& options) {
    Session session{.object = SKEP_TRY(open_input(console, options.input))};
    const std::string name = SKEP_TRY(choose_program(session.object, options.program));
    SKEP_TRY(set_globals(session.object, options.set));
    session.events =
        std::make_unique<Events>(console, session.object.btf, options.event_type, options.events);
    const std::vector<std::string> names{name};
    session.runtime = SKEP_TRY(
        runtime::Runtime::load(session.object, load_options(options, session.events.get()), names));
    session.program = SKEP_TRY(session.runtime->program(name));
    for (const std::string& assignment : options.map_set)
        SKEP_TRY(set_element(*session.runtime, assignment));
    SKEP_TRY(session.events->watch(*session.runtime));
    auto context = make_context(session.program->program().type, options.ctx);
    if (!context)
        return std::unexpected(std::move(context).error());
    session.context = *std::move(context);
    return session;
}

Json dump_maps(const Session& session, std::string* text) {
    Json maps = Json::array();
    for (const auto& map : session.runtime->maps()) {
        const auto kind = map->def().kind;
        if (map->frozen() || kind == spec::MapKind::Ringbuf)
            continue;
        const auto elements = elements_of(*session.runtime, *map, 10'000, true);
        Json json = map_to_json(*map);
        json["elements"] = Json::array();
        *text += fmt::format("map {} ({}):\n", map->def().name, runtime::kind_name(kind));
        for (const Element& element : elements) {
            json["elements"].push_back(element_to_json(*map, session.object.btf.get(), element));
            *text += element_to_text(*map, session.object.btf.get(), element);
        }
        maps.push_back(std::move(json));
    }
    return maps;
}

/// Adds what every kind of run shows at the end, and prints.
Exit finish(const Console& console, const Options& options, Session& session, Json json,
            std::string text, bool trapped) {
    if (session.runtime->lost_events() != 0)
        console.warn(fmt::format("{} events were lost", session.runtime->lost_events()));
    if (!console.json && session.events->hidden() != 0)
        text += fmt::format("{} more events (--events N shows more)\n", session.events->hidden());
    if (options.map_dump) {
        Json maps = dump_maps(session, &text);
        json["maps"] = std::move(maps);
    }
    session.events->add_to(json);
    if (console.json)
        console.result(json);
    else
        console.out(text);
    return trapped ? Exit::No : Exit::Yes;
}

Result<Exit> run_on_capture(const Console& console, const Options& options, Session& session) {
    const Program& program = session.program->program();
    const runtime::PacketInput input(session.context->layout(), session.context->bytes());
    CaptureOptions capture{.input = options.pcap,
                           .output = options.write_pcapng,
                           .repeat = options.repeat,
                           .cpu = options.cpu,
                           .limit = options.limit};
    if (by_capture(options))
        capture.set_clock = [&session](std::uint64_t ns) { session.runtime->set_time_ns(ns); };
    std::function<void()> after;
    if (session.events->watches())
        after = [&session] { session.events->drain(); };
    const CaptureReport report =
        SKEP_TRY(run_capture(*session.program, *session.context, input, capture, after));
    if (!console.json && report.seconds > 0)
        console.note(
            fmt::format("speed: {:.0f} packets/s ({:.0f} ns each)",
                        static_cast<double>(report.packets) / report.seconds,
                        report.seconds * 1e9 /
                            static_cast<double>(std::max<std::uint64_t>(report.packets, 1))));
    Json json{{"program", program.name}, {"type", runtime::type_name(program.type)}};
    json.update(capture_to_json(session.object, program, report));
    return finish(console, options, session, std::move(json),
                  capture_to_text(console, session.object, program, report), report.traps != 0);
}

Json result_to_json(const Session& session, const runtime::RunResult& result) {
    const Program& program = session.program->program();
    Json json{{"program", program.name}, {"type", runtime::type_name(program.type)}};
    if (result.trap) {
        json["trap"] = trap_to_json(session.object, result.trap);
        return json;
    }
    json["retval"] = result.retval;
    json["verdict"] = runtime::verdict_name(program.type, result.retval);
    if (result.instructions != 0) // The checked interpreter counts.
        json["instructions"] = result.instructions;
    return json;
}

std::string result_to_text(const Console& console, const Session& session,
                           const runtime::RunResult& result) {
    const Program& program = session.program->program();
    std::string out = fmt::format("{} ({}): ", program.name, runtime::type_name(program.type));
    if (result.trap)
        return out + console.styled("trap: ", Console::Style::Bad) +
               trap_to_text(session.object, result.trap);
    const std::string name = runtime::verdict_name(program.type, result.retval);
    const std::string number = std::to_string(static_cast<std::int32_t>(result.retval));
    out += console.styled(name, Console::Style::Bold);
    return out + (name == number ? "\n" : " (" + number + ")\n");
}

Result<Exit> run_once(const Console& console, const Options& options, Session& session) {
    exec::Context& context = *session.context;
    const spec::ProgramType type = session.program->program().type;
    const std::string& packet = options.data ? *options.data : options.packet;
    const runtime::PacketInput input(context.layout(), context.bytes());
    std::vector<std::byte> frame;
    const bool with_packet = runtime::takes_packet(type) && !packet.empty();
    if (with_packet)
        frame = SKEP_TRY(read_packet(packet));
    else if (!packet.empty())
        return fail(ErrorCode::Invalid, runtime::type_name(type) + " programs take no packet", {},
                    "use --ctx");
    runtime::RunResult result;
    std::chrono::duration<double> spent{};
    for (std::uint64_t round = 0; round < options.repeat && !result.trap; ++round) {
        if (with_packet)
            SKEP_TRY(input.load(context, frame));
        const auto start = Clock::now();
        result = session.program->run(context, options.cpu);
        spent += Clock::now() - start;
        session.events->drain();
    }
    Json json = result_to_json(session, result);
    if (options.repeat > 1) {
        const double each = spent.count() * 1e9 / static_cast<double>(options.repeat);
        json["repeat"] = options.repeat;
        json["duration"] = each;
        console.note(fmt::format("speed: {:.0f} ns a run", each));
    }
    const exec::Packet& left = context.packet();
    if (with_packet && !result.trap)
        json["data_out"] = to_hex({left.data, left.end});
    return finish(console, options, session, std::move(json),
                  result_to_text(console, session, result), static_cast<bool>(result.trap));
}

void add_options(CLI::App& verb, Options& options) {
    add_input_options(verb, options.input);
    verb.add_option("-p,--program", options.program, "The program to run, if there are several");
    auto* packet = verb.add_option("--packet", options.packet,
                                   "Run on this frame: hexadecimal, or @FILE with its bytes");
    auto* data =
        verb.add_option("--data", options.data, "The same; '' for no packet")->excludes(packet);
    verb.add_option("--pcap", options.pcap, "Run on each packet of a pcap or pcapng file")
        ->excludes(packet)
        ->excludes(data);
    verb.add_option("--ctx", options.ctx,
                    "Context: JSON of its fields ({\"mark\": 7}) or of its 64-bit words ([1, 59]), "
                    "or its bytes in hexadecimal; "
                    "@FILE reads it from a file");
    verb.add_option("--map-set", options.map_set, "Set an element first: MAP:KEYHEX:VALUEHEX");
    verb.add_option("--set", options.set,
                    "Set a global variable first: VARIABLE=INTEGER or VARIABLE=hex:BYTES");
    verb.add_option("--repeat", options.repeat, "Run so many times")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    verb.add_option("--limit", options.limit, "Run on at most so many packets of the capture");
    verb.add_option("--write-pcapng", options.write_pcapng,
                    "Write the packets with their verdicts as comments (FILE.pcap: without)");
    verb.add_flag("--map-dump", options.map_dump, "Show the maps afterwards");
    verb.add_option("--event-type", options.event_type,
                    "Show records of ring buffers and perf events as this struct "
                    "(default: \"event\", if it fits)");
    verb.add_option("--events", options.events, "Show so many records; --json has all")
        ->capture_default_str();
    verb.add_option(
            "--clock", options.clock,
            "With --pcap: the time that programs see is the packets' (capture) or now (host)")
        ->capture_default_str()
        ->check(CLI::IsMember({"capture", "host"}));
    verb.add_option("--cpu", options.cpu, "Run as this CPU")
        ->capture_default_str()
        ->check(CLI::Range(0, 4095));
    verb.add_option("--cpus", options.cpus, "Slots of per-CPU maps")
        ->capture_default_str()
        ->check(CLI::Range(1, 4096));
    verb.add_option("--seed", options.seed, "Fix random numbers");
    verb.add_option("--time", options.time, "Let the clock stand still at this nanosecond");
    verb.add_option("--pid", options.pid, "The process that the program sees");
    verb.add_option("--comm", options.comm, "The name of that process");
    verb.add_option("--fuel", options.fuel, "With --checked: instructions that a run may take")
        ->capture_default_str();
    auto* engine = verb.add_option("--engine", options.engine,
                                   "jit: native code; interp: interpreter; checked: as --checked; "
                                   "auto: interp")
                       ->capture_default_str()
                       ->check(CLI::IsMember({"auto", "jit", "interp", "checked"}));
    verb.add_flag("--checked", options.checked,
                  "Do not verify: run in the interpreter that checks every access")
        ->excludes(engine);
    verb.add_flag("--zero-stack", options.zero_stack,
                  "With --checked: read unwritten stack bytes as 0 instead of trapping");
}

} // namespace

void add_run(Cli& cli) {
    const auto options = std::make_shared<Options>();
    CLI::App& verb = cli.verb("run", "Run a program on a packet, a capture or a context");
    verb.footer("Exit status 1 if the program was stopped by a trap.");
    add_options(verb, *options);
    cli.on(verb, [options](const Console& console) -> Result<Exit> {
        Session session = SKEP_TRY(open_session(console, *options));
        if (engine_of(*options) == runtime::Engine::Checked)
            console.note("not verified: running in the checked interpreter");
        if (options->pcap.empty() && !options->write_pcapng.empty())
            return fail(ErrorCode::Invalid, "--write-pcapng needs --pcap");
        if (options->pcap.empty())
            return run_once(console, *options, session);
        const auto type = session.program->program().type;
        if (!runtime::takes_packet(type))
            return fail(ErrorCode::Invalid, runtime::type_name(type) + " programs take no packet",
                        {}, "use --ctx");
        return run_on_capture(console, *options, session);
    });
}

} // namespace skep::tool
