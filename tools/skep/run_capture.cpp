// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstring>
#include <fmt/format.h>
#include <optional>

#include "run_report.hpp"
#include "skep/base/file.hpp"
#include "skep/runtime/verdict.hpp"

namespace skep::tool {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kIpv4 = 0x0800;
constexpr std::uint16_t kIpv6 = 0x86dd;
constexpr std::size_t kSllHeader = 16;  ///< LINUX_SLL; the protocol is at 14
constexpr std::size_t kSll2Header = 20; ///< LINUX_SLL2; the protocol is at 0
constexpr std::uint16_t kLinkSll2 = 276;

/// Bytes in front of the network header, and the protocol behind it; nothing for link types that
/// cannot become Ethernet frames.
struct LinkHeader {
    std::size_t size = 0;
    std::uint16_t protocol = 0; ///< host byte order
};

std::optional<LinkHeader> link_header(std::uint16_t link_type, Bytes data) {
    const auto big16 = [&](std::size_t at) {
        return from_big(load<std::uint16_t>(data.data() + at));
    };
    switch (link_type) {
    case hooks::kLinkRaw:
    case hooks::kLinkIpv4:
    case hooks::kLinkIpv6:
        if (data.empty())
            return std::nullopt;
        return LinkHeader{0, std::to_integer<int>(data[0]) >> 4 == 6 ? kIpv6 : kIpv4};
    case hooks::kLinkLinuxSll:
        if (data.size() < kSllHeader)
            return std::nullopt;
        return LinkHeader{kSllHeader, big16(14)};
    case kLinkSll2:
        if (data.size() < kSll2Header)
            return std::nullopt;
        return LinkHeader{kSll2Header, big16(0)};
    case hooks::kLinkNull:
        // The address family, in the byte order of the machine that captured.
        if (data.size() < 5)
            return std::nullopt;
        return LinkHeader{4, std::to_integer<int>(data[4]) >> 4 == 6 ? kIpv6 : kIpv4};
    default:
        return std::nullopt;
    }
}

/// The packet as an Ethernet frame; `buffer` holds it if it must be made.
Result<Bytes> as_ethernet(std::uint16_t link_type, Bytes data, std::vector<std::byte>& buffer) {
    if (link_type == hooks::kLinkEthernet)
        return data;
    const auto header = link_header(link_type, data);
    if (!header)
        return fail(ErrorCode::Unsupported, "a packet of link type " + hooks::link_name(link_type) +
                                                " cannot become an Ethernet frame");
    buffer.assign(runtime::kEthernetHeader, std::byte{0});
    store(&buffer[12], to_big(header->protocol));
    buffer.insert(buffer.end(), data.begin() + static_cast<std::ptrdiff_t>(header->size),
                  data.end());
    return Bytes(buffer);
}

/// Writes the packets with their verdicts beside them.
class VerdictWriter {
public:
    static Result<VerdictWriter> create(const std::string& path) {
        const auto format =
            path.ends_with(".pcap") ? hooks::CaptureFormat::Pcap : hooks::CaptureFormat::Pcapng;
        return VerdictWriter(SKEP_TRY(hooks::CaptureWriter::create(path, format)));
    }

    Result<void> add(const hooks::CaptureReader& reader, const hooks::CapturedPacket& packet,
                     const std::string& verdict) {
        while (interfaces_ <= packet.interface) {
            SKEP_TRY(writer_.add_interface(reader.interfaces()[interfaces_]));
            ++interfaces_;
        }
        return writer_.add(packet, verdict);
    }
    Result<void> finish() { return writer_.finish(); }

private:
    explicit VerdictWriter(hooks::CaptureWriter writer) : writer_(std::move(writer)) {}
    hooks::CaptureWriter writer_;
    std::size_t interfaces_ = 0;
};

/// The packets' times as one clock that never goes back, over repeated rounds too.
class CaptureClock {
public:
    std::uint64_t at(std::uint64_t time_ns) noexcept {
        now_ = std::max(now_, time_ns + shift_);
        return now_;
    }
    void next_round(std::uint64_t first_ns) noexcept {
        shift_ = now_ > first_ns ? now_ - first_ns : 0;
    }

private:
    std::uint64_t now_ = 0;
    std::uint64_t shift_ = 0;
};

struct Loop {
    const runtime::LoadedProgram& program;
    exec::Context& context;
    const runtime::PacketInput& input;
    const CaptureOptions& options;
    const std::function<void()>& after;
    CaptureReport report{};
    std::vector<std::byte> buffer{};
    std::uint64_t read = 0; ///< packets of the capture, over all rounds
    CaptureClock clock{};

    /// The verdict's name if `name` is wanted.
    std::string run(const hooks::CaptureReader& reader, const hooks::CapturedPacket& packet,
                    bool name) {
        ++read;
        const auto link = reader.interfaces()[packet.interface].link_type;
        auto frame = as_ethernet(link, packet.data, buffer);
        auto loaded = frame ? input.load(context, *frame) : std::unexpected(frame.error());
        if (!loaded) {
            if (report.skipped++ == 0)
                report.first_skipped = fmt::format("packet {}: {}", read, loaded.error().message);
            return "not run";
        }
        if (options.set_clock)
            options.set_clock(clock.at(packet.time_ns));
        const runtime::RunResult result = program.run(context, options.cpu);
        ++report.packets;
        report.bytes += packet.data.size();
        if (after)
            after();
        if (result.trap) {
            if (report.traps++ == 0) {
                report.first_trap = result.trap;
                report.first_trap_packet = read;
            }
            return "trap";
        }
        ++report.verdicts[result.retval];
        return name ? runtime::verdict_name(program.program().type, result.retval) : "";
    }
};

} // namespace

Result<CaptureReport> run_capture(const runtime::LoadedProgram& program, exec::Context& context,
                                  const runtime::PacketInput& input, const CaptureOptions& options,
                                  const std::function<void()>& after) {
    const std::vector<std::byte> file = SKEP_TRY(read_file(options.input));
    std::optional<VerdictWriter> writer;
    Loop loop{program, context, input, options, after};
    std::chrono::duration<double> spent{};
    for (std::uint64_t round = 0; round < options.repeat; ++round) {
        auto reader = SKEP_TRY(hooks::CaptureReader::open(file, options.input));
        if (round == 0 && !options.output.empty())
            writer = SKEP_TRY(VerdictWriter::create(options.output));
        const auto start = Clock::now();
        hooks::CapturedPacket packet;
        for (std::uint64_t count = 0; options.limit == 0 || count < options.limit; ++count) {
            if (!SKEP_TRY(reader.next(packet)))
                break;
            if (count == 0 && round > 0)
                loop.clock.next_round(packet.time_ns);
            const bool annotate = writer && round == 0;
            const std::string verdict = loop.run(reader, packet, annotate);
            if (annotate)
                SKEP_TRY(writer->add(reader, packet, verdict));
        }
        spent += Clock::now() - start;
    }
    if (writer)
        SKEP_TRY(writer->finish());
    loop.report.seconds = spent.count();
    return loop.report;
}

} // namespace skep::tool
