// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/jit/announce.hpp"

#include <algorithm>
#include <utility>

#include "debug_object.hpp"
#include "described.hpp"
#include "gdb.hpp"
#include "jitdump.hpp"
#include "perf_map.hpp"
#include "skep/base/bytes.hpp"
#include "skep/base/check.hpp"

namespace skep::jit {

#ifdef __aarch64__
constexpr Arch kHost = Arch::Arm64;
#else
constexpr Arch kHost = Arch::X64;
#endif

struct Announcement::Registered {
    GdbEntry gdb;
};

Announcement::Announcement() noexcept = default;
Announcement::Announcement(Announcement&& other) noexcept = default;
Announcement& Announcement::operator=(Announcement&& other) noexcept = default;
Announcement::~Announcement() = default;

Announcement announce(const Program& program, std::span<const std::byte> code,
                      std::span<const NativeLine> lines, std::span<const NativeFunction> functions,
                      const Announce& how, std::span<const Unwind> unwind) {
    Announcement made;
    if (!how.perf_map && !how.jitdump && !how.gdb)
        return made;
    SKEP_CHECK(std::ranges::is_sorted(lines, {}, &NativeLine::offset));
    SKEP_CHECK(lines.empty() || lines.back().offset <= code.size());
    for (const NativeFunction& function : functions)
        SKEP_CHECK(in_range(function.offset, function.size, code.size()));
    const Described what{.name = program.name,
                         .code = code,
                         .functions = functions,
                         .unwind = unwind,
                         .lines = source_lines(program, lines)};
    const auto note = [&made](Result<void> done) {
        if (!done)
            made.errors_.push_back(std::move(done).error());
    };
    if (how.perf_map)
        note(write_perf_map(what));
    if (how.jitdump)
        note(write_jitdump(what, how.directory));
    if (how.gdb)
        made.registered_.reset(new Announcement::Registered{GdbEntry(debug_object(what, kHost))});
    return made;
}

} // namespace skep::jit
