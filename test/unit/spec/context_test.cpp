// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// The context layouts beside the types of the running kernel.
#include <gmock/gmock.h>
#include <map>

#include "skep/base/file.hpp"
#include "skep/btf/btf.hpp"
#include "skep/spec/context.hpp"

namespace skep::spec {
namespace {

using btf::Btf;
using btf::Kind;

/// Offset and size in bytes of every field, arrays element by element ("cb[0]"); members of
/// anonymous structs and unions belong to the outer one.
void collect(const Btf& types, std::uint32_t id, std::uint32_t base,
             std::map<std::string, std::pair<std::uint32_t, std::uint32_t>>& fields) {
    for (std::uint32_t i = 0; i < types.type(id).vlen; ++i) {
        const btf::Member member = types.member(id, i);
        const std::uint32_t type = types.strip(member.type);
        const std::uint32_t offset = base + member.bit_offset / 8;
        const Kind kind = types.kind(type);
        if (member.name.empty()) {
            if (kind == Kind::Struct || kind == Kind::Union)
                collect(types, type, offset, fields);
            continue;
        }
        if (member.name == "regs") // bpf_perf_event_data: ours are the registers' names.
            collect(types, type, offset, fields);
        const std::string name(member.name);
        fields[name] = {offset, static_cast<std::uint32_t>(types.size_of(type).value_or(0))};
        if (kind != Kind::Array)
            continue;
        const btf::ArrayInfo array = types.array(type);
        const auto size = static_cast<std::uint32_t>(types.size_of(array.element).value_or(0));
        for (std::uint32_t at = 0; at < array.count; ++at)
            fields[name + "[" + std::to_string(at) + "]"] = {offset + at * size, size};
    }
}

class KernelTypes : public testing::Test {
protected:
    void SetUp() override {
        const auto bytes = read_file("/sys/kernel/btf/vmlinux");
        if (!bytes)
            GTEST_SKIP() << "needs /sys/kernel/btf/vmlinux";
        types = *Btf::parse(*bytes);
    }
    std::shared_ptr<const Btf> types;
};

TEST_F(KernelTypes, have_every_field_of_every_layout) {
    int compared = 0;
    for (std::uint32_t number = 1; number < 40; ++number) {
        const ContextLayout* layout = find_context(static_cast<ProgramType>(number));
        // Since 6.9 the kernel's own pt_regs splits cs and ss, which user space sees whole.
        const auto narrowed = [layout](std::string_view name) {
            return (name == "cs" || name == "ss") && layout->name != "__sk_buff";
        };
        if (layout == nullptr || layout->fields.empty() || layout->name == "bpf_nf_ctx")
            continue; // Of bpf_nf_ctx a kernel without netfilter BPF has no type.
        const auto id = types->find(Kind::Struct, layout->name);
        if (!id) {
            ADD_FAILURE() << layout->name << " is not a type of the kernel";
            continue;
        }
        EXPECT_EQ(types->size_of(*id).value_or(0), layout->size) << layout->name;
        std::map<std::string, std::pair<std::uint32_t, std::uint32_t>> fields;
        collect(*types, *id, 0, fields);
        for (const ContextField& field : layout->fields) {
            const auto found = fields.find(std::string(field.name));
            if (found == fields.end()) {
                ADD_FAILURE() << layout->name << " has no field " << field.name;
                continue;
            }
            if (narrowed(field.name))
                found->second.second = field.size;
            EXPECT_EQ(found->second,
                      std::pair(std::uint32_t{field.offset}, std::uint32_t{field.size}))
                << layout->name << "." << field.name;
            ++compared;
        }
    }
    EXPECT_GT(compared, 200);
}

TEST(context, fields_are_in_order_and_do_not_overlap) {
    for (std::uint32_t number = 1; number < 40; ++number) {
        const ContextLayout* layout = find_context(static_cast<ProgramType>(number));
        if (layout == nullptr)
            continue;
        std::uint32_t end = 0;
        for (const ContextField& field : layout->fields) {
            EXPECT_GE(field.offset, end) << layout->name << "." << field.name;
            end = std::uint32_t{field.offset} + field.size;
            EXPECT_EQ(field_at(*layout, field.offset), &field);
            EXPECT_EQ(field_at(*layout, end - 1), &field);
        }
        EXPECT_LE(end, layout->size) << layout->name;
    }
}

} // namespace
} // namespace skep::spec
