// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

#include "program_text.hpp"

#include "skep/interp/interp.hpp"

namespace skep::test {

/// One run of a program given as text.
struct Given {
    interp::Mode mode = interp::Mode::Checked;
    spec::ProgramType type = spec::ProgramType::Xdp;
    std::vector<exec::MapSlot> maps{};
    const exec::HelperTable* helpers = nullptr;
    std::vector<std::byte> packet = std::vector<std::byte>(64);
    std::uint64_t fuel = 1'000'000;
    bool zero_stack = false;
    const void* (*tail_target)(exec::RunContext*, const void*, std::uint32_t) noexcept = nullptr;
    void* runtime = nullptr;
};

Result<std::unique_ptr<const interp::Code>> compile(std::string_view text, const Given& setup = {});
/// Aborts the test if the text does not compile.
interp::RunOutcome run(std::string_view text, const Given& setup = {});
interp::RunOutcome run(const interp::Code& code, const Given& setup = {});

/// What a run came to, as one line: "r0 = 5", "insn 3: reads 4 bytes at ...".
std::string outcome(std::string_view text, const Given& setup = {});

} // namespace skep::test
