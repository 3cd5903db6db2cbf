// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.hpp"

namespace skep::tool {
namespace {

/// "skep", "skep run", "skep map dump" ...: every app of the tree under its full command.
void walk(const CLI::App& app, const std::string& path,
          const std::function<void(const CLI::App&, const std::string&)>& visit) {
    visit(app, path);
    for (const CLI::App* verb : verbs_of(app))
        walk(*verb, path + " " + verb->get_name(), visit);
}

std::string words_of(const CLI::App& app) {
    std::string words;
    for (const CLI::App* verb : verbs_of(app))
        words += verb->get_name() + " ";
    for (const CLI::Option* option : options_of(app))
        for (const auto& name : option->get_lnames())
            words += "--" + name + " ";
    words += "--json";
    return words;
}

std::string bash(const CLI::App& app) {
    std::string verbs;
    std::string words;
    walk(app, "skep", [&](const CLI::App& level, const std::string& path) {
        verbs += fmt::format("        \"{}\") ;;\n", path);
        words += fmt::format("        \"{}\") words=\"{}\" ;;\n", path, words_of(level));
    });
    return fmt::format(R"(# Bash completion for skep, made by `skep completion bash`.
_skep() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" path="skep" word words
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$path $word" in
{}        *) continue ;;
        esac
        path="$path $word"
    done
    case "$path" in
{}        *) words="" ;;
    esac
    COMPREPLY=()
    if [[ $current == -* || $path == skep ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -W "${{words//--*/}}" -- "$current"; compgen -f -- "$current")
    fi
}}
complete -o filenames -F _skep skep
)",
                       verbs, words);
}

/// Inside single quotes and in front of a description's end.
std::string zsh_text(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '\'')
            out += "'\\'";
        else if (c == '[' || c == ']' || c == ':' || c == '\\')
            out += '\\';
        out += c;
    }
    return out;
}

std::string zsh_arguments(const CLI::App& app) {
    std::string out;
    for (const CLI::Option* option : options_of(app))
        for (const auto& name : option->get_lnames())
            out += fmt::format(" \\\n            '*--{}[{}]{}'", name,
                               zsh_text(option->get_description()),
                               takes_value(*option) ? ":value:_files" : "");
    return out;
}

std::string zsh(const CLI::App& app) {
    std::string verbs;
    std::string cases;
    for (const CLI::App* verb : verbs_of(app)) {
        verbs +=
            fmt::format("        '{}:{}'\n", verb->get_name(), zsh_text(verb->get_description()));
        std::string below;
        for (const CLI::App* nested : verbs_of(*verb))
            below += nested->get_name() + " ";
        cases += fmt::format("        {})\n            _arguments '*--json[print JSON]'{}{} ;;\n",
                             verb->get_name(), zsh_arguments(*verb),
                             below.empty() ? " \\\n            '*:file:_files'"
                                           : fmt::format(" \\\n            '1:verb:({})' "
                                                         "'*:file:_files'",
                                                         below));
    }
    return fmt::format(R"(#compdef skep
# Zsh completion for skep, made by `skep completion zsh`.
_skep() {{
    local -a verbs=(
{}    )
    if (( CURRENT == 2 )); then
        _describe verb verbs
        _arguments '--json[print JSON]' '--help[show help]' '--version[show the version]'
        return
    fi
    local verb=$words[2]
    shift words
    (( CURRENT-- ))
    case $verb in
{}    esac
}}
_skep "$@"
)",
                       verbs, cases);
}

} // namespace

void add_completion(Cli& cli) {
    CLI::App& verb = cli.verb("completion", "Print a completion script for a shell");
    const auto add = [&](const char* shell, std::string (*make)(const CLI::App&)) {
        CLI::App& nested =
            Cli::verb_of(verb, shell, fmt::format("Print the completion script for {}", shell));
        cli.on(nested, [&cli, make, shell](const Console& console) -> Result<Exit> {
            if (console.json)
                console.result(Json{{"shell", shell}, {"script", make(cli.app())}});
            else
                console.out(make(cli.app()));
            return Exit::Yes;
        });
    };
    verb.require_subcommand(1);
    add("bash", bash);
    add("zsh", zsh);
}

} // namespace skep::tool
