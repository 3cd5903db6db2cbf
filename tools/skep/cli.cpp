// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "cli.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "skep/base/suggest.hpp"

namespace skep::tool {
namespace {

std::vector<std::string> option_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* level = &app; level != nullptr; level = level->get_parent())
        for (const CLI::Option* option : options_of(*level))
            for (const auto& name : option->get_lnames())
                names.push_back("--" + name);
    return names;
}

/// The innermost verb that the command line has reached.
const CLI::App& current(const CLI::App& app) {
    const auto below = app.get_subcommands();
    return below.empty() ? app : current(*below.back());
}

std::string command_of(const CLI::App& app) {
    return app.get_parent() == nullptr ? app.get_name()
                                       : command_of(*app.get_parent()) + " " + app.get_name();
}

bool asks_for_json(int argc, char** argv) {
    return std::any_of(argv, argv + argc,
                       [](const char* word) { return std::strcmp(word, "--json") == 0; });
}

} // namespace

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
    std::vector<const CLI::App*> verbs;
    for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
        verbs.push_back(verb);
    return verbs;
}

std::vector<const CLI::Option*> options_of(const CLI::App& app) {
    std::vector<const CLI::Option*> options;
    for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; }))
        if (option->nonpositional())
            options.push_back(option);
    return options;
}

bool takes_value(const CLI::Option& option) {
    return option.get_items_expected_max() != 0;
}

Cli::Cli() : app_(std::make_unique<CLI::App>("The eBPF system, outside the Linux kernel", "skep")) {
    app_->set_help_flag("-h,--help", "Show this help");
    app_->add_flag("--json", console_.json,
                   "Print the result, or the failure, as one JSON document");
    app_->set_version_flag("--version", std::string("skep ") + kVersion, "Show the version");
    app_->require_subcommand(1);
    app_->footer("Exit status: 0 yes, 1 a negative verdict, 2 usage, 3 input, 4 environment or "
                 "permission, 5 internal.\n`skep VERB --help` describes a verb.");
}

CLI::App& Cli::verb(const std::string& name, const std::string& description) {
    return verb_of(*app_, name, description);
}

CLI::App& Cli::verb_of(CLI::App& parent, const std::string& name, const std::string& description) {
    CLI::App* verb = parent.add_subcommand(name, description);
    verb->set_help_flag("-h,--help", "Show this help");
    verb->fallthrough(); // `--json` may stand behind the verb.
    return *verb;
}

void Cli::on(const CLI::App& app, Action action) {
    actions_.emplace_back(&app, std::move(action));
}

int Cli::usage(const std::string& message, const std::string& hint) const {
    console_.fail({ErrorCode::Invalid, message, {}, hint});
    return static_cast<int>(Exit::Usage);
}

int Cli::explain(const CLI::ParseError& error) const {
    const CLI::App& where = current(*app_);
    const std::string help = "see `" + command_of(where) + " --help`";
    const auto hint = [&](std::string_view word, const std::vector<std::string>& candidates) {
        const std::string meant = did_you_mean(word, candidates);
        return meant.empty() ? help : meant;
    };
    const auto left = app_->remaining(true);
    // A misspelt verb is also a missing one, and CLI11 reports that first.
    if (!left.empty()) {
        const std::string& word = left.front();
        if (word.starts_with('-')) {
            const std::string name = word.substr(0, word.find('='));
            return usage("unknown option: " + name, hint(name, option_names(where)));
        }
        std::vector<std::string> names;
        for (const CLI::App* verb : verbs_of(where))
            names.push_back(verb->get_name());
        if (!names.empty())
            return usage("unknown verb: " + word, hint(word, names));
        return usage("unexpected argument: " + word, help);
    }
    const bool verb_missing =
        error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError) &&
        !verbs_of(where).empty();
    return usage(verb_missing ? "no verb is given" : error.what(), help);
}

int Cli::run(int argc, char** argv) {
    console_ = Console::detect();
    try {
        app_->parse(argc, argv);
    } catch (const CLI::Success& success) { // --help, --version
        return app_->exit(success);
    } catch (const CLI::ParseError& error) {
        console_.json = console_.json || asks_for_json(argc, argv);
        return explain(error);
    }
    const auto action =
        std::ranges::find(actions_, &current(*app_), &std::pair<const CLI::App*, Action>::first);
    const auto result = action->second(console_);
    if (!result)
        console_.fail(result.error());
    // A result that nobody received is no success: a full disk, a closed pipe.
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        std::perror("skep: stdout");
        return static_cast<int>(Exit::Environment);
    }
    return static_cast<int>(result ? *result : exit_of(result.error().code));
}

} // namespace skep::tool
