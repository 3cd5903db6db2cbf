// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "format.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace skep::helpers {
namespace {

constexpr std::size_t kMaxArgs = 12; // MAX_BPRINTF_VARARGS
constexpr std::size_t kMaxString = 512;

class Formatter {
public:
    Formatter(std::span<char> out, std::string_view text, std::span<const std::uint64_t> args,
              exec::RunContext* run)
        : out_(out), text_(text), args_(args), run_(run) {}

    int run() noexcept {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            const auto byte = static_cast<unsigned char>(c);
            // The kernel refuses what is not printable ASCII or white space.
            if ((std::isprint(byte) == 0 && std::isspace(byte) == 0) || byte >= 0x80)
                return -EINVAL;
            ++at_;
            if (c != '%') {
                put({&c, 1});
                continue;
            }
            if (at_ < text_.size() && text_[at_] == '%') {
                ++at_;
                put("%");
                continue;
            }
            if (const int error = specifier(); error != 0)
                return error;
        }
        if (used_arg_ != args_.size())
            return -EINVAL;
        if (!out_.empty())
            out_[std::min(length_, out_.size() - 1)] = 0;
        return static_cast<int>(length_);
    }

private:
    void put(std::string_view piece) noexcept {
        if (length_ < out_.size())
            std::memcpy(out_.data() + length_, piece.data(),
                        std::min(piece.size(), out_.size() - length_));
        length_ += piece.size();
    }

    [[nodiscard]] char peek(std::size_t ahead = 0) const noexcept {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }

    int specifier() noexcept {
        if (used_arg_ >= args_.size())
            return -EINVAL;
        std::array<char, 32> spec{'%'};
        std::size_t n = 1;
        const auto keep = [&](char c) {
            if (n < spec.size() - 5)
                spec[n++] = c;
        };
        while (peek() == '0' || peek() == '+' || peek() == '-' || peek() == ' ')
            keep(text_[at_++]);
        while (std::isdigit(static_cast<unsigned char>(peek())) != 0)
            keep(text_[at_++]);
        const std::uint64_t value = args_[used_arg_];
        if (peek() == 'p')
            return pointer(value);
        if (peek() == 's')
            return string(value, false, 1);
        if (peek() == 'c') {
            ++at_;
            ++used_arg_;
            const char c = static_cast<char>(value);
            put({&c, 1});
            return 0;
        }
        int longs = 0;
        while (peek() == 'l' && longs < 2) {
            ++longs;
            ++at_;
        }
        const char conversion = peek();
        if (conversion == '\0' || std::strchr("diuxX", conversion) == nullptr)
            return -EINVAL;
        ++at_;
        ++used_arg_;
        spec[n++] = 'l';
        spec[n++] = 'l';
        spec[n++] = conversion;
        const bool is_signed = conversion == 'd' || conversion == 'i';
        std::uint64_t bits = value;
        if (longs == 0)
            bits = is_signed
                       ? static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(value)})
                       : static_cast<std::uint32_t>(value);
        std::array<char, 128> text{};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" // built above from a checked specifier
        const int length = std::snprintf(text.data(), text.size(), spec.data(),
                                         static_cast<unsigned long long>(bits));
#pragma GCC diagnostic pop
        put({text.data(), std::min<std::size_t>(static_cast<std::size_t>(std::max(length, 0)),
                                                text.size() - 1)});
        return 0;
    }

    int string(std::uint64_t address, bool user, std::size_t letters) noexcept {
        at_ += letters;
        ++used_arg_;
        std::array<char, kMaxString> text{};
        std::size_t length = 0;
        while (length < text.size() - 1) {
            if (run_->host->probe_read(&text[length], address + length, 1, user) != 0) {
                text[length] = 0; // As the kernel: what could be read.
                break;
            }
            if (text[length] == 0)
                break;
            ++length;
        }
        put({text.data(), length});
        return 0;
    }

    int pointer(std::uint64_t value) noexcept {
        const char next = peek(1);
        if ((next == 'k' || next == 'u') && peek(2) == 's')
            return string(value, next == 'u', 3);
        if ((next == 'i' || next == 'I') && (peek(2) == '4' || peek(2) == '6'))
            return address(value, next == 'I', peek(2) == '6');
        if (next == 'K' || next == 'x' || next == 's' || next == 'S' || next == 'B')
            at_ += 2;
        else if (next == '\0' || std::isspace(static_cast<unsigned char>(next)) != 0 ||
                 std::ispunct(static_cast<unsigned char>(next)) != 0)
            at_ += 1;
        else
            return -EINVAL;
        ++used_arg_;
        std::array<char, 32> text{};
        const char* style = next == 's' || next == 'S' || next == 'B' ? "0x%llx" : "%016llx";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" // one of the two above
        const int length =
            std::snprintf(text.data(), text.size(), style, static_cast<unsigned long long>(value));
#pragma GCC diagnostic pop
        put({text.data(), static_cast<std::size_t>(std::max(length, 0))});
        return 0;
    }

    int address(std::uint64_t from, bool separators, bool v6) noexcept {
        at_ += 3;
        ++used_arg_;
        std::array<std::uint8_t, 16> raw{};
        if (run_->host->probe_read(raw.data(), from, v6 ? 16 : 4, false) != 0)
            raw.fill(0);
        std::array<char, 64> text{};
        std::size_t n = 0;
        for (std::size_t i = 0; i < (v6 ? 16U : 4U); i += v6 ? 2 : 1) {
            if (i > 0 && (separators || !v6))
                text[n++] = v6 ? ':' : '.';
            const char* style = v6 ? "%02x%02x" : separators ? "%u" : "%03u";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" // one of the three above
#pragma GCC diagnostic ignored "-Wformat-extra-args"
            n += static_cast<std::size_t>(
                std::max(0, std::snprintf(text.data() + n, text.size() - n, style, unsigned{raw[i]},
                                          unsigned{raw[i + (v6 ? 1 : 0)]})));
#pragma GCC diagnostic pop
        }
        put({text.data(), n});
        return 0;
    }

    std::span<char> out_;
    std::string_view text_;
    std::span<const std::uint64_t> args_;
    exec::RunContext* run_;
    std::size_t at_ = 0;
    std::size_t used_arg_ = 0;
    std::size_t length_ = 0;
};

} // namespace

int format(std::span<char> out, std::string_view text, std::span<const std::uint64_t> args,
           exec::RunContext* run) noexcept {
    if (args.size() > kMaxArgs)
        return -EINVAL;
    return Formatter(out, text, args, run).run();
}

} // namespace skep::helpers
