// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/spec/section.hpp"

#include <gtest/gtest.h>

namespace skep::spec {
namespace {

TEST(section, longest_form_wins) {
    ASSERT_NE(find_section("xdp.frags/devmap"), nullptr);
    EXPECT_EQ(find_section("xdp.frags/devmap")->attach_type, 33U);
    EXPECT_EQ(find_section("sk_reuseport/migrate")->attach_type, 40U);
    EXPECT_EQ(find_section("kprobe.session/sys_*")->attach_type, 56U);
}

TEST(section, target_is_allowed_where_libbpf_allows_it) {
    EXPECT_NE(find_section("kprobe/do_unlinkat"), nullptr);
    EXPECT_EQ(find_section("socket/filter"), nullptr);
    EXPECT_EQ(find_section("kprobes"), nullptr);
}

TEST(section, sleepable_suffix_is_a_flag) {
    EXPECT_EQ(find_section("lsm.s/file_open")->flags, kSleepable | kAttachBtf);
    EXPECT_EQ(find_section("iter.s/task")->flags, kSleepable | kAttachBtf);
    EXPECT_EQ(find_section("xdp")->flags, 0);
}

TEST(section, every_name_finds_its_own_row) {
    for (const std::string& name : section_names()) {
        ASSERT_NE(find_section(name), nullptr) << name;
        EXPECT_EQ(find_section(name)->name, name);
    }
}

} // namespace
} // namespace skep::spec
