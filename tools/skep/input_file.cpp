// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "input_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <sys/utsname.h>
#include <unistd.h>

#include "compile.hpp"
#include "kernel_config.hpp"
#include "skep/base/file.hpp"
#include "skep/base/suggest.hpp"
#include "vmlinux.hpp"

namespace skep::tool {
namespace {

/// A folder that goes away with its contents.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string pattern = std::filesystem::temp_directory_path().string() + "/skep-XXXXXX";
        if (::mkdtemp(pattern.data()) != nullptr)
            path_ = pattern;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        if (!path_.empty())
            std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

std::uint32_t kernel_version() {
    utsname name{};
    ::uname(&name);
    unsigned major = 0;
    unsigned minor = 0;
    unsigned patch = 0;
    if (std::sscanf(name.release, "%u.%u.%u", &major, &minor, &patch) < 2)
        return 0;
    return (major << 16) + (minor << 8) + std::min(patch, 255U);
}

Result<std::vector<std::byte>> compiled(const Console& console, const InputOptions& options) {
    const TemporaryFolder folder;
    if (folder.path().empty())
        return std::unexpected(os_error(errno, "mkdtemp"));
    const CompileOptions compile_options{.source = options.file,
                                         .output = folder.path() / "program.o",
                                         .cpu = options.cpu,
                                         .btf = options.btf,
                                         .includes = options.includes,
                                         .defines = options.defines};
    const Compiled result = SKEP_TRY(compile(compile_options));
    if (!result.ok) {
        std::string hint;
        for (const std::string& note : result.notes)
            hint += (hint.empty() ? "" : "\n  hint: ") + note;
        return fail(ErrorCode::Malformed, "does not compile\n" + result.messages,
                    {.file = options.file}, hint);
    }
    if (!result.messages.empty())
        console.note(std::string_view(result.messages).substr(0, result.messages.size() - 1));
    return read_file(compile_options.output);
}

} // namespace

void add_input_options(CLI::App& verb, InputOptions& options) {
    verb.add_option("FILE", options.file, "A BPF object, or a .c file")->required();
    add_opening_options(verb, options);
}

void add_opening_options(CLI::App& verb, InputOptions& options) {
    verb.add_option("--btf", options.btf,
                    "Relocate against this BTF or ELF file (default: the running kernel's; none)");
    verb.add_option("--cpu-version", options.cpu, "For .c files: instruction set, v1 to v4")
        ->capture_default_str();
    verb.add_option("-I,--include", options.includes, "For .c files: look for headers here first");
    verb.add_option("-D,--define", options.defines, "For .c files: NAME or NAME=VALUE");
}

Result<object::Object> open_input(const Console& console, const InputOptions& options) {
    object::OpenOptions open_options{.name = std::filesystem::path(options.file).stem().string(),
                                     .kernel_version = kernel_version(),
                                     .variables = options.variables};
    open_options.name = open_options.name.substr(0, open_options.name.find('.'));
    const std::vector<std::byte> bytes =
        SKEP_TRY(is_source(options.file) ? compiled(console, options) : read_file(options.file));
    // Few objects ask for the configuration; the section's name is in the file if this one does.
    if (as_text(bytes).find(".kconfig") != std::string_view::npos)
        open_options.kconfig = kernel_config();
    // A file that was named is read in any case, so that a bad one is told.
    if (options.btf.empty())
        open_options.find_target_btf = [] { return target_btf(""); };
    else
        open_options.target_btf = SKEP_TRY(target_btf(options.btf));
    open_options.target_name = options.btf.empty() ? kKernelBtf : options.btf;
    auto object = object::open(bytes, open_options);
    if (!object) {
        Error error = std::move(object).error();
        if (error.place.file.empty())
            error.place.file = options.file;
        return std::unexpected(std::move(error));
    }
    for (const std::string& warning : object->warnings)
        if (options.say_warnings)
            console.warn(options.file + ": " + warning);
    return object;
}

Result<std::string> choose_program(const object::Object& object, const std::string& name) {
    for (const auto& failed : object.failed)
        if (failed.program == name || (name.empty() && object.programs.empty())) {
            Error error = failed.error;
            error.message = "program \"" + failed.program + "\": " + error.message;
            return std::unexpected(std::move(error));
        }
    if (!name.empty()) {
        SKEP_TRY(object.program(name));
        return name;
    }
    if (object.programs.size() == 1)
        return object.programs.front()->name;
    if (object.programs.empty())
        return fail(ErrorCode::NotFound, "the object has no program");
    std::string names;
    for (const auto& program : object.programs)
        names += (names.empty() ? "" : ", ") + program->name;
    return fail(ErrorCode::Invalid, "the object has several programs: " + names, {},
                "choose one with --program");
}

} // namespace skep::tool
