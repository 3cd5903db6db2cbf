// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "skep/hooks/pcap.hpp"

namespace skep::hooks {
namespace {

using ::testing::HasSubstr;

/// Builds a file in either byte order.
class Builder {
public:
    explicit Builder(bool big) : big_(big) {}
    template <class T>
    Builder& put(T value) {
        const T ordered = big_ ? std::byteswap(value) : value;
        const auto raw = std::as_bytes(std::span(&ordered, 1));
        bytes_.insert(bytes_.end(), raw.begin(), raw.end());
        return *this;
    }
    Builder& u16(std::uint16_t value) { return put(value); }
    Builder& u32(std::uint32_t value) { return put(value); }
    Builder& text(std::string_view value) {
        const auto raw = as_bytes(value);
        bytes_.insert(bytes_.end(), raw.begin(), raw.end());
        return *this;
    }
    /// One word, filled up with zeros.
    Builder& padded(std::string_view value) {
        text(value);
        bytes_.resize((bytes_.size() + 3) / 4 * 4);
        return *this;
    }
    Builder& block(std::uint32_t type, const Builder& body) {
        const auto length = static_cast<std::uint32_t>(body.bytes_.size()) + 12;
        u32(type).u32(length);
        bytes_.insert(bytes_.end(), body.bytes_.begin(), body.bytes_.end());
        return u32(length);
    }
    Builder& section() {
        return block(0x0a0d0d0a, Builder(big_).u32(0x1a2b3c4d).u16(1).u16(0).u32(0).u32(0));
    }
    Builder& pcap(std::uint32_t magic) {
        return u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65535).u32(1);
    }
    [[nodiscard]] Builder empty() const { return Builder(big_); }
    [[nodiscard]] Bytes bytes() const { return bytes_; }

private:
    bool big_;
    std::vector<std::byte> bytes_;
};

std::string error_of(Bytes file) {
    auto reader = CaptureReader::open(file, "c.pcap");
    if (!reader)
        return reader.error().to_string();
    CapturedPacket packet;
    for (;;) {
        const auto more = reader->next(packet);
        if (!more)
            return more.error().to_string();
        if (!*more)
            return "no error";
    }
}

class ByteOrder : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(pcap, ByteOrder, ::testing::Values(false, true));

TEST_P(ByteOrder, microseconds_become_nanoseconds) {
    const auto file =
        Builder(GetParam()).pcap(0xa1b2c3d4).u32(3).u32(7).u32(4).u32(60).text("abcd");
    auto reader = CaptureReader::open(file.bytes());
    ASSERT_TRUE(reader);
    CapturedPacket packet;
    ASSERT_EQ(reader->next(packet), true);
    EXPECT_EQ(packet.time_ns, 3'000'007'000U);
    EXPECT_EQ(as_text(packet.data), "abcd");
    EXPECT_EQ(packet.original_size, 60U);
    EXPECT_EQ(reader->next(packet), false);
}

TEST_P(ByteOrder, nanosecond_magic_is_known) {
    const auto file = Builder(GetParam()).pcap(0xa1b23c4d).u32(3).u32(7).u32(1).u32(1).text("a");
    auto reader = CaptureReader::open(file.bytes());
    ASSERT_TRUE(reader);
    CapturedPacket packet;
    ASSERT_EQ(reader->next(packet), true);
    EXPECT_EQ(packet.time_ns, 3'000'000'007U);
}

TEST_P(ByteOrder, enhanced_simple_and_obsolete_packets_are_read) {
    Builder file(GetParam());
    const Builder empty = file.empty();
    file.section();
    file.block(1, Builder(empty).u16(1).u16(0).u32(3)); // Microseconds, snapshot length 3.
    file.block(1, Builder(empty)
                      .u16(101)
                      .u16(0)
                      .u32(0)
                      .u16(2)
                      .u16(2)
                      .padded("lo")
                      .u16(9)
                      .u16(1)
                      .padded("\x09")
                      .u16(0)
                      .u16(0));
    file.block(5, Builder(empty).u32(0)); // Statistics: skipped.
    file.block(6, Builder(empty).u32(1).u32(1).u32(2).u32(2).u32(9).padded("ab"));
    file.block(3, Builder(empty).u32(5).padded("abc"));
    file.block(2, Builder(empty).u16(0).u16(0).u32(0).u32(5).u32(1).u32(1).padded("z"));
    auto reader = CaptureReader::open(file.bytes());
    ASSERT_TRUE(reader);
    CapturedPacket packet;
    ASSERT_EQ(reader->next(packet), true);
    EXPECT_EQ(packet.interface, 1U);
    EXPECT_EQ(packet.time_ns, (std::uint64_t{1} << 32) + 2);
    EXPECT_EQ(as_text(packet.data), "ab");
    EXPECT_EQ(reader->interfaces()[1].name, "lo");
    EXPECT_EQ(reader->interfaces()[1].link_type, kLinkRaw);
    ASSERT_EQ(reader->next(packet), true);
    EXPECT_EQ(as_text(packet.data), "abc");
    ASSERT_EQ(reader->next(packet), true);
    EXPECT_EQ(as_text(packet.data), "z");
    EXPECT_EQ(packet.time_ns, 5'000U);
    EXPECT_EQ(reader->next(packet), false);
}

TEST(pcapng, sections_may_differ_in_byte_order) {
    Builder file(false);
    file.section();
    Builder big(true);
    big.section();
    big.block(1, Builder(true).u16(1).u16(0).u32(0));
    big.block(3, Builder(true).u32(4).text("abcd"));
    file.text(as_text(big.bytes()));
    auto reader = CaptureReader::open(file.bytes());
    ASSERT_TRUE(reader);
    CapturedPacket packet;
    ASSERT_EQ(reader->next(packet), true);
    EXPECT_EQ(as_text(packet.data), "abcd");
}

TEST(capture, refuses_what_is_none) {
    EXPECT_EQ(error_of(as_bytes("#include <linux/bpf.h>\n")),
              "c.pcap: offset 0: not a capture: it starts with neither pcap's nor pcapng's magic");
    EXPECT_EQ(error_of({}), "c.pcap: offset 0: not a capture: 0 bytes, expected pcap or pcapng");
}

TEST(capture, refuses_truncated_files) {
    Builder header(false);
    header.u32(0xa1b2c3d4).u16(2);
    EXPECT_EQ(error_of(header.bytes()),
              "c.pcap: offset 0: truncated: 6 bytes of the 24 of a pcap header");
    const auto packet = Builder(false).pcap(0xa1b2c3d4).u32(0).u32(0).u32(9).u32(9).text("abcd");
    EXPECT_EQ(error_of(packet.bytes()),
              "c.pcap: offset 24: truncated: packet of 9 bytes, 4 are left");
    const auto record = Builder(false).pcap(0xa1b2c3d4).u32(0).u32(0);
    EXPECT_EQ(error_of(record.bytes()),
              "c.pcap: offset 24: truncated: 8 bytes of the 16 of a packet header");
}

TEST(capture, refuses_packets_that_no_tool_writes) {
    const auto file = Builder(false).pcap(0xa1b2c3d4).u32(0).u32(0).u32(0xffffffff).u32(9);
    EXPECT_EQ(error_of(file.bytes()),
              "c.pcap: offset 24: packet of 4294967295 bytes, expected at most 262144");
}

TEST(pcapng, refuses_block_lengths_that_cannot_be) {
    const auto with = [](std::uint32_t length, std::uint32_t trailer) {
        Builder file(false);
        file.section().u32(5).u32(length).u32(0).u32(trailer);
        return error_of(file.bytes());
    };
    EXPECT_EQ(with(16, 16), "no error");
    EXPECT_EQ(with(8, 8), "c.pcap: offset 32: block length 8, expected a multiple of 4 from 12");
    EXPECT_EQ(with(15, 15), "c.pcap: offset 32: block length 15, expected a multiple of 4 from 12");
    EXPECT_EQ(with(20, 20), "c.pcap: offset 32: truncated: block of 20 bytes, 16 are left");
    EXPECT_EQ(with(16, 12), "c.pcap: offset 40: block length 12 at its end, expected 16");
}

TEST(pcapng, refuses_packets_without_their_interface) {
    Builder file(false);
    file.section().block(3, Builder(false).u32(4).text("abcd"));
    EXPECT_EQ(error_of(file.bytes()), "c.pcap: offset 28: packet of interface 0, 0 are described");
}

TEST(pcapng, refuses_a_time_resolution_of_zero_ticks) {
    Builder file(false);
    file.section().block(1,
                         Builder(false).u16(1).u16(0).u32(0).u16(9).u16(1).u32(0xbf + 1)); // 2^-64
    EXPECT_EQ(error_of(file.bytes()),
              "c.pcap: offset 44: time resolution 192, expected 10^-0..10^-19 or 2^-0..2^-63");
}

class Written : public ::testing::TestWithParam<CaptureFormat> {
protected:
    std::string path_ = ::testing::TempDir() + "skep_capture_" + std::to_string(::getpid());
    void TearDown() override { ::unlink(path_.c_str()); }
};
INSTANTIATE_TEST_SUITE_P(capture, Written,
                         ::testing::Values(CaptureFormat::Pcap, CaptureFormat::Pcapng));

TEST_P(Written, reads_back_as_it_was) {
    auto writer = CaptureWriter::create(path_, GetParam());
    ASSERT_TRUE(writer);
    ASSERT_EQ(writer->add_interface({.name = "veth0", .link_type = kLinkRaw, .snaplen = 96}), 0U);
    const CapturedPacket first{as_bytes("abcde"), 1'700'000'000'000'000'001, 1500, 0, 0};
    const CapturedPacket second{{}, 1, 0, 0, 0};
    ASSERT_TRUE(writer->add(first, "XDP_DROP"));
    ASSERT_TRUE(writer->add(second));
    ASSERT_TRUE(writer->finish());

    const auto file = read_file(path_);
    ASSERT_TRUE(file);
    auto reader = CaptureReader::open(*file);
    ASSERT_TRUE(reader);
    CapturedPacket packet;
    ASSERT_EQ(reader->next(packet), true);
    EXPECT_EQ(as_text(packet.data), "abcde");
    EXPECT_EQ(packet.time_ns, first.time_ns);
    EXPECT_EQ(packet.original_size, 1500U);
    EXPECT_EQ(reader->interfaces()[0].link_type, kLinkRaw);
    EXPECT_EQ(reader->interfaces()[0].snaplen, 96U);
    ASSERT_EQ(reader->next(packet), true);
    EXPECT_EQ(packet.data.size(), 0U);
    EXPECT_EQ(packet.time_ns, 1U);
    EXPECT_EQ(reader->next(packet), false);
    if (GetParam() == CaptureFormat::Pcapng) {
        EXPECT_THAT(std::string(as_text(*file)), HasSubstr("XDP_DROP"));
        EXPECT_EQ(reader->interfaces()[0].name, "veth0");
    }
}

TEST(capture_writer, names_the_folder_that_is_not_there) {
    const auto writer = CaptureWriter::create("/nonexistent/out.pcapng", CaptureFormat::Pcapng);
    ASSERT_FALSE(writer);
    EXPECT_EQ(writer.error().code, ErrorCode::NotFound);
}

TEST(link_name, falls_back_to_the_number) {
    EXPECT_EQ(link_name(kLinkEthernet), "ETHERNET");
    EXPECT_EQ(link_name(999), "link type 999");
}

} // namespace
} // namespace skep::hooks
