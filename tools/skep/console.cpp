// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "console.hpp"

#include <cstdio>
#include <cstdlib>
#include <unistd.h>

namespace skep::tool {
namespace {

constexpr std::string_view kReset = "\x1b[0m";

void write(std::FILE* to, std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), to);
}

std::string_view escape_of(Console::Style style) {
    switch (style) {
    case Console::Style::Bold:
        return "\x1b[1m";
    case Console::Style::Good:
        return "\x1b[32m";
    case Console::Style::Bad:
        return "\x1b[31m";
    }
    return "";
}

} // namespace

Console Console::detect() {
    const char* no_color = std::getenv("NO_COLOR");
    const bool wanted = no_color == nullptr || *no_color == '\0';
    return {.color = wanted && ::isatty(STDOUT_FILENO) == 1,
            .color_errors = wanted && ::isatty(STDERR_FILENO) == 1};
}

void Console::out(std::string_view text) const {
    write(stdout, text);
}

void Console::result(const Json& value) const {
    // Names out of hostile objects may be any bytes: those that are not UTF-8 are replaced.
    write(stdout, value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void Console::note(std::string_view text) const {
    std::fflush(stdout);
    write(stderr, std::string(text) + "\n");
}

void Console::warn(std::string_view text) const {
    note((color_errors ? "\x1b[33mwarning:\x1b[0m " : "warning: ") + std::string(text));
}

void Console::fail(const Error& error) const {
    if (json) {
        Json body{{"code", code_name(error.code)}, {"message", error.message}};
        if (!error.place.file.empty())
            body["file"] = error.place.file;
        if (!error.place.section.empty())
            body["section"] = error.place.section;
        if (error.place.offset >= 0)
            body["offset"] = error.place.offset;
        if (error.place.instruction >= 0)
            body["instruction"] = error.place.instruction;
        if (!error.hint.empty())
            body["hint"] = error.hint;
        result(Json{{"error", body}});
        return;
    }
    note((color_errors ? "\x1b[31merror:\x1b[0m " : "error: ") + error.to_string());
    if (!error.hint.empty())
        note("  hint: " + error.hint);
}

std::string Console::styled(std::string_view text, Style style) const {
    if (!color)
        return std::string(text);
    return std::string(escape_of(style)) + std::string(text) + std::string(kReset);
}

Exit exit_of(ErrorCode code) noexcept {
    switch (code) {
    case ErrorCode::Invalid:
        return Exit::Usage;
    case ErrorCode::Malformed:
    case ErrorCode::Unsupported:
    case ErrorCode::NotFound:
    case ErrorCode::Limit:
    case ErrorCode::Io:
        return Exit::Input;
    case ErrorCode::Permission:
    case ErrorCode::Environment:
        return Exit::Environment;
    case ErrorCode::Rejected:
        return Exit::No;
    }
    return Exit::Internal;
}

std::string_view code_name(ErrorCode code) noexcept {
    switch (code) {
    case ErrorCode::Malformed:
        return "malformed";
    case ErrorCode::Unsupported:
        return "unsupported";
    case ErrorCode::NotFound:
        return "not_found";
    case ErrorCode::Invalid:
        return "invalid";
    case ErrorCode::Limit:
        return "limit";
    case ErrorCode::Permission:
        return "permission";
    case ErrorCode::Environment:
        return "environment";
    case ErrorCode::Io:
        return "io";
    case ErrorCode::Rejected:
        return "rejected";
    }
    return "internal";
}

} // namespace skep::tool
