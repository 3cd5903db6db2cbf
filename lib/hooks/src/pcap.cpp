// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/hooks/pcap.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace skep::hooks {
namespace {

constexpr std::uint32_t kMagicMicro = 0xa1b2c3d4;
constexpr std::uint32_t kMagicNano = 0xa1b23c4d;
constexpr std::uint32_t kMagicModified = 0xa1b2cd34;
constexpr std::uint32_t kSectionBlock = 0x0a0d0d0a;
constexpr std::uint32_t kByteOrder = 0x1a2b3c4d;
constexpr std::uint32_t kInterfaceBlock = 1;
constexpr std::uint32_t kPacketBlock = 2; ///< obsolete, still written by old tools
constexpr std::uint32_t kSimplePacketBlock = 3;
constexpr std::uint32_t kEnhancedPacketBlock = 6;
constexpr std::uint16_t kOptionEnd = 0;
constexpr std::uint16_t kOptionName = 2;
constexpr std::uint16_t kOptionResolution = 9;
constexpr std::uint16_t kOptionTimeOffset = 14;
constexpr std::size_t kPcapHeader = 24;
constexpr std::size_t kRecordHeader = 16;
constexpr std::size_t kBlockFrame = 12; ///< type, length, and the length again at the end
constexpr std::uint64_t kNano = 1'000'000'000;
/// A section may declare any number of interfaces; this bounds what a hostile file makes us keep.
constexpr std::size_t kMaxInterfaces = 65536;

struct LinkName {
    std::uint16_t type;
    const char* name;
};
constexpr std::array kLinkNames{
    LinkName{kLinkNull, "NULL"},
    LinkName{kLinkEthernet, "ETHERNET"},
    LinkName{kLinkRaw, "RAW"},
    LinkName{105, "IEEE802_11"},
    LinkName{kLinkLinuxSll, "LINUX_SLL"},
    LinkName{127, "IEEE802_11_RADIOTAP"},
    LinkName{189, "USB_LINUX"},
    LinkName{kLinkIpv4, "IPV4"},
    LinkName{kLinkIpv6, "IPV6"},
    LinkName{276, "LINUX_SLL2"},
};

std::uint64_t to_ns(std::uint64_t ticks, const CaptureInterface& interface) {
    const auto ns = static_cast<unsigned __int128>(ticks) * kNano / interface.ticks_per_second;
    // Wraps for dates that 64 bits of nanoseconds cannot hold; the packet is good all the same.
    return static_cast<std::uint64_t>(ns) +
           static_cast<std::uint64_t>(interface.time_offset) * kNano;
}

/// if_tsresol: a negative power of 10, or of 2 when the top bit is set; 0 if not representable.
std::uint64_t ticks_of_resolution(std::uint8_t resolution) {
    const auto exponent = static_cast<std::uint8_t>(resolution & 0x7f);
    if ((resolution & 0x80) != 0)
        return exponent < 64 ? std::uint64_t{1} << exponent : 0;
    if (exponent > 19)
        return 0;
    std::uint64_t ticks = 1;
    for (int i = 0; i < exponent; ++i)
        ticks *= 10;
    return ticks;
}

std::size_t padded(std::size_t size) {
    return (size + 3) & ~std::size_t{3};
}

} // namespace

std::string link_name(std::uint16_t link_type) {
    const auto* found = std::ranges::find(kLinkNames, link_type, &LinkName::type);
    return found != kLinkNames.end() ? found->name : "link type " + std::to_string(link_type);
}

std::unexpected<Error> CaptureReader::bad(std::size_t offset, std::string message) const {
    return malformed(std::move(message),
                     {.file = name_, .offset = static_cast<std::int64_t>(offset)});
}

std::uint16_t CaptureReader::u16(Bytes bytes, std::size_t at) const noexcept {
    const auto value = load<std::uint16_t>(bytes.data() + at);
    return swapped_ ? std::byteswap(value) : value;
}

std::uint32_t CaptureReader::u32(Bytes bytes, std::size_t at) const noexcept {
    const auto value = load<std::uint32_t>(bytes.data() + at);
    return swapped_ ? std::byteswap(value) : value;
}

