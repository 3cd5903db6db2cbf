// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "console.hpp"
#include "skep/base/bytes.hpp"

namespace skep::btf {
class Btf;
}

namespace skep::tool {

/// A value as JSON by its type, as bpftool's "formatted" shows it: structs as objects, arrays of
/// char as strings. Bytes in hexadecimal where the type is not known or does not fit.
[[nodiscard]] Json value_to_json(const btf::Btf* btf, std::uint32_t type_id, Bytes value);

/// The same on one line for people: {.hits = 3, .name = "eth0"}.
[[nodiscard]] std::string value_to_text(const btf::Btf* btf, std::uint32_t type_id, Bytes value);

/// The struct of that name; 0 if there is none.
[[nodiscard]] std::uint32_t find_struct(const btf::Btf* btf, const std::string& name);

} // namespace skep::tool
