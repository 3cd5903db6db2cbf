// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/base/result.hpp"

namespace skep::tool {

/// Bytes from hexadecimal digits; blanks, ':' and a leading "0x" are passed over. `what` is named
/// in the message if a digit is none or their number is odd.
Result<std::vector<std::byte>> parse_hex(std::string_view text, const std::string& what);

/// `text`, or the contents of the file if it is `@file`.
Result<std::string> text_or_file(const std::string& text);

/// Two digits a byte, without separator.
[[nodiscard]] std::string to_hex(Bytes bytes);

/// An integer: decimal, 0x hexadecimal, with sign.
Result<std::int64_t> parse_integer(std::string_view text, const std::string& what);

} // namespace skep::tool
