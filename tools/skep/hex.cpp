// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "hex.hpp"

#include <charconv>

#include "skep/base/file.hpp"

namespace skep::tool {
namespace {

int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

} // namespace

Result<std::vector<std::byte>> parse_hex(std::string_view text, const std::string& what) {
    if (text.starts_with("0x") || text.starts_with("0X"))
        text.remove_prefix(2);
    std::vector<std::byte> bytes;
    bytes.reserve(text.size() / 2);
    int high = -1;
    for (const char c : text) {
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == ':')
            continue;
        const int value = digit(c);
        if (value < 0)
            return fail(ErrorCode::Invalid,
                        what + ": '" + std::string(1, c) + "' is not a hexadecimal digit");
        if (high < 0) {
            high = value;
            continue;
        }
        bytes.push_back(static_cast<std::byte>(high << 4 | value));
        high = -1;
    }
    if (high >= 0)
        return fail(ErrorCode::Invalid, what + ": an odd number of hexadecimal digits");
    return bytes;
}

Result<std::string> text_or_file(const std::string& text) {
    if (!text.starts_with('@'))
        return text;
    const auto bytes = SKEP_TRY(read_file(text.substr(1), std::uint64_t{1} << 24));
    return std::string(as_text(bytes));
}

std::string to_hex(Bytes bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::byte byte : bytes) {
        text += kDigits[std::to_integer<std::size_t>(byte) >> 4];
        text += kDigits[std::to_integer<std::size_t>(byte) & 15];
    }
    return text;
}

Result<std::int64_t> parse_integer(std::string_view text, const std::string& what) {
    const std::string_view whole = text;
    const bool negative = text.starts_with('-');
    if (negative)
        text.remove_prefix(1);
    const bool hex = text.starts_with("0x") || text.starts_with("0X");
    if (hex)
        text.remove_prefix(2);
    std::uint64_t value = 0;
    const auto [end, bad] =
        std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
    if (bad != std::errc() || end != text.data() + text.size())
        return fail(ErrorCode::Invalid,
                    what + ": \"" + std::string(whole) + "\" is not an integer");
    return static_cast<std::int64_t>(negative ? ~value + 1 : value);
}

} // namespace skep::tool
