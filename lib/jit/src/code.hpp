// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "memory/code_memory.hpp"
#include "skep/jit/jit.hpp"

namespace skep::jit {

class CodeImpl final : public Code {
public:
    CodeImpl(std::shared_ptr<const Program> program, Image image, CodePiece piece)
        : program_(std::move(program)), image_(std::move(image)), piece_(std::move(piece)) {}

    [[nodiscard]] const Program& program() const noexcept override { return *program_; }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept override {
        return piece_.bytes();
    }
    [[nodiscard]] std::span<const NativeLine> lines() const noexcept override {
        return image_.lines;
    }
    [[nodiscard]] std::span<const NativeFunction> functions() const noexcept override {
        return image_.functions;
    }
    RunOutcome run(exec::RunContext& run) const noexcept override;

    [[nodiscard]] exec::EntryFn entry() const noexcept override {
        return reinterpret_cast<exec::EntryFn>(
            reinterpret_cast<std::uintptr_t>(piece_.bytes().data()) +
            image_.functions.front().offset);
    }

private:
    std::shared_ptr<const Program> program_;
    Image image_;
    CodePiece piece_;
};

} // namespace skep::jit
