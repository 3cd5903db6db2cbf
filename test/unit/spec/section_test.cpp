// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "skep/spec/section.hpp"

namespace skep::spec {
namespace {

/// The program type of a section's name, and its attach type.
std::pair<ProgramType, std::uint32_t> of(std::string_view section) {
    const SectionDef* def = find_section(section);
    return def == nullptr ? std::pair(ProgramType::Unspec, 0U)
                          : std::pair(def->type, def->attach_type);
}

TEST(section, names_give_type_and_attach_type) {
    EXPECT_EQ(of("xdp"), std::pair(ProgramType::Xdp, 37U));
    EXPECT_EQ(of("xdp/devmap"), std::pair(ProgramType::Xdp, 33U));
    EXPECT_EQ(of("tc"), std::pair(ProgramType::SchedCls, 0U));
    EXPECT_EQ(of("tcx/ingress"), std::pair(ProgramType::SchedCls, 46U));
    EXPECT_EQ(of("socket"), std::pair(ProgramType::SocketFilter, 0U));
    EXPECT_EQ(of("cgroup_skb/egress"), std::pair(ProgramType::CgroupSkb, 1U));
    EXPECT_EQ(of("cgroup/connect4"), std::pair(ProgramType::CgroupSockAddr, 10U));
    EXPECT_EQ(of("sk_lookup"), std::pair(ProgramType::SkLookup, 36U));
    EXPECT_EQ(of("syscall"), std::pair(ProgramType::Syscall, 0U));
}

TEST(section, targets_follow_a_slash) {
    EXPECT_EQ(of("kprobe/do_exit").first, ProgramType::Kprobe);
    EXPECT_EQ(of("tracepoint/syscalls/sys_enter_execve").first, ProgramType::Tracepoint);
    EXPECT_EQ(of("tp/sched/sched_switch").first, ProgramType::Tracepoint);
    EXPECT_EQ(of("raw_tp/sys_enter").first, ProgramType::RawTracepoint);
    EXPECT_EQ(of("fentry/tcp_connect"), std::pair(ProgramType::Tracing, 24U));
    EXPECT_EQ(of("lsm/file_open").first, ProgramType::Lsm);
    EXPECT_EQ(of("xdp/nonsense").first, ProgramType::Unspec);
}

TEST(section, suffixes_are_flags) {
    EXPECT_EQ(find_section("lsm.s/file_open")->flags & kSleepable, kSleepable);
    EXPECT_EQ(find_section("xdp.frags")->flags & kFrags, kFrags);
    EXPECT_EQ(find_section("lsm/file_open")->flags & kSleepable, 0);
}

TEST(section, unknown_names_are_unknown) {
    EXPECT_EQ(find_section("xpd"), nullptr);
    EXPECT_EQ(find_section(""), nullptr);
    EXPECT_THAT(section_names(), testing::Contains("xdp"));
}

} // namespace
} // namespace skep::spec
