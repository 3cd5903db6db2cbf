// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <span>

#include "skep/base/check.hpp"
#include "skep/object/object.hpp"

/// Opens and links an object file, first without types to adapt to, then against its own.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace skep;
    const Bytes bytes = std::as_bytes(std::span(data, size));
    const auto opened = object::open(bytes);
    if (!opened)
        return 0;
    for (const auto& global : opened->globals)
        SKEP_CHECK(global.map < opened->maps.size());
    for (const auto& program : opened->programs) {
        SKEP_CHECK(!program->subprograms.empty());
        SKEP_CHECK(program->subprograms.back().end <= program->insns.size());
    }
    object::OpenOptions options;
    options.target_btf = opened->btf;
    options.target_name = "itself";
    (void)object::open(bytes, options);
    return 0;
}
