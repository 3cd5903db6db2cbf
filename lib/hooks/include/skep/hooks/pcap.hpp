// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/base/file.hpp"
#include "skep/base/result.hpp"

/// Capture files: libpcap's format (microseconds and nanoseconds) and pcapng, in both byte orders.
namespace skep::hooks {

/// Bytes that one captured packet may have; what tcpdump writes at most.
inline constexpr std::uint32_t kMaxCapturedPacket = 262144;

enum class CaptureFormat : std::uint8_t { Pcap, Pcapng };

// LINKTYPE_* numbers of the registry that both formats share.
inline constexpr std::uint16_t kLinkNull = 0;
inline constexpr std::uint16_t kLinkEthernet = 1;
inline constexpr std::uint16_t kLinkRaw = 101;
inline constexpr std::uint16_t kLinkLinuxSll = 113;
inline constexpr std::uint16_t kLinkIpv4 = 228;
inline constexpr std::uint16_t kLinkIpv6 = 229;

/// The registry's name of a link type, or "link type N".
[[nodiscard]] std::string link_name(std::uint16_t link_type);

/// Where packets of a capture were seen.
struct CaptureInterface {
    std::string name{};
    std::uint16_t link_type = kLinkEthernet;
    std::uint32_t snaplen = 0;                      ///< 0: no limit
    std::uint64_t ticks_per_second = 1'000'000'000; ///< of time stamps in the file
    std::int64_t time_offset = 0;                   ///< seconds, added to every time stamp
};

struct CapturedPacket {
    Bytes data{};                    ///< points into the file's bytes
    std::uint64_t time_ns = 0;       ///< since 1970; 0 when the block has none
    std::uint32_t original_size = 0; ///< bytes on the wire; more than data.size() if cut
    std::uint32_t interface = 0;     ///< index into CaptureReader::interfaces()
    std::size_t offset = 0;          ///< of the packet's block in the file
};

/// Walks over the packets of a capture in file order. Borrows the file's bytes; not thread-safe.
/// Every length in the file is checked: a hostile file gives an Error, never a crash.
class CaptureReader {
public:
    /// Reads the file's header. Errors: Malformed if it is not a capture, Unsupported for formats
    /// that are captures of another kind. `name` is the path, for messages.
    static Result<CaptureReader> open(Bytes file, std::string name = {});

    /// Reads the next packet: true, or false at the end of the file.
    Result<bool> next(CapturedPacket& packet);

    [[nodiscard]] CaptureFormat format() const noexcept { return format_; }
    /// Interfaces seen so far; those of all sections of a pcapng file, one after another.
    [[nodiscard]] std::span<const CaptureInterface> interfaces() const noexcept {
        return interfaces_;
    }

private:
    CaptureReader(Bytes file, std::string name) : file_(file), name_(std::move(name)) {}

    struct Block {
        std::uint32_t type = 0;
        std::size_t offset = 0;
        Bytes body;
    };
    Result<void> read_pcap_header();
    Result<bool> next_pcap(CapturedPacket& packet);
    Result<bool> next_pcapng(CapturedPacket& packet);
    Result<Block> read_block();
    Result<void> read_section(const Block& block);
    Result<void> read_interface(const Block& block);
    Result<void> read_options(const Block& block, std::size_t at, CaptureInterface& interface);
    Result<void> read_packet(const Block& block, CapturedPacket& packet);
    [[nodiscard]] std::unexpected<Error> bad(std::size_t offset, std::string message) const;
    [[nodiscard]] std::uint16_t u16(Bytes bytes, std::size_t at) const noexcept;
    [[nodiscard]] std::uint32_t u32(Bytes bytes, std::size_t at) const noexcept;

    Bytes file_;
    std::string name_;
    CaptureFormat format_ = CaptureFormat::Pcap;
    bool swapped_ = false;
    std::size_t offset_ = 0;
    std::size_t first_interface_ = 0; ///< of the current section
    std::vector<CaptureInterface> interfaces_;
};

/// Writes a capture file in native byte order with nanosecond time stamps. Buffers; finish() must
/// be called, and its result looked at: the destructor drops what is not written yet.
class CaptureWriter {
public:
    /// Creates or replaces the file.
    static Result<CaptureWriter> create(const std::filesystem::path& path, CaptureFormat format);

    /// Declares an interface and returns its index. A pcap file takes exactly one, before the
    /// first packet: Invalid otherwise.
    Result<std::uint32_t> add_interface(const CaptureInterface& interface);
    /// Appends a packet of interface `packet.interface`. `comment` goes beside it (pcapng only;
    /// pcap has no place for it).
    Result<void> add(const CapturedPacket& packet, std::string_view comment = {});
    /// Writes what is buffered and closes the file.
    Result<void> finish();

private:
    CaptureWriter(Fd fd, std::filesystem::path path, CaptureFormat format)
        : fd_(std::move(fd)), path_(std::move(path)), format_(format) {}

    void put(Bytes bytes);
    template <class T>
    void put_value(T value);
    void pad();
    void put_option(std::uint16_t code, std::string_view text);
    Result<void> flush();

    Fd fd_;
    std::filesystem::path path_;
    CaptureFormat format_;
    std::uint32_t interfaces_ = 0;
    std::vector<std::byte> buffer_;
};

} // namespace skep::hooks
