// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Milliseconds to open and link an object, from bytes in memory: the median of 21 runs. The target
// is the running kernel's BTF, parsed once, as a host that opens many objects does.
#include <algorithm>
#include <chrono>
#include <fmt/core.h>
#include <vector>

#include "skep/base/file.hpp"
#include "skep/btf/btf.hpp"
#include "skep/object/object.hpp"

namespace {

constexpr int kRounds = 21;

template <class F>
double median_ms(F&& run) {
    std::vector<double> times;
    for (int i = 0; i < kRounds; ++i) {
        const auto start = std::chrono::steady_clock::now();
        run();
        times.push_back(
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                .count());
    }
    std::ranges::nth_element(times, times.begin() + kRounds / 2);
    return times[kRounds / 2];
}

} // namespace

int main(int argc, char** argv) {
    using namespace skep;
    object::OpenOptions options;
    options.target_name = "the running kernel";
    if (const auto bytes = read_file("/sys/kernel/btf/vmlinux")) {
        fmt::print("{:>9} bytes {:>8.2f} ms  vmlinux BTF\n", bytes->size(),
                   median_ms([&] { return btf::Btf::parse(*bytes).has_value(); }));
        if (auto btf = btf::Btf::parse(*bytes))
            options.target_btf = *std::move(btf);
    }
    for (int i = 1; i < argc; ++i) {
        const auto bytes = read_file(argv[i]);
        const auto opened = bytes ? object::open(*bytes, options) : object::open({}, options);
        if (!opened) {
            fmt::print("{}: {}\n", argv[i], opened.error().to_string());
            continue;
        }
        std::size_t insns = 0;
        for (const auto& program : opened->programs)
            insns += program->insns.size();
        fmt::print("{:>9} bytes {:>8.2f} ms  {:>4} programs {:>7} instructions {:>3} failed  {}\n",
                   bytes->size(),
                   median_ms([&] { return object::open(*bytes, options).has_value(); }),
                   opened->programs.size(), insns, opened->failed.size(), argv[i]);
    }
    return 0;
}
