// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <exception>

#include "cli.hpp"

int main(int argc, char** argv) {
    using namespace skep::tool;
    try {
        Cli cli;
        add_compile(cli);
        add_run(cli);
        add_map(cli);
        add_disasm(cli);
        add_verify(cli);
        add_explain(cli);
        add_doctor(cli);
        add_version(cli);
        add_completion(cli);
        add_man(cli);
        return cli.run(argc, argv);
    } catch (const std::exception& error) {
        // The CLI and JSON libraries throw; what gets here is memory, or a bug of ours.
        std::fprintf(stderr, "skep: internal error: %s\n", error.what());
        return static_cast<int>(Exit::Internal);
    }
}
