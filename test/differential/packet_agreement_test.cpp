// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Real objects on real packets: the verdict, the packet that comes out and the maps that are left
// are the kernel's. What the kernel did is recorded in test/golden/kernel/packets.txt, so that the
// same is checked where there is none. SKEP_RECORD=FILE appends fresh records to FILE.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <iomanip>
#include <map>
#include <sched.h>
#include <sstream>

#include "kernel_bpf.hpp"
#include "kernel_object.hpp"
#include "skep/base/file.hpp"
#include "skep/hooks/pcap.hpp"
#include "skep/runtime/input.hpp"
#include "skep/runtime/runtime.hpp"

namespace skep::test {
namespace {

/// The kernel's test run takes XDP frames of one page, less what surrounds them.
constexpr std::size_t kLargestFrame = 3400;

struct Element {
    std::string map;
    std::string key; ///< hexadecimal
    std::string value;
};

/// A program and the contents of its maps before the first packet.
struct Scenario {
    std::string name;
    std::string file; ///< of the examples if it has no folder
    std::string program;
    std::vector<std::pair<std::string, std::int64_t>> globals{};
    std::vector<Element> elements{};
    /// Maps that depend on the clock: not compared.
    std::vector<std::string> ignored{};
    std::size_t step = 1; ///< every so many frames is enough
};

void PrintTo(const Scenario& scenario, std::ostream* out) {
    *out << scenario.name;
}

const std::string kXdpTools = "/usr/lib/x86_64-linux-gnu/bpf/";
// Flags of xdp-filter's entries, as `xdp-filter` itself sets them: direction and protocol.
const std::string kSource = "0100000000000000";
const std::string kDestination = "0200000000000000";
const std::string kBothTcp = "0700000000000000";
const std::string kBothUdp = "0b00000000000000";

std::vector<Element> filter_lists(const std::string& kind) {
    // Keys are ports in network order in the low half of a word: 8080, 53, 9, 80.
    const std::vector<Element> ports{{"filter_ports", "1f900000", kBothTcp},
                                     {"filter_ports", "00350000", kBothUdp},
                                     {"filter_ports", "00090000", kBothUdp},
                                     {"filter_ports", "00500000", kDestination}};
    const std::vector<Element> addresses{{"filter_ipv4", "0a420002", kSource},
                                         {"filter_ipv4", "0a090001", kDestination}};
    const std::vector<Element> addresses6{
        {"filter_ipv6", "fd660000000000000000000000000002", kSource},
        {"filter_ipv6", "fd090000000000000000000000000001", kDestination}};
    const std::vector<Element> stations{{"filter_ethernet", "062cb75a6d2c", kDestination},
                                        {"filter_ethernet", "333300000016", kDestination}};
    std::vector<Element> all;
    const auto add = [&all](const std::vector<Element>& list) {
        all.insert(all.end(), list.begin(), list.end());
    };
    if (kind == "all" || kind == "tcp" || kind == "udp")
        add(ports);
    if (kind == "all" || kind == "ip") {
        add(addresses);
        add(addresses6);
    }
    if (kind == "eth")
        add(stations);
    return all;
}

std::vector<Scenario> scenarios() {
    const std::vector<Element> deny{
        {"deny_v4", "100000000a420000", "01000000"},
        {"deny_v6", "10000000fd660000000000000000000000000000", "01000000"}};
    std::vector<Scenario> list{
        // A packet costs nothing, and one more than a source may send in 64 million seconds.
        {.name = "firewall_deny",
         .file = "firewall.bpf.o",
         .program = "firewall",
         .globals = {{"ns_per_packet", 0}},
         .elements = deny,
         .ignored = {"buckets"}},
        {.name = "firewall_rate",
         .file = "firewall.bpf.o",
         .program = "firewall",
         .globals = {{"ns_per_packet", 1'000'000'000'000'000}},
         .ignored = {"buckets"}},
        {.name = "counters", .file = "counters.bpf.o", .program = "count"},
        {.name = "verdicts_pass", .file = "verdicts.bpf.o", .program = "pass"},
        {.name = "verdicts_drop", .file = "verdicts.bpf.o", .program = "drop"},
        {.name = "verdicts_reflect", .file = "verdicts.bpf.o", .program = "reflect"},
        {.name = "verdicts_classify", .file = "verdicts.bpf.o", .program = "classify"},
        {.name = "verdicts_udp_only", .file = "verdicts.bpf.o", .program = "udp_only"},
        {.name = "verdicts_small_only", .file = "verdicts.bpf.o", .program = "small_only"},
        {.name = "rewrite_nat", .file = "rewrite.bpf.o", .program = "nat"},
        {.name = "rewrite_tunnel", .file = "rewrite.bpf.o", .program = "tunnel"},
        {.name = "rewrite_trim", .file = "rewrite.bpf.o", .program = "trim"},
        {.name = "xdp_dispatcher",
         .file = kXdpTools + "xdp-dispatcher.o",
         .program = "xdp_dispatcher"},
        {.name = "xdpdump", .file = kXdpTools + "xdpdump_xdp.o", .program = "xdpdump"},
        {.name = "xsk_def_prog",
         .file = kXdpTools + "xsk_def_xdp_prog.o",
         .program = "xsk_def_prog"},
        {.name = "xsk_def_prog_5_3",
         .file = kXdpTools + "xsk_def_xdp_prog_5.3.o",
         .program = "xsk_def_prog"}};
    for (const std::string policy : {"alw", "dny"})
        for (const std::string kind : {"all", "eth", "ip", "tcp", "udp"})
            list.push_back({.name = "xdp_filter_" + policy + "_" + kind,
                            .file = kXdpTools + "xdpfilt_" + policy + "_" + kind + ".o",
                            .program = "xdpfilt_" + policy + "_" + kind,
                            .elements = filter_lists(kind)});
    for (const std::string program :
         {"text", "format", "checksums", "maps", "queues", "rings", "dynptrs", "probes",
          "xdp_bytes", "xdp_redirects", "skb_bytes", "skb_checksums", "skb_lengths", "skb_types",
          "skb_vlans", "skb_protocols", "skb_rooms", "cgroup_bytes", "socket_bytes"})
        list.push_back({.name = "helpers_" + program,
                        .file = SKEP_BINARY_DIR "/helpers.bpf.o",
                        .program = program,
                        .step = 40});
    return list;
}

/// What a program made of all packets.
struct Summary {
    std::uint64_t packets = 0;
    std::map<std::uint32_t, std::uint64_t> verdicts;
    std::uint64_t digest = 0xcbf29ce484222325; ///< FNV-1a over verdicts, packets out and maps

    void mix(Bytes bytes) {
        for (const std::byte byte : bytes)
            digest = (digest ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3;
    }
    void add(std::uint32_t verdict, Bytes out) {
        ++packets;
        ++verdicts[verdict];
        mix(std::as_bytes(std::span(&verdict, 1)));
        mix(out);
    }
    [[nodiscard]] std::string to_string() const {
        std::ostringstream text;
        text << packets << " packets";
        for (const auto& [verdict, count] : verdicts)
            text << ", " << count << " x " << verdict;
        text << ", digest " << std::hex << digest;
        return text.str();
    }
};

std::vector<std::byte> from_hex(const std::string& text) {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        bytes.push_back(static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
    return bytes;
}

std::string hex(Bytes bytes) {
    std::ostringstream text;
    text << std::hex << std::setfill('0');
    for (const std::byte byte : bytes)
        text << std::setw(2) << std::to_integer<unsigned>(byte);
    return text.str();
}

const std::vector<std::vector<std::byte>>& frames() {
    static const auto all = [] {
        std::vector<std::vector<std::byte>> list;
        const auto file = read_file(SKEP_SOURCE_DIR "/examples/firewall/traffic.pcap");
        auto reader = hooks::CaptureReader::open(*file);
        hooks::CapturedPacket packet;
        while (reader->next(packet).value_or(false))
            if (packet.data.size() <= kLargestFrame)
                list.emplace_back(packet.data.begin(), packet.data.end());
        return list;
    }();
    return all;
}

Result<object::Object> open(const Scenario& scenario) {
    const bool whole = scenario.file.starts_with("/");
    auto object =
        object::open_file(whole ? scenario.file : SKEP_EXAMPLES_DIR "/" + scenario.file, {});
    if (object)
        for (const auto& [name, value] : scenario.globals)
            SKEP_TRY(object->set_global_integer(name, value));
    return object;
}

bool is_per_cpu(spec::MapKind kind) {
    return kind == spec::MapKind::PercpuArray || kind == spec::MapKind::PercpuHash ||
           kind == spec::MapKind::LruPercpuHash;
}

/// Kinds whose elements user space can list.
bool is_listed(spec::MapKind kind) {
    return is_per_cpu(kind) || kind == spec::MapKind::Array || kind == spec::MapKind::Hash ||
           kind == spec::MapKind::LruHash || kind == spec::MapKind::LpmTrie;
}

/// The maps of one home, by user space's operations. Values are those of CPU 0.
class Home {
public:
    virtual ~Home() = default;
    virtual int update(std::size_t map, const std::byte* key, const std::byte* value) = 0;
    virtual int lookup(std::size_t map, const std::byte* key, std::byte* value) = 0;
    virtual int next_key(std::size_t map, const std::byte* key, std::byte* next) = 0;
    virtual std::uint32_t cpus() = 0;
    virtual std::uint32_t run(Bytes frame, std::vector<std::byte>& out) = 0;
};

class InKernel final : public Home {
public:
    InKernel(kernel::Loaded loaded, int program) : loaded_(std::move(loaded)), program_(program) {}

    int update(std::size_t map, const std::byte* key, const std::byte* value) override {
        return kernel::map_update(loaded_.map(map), key, value);
    }
    int lookup(std::size_t map, const std::byte* key, std::byte* value) override {
        return kernel::map_lookup(loaded_.map(map), key, value);
    }
    int next_key(std::size_t map, const std::byte* key, std::byte* next) override {
        return kernel::map_next_key(loaded_.map(map), key, next);
    }
    std::uint32_t cpus() override { return kernel::possible_cpus(); }
    std::uint32_t run(Bytes frame, std::vector<std::byte>& out) override {
        kernel::TestRun run{.data_in = frame};
        EXPECT_EQ(kernel::prog_test_run(program_, run), 0);
        out = std::move(run.data_out);
        return run.retval;
    }

private:
    kernel::Loaded loaded_;
    int program_;
};

class InSkep final : public Home {
public:
    InSkep(std::unique_ptr<runtime::Runtime> runtime, const std::string& program)
        : runtime_(std::move(runtime)), program_(*runtime_->program(program)),
          context_(**runtime::context_of(program_.program().type)), input_(context_.layout(), {}) {}

    int update(std::size_t map, const std::byte* key, const std::byte* value) override {
        return runtime_->maps()[map]->write(key, value, 0);
    }
    int lookup(std::size_t map, const std::byte* key, std::byte* value) override {
        return runtime_->maps()[map]->read(key, value, 0);
    }
    int next_key(std::size_t map, const std::byte* key, std::byte* next) override {
        return runtime_->maps()[map]->next_key(key, next);
    }
    std::uint32_t cpus() override { return 1; }
    std::uint32_t run(Bytes frame, std::vector<std::byte>& out) override {
        const auto loaded = input_.load(context_, frame);
        EXPECT_TRUE(loaded);
        const runtime::RunResult result = program_.run(context_);
        EXPECT_FALSE(result.trap) << exec::describe(result.trap);
        const exec::Packet& packet = context_.packet();
        out.assign(packet.meta, packet.end); // Metadata come back too.
        // The kernel gives a frame back, with zeros for the header that the program did not see.
        const auto type = program_.program().type;
        if (type != spec::ProgramType::Xdp && type != spec::ProgramType::SchedCls)
            out.insert(out.begin(), runtime::kEthernetHeader, std::byte{0});
        return result.retval;
    }

private:
    std::unique_ptr<runtime::Runtime> runtime_;
    runtime::LoadedProgram program_;
    exec::Context context_;
    runtime::PacketInput input_;
};

std::size_t stride(const spec::MapDef& def) {
    return is_per_cpu(def.kind) ? (def.value_size + 7) / 8 * 8 : def.value_size;
}

void fill(Home& home, const object::Object& object, const Scenario& scenario) {
    for (const Element& element : scenario.elements) {
        const auto index = object.map_index(element.map);
        ASSERT_TRUE(index) << element.map;
        const spec::MapDef& def = object.maps[*index].def;
        const auto key = from_hex(element.key);
        auto value = from_hex(element.value);
        ASSERT_EQ(key.size(), def.key_size) << element.map;
        ASSERT_EQ(value.size(), def.value_size) << element.map;
        value.resize(stride(def));
        if (is_per_cpu(def.kind)) {
            const std::vector<std::byte> one = value;
            for (std::uint32_t cpu = 1; cpu < home.cpus(); ++cpu)
                value.insert(value.end(), one.begin(), one.end());
        }
        ASSERT_EQ(home.update(*index, key.data(), value.data()), 0) << element.map;
    }
}

using Elements = std::map<std::pair<std::string, std::vector<std::byte>>, std::vector<std::byte>>;

/// The elements of all maps that can be compared, by map and key, with CPU 0's values.
Elements elements_of(Home& home, const object::Object& object, const Scenario& scenario) {
    Elements elements;
    for (std::size_t i = 0; i < object.maps.size(); ++i) {
        const spec::MapDef& def = object.maps[i].def;
        if (!is_listed(def.kind) || std::ranges::count(scenario.ignored, def.name) != 0)
            continue;
        std::vector<std::byte> key(def.key_size);
        std::vector<std::byte> next(def.key_size);
        std::vector<std::byte> value(stride(def) * (is_per_cpu(def.kind) ? home.cpus() : 1));
        const std::byte* from = nullptr;
        while (home.next_key(i, from, next.data()) == 0) {
            key = next;
            from = key.data();
            // A zero element of an array says nothing, and there are many.
            if (home.lookup(i, key.data(), value.data()) == 0 &&
                std::ranges::any_of(value, [](std::byte b) { return b != std::byte{0}; }))
                elements[{def.name, key}].assign(
                    value.begin(), value.begin() + static_cast<std::ptrdiff_t>(stride(def)));
        }
    }
    return elements;
}

/// The words in which the maps differ, for people.
std::string differences(const Elements& ours, const Elements& theirs) {
    std::ostringstream text;
    Elements all = ours;
    all.insert(theirs.begin(), theirs.end());
    for (const auto& [place, any] : all) {
        const auto mine = ours.find(place);
        const auto other = theirs.find(place);
        if (mine == ours.end() || other == theirs.end()) {
            text << "map " << place.first << ": an element is in one home only\n";
            continue;
        }
        for (std::size_t at = 0; at + 8 <= any.size(); at += 8) {
            const auto a = skep::load<std::int64_t>(mine->second.data() + at);
            const auto b = skep::load<std::int64_t>(other->second.data() + at);
            if (a != b)
                text << "map " << place.first << ", word " << at / 8 << ": " << a
                     << ", the kernel has " << b << "\n";
        }
    }
    return text.str();
}

/// What a home made of each frame, of the maps after the first, and of the maps in the end.
struct Log {
    std::vector<std::pair<std::uint32_t, std::vector<std::byte>>> outcomes;
    Elements first;
    Elements last;

    [[nodiscard]] Summary summary() const {
        Summary made;
        for (const auto& [verdict, out] : outcomes)
            made.add(verdict, out);
        for (const auto& [place, value] : last) {
            made.mix(place.second);
            made.mix(value);
        }
        return made;
    }
};

Log run_all(Home& home, const object::Object& object, const Scenario& scenario) {
    Log log;
    fill(home, object, scenario);
    for (std::size_t i = 0; i < frames().size(); i += scenario.step) {
        auto& [verdict, out] = log.outcomes.emplace_back();
        verdict = home.run(frames()[i], out);
        if (i == 0)
            log.first = elements_of(home, object, scenario);
    }
    log.last = elements_of(home, object, scenario);
    return log;
}

std::unique_ptr<InSkep> in_skep(const object::Object& object, const Scenario& scenario) {
    const std::vector<std::string> programs{scenario.program};
    auto runtime = runtime::Runtime::load(object, {}, programs);
    if (!runtime && runtime.error().code == ErrorCode::Unsupported) // The verifier cannot tell.
        runtime = runtime::Runtime::load(object, {.engine = runtime::Engine::Checked}, programs);
    EXPECT_TRUE(runtime) << runtime.error().to_string();
    return runtime ? std::make_unique<InSkep>(*std::move(runtime), scenario.program) : nullptr;
}

std::map<std::string, std::string> recorded() {
    std::map<std::string, std::string> all;
    std::ifstream file(SKEP_SOURCE_DIR "/test/golden/kernel/packets.txt");
    for (std::string line; std::getline(file, line);)
        if (const std::size_t colon = line.find(": "); colon != std::string::npos)
            all[line.substr(0, colon)] = line.substr(colon + 2);
    return all;
}

class Packets : public testing::TestWithParam<Scenario> {
protected:
    void SetUp() override {
        if (!GetParam().file.starts_with(kXdpTools) || std::filesystem::exists(GetParam().file))
            return;
        GTEST_SKIP() << "needs Debian's xdp-tools: " << GetParam().file;
    }
};

TEST_P(Packets, end_as_recorded) {
    const Scenario& scenario = GetParam();
    const auto object = open(scenario);
    ASSERT_TRUE(object) << object.error().to_string();
    const auto home = in_skep(*object, scenario);
    ASSERT_NE(home, nullptr);
    EXPECT_EQ(run_all(*home, *object, scenario).summary().to_string(), recorded()[scenario.name]);
}

TEST_P(Packets, end_as_in_the_kernel) {
    std::string why;
    if (!kernel::available(&why))
        GTEST_SKIP() << why;
    // Both sides' per-CPU values are those of CPU 0.
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    ASSERT_EQ(::sched_setaffinity(0, sizeof first, &first), 0);
    const Scenario& scenario = GetParam();
    const auto object = open(scenario);
    ASSERT_TRUE(object) << object.error().to_string();
    auto loaded = kernel::Loaded::load(*object, {scenario.program});
    ASSERT_TRUE(loaded) << loaded.error().to_string();
    const int program = loaded->program(scenario.program);
    InKernel theirs(*std::move(loaded), program);
    const Log expected = run_all(theirs, *object, scenario);
    if (const char* file = std::getenv("SKEP_RECORD"); file != nullptr)
        std::ofstream(file, std::ios::app)
            << scenario.name << ": " << expected.summary().to_string() << "\n";
    const auto home = in_skep(*object, scenario);
    ASSERT_NE(home, nullptr);
    const Log ours = run_all(*home, *object, scenario);
    EXPECT_EQ(differences(ours.first, expected.first), "") << "after the first frame";
    for (std::size_t i = 0; i < expected.outcomes.size(); ++i) {
        ASSERT_EQ(ours.outcomes[i].first, expected.outcomes[i].first) << "verdict of frame " << i;
        ASSERT_EQ(hex(ours.outcomes[i].second), hex(expected.outcomes[i].second))
            << "frame " << i << " as it came out";
    }
    EXPECT_EQ(differences(ours.last, expected.last), "") << "in the end";
}

INSTANTIATE_TEST_SUITE_P(all, Packets, testing::ValuesIn(scenarios()),
                         [](const auto& test) { return test.param.name; });

} // namespace
} // namespace skep::test
