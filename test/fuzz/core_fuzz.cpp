// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>

#include "skep/base/check.hpp"
#include "skep/btf/btf.hpp"
#include "skep/object/object.hpp"

/// The first two bytes say where the object ends and the target's BTF begins; without one, the
/// object is its own target.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace skep;
    if (size < 2)
        return 0;
    const Bytes bytes = std::as_bytes(std::span(data, size)).subspan(2);
    const std::size_t split = std::min<std::size_t>(data[0] + data[1] * 256U, bytes.size());
    const Bytes elf = bytes.first(split);
    object::OpenOptions options;
    options.target_name = "fuzz";
    if (auto target = btf::Btf::parse(bytes.subspan(split)))
        options.target_btf = *std::move(target);
    else if (const auto own = object::open(elf); own)
        options.target_btf = own->btf;
    const auto opened = object::open(elf, options);
    if (!opened)
        return 0;
    for (const auto& program : opened->programs)
        for (const Poisoned& poisoned : program->poisoned)
            SKEP_CHECK(poisoned.insn < program->insns.size());
    return 0;
}
