// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "skep/runtime/verdict.hpp"

namespace skep::runtime {
namespace {

using spec::ProgramType;

TEST(verdict_name, is_the_constant_of_the_program_type) {
    EXPECT_EQ(verdict_name(ProgramType::Xdp, 1), "XDP_DROP");
    EXPECT_EQ(verdict_name(ProgramType::SchedCls, 2), "TC_ACT_SHOT");
    EXPECT_EQ(verdict_name(ProgramType::SchedCls, 0xffffffff), "TC_ACT_UNSPEC");
    EXPECT_EQ(verdict_name(ProgramType::CgroupSkb, 0), "drop");
}

TEST(verdict_name, is_the_number_where_there_is_no_name) {
    EXPECT_EQ(verdict_name(ProgramType::Xdp, 9), "9");
    EXPECT_EQ(verdict_name(ProgramType::Kprobe, 0xffffffff), "-1");
}

TEST(type_name, covers_the_first_and_the_last_type) {
    EXPECT_EQ(type_name(ProgramType::SocketFilter), "socket_filter");
    EXPECT_EQ(type_name(ProgramType::Netfilter), "netfilter");
    EXPECT_EQ(type_name(static_cast<ProgramType>(99)), "type 99");
}

TEST(kind_name, covers_the_first_and_the_last_kind) {
    EXPECT_EQ(kind_name(spec::MapKind::Hash), "hash");
    EXPECT_EQ(kind_name(spec::MapKind::Ringbuf), "ringbuf");
    EXPECT_EQ(kind_name(spec::MapKind::Arena), "arena");
}

} // namespace
} // namespace skep::runtime
