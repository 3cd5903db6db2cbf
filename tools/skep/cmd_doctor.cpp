// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli.hpp"
#include "compile.hpp"
#include "process.hpp"
#include "vmlinux.hpp"

namespace skep::tool {
namespace {

/// One line of the report.
struct Finding {
    std::string name; ///< key in JSON
    bool ok = true;
    bool needed = true; ///< skep cannot do its main job without it
    std::string value;
    std::string advice; ///< how to get it
};

std::string first_line(const char* path) {
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    return line;
}

Finding kernel() {
    utsname name{};
    ::uname(&name);
    return {.name = "kernel",
            .value = fmt::format("{} {} {}", name.sysname, name.release, name.machine)};
}

Finding kernel_btf() {
    const bool there = ::access(kKernelBtf, R_OK) == 0;
    return {.name = "btf",
            .ok = there,
            .needed = false,
            .value = there ? kKernelBtf : fmt::format("{}: {}", kKernelBtf, std::strerror(errno)),
            .advice = "a kernel with CONFIG_DEBUG_INFO_BTF (Debian's have it), or give --btf FILE: "
                      "vmlinux.h and CO-RE relocations are made from it"};
}

/// Asks the kernel to make a two-instruction program and lets go of it at once.
Finding bpf_permission() {
    std::array<bpf_insn, 2> insns{};
    insns[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
    insns[1].code = BPF_JMP | BPF_EXIT;
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.prog_type = BPF_PROG_TYPE_XDP;
    attr.insn_cnt = insns.size();
    attr.insns = reinterpret_cast<std::uint64_t>(insns.data());
    attr.license = reinterpret_cast<std::uint64_t>("GPL");
    const long fd = ::syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
    const int error = errno;
    if (fd >= 0)
        ::close(static_cast<int>(fd));
    return {.name = "bpf_syscall",
            .ok = fd >= 0,
            .needed = false,
            .value = fd >= 0 ? "permitted: an XDP program loads"
                             : fmt::format("refused: {}", std::strerror(error)),
            .advice = "CAP_BPF and CAP_NET_ADMIN, or root: only for comparing with the kernel"};
}

Finding unprivileged() {
    const std::string value = first_line("/proc/sys/kernel/unprivileged_bpf_disabled");
    const char* meaning = value == "0"   ? "0: permitted for all users"
                          : value == "1" ? "1: forbidden until the next boot"
                          : value == "2" ? "2: forbidden, may be changed"
                                         : "not known";
    return {.name = "unprivileged_bpf_disabled", .needed = false, .value = meaning};
}

Finding jit() {
    const std::string value = first_line("/proc/sys/net/core/bpf_jit_enable");
    return {.name = "kernel_jit",
            .needed = false,
            .value = value.empty() ? "not readable" : "bpf_jit_enable=" + value};
}

Finding capabilities() {
    const std::array<std::pair<const char*, int>, 4> wanted{{
        {"CAP_BPF", CAP_BPF},
        {"CAP_PERFMON", CAP_PERFMON},
        {"CAP_NET_ADMIN", CAP_NET_ADMIN},
        {"CAP_SYS_ADMIN", CAP_SYS_ADMIN},
    }};
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, 2> data{};
    std::string held;
    if (::syscall(SYS_capget, &header, data.data()) == 0)
        for (const auto& [name, number] : wanted)
            if ((data[static_cast<std::size_t>(number / 32)].effective >> (number % 32) & 1) != 0)
                held += (held.empty() ? "" : " ") + std::string(name);
    return {.name = "capabilities", .needed = false, .value = held.empty() ? "none" : held};
}

Finding clang() {
    std::string versions;
    for (const auto& path : find_clangs())
        versions += (versions.empty() ? "" : ", ") + path.string();
    return {.name = "clang",
            .ok = !versions.empty(),
            .value = versions.empty() ? "not in PATH" : versions,
            .advice = "apt-get install clang-19: compiles .c files"};
}

Finding headers() {
    utsname name{};
    ::uname(&name);
    const std::string path = fmt::format("/usr/include/{}-linux-gnu/asm/types.h", name.machine);
    const bool there = ::access(path.c_str(), R_OK) == 0;
    return {.name = "kernel_headers",
            .ok = there,
            .value = there ? path : path + ": not there",
            .advice = "apt-get install linux-libc-dev: linux/bpf.h for .c files"};
}

Finding tool(const char* name, const char* program, const char* package, const char* use) {
    const auto found = find_in_path({program, fmt::format("/usr/sbin/{}", program)});
    return {.name = name,
            .ok = found.has_value(),
            .needed = false,
            .value = found ? found->string() : "not in PATH",
            .advice = fmt::format("apt-get install {}: {}", package, use)};
}

Finding memlock() {
    rlimit limit{};
    ::getrlimit(RLIMIT_MEMLOCK, &limit);
    return {.name = "memlock",
            .needed = false,
            .value = limit.rlim_cur == RLIM_INFINITY ? "unlimited"
                                                     : fmt::format("{} bytes", limit.rlim_cur)};
}

Finding cache() {
    const auto folder = cache_folder();
    return {.name = "cache",
            .ok = folder.has_value(),
            .needed = false,
            .value = folder ? folder->string() : folder.error().to_string(),
            .advice = "a HOME or XDG_CACHE_HOME that can be written: headers for .c files"};
}

std::vector<Finding> examine() {
    return {kernel(),
            kernel_btf(),
            bpf_permission(),
            unprivileged(),
            jit(),
            capabilities(),
            memlock(),
            clang(),
            headers(),
            cache(),
            tool("bpftool", "bpftool", "bpftool", "looks at programs in the kernel"),
            tool("tcpdump", "tcpdump", "tcpdump", "records captures for `skep run --pcap`")};
}

} // namespace

void add_doctor(Cli& cli) {
    CLI::App& verb =
        cli.verb("doctor", "Tell what this machine and user can do, and what is missing");
    verb.footer("Exit status 1 if something is missing that compiling and running needs.");
    cli.on(verb, [](const Console& console) -> Result<Exit> {
        bool healthy = true;
        Json rows = Json::array();
        std::string text;
        for (const Finding& finding : examine()) {
            healthy = healthy && (finding.ok || !finding.needed);
            Json row{{"name", finding.name}, {"ok", finding.ok}, {"value", finding.value}};
            if (!finding.ok)
                row["advice"] = finding.advice;
            rows.push_back(std::move(row));
            const char* mark = finding.ok ? "ok     " : "missing";
            text += fmt::format(
                "{} {:26} {}\n",
                console.styled(mark, finding.ok ? Console::Style::Good : Console::Style::Bad),
                finding.name, finding.value);
            if (!finding.ok)
                text += fmt::format("{:35}{}\n", "", finding.advice);
        }
        if (console.json)
            console.result(Json{{"ok", healthy}, {"findings", std::move(rows)}});
        else
            console.out(text);
        return healthy ? Exit::Yes : Exit::No;
    });
}

} // namespace skep::tool
