// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "skep/base/result.hpp"

namespace skep::jit {

/// Machine code where it can be executed and not written.
class CodePiece {
public:
    static Result<CodePiece> place(std::span<const std::byte> code);
    CodePiece(CodePiece&& other) noexcept
        : mapping_(std::exchange(other.mapping_, {})), code_(std::exchange(other.code_, {})) {}
    CodePiece& operator=(CodePiece&&) = delete;
    ~CodePiece();
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return code_; }

private:
    CodePiece(std::span<std::byte> mapping, std::span<const std::byte> code)
        : mapping_(mapping), code_(code) {}
    std::span<std::byte> mapping_;
    std::span<const std::byte> code_;
};

} // namespace skep::jit
