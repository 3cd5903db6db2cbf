// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace skep {

/// What kind of failure an Error is. The tool maps these to exit codes (product.md, Manners).
enum class ErrorCode : std::uint8_t {
    Malformed,   ///< the input breaks its format (ELF, BTF, instructions, capture)
    Unsupported, ///< well formed, but skep cannot do this
    NotFound,    ///< a name (file, program, map, section, type, helper) is not there
    Invalid,     ///< an argument of the caller is out of its range
    Limit,       ///< a size or count exceeds a stated limit
    Permission,  ///< the operating system refused
    Environment, ///< a tool, a file or a feature of this machine is missing
    Io,          ///< reading or writing failed
    Rejected,    ///< a program was not proved safe
};

/// Where in the input the failure was found. Empty members mean "not known".
struct Place {
    std::string file;              ///< path, as the user gave it
    std::string section;           ///< ELF section or another named part
    std::int64_t offset = -1;      ///< byte offset in `section`, or in `file` if it is empty
    std::int64_t instruction = -1; ///< index of an instruction, counted in 8-byte slots
};

/// A failure of input or of the operating system, or a program that may not run; never a bug of
/// skep. The message says what was found and what was expected; `place` says where.
struct Error {
    ErrorCode code = ErrorCode::Malformed;
    std::string message;
    Place place{};
    std::string hint{}; ///< what the user can do about it, or a "did you mean"; may be empty

    /// "file: section "x"+16: message", with those parts of the place that are known.
    [[nodiscard]] std::string to_string() const;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message,
                                                 Place place = {}, std::string hint = {}) {
    return std::unexpected(Error{code, std::move(message), std::move(place), std::move(hint)});
}

[[nodiscard]] inline std::unexpected<Error> malformed(std::string message, Place place = {}) {
    return fail(ErrorCode::Malformed, std::move(message), std::move(place));
}

} // namespace skep

/// Unwraps a Result or returns its error from the enclosing function.
/// Use it only as a whole statement or as a whole initializer (it is a GNU statement expression).
#define SKEP_TRY(expr)                                                                             \
    ({                                                                                             \
        auto skep_try_result_ = (expr);                                                            \
        if (!skep_try_result_)                                                                     \
            return std::unexpected(std::move(skep_try_result_).error());                           \
        ::skep::detail::unwrap(std::move(skep_try_result_));                                       \
    })

namespace skep::detail {
template <class T>
T unwrap(std::expected<T, Error>&& result) {
    if constexpr (!std::is_void_v<T>)
        return *std::move(result);
}
} // namespace skep::detail
