// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "skep/base/result.hpp"

namespace skep::tool {

using Json = nlohmann::ordered_json;

/// The tool's exit codes; `--json` never changes them.
enum class Exit : int {
    Yes = 0,         ///< done, or a positive verdict
    No = 1,          ///< a negative verdict: a trap, a compile error, something missing
    Usage = 2,       ///< the command line is wrong
    Input = 3,       ///< an input cannot be read or used
    Environment = 4, ///< this machine or user lacks something
    Internal = 5,    ///< a bug of skep
};

/// Where results and messages go: results to stdout, the rest to stderr.
struct Console {
    bool json = false;
    bool color = false;        ///< of stdout
    bool color_errors = false; ///< of stderr

    /// Looks at the terminals and at NO_COLOR.
    static Console detect();

    /// Text of a result.
    void out(std::string_view text) const;
    /// The result as JSON, one document.
    void result(const Json& value) const;
    /// A line for people, on stderr; with `--json` too.
    void note(std::string_view text) const;
    void warn(std::string_view text) const;
    /// Reports a failure, as text on stderr or as JSON on stdout.
    void fail(const Error& error) const;

    enum class Style { Bold, Good, Bad };
    /// `text` in the style, if stdout has colour.
    [[nodiscard]] std::string styled(std::string_view text, Style style) const;
};

/// Invalid values are usage (2), inputs that are not there or bad 3, the machine's refusals 4.
[[nodiscard]] Exit exit_of(ErrorCode code) noexcept;
[[nodiscard]] std::string_view code_name(ErrorCode code) noexcept;

} // namespace skep::tool
