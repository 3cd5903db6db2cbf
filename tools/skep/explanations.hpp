// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace skep::tool {

/// What people need to know of a code of the verifier. Lines end with '\n'.
struct Explanation {
    std::string_view code;
    std::string_view meaning;
    std::string_view help;    ///< how to mend it
    std::string_view example; ///< C, or BPF assembly, that gets this code
};

/// Of a code of verifier::catalogue(), or nullptr.
[[nodiscard]] const Explanation* explanation_of(std::string_view code) noexcept;

} // namespace skep::tool
