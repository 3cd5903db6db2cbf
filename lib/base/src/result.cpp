// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/base/result.hpp"

namespace skep {

std::string Error::to_string() const {
    std::string out;
    const auto part = [&out](const std::string& text) { out += text + ": "; };
    if (!place.file.empty())
        part(place.file);
    if (!place.section.empty())
        part("section \"" + place.section + "\"" +
             (place.offset >= 0 ? "+" + std::to_string(place.offset) : ""));
    else if (place.offset >= 0)
        part("offset " + std::to_string(place.offset));
    if (place.instruction >= 0)
        part("instruction " + std::to_string(place.instruction));
    return out + message;
}

} // namespace skep
