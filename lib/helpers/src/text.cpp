// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cctype>
#include <climits>

#include "format.hpp"
#include "helper.hpp"

namespace skep::helpers {
namespace {

constexpr std::size_t kMaxLine = 1024; // MAX_BPRINTF_BUF

std::string_view text_at(std::uint64_t address, std::uint64_t size) noexcept {
    const std::string_view text(reinterpret_cast<const char*>(address),
                                static_cast<std::size_t>(size));
    return text.substr(0, text.find('\0'));
}

// bpf_trace_printk takes up to three values in registers: as many as the format names.
std::size_t count_specifiers(std::string_view text) noexcept {
    std::size_t count = 0;
    for (std::size_t i = 0; i + 1 < text.size(); ++i)
        if (text[i] == '%') {
            count += text[i + 1] == '%' ? 0 : 1;
            ++i;
        }
    return count;
}

std::uint64_t print(std::string_view text, std::span<const std::uint64_t> args,
                    exec::RunContext* run) noexcept {
    std::array<char, kMaxLine> line;
    const int length = format(line, text, args, run);
    if (length < 0)
        return result(length);
    run->host->printk(
        {line.data(), std::min<std::size_t>(static_cast<std::size_t>(length), kMaxLine - 1)});
    return result(length);
}

SKEP_HELPER_FN(trace_printk) {
    const std::string_view text(reinterpret_cast<const char*>(r1), r2);
    if (text.empty() || text.find('\0') == std::string_view::npos)
        return error(EINVAL);
    const std::array args{r3, r4, r5};
    const std::string_view format_text = text_at(r1, r2);
    const std::size_t count = count_specifiers(format_text);
    return count > args.size() ? error(EINVAL)
                               : print(format_text, std::span(args).first(count), run);
}

// Copies the values: they need not be aligned.
struct Values {
    std::array<std::uint64_t, 12> words{};
    std::size_t count = 0;
    bool valid = false;
    Values(std::uint64_t address, std::uint64_t size) noexcept {
        count = size / 8;
        valid = size % 8 == 0 && count <= words.size() && (address != 0 || size == 0);
        if (valid && size != 0)
            std::memcpy(words.data(), bytes_at(address), size);
    }
    [[nodiscard]] std::span<const std::uint64_t> view() const noexcept {
        return std::span(words).first(count);
    }
};

SKEP_HELPER_FN(trace_vprintk) {
    const Values args(r3, r4);
    if (!args.valid || r2 == 0)
        return error(EINVAL);
    return print(text_at(r1, r2), args.view(), run);
}

SKEP_HELPER_FN(snprintf_helper) {
    const Values args(r4, r5);
    if (!args.valid)
        return error(EINVAL);
    const int length = format({reinterpret_cast<char*>(r1), static_cast<std::size_t>(r2)},
                              reinterpret_cast<const char*>(r3), args.view(), run);
    return length < 0 ? result(length) : static_cast<std::uint64_t>(length) + 1;
}

SKEP_HELPER_FN(strncmp_helper) {
    const char* a = reinterpret_cast<const char*>(r1);
    const char* b = reinterpret_cast<const char*>(r3);
    for (std::uint64_t i = 0; i < r2; ++i) {
        const auto x = static_cast<unsigned char>(a[i]);
        const auto y = static_cast<unsigned char>(b[i]);
        if (x != y)
            return result(x < y ? -1 : 1);
        if (x == 0)
            break;
    }
    return 0;
}

struct Number {
    std::uint64_t magnitude = 0;
    std::size_t consumed = 0;
    bool negative = false;
    int error = 0;
};

// bpf_strtol and bpf_strtoul: optional white space and sign, base from the flags or the prefix.
Number parse_number(std::string_view text, std::uint64_t flags) noexcept {
    Number number;
    unsigned base = static_cast<unsigned>(flags & 0x1f);
    if ((base != 0 && base != 8 && base != 10 && base != 16) ||
        (flags & ~std::uint64_t{0x1f}) != 0 || text.empty())
        return {.error = EINVAL};
    std::size_t at = 0;
    while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at])) != 0)
        ++at;
    if (at < text.size() && text[at] == '-') {
        number.negative = true;
        ++at;
    }
    const bool zero = at < text.size() && text[at] == '0';
    const bool hex = zero && at + 2 < text.size() && (text[at + 1] | 0x20) == 'x' &&
                     std::isxdigit(static_cast<unsigned char>(text[at + 2])) != 0;
    if (base == 0)
        base = hex ? 16 : zero ? 8 : 10;
    if (base == 16 && hex)
        at += 2;
    const std::size_t first = at;
    for (; at < text.size(); ++at) {
        const auto c = static_cast<unsigned char>(text[at]);
        const unsigned digit = std::isdigit(c) != 0   ? c - '0'
                               : std::isalpha(c) != 0 ? (c | 0x20U) - 'a' + 10U
                                                      : 99U;
        if (digit >= base)
            break;
        if (__builtin_mul_overflow(number.magnitude, std::uint64_t{base}, &number.magnitude) ||
            __builtin_add_overflow(number.magnitude, std::uint64_t{digit}, &number.magnitude))
            number.error = ERANGE;
    }
    if (at == first)
        return {.error = EINVAL};
    number.consumed = at;
    return number;
}

SKEP_HELPER_FN(strtol_helper) {
    const Number number = parse_number(text_at(r1, r2), r3);
    std::memset(bytes_at(r4), 0, 8);
    if (number.error != 0)
        return error(number.error);
    const std::uint64_t limit = static_cast<std::uint64_t>(INT64_MAX) + (number.negative ? 1 : 0);
    if (number.magnitude > limit)
        return error(ERANGE);
    const std::uint64_t value = number.negative ? 0 - number.magnitude : number.magnitude;
    std::memcpy(bytes_at(r4), &value, sizeof value);
    return number.consumed;
}

SKEP_HELPER_FN(strtoul_helper) {
    const Number number = parse_number(text_at(r1, r2), r3);
    std::memset(bytes_at(r4), 0, 8);
    if (number.error != 0)
        return error(number.error);
    if (number.negative)
        return error(EINVAL);
    std::memcpy(bytes_at(r4), &number.magnitude, sizeof number.magnitude);
    return number.consumed;
}

constexpr Entry kEntries[] = {
    {"trace_printk", trace_printk}, {"trace_vprintk", trace_vprintk}, {"snprintf", snprintf_helper},
    {"strncmp", strncmp_helper},    {"strtol", strtol_helper},        {"strtoul", strtoul_helper},
};

} // namespace

std::span<const Entry> text_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
