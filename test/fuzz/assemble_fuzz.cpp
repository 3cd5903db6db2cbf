// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string_view>

#include "skep/base/check.hpp"
#include "skep/isa/assemble.hpp"
#include "skep/isa/disassemble.hpp"

/// Any text: an error with a message, or instructions whose text gives the same instructions again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace skep::isa;
    constexpr Symbol kHelpers[] = {{"bpf_map_lookup_elem", 1}, {"bpf_redirect", 23}};
    constexpr Symbol kKfuncs[] = {{"bpf_rcu_read_lock", 70001}};
    constexpr Symbol kMaps[] = {{"flows", 3}};
    const AssembleOptions options{
        .symbols = {.helpers = kHelpers, .kfuncs = kKfuncs, .maps = kMaps}};
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto insns = assemble(text, options);
    if (!insns) {
        SKEP_CHECK(insns.error().message.starts_with("line "));
        return 0;
    }
    const auto plain = assemble(listing(*insns));
    SKEP_CHECK(plain.has_value() && *plain == *insns);
    return 0;
}
