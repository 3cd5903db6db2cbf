// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "compile.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include "headers.hpp"
#include "process.hpp"
#include "skep/base/file.hpp"
#include "version.hpp"
#include "vmlinux.hpp"

namespace skep::tool {
namespace {

constexpr int kNewestClang = 24;
constexpr int kOldestClang = 11;

/// Architecture as libbpf's bpf_tracing.h and Debian's include folders name it.
struct Machine {
    std::string target_arch; ///< __TARGET_ARCH_<...>
    std::string multiarch;   ///< /usr/include/<...>
};

Machine this_machine() {
    utsname name{};
    ::uname(&name);
    const std::string machine = name.machine;
    if (machine == "aarch64")
        return {"arm64", "aarch64-linux-gnu"};
    if (machine == "riscv64")
        return {"riscv", "riscv64-linux-gnu"};
    if (machine == "ppc64le")
        return {"powerpc", "powerpc64le-linux-gnu"};
    return {"x86", machine + "-linux-gnu"};
}

Result<std::string> choose_clang(const CompileOptions& options) {
    if (!options.clang.empty()) {
        const auto found = find_in_path({options.clang});
        if (!found)
            return fail(ErrorCode::Environment, "there is no program \"" + options.clang + "\"");
        return found->string();
    }
    const auto found = find_clangs();
    if (found.empty())
        return fail(ErrorCode::Environment, "no clang is in PATH", {},
                    "install it: apt-get install clang-19 (or clang)");
    return found.front().string();
}

} // namespace

bool is_source(const std::filesystem::path& path) {
    return path.extension() == ".c";
}

std::vector<std::filesystem::path> find_clangs() {
    std::vector<std::filesystem::path> found;
    for (int version = kNewestClang; version >= kOldestClang; --version)
        if (const auto path = find_in_path({fmt::format("clang-{}", version)}))
            found.push_back(*path);
    if (const auto path = find_in_path({"clang"}))
        found.push_back(*path);
    return found;
}

Result<std::filesystem::path> header_folder() {
    const std::string definitions = helper_definitions();
    std::string all = definitions;
    for (const EmbeddedHeader& header : embedded_headers())
        all += header.text;
    const std::filesystem::path cache = SKEP_TRY(cache_folder());
    std::filesystem::path folder = cache / ("headers-" + content_hash(all));
    std::error_code failed;
    // Written last, so its presence means that the others are there too.
    const std::filesystem::path last = folder / "bpf/bpf_helper_defs.h";
    if (std::filesystem::exists(last, failed))
        return folder;
    std::filesystem::create_directories(folder / "bpf", failed);
    for (const EmbeddedHeader& header : embedded_headers())
        SKEP_TRY(write_whole(folder / header.path, header.text));
    SKEP_TRY(write_whole(last, definitions));
    return folder;
}

Result<std::filesystem::path> vmlinux_folder(const std::string& btf) {
    if (btf == "none")
        return std::filesystem::path();
    const std::filesystem::path source = btf.empty() ? kKernelBtf : btf;
    const auto bytes = SKEP_TRY(read_file(source));
    const std::filesystem::path cache = SKEP_TRY(cache_folder());
    std::filesystem::path folder =
        cache / fmt::format("vmlinux-{}-{}", kVersion, content_hash(as_text(bytes)));
    std::error_code failed;
    if (std::filesystem::exists(folder / "vmlinux.h", failed))
        return folder;
    const std::string header = SKEP_TRY(vmlinux_header(source));
    std::filesystem::create_directories(folder, failed);
    SKEP_TRY(write_whole(folder / "vmlinux.h", header));
    return folder;
}

Result<Compiled> compile(const CompileOptions& options) {
    std::error_code failed;
    if (!std::filesystem::exists(options.source, failed))
        return fail(ErrorCode::NotFound, "no such file", {.file = options.source.string()});
    const Machine machine = this_machine();
    const std::string clang = SKEP_TRY(choose_clang(options));
    const std::filesystem::path headers = SKEP_TRY(header_folder());
    Compiled result;
    result.command = {clang,
                      "--target=bpf",
                      "-O2",
                      "-g",
                      "-mcpu=" + options.cpu,
                      "-Wall",
                      "-Wno-missing-declarations",
                      "-fno-stack-protector",
                      "-D__TARGET_ARCH_" + machine.target_arch};
    for (const std::string& include : options.includes)
        result.command.push_back("-I" + include);
    for (const std::string& define : options.defines)
        result.command.push_back("-D" + define);
    result.command.push_back("-I" + headers.string());
    // Programs that include no vmlinux.h compile without; the others are told by a note.
    const auto vmlinux = vmlinux_folder(options.btf);
    if (!vmlinux && !options.btf.empty())
        return std::unexpected(vmlinux.error());
    if (vmlinux && !vmlinux->empty())
        result.command.push_back("-I" + vmlinux->string());
    result.command.insert(result.command.end(),
                          {"-idirafter", "/usr/include/" + machine.multiarch});
    result.command.insert(result.command.end(), options.flags.begin(), options.flags.end());
    result.command.insert(result.command.end(),
                          {"-c", options.source.string(), "-o", options.output.string()});
    const ProcessResult run = SKEP_TRY(run_process(result.command));
    result.ok = run.status == 0;
    result.messages = run.output;
    result.notes = explain_messages(run.output);
    return result;
}

} // namespace skep::tool
