// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <span>

#include "skep/base/check.hpp"
#include "skep/isa/assemble.hpp"
#include "skep/isa/decode.hpp"
#include "skep/isa/disassemble.hpp"
#include "skep/isa/encode.hpp"

/// Any bytes: the decoder and the checks never crash, bytes and text both lead back to the same
/// instructions, and what validate() accepts is shown without a raw `.insn`.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace skep::isa;
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto insns = decode(bytes);
    SKEP_CHECK(insns.has_value() == (size % 8 == 0));
    if (!insns)
        return 0;
    SKEP_CHECK(decode(to_bytes(*insns, std::endian::big), std::endian::big) == *insns);
    const std::string text = listing(*insns);
    const auto back = assemble(text);
    SKEP_CHECK(back.has_value() && *back == *insns);
    if (const auto verdict = validate(*insns, {.callx = true}); !verdict) {
        SKEP_CHECK(!verdict.error().message.empty());
        return 0;
    }
    SKEP_CHECK(text.find(".insn") == std::string::npos);
    for (const std::uint32_t start : function_starts(*insns))
        SKEP_CHECK(start < insns->size());
    return 0;
}
