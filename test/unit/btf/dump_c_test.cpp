// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>

#include "skep/base/file.hpp"
#include "skep/btf/build.hpp"
#include "skep/btf/dump_c.hpp"

namespace skep::btf {
namespace {

std::string dumped(const BtfBuilder& builder) {
    const auto btf = Btf::parse(builder.emit());
    if (!btf)
        return btf.error().message;
    const auto text = dump_c(**btf, {.vmlinux_header = false});
    return text ? *text : text.error().message;
}

TEST(dump_c, list_node_and_its_typedef) {
    BtfBuilder b;
    const std::array<Member, 1> fields{Member{.name = "next", .type = 2}};
    b.add_composite(Kind::Struct, "node", 8, fields);
    b.add_ptr(3);
    b.add_typedef("node_t", 1);
    EXPECT_EQ(dumped(b), "struct node;\n\ntypedef struct node node_t;\n\n"
                         "struct node {\n\tnode_t *next;\n};\n\n");
}

TEST(dump_c, bit_fields_and_holes_keep_their_places) {
    BtfBuilder b;
    b.add_int("int", 4, true);
    b.add_int("char", 1, true);
    const std::array<Member, 4> fields{
        Member{.name = "a", .type = 1, .bit_offset = 0, .bit_size = 3},
        Member{.name = "b", .type = 1, .bit_offset = 5, .bit_size = 2},
        Member{.name = "c", .type = 2, .bit_offset = 64},
        Member{.name = "d", .type = 1, .bit_offset = 96}};
    b.add_composite(Kind::Struct, "s", 24, fields);
    EXPECT_EQ(dumped(b),
              "struct s {\n\tint a: 3;\n\tchar: 2;\n\tint b: 2;\n\tchar: 1;\n"
              "\tchar: 8;\n\tshort: 16;\n\tint: 32;\n\tchar c;\n\tint d;\n\tlong: 64;\n};\n\n");
}

TEST(dump_c, misaligned_member_makes_the_struct_packed) {
    BtfBuilder b;
    b.add_int("int", 4, true);
    b.add_int("char", 1, true);
    const std::array<Member, 2> fields{Member{.name = "c", .type = 2},
                                       Member{.name = "i", .type = 1, .bit_offset = 8}};
    b.add_composite(Kind::Struct, "s", 5, fields);
    EXPECT_EQ(dumped(b), "struct s {\n\tchar c;\n\tint i;\n} __attribute__((packed));\n\n");
}

TEST(dump_c, function_pointers_arrays_and_qualifiers) {
    BtfBuilder b;
    b.add_int("int", 4, true);
    b.add_modifier(Kind::Const, 1);
    b.add_ptr(2);
    b.add_modifier(Kind::Const, 3);
    const std::array<Parameter, 2> parameters{Parameter{"p", 4}, Parameter{"", 0}};
    b.add_func_proto(3, parameters);
    b.add_ptr(5);
    b.add_array(6, 1, 4);
    b.add_array(7, 1, 2);
    b.add_typedef("table", 8);
    EXPECT_EQ(dumped(b), "typedef const int *(*table[2][4])(const int * const, ...);\n\n");
    const auto btf = *Btf::parse(b.emit());
    EXPECT_EQ(type_text(*btf, 6), "const int *(*)(const int * const, ...)");
    EXPECT_EQ(type_text(*btf, 7), "const int *(*[4])(const int * const, ...)");
}

TEST(dump_c, names_taken_twice_get_a_number) {
    BtfBuilder b;
    b.add_int("int", 4, true);
    b.add_composite(Kind::Struct, "s", 0, {});
    b.add_composite(Kind::Struct, "s", 0, {});
    const std::array<Enumerator, 2> names{Enumerator{"A", 1}, Enumerator{"A", 2}};
    b.add_enum(Kind::Enum, "s", 4, false, names);
    EXPECT_EQ(dumped(b), "struct s {};\n\nstruct s___2 {};\n\n"
                         "enum s___3 {\n\tA = 1,\n\tA___2 = 2,\n};\n\n");
}

TEST(dump_c, enums_have_their_size) {
    BtfBuilder b;
    const std::array<Enumerator, 1> small{Enumerator{"S", 1}};
    const std::array<Enumerator, 1> big{Enumerator{"B", -1}};
    b.add_enum(Kind::Enum, "one", 1, false, small);
    b.add_enum(Kind::Enum64, "eight", 8, false, big);
    EXPECT_EQ(dumped(b), "enum one {\n\tS = 1,\n} __attribute__((mode(byte)));\n\n"
                         "enum eight {\n\tB = 18446744073709551615ULL,\n};\n\n");
}

TEST(dump_c, prototypes_that_double_end_with_an_error) {
    BtfBuilder b;
    b.add_int("int", 4);
    std::uint32_t last = 1;
    for (int i = 0; i < 40; ++i) {
        const std::array<Parameter, 2> both{Parameter{"a", last}, Parameter{"b", last}};
        last = b.add_ptr(b.add_func_proto(0, both));
    }
    b.add_typedef("t", last);
    EXPECT_EQ(dumped(b), "BTF type 26 (func_proto): the declaration is longer than any compiler's");
}

class Vmlinux : public testing::Test {
protected:
    void SetUp() override {
        const auto bytes = read_file("/sys/kernel/btf/vmlinux");
        if (!bytes)
            GTEST_SKIP() << "needs /sys/kernel/btf/vmlinux";
        if (std::system(
                "command -v clang-19 >/dev/null && command -v llvm-objcopy-19 >/dev/null") != 0)
            GTEST_SKIP() << "needs clang-19 and llvm-objcopy-19";
        btf_ = *Btf::parse(*bytes);
        const auto text = dump_c(*btf_);
        ASSERT_TRUE(text) << text.error().message;
        dir_ = std::filesystem::temp_directory_path() / ("skep_btf_" + std::to_string(getpid()));
        std::filesystem::create_directories(dir_);
        ASSERT_TRUE(write_file(dir_ / "vmlinux.h", as_bytes(*text)));
    }
    void TearDown() override {
        if (!dir_.empty())
            std::filesystem::remove_all(dir_);
    }
    int clang(const std::string& source, const std::string& arguments) {
        EXPECT_TRUE(write_file(dir_ / "all.c", as_bytes("#include \"vmlinux.h\"\n" + source)));
        return std::system(
            ("cd " + dir_.string() + " && clang-19 --target=bpf -Werror -c all.c " + arguments)
                .c_str());
    }
    /// The tag names one type only: C has one namespace for the three kinds, and a second struct of
    /// the name is called otherwise.
    bool only_one(std::uint32_t id) const {
        int users = 0;
        for (const std::uint32_t other :
             btf_->with_essential_name(essential_name(btf_->name(id)))) {
            const Kind kind = btf_->kind(other);
            users += btf_->name(other) == btf_->name(id) &&
                     (kind == Kind::Struct || kind == Kind::Union || kind == Kind::Enum);
        }
        return users == 1;
    }

