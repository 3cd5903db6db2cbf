// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// kernel_agreement [--sequences N] [--seed S] [--record FILE]: runs random sequences in the kernel
// in both modes of the interpreter and compiled; stops at the first difference with the smallest
// program that shows it. Exit: 0 agreed, 1 differed, 2 usage, 77 no bpf(2).
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "engines.hpp"
#include "generator.hpp"
#include "kernel_bpf.hpp"

namespace {

using namespace skep::test;
using skep::interp::Mode;

constexpr std::uint64_t kBatch = 50;

struct Settings {
    std::uint64_t sequences = 2000;
    std::uint64_t seed = 1;
    const char* record = nullptr;
};

struct Compared {
    bool loaded = false;
    std::string difference; ///< "" if all agree
    Outcome kernel;
    std::vector<skep::isa::Insn> code;
};

std::string difference(const char* engine, const Outcome& kernel, const Outcome& ours) {
    if (!ours.error.empty())
        return std::string(engine) + ": " + ours.error;
    if (kernel.r0 != ours.r0)
        return std::string(engine) + ": r0 " + std::to_string(ours.r0) + ", kernel " +
               std::to_string(kernel.r0);
    for (std::size_t i = 0; i < kernel.memory.size(); ++i)
        if (kernel.memory[i] != ours.memory[i])
            return std::string(engine) + ": byte " + std::to_string(i) + " of the memory differs";
    return "";
}

Compared compare(const std::vector<Sequence>& sequences, std::uint64_t memory_seed) {
    Compared made;
    made.code = join(sequences, 0);
    const auto memory = random_memory(memory_seed, sequences.size() * kRegionBytes);
    made.kernel = run_kernel(made.code, memory);
    if (!made.kernel.error.empty())
        return made;
    made.loaded = true;
    made.difference =
        difference("checked", made.kernel, run_interp(made.code, memory, Mode::Checked));
    if (made.difference.empty())
        made.difference =
            difference("unchecked", made.kernel, run_interp(made.code, memory, Mode::Unchecked));
    if (made.difference.empty() && skep::jit::available())
        made.difference = difference("jit", made.kernel, run_jit(made.code, memory, {}));
    return made;
}

bool differs(const std::vector<Sequence>& sequences, std::uint64_t seed) {
    return !compare(sequences, seed).difference.empty();
}

/// Leaves out whatever the difference does not need.
std::vector<Sequence> shrink(std::vector<Sequence> sequences, std::uint64_t seed) {
    for (std::size_t i = sequences.size(); i-- > 0 && sequences.size() > 1;) {
        auto fewer = sequences;
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
        if (differs(fewer, seed))
            sequences = std::move(fewer);
    }
    for (Sequence& sequence : sequences) {
        for (std::size_t i = sequence.items.size(); i-- > 0;) {
            const Item item = sequence.items[i];
            const auto at = sequence.items.begin() + static_cast<std::ptrdiff_t>(i);
            sequence.items.erase(at);
            if (!differs(sequences, seed))
                sequence.items.insert(sequence.items.begin() + static_cast<std::ptrdiff_t>(i),
                                      item);
        }
    }
    return sequences;
}

void print(const std::vector<skep::isa::Insn>& code) {
    for (std::size_t i = 0; i < code.size(); ++i) {
        std::uint64_t slot = 0;
        std::memcpy(&slot, &code[i], sizeof slot);
        std::printf("%4zu: %016" PRIx64 "\n", i, slot);
    }
}

void record(std::FILE* file, const Compared& compared, std::uint64_t memory_seed,
            std::size_t sequences) {
    std::fprintf(file, "%" PRIu64 " %zu %016" PRIx64 " ", memory_seed, sequences,
                 digest(compared.kernel));
    for (const skep::isa::Insn& one : compared.code) {
        std::uint64_t slot = 0;
        std::memcpy(&slot, &one, sizeof slot);
        std::fprintf(file, "%" PRIx64 ",", slot);
    }
    std::fputc('\n', file);
}

int run(const Settings& settings, std::FILE* recorded) {
    std::uint64_t agreed = 0;
    std::uint64_t refused = 0;
    std::uint64_t first_refused = 0;
    std::string reason;
    for (std::uint64_t number = 0; number < settings.sequences; number += kBatch) {
        std::vector<Sequence> batch;
        const std::uint64_t end = std::min(number + kBatch, settings.sequences);
        for (std::uint64_t i = number; i < end; ++i)
            batch.push_back(make_sequence(settings.seed, i));
        const std::uint64_t memory_seed = settings.seed ^ number << 20U;
        const Compared compared = compare(batch, memory_seed);
        if (!compared.loaded) {
            if (refused == 0) {
                first_refused = number;
                reason = compared.kernel.error;
            }
            refused += batch.size();
            continue;
        }
        if (!compared.difference.empty()) {
            const auto smallest = shrink(batch, memory_seed);
            const Compared again = compare(smallest, memory_seed);
            std::printf("seed %" PRIu64 ", sequences %" PRIu64 "..%" PRIu64 ", memory seed %" PRIu64
                        ": %s\n",
                        settings.seed, number, end - 1, memory_seed, again.difference.c_str());
            print(again.code);
            return 1;
        }
        agreed += batch.size();
        if (recorded != nullptr)
            record(recorded, compared, memory_seed, batch.size());
    }
    std::printf("seed %" PRIu64 ": %" PRIu64 " sequences agree, %" PRIu64
                " were not run by the kernel\n",
                settings.seed, agreed, refused);
    if (refused != 0)
        std::printf("the first of those is %" PRIu64 ": %s\n", first_refused, reason.c_str());
    // Mostly refused means that nothing was compared: that must not look like agreement.
    return agreed > refused ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    Settings settings;
    for (int i = 1; i < argc; i += 2) {
        const std::string name = argv[i];
        const bool known = name == "--sequences" || name == "--seed" || name == "--record";
        if (!known || i + 1 == argc) {
            std::fprintf(stderr,
                         "usage: kernel_agreement [--sequences N] [--seed S] [--record FILE]\n");
            return 2;
        }
        if (name == "--sequences")
            settings.sequences = std::strtoull(argv[i + 1], nullptr, 10);
        else if (name == "--seed")
            settings.seed = std::strtoull(argv[i + 1], nullptr, 10);
        else
            settings.record = argv[i + 1];
    }
    std::string why;
    if (!kernel::available(&why)) {
        std::printf("skipped: %s\n", why.c_str());
        return 77;
    }
    std::FILE* recorded = nullptr;
    if (settings.record != nullptr) {
        recorded = std::fopen(settings.record, "we");
        if (recorded == nullptr) {
            std::perror(settings.record);
            return 2;
        }
    }
    const int status = run(settings, recorded);
    if (recorded != nullptr)
        std::fclose(recorded);
    return status;
}
