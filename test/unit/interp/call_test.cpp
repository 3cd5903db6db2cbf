// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstring>

#include "build.hpp"
#include "skep/spec/map_def.hpp"

namespace skep::test {
namespace {

using exec::RunContext;
using Word = std::uint64_t;

/// An array map of four 8-byte values, and helpers that stand for the real ones.
struct Fixture {
    std::array<std::uint64_t, 4> values{10, 20, 30, 40};
    spec::MapDef array{.name = "array",
                       .kind = spec::MapKind::Array,
                       .key_size = 4,
                       .value_size = 8,
                       .max_entries = 4};
    spec::MapDef hash{.name = "hash",
                      .kind = spec::MapKind::Hash,
                      .key_size = 4,
                      .value_size = 8,
                      .max_entries = 4};
    spec::MapDef programs{.name = "programs",
                          .kind = spec::MapKind::ProgArray,
                          .key_size = 4,
                          .value_size = 4,
                          .max_entries = 4};
    exec::HelperTable helpers{};

    Fixture() {
        helpers.functions[1] = [](Word map, Word key, Word, Word, Word,
                                  RunContext*) noexcept -> Word {
            auto* self = reinterpret_cast<Fixture*>(map);
            const std::uint32_t index = *reinterpret_cast<const std::uint32_t*>(key);
            return index < 4 ? reinterpret_cast<Word>(&self->values[index]) : 0;
        };
        helpers.functions[26] = [](Word, Word, Word, Word, Word, RunContext*) noexcept -> Word {
            return 0;
        };
        helpers.functions[44] = [](Word, Word, Word, Word, Word, RunContext* run) noexcept -> Word {
            run->pending |= exec::kPacketMoved;
            return 0;
        };
        helpers.functions[181] = [](Word count, Word function, Word context, Word, Word,
                                    RunContext* run) noexcept -> Word {
            Word i = 0;
            while (i < count) {
                const std::array<exec::CallbackArg, 2> args{
                    exec::CallbackArg{.bits = i}, exec::CallbackArg{.bits = context, .inherit = 2}};
                ++i;
                if (run->callback(run, function, args) != 0)
                    break;
            }
            return i;
        };
    }
    Given setup(interp::Mode mode = interp::Mode::Checked) {
        const auto address = reinterpret_cast<std::byte*>(values.data());
        return {
            .mode = mode,
            .maps =
                {{.map = this, .def = &array, .values = address, .stride = 8, .direct_size = 32},
                 {.map = this, .def = &hash},
                 {.map = this, .def = &programs}},
            .helpers = &helpers};
    }
};

constexpr auto kModes = {interp::Mode::Checked, interp::Mode::Unchecked};

TEST(call, what_a_helper_leaves_out_of_its_output_reads_as_zero) {
    Fixture fixture;
    // bpf_get_current_comm that writes one byte only.
    fixture.helpers.functions[16] = [](Word buffer, Word, Word, Word, Word,
                                       RunContext*) noexcept -> Word {
        *reinterpret_cast<char*>(buffer) = 1;
        return 0;
    };
    // Leaves its mark where the next run's stack is.
    EXPECT_EQ(
        outcome("*(u64 *)(r10 -16) = -1; *(u64 *)(r10 -8) = -1; r0 = 0; exit", fixture.setup()),
        "r0 = 0");
    EXPECT_EQ(outcome("*(u8 *)(r10 -9) = 2; r1 = r10; r1 += -16; r2 = 16; call 16;"
                      "r0 = *(u64 *)(r10 -16); r1 = *(u64 *)(r10 -8); r0 += r1; exit",
                      fixture.setup()),
              "r0 = " + std::to_string(1 + (std::uint64_t{2} << 56)));
}

TEST(call, local_functions_keep_r6_to_r9_and_have_their_own_stack) {
    for (const auto mode : kModes)
        EXPECT_EQ(outcome("r6 = 1; *(u64 *)(r10 -8) = 2; r1 = 3; call f; r0 += r6;"
                          "r1 = *(u64 *)(r10 -8); r0 += r1; exit;"
                          "f: r6 = 100; *(u64 *)(r10 -8) = 200; r0 = r1; exit",
                          {.mode = mode}),
                  "r0 = 6");
}

TEST(call, spoils_r1_to_r5) {
    EXPECT_EQ(outcome("r1 = 3; call f; r0 = r1; exit; f: r0 = 0; exit"),
              "insn 2: reads r1, which was never set");
}

TEST(call, pointers_into_a_frame_end_with_it) {
    EXPECT_EQ(run("call f; r0 = *(u64 *)(r0 -8); exit; f: *(u64 *)(r10 -8) = 1; r0 = r10; exit")
                  .trap.kind,
              exec::TrapKind::NotAPointer);
    EXPECT_EQ(run("r1 = r10; r1 += -8; *(u64 *)(r10 -8) = 0; call f; r1 = *(u64 *)(r10 -8);"
                  "r0 = *(u64 *)(r1 -8); exit;"
                  "f: *(u64 *)(r10 -8) = 1; *(u64 *)(r1 +0) = r10; r0 = 0; exit")
                  .trap.kind,
              exec::TrapKind::NotAPointer);
}

TEST(lookup, of_arrays_and_hashes) {
    Fixture fixture;
    for (const auto mode : kModes)
        for (const char* map : {"0", "1"}) {
            const std::string text =
                std::string("*(u32 *)(r10 -4) = 2; r2 = r10; r2 += -4; r1 = map[id:") + map +
                "]; call #1; if r0 == 0 goto +1; r0 = *(u64 *)(r0 +0); exit";
            EXPECT_EQ(outcome(text, fixture.setup(mode)), "r0 = 30") << map;
        }
}

TEST(lookup, result_must_be_checked_for_null) {
    Fixture fixture;
    for (const char* map : {"0", "1"})
        EXPECT_EQ(outcome(std::string("*(u32 *)(r10 -4) = 9; r2 = r10; r2 += -4; r1 = map[id:") +
                              map + "]; call #1; r0 = *(u64 *)(r0 +0); exit",
                          fixture.setup()),
                  "insn 6: reads 8 bytes at a null pointer (r0 is 0x0)");
}

TEST(lookup, value_has_its_size) {
    Fixture fixture;
    for (const char* map : {"0", "1"})
        EXPECT_EQ(outcome(std::string("*(u32 *)(r10 -4) = 1; r2 = r10; r2 += -4; r1 = map[id:") +
                              map + "]; call #1; r0 = *(u64 *)(r0 +4); exit",
                          fixture.setup()),
                  "insn 6: reads 8 bytes at map value+4, only 0..7 are there");
}

TEST(lookup, key_must_be_written_memory) {
    Fixture fixture;
    EXPECT_EQ(
        outcome("r2 = r10; r2 += -4; r1 = map[id:0]; call #1; exit", fixture.setup()),
        "insn 4: helper bpf_map_lookup_elem: reads 4 bytes at stack-4, where nothing was written");
    EXPECT_EQ(outcome("r2 = 4; r1 = map[id:1]; call #1; exit", fixture.setup()),
              "insn 3: helper bpf_map_lookup_elem: reads 4 bytes at a null pointer (r2 is 0x4)");
    EXPECT_EQ(outcome("r2 = r10; r1 = r10; call #1; exit", fixture.setup()).substr(0, 51),
              "insn 2: helper bpf_map_lookup_elem: bad argument r1");
}

TEST(map_value, by_lddw) {
    Fixture fixture;
    for (const auto mode : kModes)
        EXPECT_EQ(outcome("r1 = map[id:0][0]+8; r0 = *(u64 *)(r1 +0); exit", fixture.setup(mode)),
                  "r0 = 20");
    EXPECT_EQ(outcome("r1 = map[id:0][0]+8; r0 = *(u64 *)(r1 +24); exit", fixture.setup()),
              "insn 2: reads 8 bytes at map value+32, only 0..31 are there");
    Given read_only = fixture.setup();
    read_only.maps[0].read_only = true;
    EXPECT_EQ(outcome("r1 = map[id:0][0]+0; r0 = 0; *(u8 *)(r1 +3) = 0; exit", read_only),
              "insn 3: writes 1 byte at map value+3, which is read-only");
}

TEST(helper, that_moves_the_packet_ends_packet_pointers) {
    Fixture fixture;
    const char* text = "r6 = r1; r7 = *(u32 *)(r1 +0); *(u64 *)(r10 -8) = r7; r2 = 0; call #44;";
    EXPECT_EQ(run(std::string(text) + "r0 = *(u8 *)(r7 +0); exit", fixture.setup()).trap.kind,
              exec::TrapKind::NotAPointer);
    EXPECT_EQ(
        run(std::string(text) + "r7 = *(u64 *)(r10 -8); r0 = *(u8 *)(r7 +0); exit", fixture.setup())
            .trap.kind,
        exec::TrapKind::NotAPointer);
    EXPECT_EQ(outcome(std::string(text) + "r7 = *(u32 *)(r6 +0); r0 = *(u8 *)(r7 +0); exit",
                      fixture.setup()),
              "r0 = 0");
}

TEST(callback, sees_its_arguments_and_the_stack_of_its_caller) {
    Fixture fixture;
    for (const auto mode : kModes)
        EXPECT_EQ(
            outcome("*(u64 *)(r10 -8) = 0; r1 = 5; r2 = subprog[+7]; r3 = r10; r3 += -8; r4 = 0;"
                    "call #181; r0 = *(u64 *)(r10 -8); exit;"
                    "r3 = *(u64 *)(r2 +0); r3 += r1; *(u64 *)(r2 +0) = r3; r0 = 0; exit",
                    fixture.setup(mode)),
            "r0 = 10");
}

TEST(callback, trap_stops_the_run_and_names_its_instruction) {
    Fixture fixture;
    EXPECT_EQ(outcome("r1 = 5; r2 = subprog[+6]; r3 = 0; r4 = 0; call #181; r0 = 0; exit;"
                      "r0 = *(u8 *)(r1 +0); exit",
                      fixture.setup()),
              "insn 8: reads 1 byte at a null pointer (r1 is 0x0)");
}

TEST(callback, counts_and_burns_fuel) {
    Fixture fixture;
    const char* text =
        "r1 = 1000; r2 = subprog[+6]; r3 = 0; r4 = 0; call #181; r0 = 0; exit; r0 = 0; exit";
    Given setup = fixture.setup();
    EXPECT_EQ(run(text, setup).instructions, 2007U);
    setup.fuel = 100;
    EXPECT_EQ(run(text, setup).trap.kind, exec::TrapKind::OutOfFuel);
}

TEST(tail_call, goes_on_in_the_target_at_most_33_times) {
    Fixture fixture;
    for (const auto mode : kModes) {
        Given setup = fixture.setup(mode);
        const auto code = compile("r6 = r1; r2 = map[id:2]; r3 = 0; call #12; r0 = 7; exit", setup);
        ASSERT_TRUE(code.has_value());
        setup.runtime = const_cast<interp::Code*>(code->get());
        setup.tail_target = [](RunContext* state, const void*,
                               std::uint32_t) noexcept -> const void* { return state->runtime; };
        const auto result = run(**code, setup);
        EXPECT_EQ(result.r0, 7U);
        EXPECT_EQ(result.instructions, mode == interp::Mode::Checked ? 33U * 4 + 6 : 0U);
    }
}

// Each tail call from a function begins a program that may call 7 deep again: 33 calls nest here,
// and every one of them returns.
TEST(tail_call, nests_deeper_from_functions_than_calls_may) {
    Fixture fixture;
    for (const auto mode : kModes) {
        Given setup = fixture.setup(mode);
        const auto code = compile("r6 = r1; call pc+2; r0 += 1; exit; r2 = map[id:2];"
                                  "r3 = 0; call #12; r0 = 0; exit",
                                  setup);
        ASSERT_TRUE(code.has_value());
        setup.runtime = const_cast<interp::Code*>(code->get());
        setup.tail_target = [](RunContext* state, const void*,
                               std::uint32_t) noexcept -> const void* { return state->runtime; };
        const auto result = run(**code, setup);
        EXPECT_FALSE(result.trap) << exec::describe(result.trap);
        EXPECT_EQ(result.r0, 34U);
    }
}

} // namespace
} // namespace skep::test
