// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "cli.hpp"
#include "compile.hpp"

namespace skep::tool {
namespace {

Exit report(const Console& console, const CompileOptions& options, const Compiled& result,
            bool show_command) {
    if (console.json) {
        Json json{{"ok", result.ok},
                  {"object", result.ok ? Json(options.output.string()) : Json()}};
        json["messages"] = result.messages;
        json["notes"] = result.notes;
        json["command"] = result.command;
        console.result(json);
        return result.ok ? Exit::Yes : Exit::No;
    }
    std::string command;
    for (const std::string& word : result.command)
        command += (command.empty() ? "" : " ") + word;
    if (show_command)
        console.note(command);
    if (!result.messages.empty())
        console.note(std::string_view(result.messages).substr(0, result.messages.size() - 1));
    for (const std::string& note : result.notes)
        console.note("note: " + note);
    if (result.ok)
        console.out(options.output.string() + "\n");
    return result.ok ? Exit::Yes : Exit::No;
}

} // namespace

void add_compile(Cli& cli) {
    struct Options {
        CompileOptions compile;
        std::string source, output;
        bool show_command = false;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& verb = cli.verb("compile", "Compile C to a BPF object");
    verb.footer("Brings the machine's include path, the helper headers (bpf/bpf_helpers.h and its "
                "kind) and a vmlinux.h made from BTF, and explains the usual failures.");
    CompileOptions& compile_options = options->compile;
    verb.add_option("FILE", options->source, "The .c file")->required();
    verb.add_option("-o,--output", options->output, "The object (default: FILE with .o)");
    verb.add_option("--cpu", compile_options.cpu, "Instruction set: v1 to v4")
        ->capture_default_str();
    verb.add_option(
        "--btf", compile_options.btf,
        "Make vmlinux.h from this BTF or ELF file (default: the running kernel's; none)");
    verb.add_option("-I,--include", compile_options.includes, "Look for headers here first");
    verb.add_option("-D,--define", compile_options.defines, "Define a macro: NAME or NAME=VALUE");
    verb.add_option("--flag", compile_options.flags, "Hand this flag to clang");
    verb.add_option("--clang", compile_options.clang, "The clang to use (default: the newest)");
    verb.add_flag("--show-command", options->show_command, "Print the command on stderr");
    cli.on(verb, [options](const Console& console) -> Result<Exit> {
        CompileOptions& wanted = options->compile;
        wanted.source = options->source;
        wanted.output = options->output.empty()
                            ? std::filesystem::path(options->source).replace_extension(".o")
                            : std::filesystem::path(options->output);
        const Compiled result = SKEP_TRY(compile(wanted));
        return report(console, wanted, result, options->show_command);
    });
}

} // namespace skep::tool