Result<CaptureReader> CaptureReader::open(Bytes file, std::string name) {
    CaptureReader reader(file, std::move(name));
    if (file.size() < 4)
        return reader.bad(0, "not a capture: " + std::to_string(file.size()) +
                                 " bytes, expected pcap or pcapng");
    const auto magic = load<std::uint32_t>(file.data());
    if (magic == kSectionBlock) {
        reader.format_ = CaptureFormat::Pcapng;
        const Block block = SKEP_TRY(reader.read_block());
        SKEP_TRY(reader.read_section(block));
        return reader;
    }
    const auto swapped = std::byteswap(magic);
    if (magic == kMagicModified || swapped == kMagicModified)
        return fail(ErrorCode::Unsupported,
                    "modified pcap (magic 0xa1b2cd34), expected pcap or pcapng",
                    {.file = reader.name_});
    reader.swapped_ = swapped == kMagicMicro || swapped == kMagicNano;
    if (!reader.swapped_ && magic != kMagicMicro && magic != kMagicNano)
        return reader.bad(0, "not a capture: it starts with neither pcap's nor pcapng's magic");
    SKEP_TRY(reader.read_pcap_header());
    return reader;
}

Result<void> CaptureReader::read_pcap_header() {
    if (file_.size() < kPcapHeader)
        return bad(0, "truncated: " + std::to_string(file_.size()) +
                          " bytes of the 24 of a pcap header");
    const auto major = u16(file_, 4);
    if (major != 2)
        return bad(4, "pcap version " + std::to_string(major) + ", expected 2");
    interfaces_.push_back({.link_type = static_cast<std::uint16_t>(u32(file_, 20) & 0xffff),
                           .snaplen = u32(file_, 16),
                           .ticks_per_second = u32(file_, 0) == kMagicNano ? kNano : 1'000'000});
    offset_ = kPcapHeader;
    return {};
}

Result<bool> CaptureReader::next(CapturedPacket& packet) {
    return format_ == CaptureFormat::Pcap ? next_pcap(packet) : next_pcapng(packet);
}

Result<bool> CaptureReader::next_pcap(CapturedPacket& packet) {
    const std::size_t remaining = file_.size() - offset_;
    if (remaining == 0)
        return false;
    if (remaining < kRecordHeader)
        return bad(offset_, "truncated: " + std::to_string(remaining) +
                                " bytes of the 16 of a packet header");
    const Bytes header = file_.subspan(offset_, kRecordHeader);
    const std::uint32_t size = u32(header, 8);
    if (size > kMaxCapturedPacket)
        return bad(offset_, "packet of " + std::to_string(size) + " bytes, expected at most " +
                                std::to_string(kMaxCapturedPacket));
    if (size > remaining - kRecordHeader)
        return bad(offset_, "truncated: packet of " + std::to_string(size) + " bytes, " +
                                std::to_string(remaining - kRecordHeader) + " are left");
    const CaptureInterface& interface = interfaces_.front();
    packet = {.data = file_.subspan(offset_ + kRecordHeader, size),
              .time_ns =
                  u32(header, 0) * kNano + u32(header, 4) * (kNano / interface.ticks_per_second),
              .original_size = u32(header, 12),
              .interface = 0,
              .offset = offset_};
    offset_ += kRecordHeader + size;
    return true;
}

Result<bool> CaptureReader::next_pcapng(CapturedPacket& packet) {
    while (offset_ != file_.size()) {
        const Block block = SKEP_TRY(read_block());
        switch (block.type) {
        case kSectionBlock:
            SKEP_TRY(read_section(block));
            break;
        case kInterfaceBlock:
            SKEP_TRY(read_interface(block));
            break;
        case kPacketBlock:
        case kSimplePacketBlock:
        case kEnhancedPacketBlock:
            SKEP_TRY(read_packet(block, packet));
            return true;
        default:
            break; // Statistics, name resolution, custom blocks: not packets.
        }
    }
    return false;
}

Result<CaptureReader::Block> CaptureReader::read_block() {
    const std::size_t remaining = file_.size() - offset_;
    if (remaining < kBlockFrame)
        return bad(offset_, "truncated: " + std::to_string(remaining) +
                                " bytes, expected a block of at least 12");
    const Bytes rest = file_.subspan(offset_);
    // The section header's type reads the same in both byte orders; its magic tells which it is,
    // and must be looked at before its length.
    const bool section = load<std::uint32_t>(rest.data()) == kSectionBlock;
    if (section) {
        if (remaining < 16)
            return bad(offset_,
                       "truncated: " + std::to_string(remaining) + " bytes of a section header");
        const auto order = load<std::uint32_t>(rest.data() + 8);
        if (order != kByteOrder && std::byteswap(order) != kByteOrder)
            return bad(offset_ + 8, "section header without the byte-order magic");
        swapped_ = order != kByteOrder;
    }
    const std::uint32_t length = u32(rest, 4);
    if (length < kBlockFrame || length % 4 != 0)
        return bad(offset_ + 4,
                   "block length " + std::to_string(length) + ", expected a multiple of 4 from 12");
    if (length > remaining)
        return bad(offset_ + 4, "truncated: block of " + std::to_string(length) + " bytes, " +
                                    std::to_string(remaining) + " are left");
    if (const auto trailer = u32(rest, length - 4); trailer != length)
        return bad(offset_ + length - 4, "block length " + std::to_string(trailer) +
                                             " at its end, expected " + std::to_string(length));
    const Block block{u32(rest, 0), offset_, rest.subspan(8, length - kBlockFrame)};
    offset_ += length;
    return block;
}

