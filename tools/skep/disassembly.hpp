// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "skep/isa/disassemble.hpp"
#include "skep/object/object.hpp"

namespace skep::tool {

/// A program's instructions as text, with the names of its maps, helpers and kernel functions.
/// Borrows the object and the program.
class Disassembly {
public:
    Disassembly(const object::Object& object, const Program& program);

    [[nodiscard]] std::string text(std::uint32_t slot) const;
    [[nodiscard]] std::uint32_t slots(std::uint32_t slot) const;

private:
    const Program& program_;
    std::vector<std::string> helper_names_; ///< what helpers_ points into
    std::vector<isa::Symbol> helpers_, kfuncs_, maps_;
};

/// Without leading and trailing blanks.
[[nodiscard]] std::string_view trimmed(std::string_view text);
/// What follows the last '/'.
[[nodiscard]] std::string_view base_name(std::string_view path);

} // namespace skep::tool
