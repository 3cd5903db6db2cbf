// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "skep/base/check.hpp"
#include "skep/interp/interp.hpp"
#include "skep/isa/decode.hpp"
#include "skep/spec/map_def.hpp"

namespace {

using skep::exec::RunContext;
using Word = std::uint64_t;

/// Helpers that use what they are given, so that a wrong check shows: lookup, update, a loop.
const skep::exec::HelperTable& helpers() {
    static const skep::exec::HelperTable table = [] {
        skep::exec::HelperTable made;
        made.functions[1] = [](Word map, Word key, Word, Word, Word, RunContext*) noexcept -> Word {
            const auto index = *reinterpret_cast<const unsigned char*>(key);
            return index % 2 == 0 ? map + 8 * (index % 4) : 0;
        };
        made.functions[2] = [](Word map, Word, Word value, Word, Word,
                               RunContext*) noexcept -> Word {
            std::copy_n(reinterpret_cast<const char*>(value), 8, reinterpret_cast<char*>(map));
            return 0;
        };
        made.functions[44] = [](Word, Word, Word, Word, Word, RunContext* run) noexcept -> Word {
            run->pending |= skep::exec::kPacketMoved;
            return 0;
        };
        made.functions[181] = [](Word count, Word function, Word context, Word, Word,
                                 RunContext* run) noexcept -> Word {
            for (Word i = 0; i < count; ++i) {
                const std::array<skep::exec::CallbackArg, 2> args{
                    skep::exec::CallbackArg{.bits = i}, {.bits = context, .inherit = 2}};
                if (run->callback(run, function, args) != 0)
                    break;
            }
            return 0;
        };
        return made;
    }();
    return table;
}

} // namespace

/// The first byte says how many slots the program has; packet bytes follow it. Whatever validate()
/// accepts runs to an end or a trap, inside its memory (the sanitizers watch), within its fuel.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace skep;
    if (size < 9)
        return 0;
    const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
    const std::size_t room = std::min<std::size_t>(std::size_t{data[0]} * 8, bytes.size() / 8 * 8);
    auto insns = isa::decode(bytes.first(room));
    SKEP_CHECK(insns.has_value());
    auto program = std::make_shared<Program>();
    program->type = (size & 1) != 0 ? spec::ProgramType::Xdp : spec::ProgramType::SchedCls;
    program->insns = *std::move(insns);
    for (const std::uint32_t start : isa::function_starts(program->insns))
        program->subprograms.push_back(
            {.start = start, .end = static_cast<std::uint32_t>(program->insns.size())});
    std::array<std::uint64_t, 4> values{};
    const spec::MapDef array{
        .kind = spec::MapKind::Array, .key_size = 4, .value_size = 8, .max_entries = 4};
    const spec::MapDef hash{
        .kind = spec::MapKind::Hash, .key_size = 4, .value_size = 8, .max_entries = 4};
    const std::array<exec::MapSlot, 2> maps{
        exec::MapSlot{.map = values.data(),
                      .def = &array,
                      .values = reinterpret_cast<std::byte*>(values.data()),
                      .stride = 8,
                      .direct_size = 32},
        exec::MapSlot{.map = values.data(), .def = &hash}};
    const auto code = interp::Code::compile(program, {.maps = maps, .helpers = &helpers()},
                                            interp::Mode::Checked);
    if (!code)
        return 0;
    exec::Context context(*spec::find_context(program->type));
    SKEP_CHECK(context.set_packet(bytes.subspan(room)).has_value());
    RunContext run;
    run.context = &context;
    const interp::RunOutcome outcome = (*code)->run(run, 10'000);
    SKEP_CHECK(!outcome.trap || !describe(outcome.trap).empty());
    SKEP_CHECK(outcome.instructions <= 10'000 + 2 * program->insns.size());
    return 0;
}
