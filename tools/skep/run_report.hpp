// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "console.hpp"
#include "skep/hooks/pcap.hpp"
#include "skep/runtime/input.hpp"
#include "skep/runtime/runtime.hpp"

namespace skep::tool {

/// Where and why a run stopped: instruction, source line, access.
[[nodiscard]] Json trap_to_json(const object::Object& object, const exec::Trap& trap);
[[nodiscard]] std::string trap_to_text(const object::Object& object, const exec::Trap& trap);

/// What a run over many packets came to.
struct CaptureReport {
    std::uint64_t packets = 0; ///< run
    std::uint64_t bytes = 0;
    std::map<std::uint32_t, std::uint64_t> verdicts; ///< return value to packets
    std::uint64_t traps = 0;
    exec::Trap first_trap;
    std::uint64_t first_trap_packet = 0; ///< counted from 1
    std::uint64_t skipped = 0;           ///< packets that the program cannot be given
    std::string first_skipped;           ///< why
    double seconds = 0;
};

struct CaptureOptions {
    std::string input;
    std::string output; ///< a pcapng (or .pcap) file with a verdict per packet; empty: none
    std::uint64_t repeat = 1;
    std::uint32_t cpu = 0;
    std::uint64_t limit = 0; ///< packets at most; 0: all
    std::function<void(std::uint64_t ns)>
        set_clock{}; ///< called with each packet's time; may be empty
};

/// Runs the program on each packet of a capture. Frames without Ethernet header get one.
/// `after`, if set, is called after each packet.
Result<CaptureReport> run_capture(const runtime::LoadedProgram& program, exec::Context& context,
                                  const runtime::PacketInput& input, const CaptureOptions& options,
                                  const std::function<void()>& after);

[[nodiscard]] Json capture_to_json(const object::Object& object, const Program& program,
                                   const CaptureReport& report);
[[nodiscard]] std::string capture_to_text(const Console& console, const object::Object& object,
                                          const Program& program, const CaptureReport& report);

} // namespace skep::tool
