// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <gtest/gtest.h>

#include "skep/runtime/input.hpp"

namespace skep::runtime {
namespace {

using spec::ProgramType;

exec::Context context_for(ProgramType type) {
    const auto layout = context_of(type);
    EXPECT_TRUE(layout);
    return exec::Context(**layout);
}

std::uint32_t field(exec::Context& context, std::string_view name) {
    for (const auto& known : context.layout().fields)
        if (known.name == name)
            return load<std::uint32_t>(&context.bytes()[known.offset]);
    ADD_FAILURE() << "no field " << name;
    return 0;
}

/// An IPv4 frame to a unicast address that is not the interface's.
std::vector<std::byte> frame(std::size_t size) {
    std::vector<std::byte> bytes(size);
    bytes[0] = std::byte{2};
    bytes[12] = std::byte{8};
    return bytes;
}

TEST(packet_input, tc_programs_see_the_frame) {
    auto context = context_for(ProgramType::SchedCls);
    const PacketInput input(context.layout(), {});
    ASSERT_TRUE(input.load(context, frame(60)));
    EXPECT_EQ(context.packet().size(), 60U);
    EXPECT_EQ(field(context, "len"), 60U);
    EXPECT_EQ(field(context, "protocol"), 0x0008U);
    EXPECT_EQ(field(context, "pkt_type"), 3U);
    EXPECT_EQ(field(context, "ifindex"), 1U);
}

TEST(packet_input, cgroup_programs_see_what_follows_the_ethernet_header) {
    auto context = context_for(ProgramType::CgroupSkb);
    const PacketInput input(context.layout(), {});
    ASSERT_TRUE(input.load(context, frame(60)));
    EXPECT_EQ(context.packet().size(), 46U);
    EXPECT_EQ(field(context, "len"), 46U);
}

TEST(packet_input, xdp_programs_know_their_interface) {
    auto context = context_for(ProgramType::Xdp);
    const PacketInput input(context.layout(), {});
    ASSERT_TRUE(input.load(context, frame(60)));
    EXPECT_EQ(field(context, "ingress_ifindex"), 1U);
}

TEST(packet_input, keeps_the_fields_that_were_set) {
    auto context = context_for(ProgramType::SchedCls);
    ASSERT_TRUE(set_field(context, "mark", 7));
    const PacketInput input(context.layout(), context.bytes());
    ASSERT_TRUE(input.load(context, frame(60)));
    ASSERT_TRUE(set_field(context, "mark", 8)); // As a program would.
    ASSERT_TRUE(input.load(context, frame(60)));
    EXPECT_EQ(field(context, "mark"), 7U);
}

TEST(packet_input, refuses_less_than_an_ethernet_header) {
    auto context = context_for(ProgramType::Xdp);
    const PacketInput input(context.layout(), {});
    const auto loaded = input.load(context, frame(13));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().to_string(),
              "packet of 13 bytes, expected at least the 14 of an Ethernet header");
}

TEST(packet_input, refuses_a_packet_over_64_kib) {
    auto context = context_for(ProgramType::Xdp);
    const PacketInput input(context.layout(), {});
    EXPECT_TRUE(input.load(context, frame(65535)));
    const auto loaded = input.load(context, frame(65536));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::Limit);
}

TEST(set_field, suggests_the_field_that_was_meant) {
    auto context = context_for(ProgramType::SchedCls);
    const auto set = set_field(context, "marc", 1);
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().to_string(), "__sk_buff has no field \"marc\"");
    EXPECT_EQ(set.error().hint, "did you mean \"mark\"?");
}

TEST(set_field, refuses_what_does_not_fit) {
    auto context = context_for(ProgramType::SchedCls);
    const auto set = set_field(context, "mark", 0x100000000);
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().to_string(), "__sk_buff.mark: 4294967296 does not fit 4 bytes");
    EXPECT_TRUE(set_field(context, "mark", static_cast<std::uint64_t>(-1)));
}

TEST(set_field, refuses_pointers) {
    auto context = context_for(ProgramType::Xdp);
    const auto set = set_field(context, "data_end", 1);
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().to_string(), "xdp_md.data_end is not a number that can be set");
}

} // namespace
} // namespace skep::runtime
