// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

#include "kernel_bpf.hpp"
#include "skep/btf/build.hpp"
#include "skep/btf/kernel_rules.hpp"

namespace skep::btf {
namespace {

std::vector<std::byte> sample() {
    BtfBuilder b;
    b.add_int("int", 4, true);
    b.add_ptr(4);
    b.add_array(1, 1, 3);
    const std::array<Member, 4> fields{Member{.name = "a", .type = 1, .bit_size = 3},
                                       Member{.name = "b", .type = 2, .bit_offset = 64},
                                       Member{.name = "c", .type = 3, .bit_offset = 128},
                                       Member{.name = "d", .type = 5, .bit_offset = 224}};
    b.add_composite(Kind::Struct, "s", 32, fields);
    const std::array<Member, 2> arms{Member{.name = "u", .type = 1},
                                     Member{.name = "e", .type = 6}};
    b.add_composite(Kind::Union, "u", 4, arms);
    const std::array<Enumerator, 2> colours{Enumerator{"RED", 0}, Enumerator{"BLUE", -1}};
    b.add_enum(Kind::Enum, "colour", 4, true, colours);
    b.add_fwd("later");
    b.add_typedef("int_t", 1);
    b.add_modifier(Kind::Volatile, 8);
    b.add_modifier(Kind::Const, 9);
    b.add_modifier(Kind::Restrict, 2);
    const std::array<Parameter, 2> parameters{Parameter{"x", 1}, Parameter{"", 0}};
    b.add_func("f", 13, Linkage::Static);
    b.add_func_proto(1, parameters);
    b.add_var("v", 10);
    const std::array<SectionVariable, 1> variables{SectionVariable{14, 0, 4}};
    b.add_datasec(".data", 4, variables);
    b.add_float("double", 8);
    b.add_decl_tag("tagged", 4, 1);
    b.add_modifier(Kind::TypeTag, 1, "user");
    b.add_ptr(18);
    const std::array<Enumerator, 1> big{Enumerator{"BIG", 0x1234567890}};
    b.add_enum(Kind::Enum64, "wide", 8, false, big);
    const std::array<Member, 2> mixed{Member{.name = "f", .type = 16},
                                      Member{.name = "g", .type = 19, .bit_offset = 64}};
    b.add_composite(Kind::Struct, "mixed", 16, mixed);
    return b.emit();
}

/// "" if accepted.
std::string our_refusal(Bytes bytes) {
    const auto btf = Btf::parse(bytes);
    if (!btf)
        return btf.error().message;
    if ((*btf)->was_swapped())
        return "swapped";
    const auto rules = check_kernel_rules(**btf);
    return rules ? "" : rules.error().message;
}

TEST(kernel, verdicts_agree_on_mutated_btf) {
    std::string why;
    if (!test::kernel::available(&why))
        GTEST_SKIP() << why;
    const char* given = std::getenv("SKEP_SEED");
    const unsigned seed =
        given != nullptr ? std::strtoul(given, nullptr, 10) : std::random_device{}();
    const char* asked = std::getenv("SKEP_MUTATIONS");
    const unsigned long rounds = asked != nullptr ? std::strtoul(asked, nullptr, 10) : 3000;
    std::mt19937 random(seed);
    const auto original = sample();
    ASSERT_EQ(our_refusal(original), "");
    int accepted = 0;
    int differences = 0;
    for (unsigned long round = 0; round < rounds && differences < 10; ++round) {
        auto bytes = original;
        for (unsigned n = 1 + random() % 2; n > 0; --n) {
            // The strings are few; the records are what the rules are about.
            const std::size_t at =
                random() % (random() % 8 == 0 ? bytes.size() / 4 : (bytes.size() - 90) / 4) * 4;
            std::uint32_t word = load<std::uint32_t>(&bytes[at]);
            switch (random() % 4) {
            case 0:
                word ^= 1U << (random() % 32);
                break;
            case 1:
                word = random() % 24;
                break;
            case 2:
                word += random() % 9 - 4;
                break;
            default:
                word = (word & 0xffffff) | (random() % 20) << 24;
                break;
            }
            store(&bytes[at], word);
        }
        std::string log;
        const int fd = test::kernel::btf_load(bytes, &log);
        if (fd >= 0)
            close(fd);
        const std::string ours = our_refusal(bytes);
        accepted += fd >= 0;
        // Kept: a modifier of a function. The kernel's verdict depends on the order of the types,
        // and nothing that skep does with such a type means anything.
        if (ours.ends_with(", a func"))
            continue;
        if ((fd >= 0) != ours.empty()) {
            ++differences;
            const auto tail = log.size() > 300 ? log.substr(log.size() - 300) : log;
            const auto* names = reinterpret_cast<const char*>(&bytes[bytes.size() - 95]);
            std::string printable(names, 95);
            for (char& c : printable)
                c = c >= 0x20 && c < 0x7f ? c : '?';
            ADD_FAILURE() << printable << "seed " << seed << " round " << round << ": kernel " << fd
                          << "\nours: " << ours << "\nkernel: " << tail;
        }
    }
    EXPECT_GT(accepted, static_cast<int>(rounds / 100)); // or nothing but refusals was compared
    RecordProperty("accepted", accepted);
}

} // namespace
} // namespace skep::btf
