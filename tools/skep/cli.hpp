// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "console.hpp"
#include "skep/base/result.hpp"
#include "version.hpp"

namespace skep::tool {

/// What a verb does once its options are read. A failure becomes a message and an exit code.
using Action = std::function<Result<Exit>(const Console&)>;

/// The option tree and what its verbs do. Help, completion and man pages are made from the tree.
class Cli {
public:
    Cli();
    [[nodiscard]] CLI::App& app() noexcept { return *app_; }
    [[nodiscard]] const CLI::App& app() const noexcept { return *app_; }

    /// A new verb.
    CLI::App& verb(const std::string& name, const std::string& description);
    /// The same, below another verb.
    static CLI::App& verb_of(CLI::App& parent, const std::string& name,
                             const std::string& description);
    /// What `app`, a verb without verbs of its own, does.
    void on(const CLI::App& app, Action action);

    /// Reads the command line and runs the verb.
    int run(int argc, char** argv);

private:
    [[nodiscard]] int usage(const std::string& message, const std::string& hint) const;
    /// Why the command line was refused, with a "did you mean".
    [[nodiscard]] int explain(const CLI::ParseError& error) const;

    std::unique_ptr<CLI::App> app_;
    std::vector<std::pair<const CLI::App*, Action>> actions_;
    Console console_;
};

/// Visible verbs of an app, in the order in which they were added.
[[nodiscard]] std::vector<const CLI::App*> verbs_of(const CLI::App& app);
/// Options of an app that completion and man pages name.
[[nodiscard]] std::vector<const CLI::Option*> options_of(const CLI::App& app);
/// True if the option takes a value.
[[nodiscard]] bool takes_value(const CLI::Option& option);

// One per file cmd_<verb>.cpp: adds the verb to the tree.
void add_compile(Cli& cli);
void add_run(Cli& cli);
void add_map(Cli& cli);
void add_disasm(Cli& cli);
void add_verify(Cli& cli);
void add_explain(Cli& cli);
void add_doctor(Cli& cli);
void add_version(Cli& cli);
void add_completion(Cli& cli);
void add_man(Cli& cli);

} // namespace skep::tool
