// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "skep/hooks/pcap.hpp"

namespace skep::hooks {
namespace {

constexpr std::uint32_t kMagicNano = 0xa1b23c4d;
constexpr std::size_t kFlushAt = std::size_t{1} << 20;
constexpr std::uint16_t kOptionComment = 1;
constexpr std::uint16_t kOptionName = 2;
constexpr std::uint16_t kOptionResolution = 9;
constexpr std::size_t kMaxOption = 65535;
constexpr std::uint64_t kNano = 1'000'000'000;

std::uint32_t padded(std::size_t size) {
    return static_cast<std::uint32_t>((size + 3) & ~std::size_t{3});
}

std::uint32_t option_size(std::string_view text) {
    return text.empty() ? 0 : 4 + padded(std::min(text.size(), kMaxOption));
}

} // namespace

Result<CaptureWriter> CaptureWriter::create(const std::filesystem::path& path,
                                            CaptureFormat format) {
    Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!fd)
        return std::unexpected(os_error(errno, path.string()));
    CaptureWriter writer(std::move(fd), path, format);
    if (format == CaptureFormat::Pcapng) {
        writer.put_value<std::uint32_t>(0x0a0d0d0a);
        writer.put_value<std::uint32_t>(28);
        writer.put_value<std::uint32_t>(0x1a2b3c4d);
        writer.put_value<std::uint16_t>(1);
        writer.put_value<std::uint16_t>(0);
        writer.put_value<std::uint64_t>(~std::uint64_t{0}); // Section length: not known.
        writer.put_value<std::uint32_t>(28);
    }
    return writer;
}

Result<std::uint32_t> CaptureWriter::add_interface(const CaptureInterface& interface) {
    if (format_ == CaptureFormat::Pcap) {
        if (interfaces_ != 0)
            return fail(ErrorCode::Invalid, "a pcap file has one interface",
                        {.file = path_.string()}, "write pcapng");
        put_value(kMagicNano);
        put_value<std::uint16_t>(2);
        put_value<std::uint16_t>(4);
        put_value<std::uint64_t>(0); // Time zone and accuracy: always 0.
        put_value<std::uint32_t>(interface.snaplen != 0 ? interface.snaplen : kMaxCapturedPacket);
        put_value<std::uint32_t>(interface.link_type);
        return interfaces_++;
    }
    const std::uint32_t length = 20 + option_size(interface.name) + 8 + 4;
    put_value<std::uint32_t>(1);
    put_value(length);
    put_value(interface.link_type);
    put_value<std::uint16_t>(0);
    put_value(interface.snaplen);
    put_option(kOptionName, interface.name);
    put_option(kOptionResolution, "\x09");
    put_value<std::uint32_t>(0); // End of options.
    put_value(length);
    return interfaces_++;
}

Result<void> CaptureWriter::add(const CapturedPacket& packet, std::string_view comment) {
    if (packet.interface >= interfaces_)
        return fail(ErrorCode::Invalid,
                    "packet of interface " + std::to_string(packet.interface) + ", " +
                        std::to_string(interfaces_) + " are described",
                    {.file = path_.string()});
    const auto size = static_cast<std::uint32_t>(packet.data.size());
    if (format_ == CaptureFormat::Pcap) {
        put_value(static_cast<std::uint32_t>(packet.time_ns / kNano));
        put_value(static_cast<std::uint32_t>(packet.time_ns % kNano));
        put_value(size);
        put_value(packet.original_size);
        put(packet.data);
    } else {
        const std::uint32_t options = comment.empty() ? 0 : option_size(comment) + 4;
        const std::uint32_t length = 32 + padded(size) + options;
        put_value<std::uint32_t>(6);
        put_value(length);
        put_value(packet.interface);
        put_value(static_cast<std::uint32_t>(packet.time_ns >> 32));
        put_value(static_cast<std::uint32_t>(packet.time_ns));
        put_value(size);
        put_value(packet.original_size);
        put(packet.data);
        pad();
        put_option(kOptionComment, comment);
        if (options != 0)
            put_value<std::uint32_t>(0); // End of options.
        put_value(length);
    }
    return buffer_.size() < kFlushAt ? Result<void>{} : flush();
}

Result<void> CaptureWriter::finish() {
    SKEP_TRY(flush());
    if (::close(fd_.release()) != 0)
        return std::unexpected(os_error(errno, path_.string()));
    return {};
}

Result<void> CaptureWriter::flush() {
    Bytes rest = buffer_;
    while (!rest.empty()) {
        const ssize_t written = ::write(fd_.get(), rest.data(), rest.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return std::unexpected(os_error(errno, path_.string()));
        rest = rest.subspan(static_cast<std::size_t>(written));
    }
    buffer_.clear();
    return {};
}

void CaptureWriter::put(Bytes bytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

template <class T>
void CaptureWriter::put_value(T value) {
    put(std::as_bytes(std::span(&value, 1)));
}

void CaptureWriter::pad() {
    // Only whole blocks are flushed and headers are multiples of 4, so the buffer's size tells.
    buffer_.resize(padded(buffer_.size()));
}

void CaptureWriter::put_option(std::uint16_t code, std::string_view text) {
    if (text.empty())
        return;
    text = text.substr(0, kMaxOption);
    put_value(code);
    put_value(static_cast<std::uint16_t>(text.size()));
    put(as_bytes(text));
    pad();
}

} // namespace skep::hooks