Result<void> CaptureReader::read_section(const Block& block) {
    if (block.body.size() < 16)
        return bad(block.offset, "section header of " + std::to_string(block.body.size()) +
                                     " bytes, expected at least 16");
    if (const auto major = u16(block.body, 4); major != 1)
        return bad(block.offset + 12, "pcapng version " + std::to_string(major) + ", expected 1");
    first_interface_ = interfaces_.size();
    return {};
}

Result<void> CaptureReader::read_interface(const Block& block) {
    if (block.body.size() < 8)
        return bad(block.offset, "interface description of " + std::to_string(block.body.size()) +
                                     " bytes, expected at least 8");
    if (interfaces_.size() == kMaxInterfaces)
        return fail(ErrorCode::Limit, "more than " + std::to_string(kMaxInterfaces) + " interfaces",
                    {.file = name_, .offset = static_cast<std::int64_t>(block.offset)});
    CaptureInterface interface{.link_type = u16(block.body, 0),
                               .snaplen = u32(block.body, 4),
                               .ticks_per_second = 1'000'000};
    SKEP_TRY(read_options(block, 8, interface));
    interfaces_.push_back(std::move(interface));
    return {};
}

Result<void> CaptureReader::read_options(const Block& block, std::size_t at,
                                         CaptureInterface& interface) {
    while (block.body.size() - at >= 4) {
        const std::uint16_t code = u16(block.body, at);
        const std::size_t size = u16(block.body, at + 2);
        const std::size_t place = block.offset + 8 + at;
        if (code == kOptionEnd)
            return {};
        at += 4;
        if (padded(size) > block.body.size() - at)
            return bad(place, "option of " + std::to_string(size) + " bytes, " +
                                  std::to_string(block.body.size() - at) + " are left");
        const Bytes value = block.body.subspan(at, size);
        if (code == kOptionName) {
            interface.name = as_text(value);
        } else if (code == kOptionResolution && size == 1) {
            const auto resolution = static_cast<std::uint8_t>(value[0]);
            interface.ticks_per_second = ticks_of_resolution(resolution);
            if (interface.ticks_per_second == 0)
                return bad(place, "time resolution " + std::to_string(resolution) +
                                      ", expected 10^-0..10^-19 or 2^-0..2^-63");
        } else if (code == kOptionTimeOffset && size == 8) {
            const auto raw = load<std::uint64_t>(value.data());
            interface.time_offset = static_cast<std::int64_t>(swapped_ ? std::byteswap(raw) : raw);
        }
        at += padded(size);
    }
    return {};
}

Result<void> CaptureReader::read_packet(const Block& block, CapturedPacket& packet) {
    const Bytes body = block.body;
    const bool simple = block.type == kSimplePacketBlock;
    const std::size_t header = simple ? 4 : 20;
    if (body.size() < header)
        return bad(block.offset, "packet block of " + std::to_string(body.size()) +
                                     " bytes, expected at least " + std::to_string(header));
    std::uint32_t index = 0;
    if (!simple)
        index = block.type == kEnhancedPacketBlock ? u32(body, 0) : u16(body, 0);
    const std::size_t count = interfaces_.size() - first_interface_;
    if (index >= count)
        return bad(block.offset, "packet of interface " + std::to_string(index) + ", " +
                                     std::to_string(count) + " are described");
    const CaptureInterface& interface = interfaces_[first_interface_ + index];
    const std::uint32_t original = u32(body, simple ? 0 : 16);
    std::uint32_t size = simple ? original : u32(body, 12);
    // A simple packet does not say how much of it was kept: the snapshot length does.
    if (simple && interface.snaplen != 0)
        size = std::min(size, interface.snaplen);
    if (size > kMaxCapturedPacket)
        return bad(block.offset, "packet of " + std::to_string(size) + " bytes, expected at most " +
                                     std::to_string(kMaxCapturedPacket));
    if (size > body.size() - header)
        return bad(block.offset, "packet of " + std::to_string(size) + " bytes in a block with " +
                                     std::to_string(body.size() - header));
    const auto ticks = simple ? 0 : std::uint64_t{u32(body, 4)} << 32 | std::uint64_t{u32(body, 8)};
    packet = {.data = body.subspan(header, size),
              .time_ns = simple ? 0 : to_ns(ticks, interface),
              .original_size = original,
              .interface = static_cast<std::uint32_t>(first_interface_) + index,
              .offset = block.offset};
    return {};
}

} // namespace skep::hooks
