// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/base/result.hpp"

namespace skep::debuginfo {

/// A copy of a relocatable object whose DWARF sections can be read as they are: relocations are
/// applied, and an address is (section index << 32) + byte, since every section starts at 0.
struct Relocated {
    std::vector<std::byte> bytes;
    std::vector<std::string> sections; ///< names by index
};

Result<Relocated> relocate(Bytes elf);

} // namespace skep::debuginfo