    std::shared_ptr<const Btf> btf_;
    std::filesystem::path dir_;
};

TEST_F(Vmlinux, every_size_and_byte_offset_survives_the_compiler) {
    std::string source;
    int structs = 0;
    int members = 0;
    for (std::uint32_t id = 1; id < btf_->size(); ++id) {
        const Type& t = btf_->type(id);
        if ((t.kind != Kind::Struct && t.kind != Kind::Union) || t.name_off == 0 || !only_one(id))
            continue;
        const std::string type =
            (t.kind == Kind::Struct ? "struct " : "union ") + std::string(btf_->name(id));
        source += "_Static_assert(sizeof(" + type + ") == " + std::to_string(t.size_or_type) +
                  ", \"\");\n";
        ++structs;
        for (std::uint32_t i = 0; i < t.vlen; ++i) {
            const Member m = btf_->member(id, i);
            if (m.bit_size != 0 || m.name.empty())
                continue;
            source += "_Static_assert(__builtin_offsetof(" + type + ", " + std::string(m.name) +
                      ") == " + std::to_string(m.bit_offset / 8) + ", \"\");\n";
            ++members;
        }
    }
    EXPECT_EQ(clang(source, "-fsyntax-only"), 0);
    EXPECT_GT(structs, 5000);
    RecordProperty("structs", structs);
    RecordProperty("members", members);
}

TEST_F(Vmlinux, every_bit_field_survives_the_compiler) {
    std::string source;
    std::vector<std::uint32_t> ids;
    for (std::uint32_t id = 1; id < btf_->size(); ++id) {
        const Type& t = btf_->type(id);
        if (t.kind == Kind::Struct && t.kind_flag && t.name_off != 0 && only_one(id)) {
            source += "struct " + std::string(btf_->name(id)) + " *v" + std::to_string(id) + ";\n";
            ids.push_back(id);
        }
    }
    ASSERT_EQ(clang(source, "-g -o all.o && llvm-objcopy-19 --dump-section=.BTF=all.btf all.o"), 0);
    const auto bytes = read_file(dir_ / "all.btf");
    ASSERT_TRUE(bytes);
    const auto again = Btf::parse(*bytes);
    ASSERT_TRUE(again) << again.error().message;
    int bit_fields = 0;
    for (const std::uint32_t id : ids) {
        const auto now = (*again)->find(Kind::Struct, btf_->name(id));
        ASSERT_TRUE(now) << btf_->name(id);
        for (std::uint32_t i = 0, j = 0; i < btf_->type(id).vlen; ++i, ++j) {
            const Member m = btf_->member(id, i);
            while (j < (*again)->type(*now).vlen && (*again)->member(*now, j).name != m.name)
                ++j; // padding of a large hole is a member
            ASSERT_LT(j, (*again)->type(*now).vlen) << btf_->name(id) << "." << m.name;
            const Member n = (*again)->member(*now, j);
            EXPECT_EQ(n.bit_offset, m.bit_offset) << btf_->name(id) << "." << m.name;
            EXPECT_EQ(n.bit_size, m.bit_size) << btf_->name(id) << "." << m.name;
            bit_fields += m.bit_size != 0;
        }
    }
    EXPECT_GT(bit_fields, 1000);
    RecordProperty("structs", static_cast<int>(ids.size()));
    RecordProperty("bit_fields", bit_fields);
}

} // namespace
} // namespace skep::btf
