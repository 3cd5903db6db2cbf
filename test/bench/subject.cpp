// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "subject.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "skep/base/bytes.hpp"
#include "suite/suite_data.h"

namespace skep::bench {
namespace {

constexpr std::array kSuite{
    SuiteEntry{"empty", Kind::Floor},
    SuiteEntry{"alu_mix", Kind::Alu},
    SuiteEntry{"alu32", Kind::Alu},
    SuiteEntry{"bitcount", Kind::Alu},
    SuiteEntry{"bswap", Kind::Alu},
    SuiteEntry{"jhash1k", Kind::Alu},
    SuiteEntry{"log2_int", Kind::Alu},
    SuiteEntry{"siphash", Kind::Alu},
    SuiteEntry{"divmod", Kind::Divide},
    SuiteEntry{"prime", Kind::Divide},
    SuiteEntry{"bounds", Kind::Memory},
    SuiteEntry{"checksum", Kind::Memory},
    SuiteEntry{"crc32_table", Kind::Memory},
    SuiteEntry{"http_scan", Kind::Memory},
    SuiteEntry{"memcpy_stack", Kind::Memory},
    SuiteEntry{"pkt_parse", Kind::Memory},
    SuiteEntry{"strcmp256", Kind::Memory},
    SuiteEntry{"branches", Kind::Branch},
    SuiteEntry{"bsearch", Kind::Branch},
    SuiteEntry{"firewall", Kind::Branch},
    SuiteEntry{"switch_vm", Kind::Branch},
    SuiteEntry{"chacha20", Kind::Stack},
    SuiteEntry{"isort", Kind::Stack},
    SuiteEntry{"matmul", Kind::Stack},
    SuiteEntry{"bpf2bpf", Kind::Call},
    SuiteEntry{"bpf_loop_sum", Kind::Call},
    SuiteEntry{"tail_calls", Kind::Call, 0, "C has no tail call through a table of programs"},
    SuiteEntry{"array_lookup", Kind::Map},
    SuiteEntry{"atomic", Kind::Map},
    SuiteEntry{"hash_lookup", Kind::Map},
    SuiteEntry{"hash_update", Kind::Map},
    SuiteEntry{"hist", Kind::Map},
    SuiteEntry{"l4lb", Kind::Map},
    SuiteEntry{"l4lb_miss", Kind::Map},
    SuiteEntry{"lpm_lookup", Kind::Map},
    SuiteEntry{"lru_lookup", Kind::Map},
    SuiteEntry{"percpu_count", Kind::Map},
    // 512 KB of records, 160 bytes a run.
    SuiteEntry{"ringbuf_output", Kind::Map, 3'000},
};

/// Adds elements to the maps of an object by their names.
class Filler {
public:
    explicit Filler(Subject& subject) : subject_(subject) {}

    template <class K, class V>
    void put(const std::string& map, const K& key, const V& value) {
        const auto index = subject_.object.map_index(map);
        if (index)
            subject_.elements.push_back({*index, bytes_of(key), bytes_of(value)});
    }

private:
    Subject& subject_;
};

/// Numbers as key and three times the key, plus one, as value.
void fill_numbers(Filler& fill, const std::string& map) {
    for (std::uint32_t key = 0; key < SUITE_ENTRIES; ++key)
        fill.put(map, key, std::uint64_t{key} * 3 + 1);
}

// Prefixes of 8 to 32 bits, each random; the shorter ones cover much of the addresses.
void fill_routes(Filler& fill) {
    std::uint32_t state = 1;
    for (std::uint32_t i = 0; i < SUITE_ENTRIES; ++i) {
        state = state * 1664525 + 1013904223;
        const std::uint32_t prefix = i < 64 ? 8 : 12 + (state >> 8) % 21;
        const std::uint32_t address = (state ^ (state << 13)) & ~(0xffffffffULL >> prefix);
        fill.put("routes", lpm_key{prefix, to_big(address)}, i);
    }
}

void fill_balancer(Filler& fill) {
    constexpr std::uint32_t kServers = 48;
    for (std::uint32_t i = 0; i < SUITE_ENTRIES; ++i)
        fill.put("ring", i, i * 7 % kServers);
    for (std::uint32_t i = 0; i < kServers; ++i)
        fill.put("servers", i, server{0x0a010000 + i, 1});
    const auto target = to_big(std::uint32_t{SUITE_VIP});
    for (std::uint16_t i = 0; i < 8; ++i)
        fill.put("vips", vip_key{target, to_big(static_cast<std::uint16_t>(SUITE_PORT + i)), 6},
                 vip{i * 64U, 64});
    for (std::uint32_t i = 0; i < SUITE_ENTRIES; ++i)
        fill.put("flows",
                 flow_key{to_big(SUITE_SOURCE + i), target,
                          to_big(static_cast<std::uint16_t>(SUITE_SOURCE_PORT)),
                          to_big(static_cast<std::uint16_t>(SUITE_PORT)), 6},
                 i % kServers);
}

void fill_code(Filler& fill) {
    code made{};
    std::uint32_t state = 5;
    for (std::size_t i = 0; i < sizeof made.bytes; ++i) {
        state = state * 1103515245 + 12345;
        made.bytes[i] = static_cast<std::uint8_t>(i % 2 == 0 ? (state >> 16) % 8 : state >> 20);
    }
    made.bytes[62] = 8; // Jumps to where its operand says.
    made.bytes[63] = 0;
    fill.put("codes", std::uint32_t{0}, made);
}

void fill_table(Filler& fill) {
    table made{};
    for (std::uint32_t i = 0; i < 256; ++i)
        made.sorted[i] = i * i * 4 + i * 3 + 11; // Below 2^18, as the keys.
    fill.put("tables", std::uint32_t{0}, made);
}

void fill(Subject& subject) {
    Filler fill(subject);
    const std::string_view name = subject.entry.name;
    if (name == "array_lookup")
        fill_numbers(fill, "numbers");
    if (name == "hash_lookup" || name == "hash_update")
        fill_numbers(fill, "entries");
    if (name == "lru_lookup")
        fill_numbers(fill, "recent");
    if (name == "percpu_count")
        for (std::uint32_t key = 0; key < 200; ++key)
            fill.put("by_key", key, std::uint64_t{0});
    if (name == "lpm_lookup")
        fill_routes(fill);
    if (name == "l4lb" || name == "l4lb_miss")
        fill_balancer(fill);
    if (name == "bsearch")
        fill_table(fill);
    if (name == "switch_vm")
        fill_code(fill);
}

} // namespace

std::string_view kind_name(Kind kind) noexcept {
    constexpr std::array<std::string_view, 8> kNames{"floor",  "ALU",   "divide", "memory",
                                                     "branch", "stack", "call",   "map"};
    return kNames[std::to_underlying(kind)];
}

std::span<const SuiteEntry> suite() noexcept {
    return kSuite;
}

Result<Subject> open_subject(const SuiteEntry& entry) {
    const std::string path = std::string(SKEP_SUITE_DIR) + "/" + std::string(entry.name) + ".bpf.o";
    Subject subject{.entry = entry, .object = SKEP_TRY(object::open_file(path)), .elements = {}};
    fill(subject);
    return subject;
}

std::vector<std::byte> suite_frame() {
    std::vector<std::byte> frame(SUITE_FRAME);
    const auto put = [&](std::size_t at, auto value) {
        std::memcpy(frame.data() + at, &value, sizeof value);
    };
    const auto text = [&](std::size_t at, std::string_view characters) {
        std::memcpy(frame.data() + at, characters.data(), characters.size());
    };
    put(0, to_big(std::uint64_t{0x0200000000010200}));
    put(12, to_big(std::uint16_t{0x0800}));
    put(14, to_big(std::uint32_t{0x45000000 + SUITE_FRAME - 14}));
    put(18, to_big(std::uint32_t{0x12344000})); // Don't fragment.
    put(22, to_big(std::uint16_t{0x4006}));
    put(26, to_big(std::uint32_t{SUITE_SOURCE}));
    put(30, to_big(std::uint32_t{SUITE_VIP}));
    put(34, to_big(std::uint16_t{SUITE_SOURCE_PORT}));
    put(36, to_big(std::uint16_t{SUITE_PORT}));
    put(38, to_big(std::uint32_t{0x01020304}));
    put(46, to_big(std::uint32_t{0x80181000})); // 32 bytes of header; PSH, ACK.
    // Maximum segment, no operation, window scale, no operations, selective acknowledgements.
    put(54, to_big(std::uint64_t{0x020405b401030307}));
    put(62, to_big(std::uint32_t{0x01010402}));
    std::fill(frame.begin() + SUITE_PAYLOAD, frame.end(), std::byte{'x'});
    text(SUITE_PAYLOAD, SUITE_REQUEST);
    text(SUITE_TEXT_OFFSET, SUITE_TEXT);
    std::uint32_t state = 12345;
    for (std::size_t i = SUITE_BYTES_OFFSET; i < SUITE_FRAME; ++i) {
        state = state * 1103515245 + 12345;
        frame[i] = static_cast<std::byte>(state >> 16);
    }
    return frame;
}

} // namespace skep::bench
