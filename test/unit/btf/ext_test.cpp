// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "skep/btf/build.hpp"
#include "skep/btf/ext.hpp"

namespace skep::btf {
namespace {

struct Sample {
    std::shared_ptr<const Btf> btf;
    std::vector<std::uint32_t> words;
    [[nodiscard]] std::string refusal() const {
        const auto ext = parse_ext(std::as_bytes(std::span(words)), *btf);
        return ext ? "accepted" : ext.error().message;
    }
};

/// One record of each sort, in section "xdp". Words: 0..7 header, 8.. func_info, 13.. line_info,
/// 20.. core_relo.
Sample sample() {
    BtfBuilder b;
    b.add_int("int", 4, true);
    b.add_func_proto(1, {});
    b.add_func("prog", 2);
    const std::uint32_t xdp = b.string("xdp");
    const std::uint32_t file = b.string("a.c");
    const std::uint32_t text = b.string("return 0;");
    const std::uint32_t access = b.string("0:1");
    return {*Btf::parse(b.emit()), {0x0001eb9f, 32,  0, 20, 20,   28,     48,
                                    28,                        //
                                    8,          xdp, 1, 0,  3, //
                                    16,         xdp, 1, 8,  file, text,   (7U << 10) | 5,
                                    16,         xdp, 1, 16, 1,    access, 2}};
}

TEST(ext, functions_lines_and_relocations_are_read) {
    const Sample s = sample();
    const auto ext = parse_ext(std::as_bytes(std::span(s.words)), *s.btf);
    ASSERT_TRUE(ext) << ext.error().message;
    ASSERT_EQ(ext->functions.size(), 1);
    EXPECT_EQ(ext->functions[0].section, "xdp");
    EXPECT_EQ(ext->functions[0].type, 3);
    ASSERT_EQ(ext->lines.size(), 1);
    EXPECT_EQ(ext->lines[0].offset, 8);
    EXPECT_EQ(ext->lines[0].file, "a.c");
    EXPECT_EQ(ext->lines[0].text, "return 0;");
    EXPECT_EQ(ext->lines[0].line, 7);
    EXPECT_EQ(ext->lines[0].column, 5);
    ASSERT_EQ(ext->relocations.size(), 1);
    EXPECT_EQ(ext->relocations[0].access, "0:1");
    EXPECT_EQ(ext->relocations[0].kind, CoreKind::FieldExists);
}

TEST(ext, the_other_byte_order_is_read) {
    Sample s = sample();
    for (std::uint32_t& word : s.words)
        word = std::byteswap(word);
    auto* head = reinterpret_cast<unsigned char*>(s.words.data());
    head[0] = 0xeb; // the header begins with 16, 8 and 8 bits
    head[1] = 0x9f;
    head[2] = 1;
    head[3] = 0;
    const auto ext = parse_ext(std::as_bytes(std::span(s.words)), *s.btf);
    ASSERT_TRUE(ext) << ext.error().message;
    EXPECT_EQ(ext->lines[0].line, 7);
}

TEST(ext_refusal, a_function_that_is_no_func) {
    Sample s = sample();
    s.words[12] = 1;
    EXPECT_EQ(s.refusal(), ".BTF.ext func_info: type 1 is a int, expected a func");
}

TEST(ext_refusal, a_type_that_does_not_exist) {
    Sample s = sample();
    s.words[24] = 9;
    EXPECT_EQ(s.refusal(), ".BTF.ext core_relo: type 9, the last one is 3");
}

TEST(ext_refusal, more_records_than_bytes) {
    Sample s = sample();
    s.words[15] = 0xffffffff;
    EXPECT_EQ(s.refusal(), ".BTF.ext line_info: 4294967295 records of 16 bytes, 16 bytes left");
}

TEST(ext_refusal, an_offset_inside_an_instruction) {
    Sample s = sample();
    s.words[16] = 4;
    EXPECT_EQ(s.refusal(), ".BTF.ext line_info: offset 4 is not that of an instruction");
}

TEST(ext_refusal, a_section_outside_the_data) {
    Sample s = sample();
    s.words[5] = 0xfffffff0;
    EXPECT_EQ(s.refusal(),
              ".BTF.ext line_info 20+4294967280 is outside the 76 bytes after the header");
}

TEST(ext_refusal, an_empty_record) {
    Sample s = sample();
    s.words[8] = 0;
    EXPECT_EQ(s.refusal(), ".BTF.ext func_info: record size is 0, expected at least 8");
}

} // namespace
} // namespace skep::btf
