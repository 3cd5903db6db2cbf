// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "cli.hpp"

namespace skep::tool {

void add_version(Cli& cli) {
    CLI::App& verb = cli.verb("version", "Print the version");
    cli.on(verb, [](const Console& console) -> Result<Exit> {
        if (console.json)
            console.result(Json{{"version", kVersion}, {"kernel_facts", "6.18"}});
        else
            console.out(std::string("skep ") + kVersion + "\n");
        return Exit::Yes;
    });
}

} // namespace skep::tool
