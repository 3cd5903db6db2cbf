// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <gmock/gmock.h>

#include "elf.hpp"
#include "objects.hpp"

namespace skep::object {
namespace {

std::vector<std::byte> legacy() {
    return read_file(path_of("legacy_v3.o")).value_or(std::vector<std::byte>());
}

template <class T>
void put(std::vector<std::byte>& bytes, std::size_t at, T value) {
    store(bytes.data() + at, value);
}

TEST(elf, text_is_not_an_object) {
    EXPECT_EQ(refusal(as_bytes("int main(void) { return 0; }")),
              "not an ELF file: it does not start with 0x7f \"ELF\"");
    EXPECT_EQ(refusal({}), "not an ELF file: it does not start with 0x7f \"ELF\"");
}

TEST(elf, truncated_header_is_refused) {
    EXPECT_EQ(refusal(Bytes(legacy()).first(20)), "truncated: 20 bytes, the ELF header takes 64");
}

TEST(elf, truncated_file_is_refused) {
    const auto bytes = legacy();
    const auto header = load<Elf64_Ehdr>(bytes.data());
    const std::size_t kept = bytes.size() - 100;
    EXPECT_EQ(refusal(Bytes(bytes).first(kept)),
              "truncated: section headers at " + std::to_string(header.e_shoff) + "+" +
                  std::to_string(header.e_shnum * 64) + ", the file has " + std::to_string(kept) +
                  " bytes");
}

TEST(elf, big_endian_is_refused) {
    auto bytes = legacy();
    put(bytes, EI_DATA, std::uint8_t{ELFDATA2MSB});
    EXPECT_EQ(refusal(bytes), "the object is big-endian, expected little-endian");
}

TEST(elf, another_machine_is_refused) {
    auto bytes = legacy();
    put(bytes, offsetof(Elf64_Ehdr, e_machine), std::uint16_t{EM_X86_64});
    EXPECT_EQ(refusal(bytes), "ELF machine is 62, expected 247 (BPF)");
}

TEST(elf, linked_program_is_refused) {
    auto bytes = legacy();
    put(bytes, offsetof(Elf64_Ehdr, e_type), std::uint16_t{ET_EXEC});
    EXPECT_EQ(refusal(bytes), "ELF type is 2, expected 1 (relocatable)");
}

TEST(elf, btf_is_found_in_any_elf_file) {
    auto bytes = read_file(path_of("core_v3.o")).value_or(std::vector<std::byte>());
    const auto raw = btf_section(bytes);
    ASSERT_TRUE(raw) << raw.error().message;
    EXPECT_EQ(load<std::uint16_t>(raw->data()), 0xeb9f);
    put(bytes, offsetof(Elf64_Ehdr, e_machine), std::uint16_t{EM_X86_64});
    put(bytes, offsetof(Elf64_Ehdr, e_type), std::uint16_t{ET_EXEC});
    EXPECT_EQ(btf_section(bytes)->size(), raw->size());
    put(bytes, offsetof(Elf64_Ehdr, e_shstrndx), std::uint16_t{0xff00});
    EXPECT_EQ(btf_section(bytes).error().message, "the ELF file has no section names");
}

TEST(elf, missing_btf_is_told) {
    const auto text = btf_section(as_bytes("BTF"));
    EXPECT_EQ(text.error().message, "not an ELF file: it does not start with 0x7f \"ELF\"");
    auto bytes = legacy();
    EXPECT_EQ(btf_section(Bytes(bytes).first(30)).error().message,
              "truncated: 30 bytes, the ELF header takes 64");
}

// The file offset of the contents of a section.
std::size_t contents_of(const std::vector<std::byte>& bytes, std::string_view name) {
    const auto elf = read_elf(bytes);
    const Section* section = elf ? elf->find(name) : nullptr;
    EXPECT_NE(section, nullptr);
    return section == nullptr ? 0
                              : static_cast<std::size_t>(section->data.data() - elf->bytes.data());
}

TEST(elf, relocation_outside_its_section_is_refused) {
    auto bytes = legacy();
    put(bytes, contents_of(bytes, ".relsocket"), std::uint64_t{0x10000});
    const auto size = read_elf(legacy())->find("socket")->size;
    EXPECT_EQ(refusal(bytes), "section \".relsocket\": relocation 0: offset 65536 is outside "
                              "section \"socket\" of " +
                                  std::to_string(size) + " bytes");
}

TEST(elf, relocation_of_an_absent_symbol_is_refused) {
    auto bytes = legacy();
    put(bytes, contents_of(bytes, ".relsocket") + 12, std::uint32_t{5000});
    const auto symbols = read_elf(legacy())->symbols.size();
    EXPECT_EQ(refusal(bytes), "section \".relsocket\": relocation 0: symbol 5000, there are " +
                                  std::to_string(symbols));
}

TEST(elf, relocation_inside_an_instruction_fails_the_program) {
    auto bytes = legacy();
    const std::size_t at = contents_of(bytes, ".relsocket");
    put(bytes, at, load<std::uint64_t>(bytes.data() + at) + 4);
    const auto opened = open(bytes);
    ASSERT_TRUE(opened);
    ASSERT_EQ(opened->failed.size(), 1U);
    EXPECT_THAT(opened->failed[0].error.message, testing::EndsWith("inside an instruction"));
}

TEST(elf, cyclic_btf_is_refused) {
    auto bytes = read_file(path_of("whole.o")).value_or(std::vector<std::byte>());
    const std::size_t btf = contents_of(bytes, ".BTF");
    // Type 1, a pointer, becomes a typedef of itself: name, kind 8, target.
    const std::size_t types = btf + load<std::uint32_t>(bytes.data() + btf + 4);
    ASSERT_EQ(load<std::uint32_t>(bytes.data() + types + 4), 0x02000000U);
    put(bytes, types, std::uint32_t{1});
    put(bytes, types + 4, std::uint32_t{0x08000000});
    put(bytes, types + 8, std::uint32_t{1});
    EXPECT_EQ(refusal(bytes), "section \".BTF\": BTF type 1 (typedef): it contains itself");
}

TEST(elf, every_prefix_is_refused_or_opened) {
    const auto bytes = read_file(path_of("whole.o")).value_or(std::vector<std::byte>());
    for (std::size_t size = 0; size < bytes.size(); size += 97)
        EXPECT_NE(refusal(Bytes(bytes).first(size)), "opened") << size;
}

} // namespace
} // namespace skep::object
