// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "native.hpp"

#include <algorithm>
#include <span>

#include "skep/helpers/helpers.hpp"

using namespace skep;

extern "C" {

struct SuiteProgram {
    const char* name;
    bench::native::Function run;
};

struct SuiteMap {
    const char *program, *name;
    void** map;
};

// Made by the linker for the sections that the programs fill.
extern SuiteProgram __start_suite_programs[], __stop_suite_programs[]; // NOLINT: the linker's names
extern SuiteMap __start_suite_maps[], __stop_suite_maps[];             // NOLINT

constinit exec::HelperFn suite_helpers[exec::kMaxHelper] = {};
constinit thread_local exec::RunContext* suite_run = nullptr;
}

namespace skep::bench::native {

Function find(std::string_view name) noexcept {
    for (const SuiteProgram& program : std::span(__start_suite_programs, __stop_suite_programs))
        if (name == program.name)
            return program.run;
    return nullptr;
}

void bind(std::string_view name, const runtime::Runtime& runtime, exec::RunContext& run) {
    std::ranges::copy(helpers::table().functions, suite_helpers);
    suite_run = &run;
    for (const SuiteMap& entry : std::span(__start_suite_maps, __stop_suite_maps))
        if (name == entry.program)
            if (const auto map = runtime.map(entry.name))
                *entry.map = map->get();
}

} // namespace skep::bench::native
