// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <vector>

#include "skep/base/check.hpp"
#include "skep/btf/btf.hpp"
#include "skep/btf/build.hpp"
#include "skep/btf/compat.hpp"
#include "skep/btf/dump_c.hpp"
#include "skep/btf/ext.hpp"
#include "skep/btf/kernel_rules.hpp"
#include "skep/btf/value.hpp"

namespace {

class Ignore final : public skep::btf::ValueVisitor {
public:
    void begin_struct() override {}
    void member(std::string_view /*name*/) override {}
    void end_struct() override {}
    void begin_array() override {}
    void end_array() override {}
    void integer(std::int64_t /*value*/) override {}
    void natural(std::uint64_t /*value*/) override {}
    void bits(std::uint64_t /*high*/, std::uint64_t /*low*/) override {}
    void boolean(bool /*value*/) override {}
    void character(char /*value*/) override {}
    void string(std::string_view /*value*/) override {}
    void floating(double /*value*/) override {}
    void pointer(std::uint64_t /*value*/) override {}
    void enumerator(std::string_view /*name*/, std::int64_t /*value*/) override {}
    void opaque(skep::Bytes /*bytes*/) override {}
};

using namespace skep;

/// What was accepted can be written and is read back as the same types.
void round_trip(const btf::Btf& btf) {
    btf::BtfBuilder builder;
    for (std::uint32_t id = 1; id < btf.size(); ++id)
        builder.add_copy(btf, id);
    const auto again = btf::Btf::parse(builder.emit());
    SKEP_CHECK(again);
    SKEP_CHECK((*again)->size() == btf.size());
    for (std::uint32_t id = 1; id < btf.size(); ++id) {
        SKEP_CHECK((*again)->kind(id) == btf.kind(id));
        SKEP_CHECK((*again)->name(id) == btf.name(id));
        SKEP_CHECK((*again)->size_of(id) == btf.size_of(id));
    }
}

} // namespace

/// Reads BTF and uses it in every way that a user's file can reach.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes = std::as_bytes(std::span(data, size));
    const auto parsed = btf::Btf::parse(bytes);
    if (!parsed)
        return 0;
    const btf::Btf& btf = **parsed;
    round_trip(btf);
    (void)btf::check_kernel_rules(btf);
    (void)btf::dump_c(btf);
    (void)btf::parse_ext(bytes, btf);
    const std::vector<std::byte> zeros(4096);
    const std::uint32_t last = btf.size() - 1;
    for (std::uint32_t id = 1; id < btf.size() && id < 64; ++id) {
        Ignore ignore;
        (void)btf::visit_value(btf, id, zeros, ignore);
        (void)btf::type_text(btf, id);
        (void)btf::types_are_compatible(btf, id, btf, last);
        (void)btf::types_match(btf, id, btf, id);
        (void)btf::fields_are_compatible(btf, id, btf, last);
        (void)btf.find(btf.kind(id), btf.name(id));
    }
    return 0;
}
