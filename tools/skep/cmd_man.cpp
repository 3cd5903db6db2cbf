// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fmt/format.h>

#include "cli.hpp"
#include "skep/base/file.hpp"
#include "skep/base/suggest.hpp"

namespace skep::tool {
namespace {

/// Text as roff takes it: no escape, no minus that turns into a hyphen, no accidental request.
std::string roff(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
            out += std::string("\\&") + c;
        else
            out += c;
    }
    return out;
}

std::string option_item(const CLI::Option& option) {
    std::string names;
    for (const auto& name : option.get_snames())
        names += fmt::format("{}\\fB\\-{}\\fR", names.empty() ? "" : ", ", roff(name));
    for (const auto& name : option.get_lnames())
        names += fmt::format("{}\\fB\\-\\-{}\\fR", names.empty() ? "" : ", ", roff(name));
    if (takes_value(option))
        names += fmt::format(" \\fI{}\\fR", roff(option.get_type_name()));
    return fmt::format(".TP\n{}\n{}\n", names, roff(option.get_description()));
}

std::string options_section(const CLI::App& app) {
    std::string out;
    for (const CLI::Option* option : options_of(app))
        out += option_item(*option);
    return out;
}

std::string synopsis(const CLI::App& app, const std::string& command) {
    if (const auto verbs = verbs_of(app); !verbs.empty()) {
        std::string out;
        for (const CLI::App* verb : verbs)
            out += synopsis(*verb, command + " " + verb->get_name());
        return out;
    }
    std::string out = fmt::format(".B {}\n[\\fIoptions\\fR]", roff(command));
    for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; }))
        if (option->get_positional())
            out +=
                fmt::format(fmt::runtime(option->get_required() ? " \\fI{}\\fR" : " [\\fI{}\\fR]"),
                            roff(option->get_name(true)));
    return out + "\n.br\n";
}

std::string page(const CLI::App& app, const std::string& command, const std::string& name) {
    std::string out = fmt::format(".TH {} 1 \"\" \"skep {}\" \"skep\"\n.SH NAME\n{} \\- {}\n"
                                  ".SH SYNOPSIS\n",
                                  name, kVersion, roff(name), roff(app.get_description()));
    out += synopsis(app, command);
    if (!app.get_footer().empty())
        out += fmt::format(".SH DESCRIPTION\n{}\n", roff(app.get_footer()));
    const auto verbs = verbs_of(app);
    if (!verbs.empty()) {
        out += ".SH VERBS\n";
        for (const CLI::App* verb : verbs)
            out += fmt::format(".TP\n.B {}\n{}\n", roff(verb->get_name()),
                               roff(verb->get_description()));
    }
    out += ".SH OPTIONS\n" + options_section(app);
    for (const CLI::App* verb : verbs)
        if (app.get_parent() != nullptr)
            out += fmt::format(".SS Options of {}\n{}", roff(verb->get_name()),
                               options_section(*verb));
    out += ".SH EXIT STATUS\n0 yes; 1 a negative verdict; 2 usage; 3 an input that cannot be read; "
           "4 environment or permission; 5 internal.\n";
    return out;
}

std::string page_of(const CLI::App& app, const CLI::App* verb) {
    if (verb == nullptr)
        return page(app, "skep", "skep");
    return page(*verb, "skep " + verb->get_name(), "skep-" + verb->get_name());
}

Result<void> write_pages(const CLI::App& app, const std::filesystem::path& folder) {
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    SKEP_TRY(write_file(folder / "skep.1", as_bytes(page_of(app, nullptr))));
    for (const CLI::App* verb : verbs_of(app))
        SKEP_TRY(write_file(folder / fmt::format("skep-{}.1", verb->get_name()),
                            as_bytes(page_of(app, verb))));
    return {};
}

Result<const CLI::App*> find_verb(const CLI::App& app, const std::string& name) {
    std::vector<std::string> names;
    for (const CLI::App* verb : verbs_of(app)) {
        if (verb->get_name() == name)
            return verb;
        names.push_back(verb->get_name());
    }
    return fail(ErrorCode::Invalid, "unknown verb: " + name, {}, did_you_mean(name, names));
}

} // namespace

void add_man(Cli& cli) {
    struct Options {
        std::string verb, output;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& verb = cli.verb("man", "Print a man page, or write all of them");
    verb.add_option("VERB", options->verb, "The verb to describe; none: skep itself");
    verb.add_option("-o,--output", options->output, "Write skep.1 and a page for each verb there")
        ->type_name("DIR");
    cli.on(verb, [&cli, options](const Console& console) -> Result<Exit> {
        if (!options->output.empty()) {
            SKEP_TRY(write_pages(cli.app(), options->output));
            if (console.json)
                console.result(Json{{"folder", options->output}});
            return Exit::Yes;
        }
        const CLI::App* about = nullptr;
        if (!options->verb.empty())
            about = SKEP_TRY(find_verb(cli.app(), options->verb));
        const std::string text = page_of(cli.app(), about);
        if (console.json)
            console.result(Json{{"page", text}});
        else
            console.out(text);
        return Exit::Yes;
    });
}

} // namespace skep::tool
