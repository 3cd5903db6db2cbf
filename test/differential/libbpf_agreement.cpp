// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Opens and links every given object with skep and with libbpf, and compares: programs, their types
// and flags, maps, and each linked instruction. libbpf shows its instructions only to the kernel,
// so this program stands between them: it defines syscall(), which libbpf calls for bpf(2), and
// answers every command with success. Nothing is loaded, so no privilege is needed.
#include <algorithm>
#include <bpf/libbpf.h>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <fmt/core.h>
#include <fstream>
#include <linux/bpf.h>
#include <map>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "skep/base/file.hpp"
#include "skep/btf/btf.hpp"
#include "skep/object/object.hpp"

namespace {

using namespace skep;

constexpr int kPoisonedKfunc = 2002000000; // libbpf's base of calls of absent weak functions

/// What libbpf handed to BPF_PROG_LOAD, by name (the kernel's 15 characters): it loads small
/// programs of its own too, to see what the kernel can do.
std::multimap<std::string, std::vector<isa::Insn>>& captured() {
    static std::multimap<std::string, std::vector<isa::Insn>> programs;
    return programs;
}

int fake_fd() {
    const int fd = memfd_create("object", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, off_t{1} << 32) != 0)
        std::perror("ftruncate");
    return fd;
}

long fake_bpf(int command, union bpf_attr* attr) {
    switch (command) {
    case BPF_PROG_LOAD: {
        const auto* insns = reinterpret_cast<const isa::Insn*>(attr->insns);
        captured().emplace(attr->prog_name, std::vector<isa::Insn>(insns, insns + attr->insn_cnt));
        return fake_fd();
    }
    case BPF_MAP_CREATE:
    case BPF_BTF_LOAD:
        return fake_fd();
    case BPF_BTF_GET_NEXT_ID: // There are no modules,
    case BPF_OBJ_GET:         // and nothing is pinned.
        errno = ENOENT;
        return -1;
    default:
        return 0;
    }
}

} // namespace

extern "C" long syscall(long number, ...) { // NOLINT(cert-dcl50-cpp): the C library's signature
    va_list list;
    va_start(list, number);
    long a[6];
    for (long& value : a)
        value = va_arg(list, long);
    va_end(list);
    if (number == SYS_bpf)
        return fake_bpf(static_cast<int>(a[0]), reinterpret_cast<union bpf_attr*>(a[1]));
    using Function = long (*)(long, ...);
    static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "syscall"));
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

namespace {

std::string last_complaint; // NOLINT: libbpf's print callback takes no argument of ours

[[gnu::format(printf, 2, 0)]] int keep_complaint(enum libbpf_print_level level, const char* format,
                                                 va_list list) {
    char text[512];
    std::vsnprintf(text, sizeof text, format, list);
    if (level == LIBBPF_WARN && last_complaint.empty())
        last_complaint = text;
    while (!last_complaint.empty() && last_complaint.back() == '\n')
        last_complaint.pop_back();
    return 0;
}

struct Count {
    int objects = 0, both = 0, neither = 0, only_libbpf = 0, only_skep = 0;
    int programs = 0, equal = 0, different = 0, not_loaded = 0;
    int maps = 0, maps_equal = 0;
};

class Comparison {
public:
    Comparison(std::string path, const object::OpenOptions& options, Count& count)
        : path_(std::move(path)), options_(options), count_(count) {}

    void run() {
        ++count_.objects;
        const auto ours = object::open_file(path_, options_);
        last_complaint.clear();
        bpf_object* theirs = bpf_object__open_file(path_.c_str(), nullptr);
        const std::string name = path_.substr(path_.rfind('/') + 1);
        if (!ours || theirs == nullptr) {
            int& kind = ours                ? count_.only_skep
                        : theirs != nullptr ? count_.only_libbpf
                                            : count_.neither;
            ++kind;
            fmt::print("{}\n    skep:   {}\n    libbpf: {}\n", name,
                       ours ? "opened" : ours.error().to_string(),
                       theirs != nullptr ? "opened" : last_complaint);
        } else {
            ++count_.both;
            compare(name, *ours, theirs);
        }
        bpf_object__close(theirs);
    }

private:
    void say(const std::string& text) const {
        fmt::print("{}: {}\n", path_.substr(path_.rfind('/') + 1), text);
    }

    void compare(const std::string& name, const object::Object& ours, bpf_object* theirs) {
        compare_maps(ours, theirs);
        for (const auto& failed : ours.failed)
            say(fmt::format("{}: {}", failed.program, failed.error.to_string()));
        bpf_program* program = nullptr;
        std::size_t programs = 0;
        bpf_object__for_each_program(program, theirs) {
            ++programs;
            compare_program(ours, theirs, program, name);
        }
        if (programs != ours.programs.size() + ours.failed.size())
            say(fmt::format("{} programs, libbpf has {}", ours.programs.size() + ours.failed.size(),
                            programs));
    }

    // libbpf cuts the names of data maps to 15 characters.
    static std::optional<std::size_t> find_map(const object::Object& ours,
                                               const std::string& name) {
        for (std::size_t i = 0; i < ours.maps.size(); ++i)
            if (ours.maps[i].def.name == name ||
                (name.starts_with('.') && ours.maps[i].def.name.starts_with(name) &&
                 name.size() >= 8))
                return i;
        return std::nullopt;
    }

    void compare_maps(const object::Object& ours, bpf_object* theirs) {
        bpf_map* map = nullptr;
        bpf_object__for_each_map(map, theirs) {
            ++count_.maps;
            // libbpf names data maps after the object: "obj.rodata".
            std::string name = bpf_map__name(map);
            if (bpf_map__is_internal(map) && name.find('.') != 0 && name.contains('.'))
                name = name.substr(name.find('.'));
            const auto index = find_map(ours, name);
            if (!index) {
                say(fmt::format("map \"{}\" is missing", name));
                continue;
            }
            const spec::MapDef& def = ours.maps[*index].def;
            const auto mine = fmt::format("type {} key {} value {} entries {} flags {:#x} extra {}",
                                          static_cast<int>(def.kind), def.key_size, def.value_size,
                                          def.max_entries, def.flags, def.extra);
            const auto other =
                fmt::format("type {} key {} value {} entries {} flags {:#x} extra {}",
                            static_cast<int>(bpf_map__type(map)), bpf_map__key_size(map),
                            bpf_map__value_size(map), bpf_map__max_entries(map),
                            bpf_map__map_flags(map), bpf_map__map_extra(map));
            if (mine == other || bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
                ++count_.maps_equal;
            else
                say(fmt::format("map \"{}\": {}; libbpf: {}", name, mine, other));
        }
    }

    void compare_program(const object::Object& ours, bpf_object*, bpf_program* program,
                         const std::string&) {
        ++count_.programs;
        const auto mine = ours.program(bpf_program__name(program));
        if (!mine) {
            ++count_.not_loaded;
            say(mine.error().to_string());
            return;
        }
        const auto a = fmt::format("type {} attach {} autoload {}", static_cast<int>((*mine)->type),
                                   (*mine)->attach_type, (*mine)->autoload);
        const auto b = fmt::format("type {} attach {} autoload {}",
                                   static_cast<int>(bpf_program__type(program)),
                                   static_cast<int>(bpf_program__expected_attach_type(program)),
                                   bpf_program__autoload(program));
        if (a != b)
            say(fmt::format("program \"{}\": {}; libbpf: {}", (*mine)->name, a, b));
        compare_code(ours, **mine);
    }

    static bool has_kernel_target(enum bpf_prog_type type) {
        return type == BPF_PROG_TYPE_EXT || type == BPF_PROG_TYPE_TRACING ||
               type == BPF_PROG_TYPE_LSM || type == BPF_PROG_TYPE_UNSPEC;
    }

    // Loads this one program with libbpf, on a fresh object.
    void compare_code(const object::Object& ours, const Program& mine) {
        bpf_object* object = bpf_object__open_file(path_.c_str(), nullptr);
        bpf_program* program = nullptr;
        bpf_object__for_each_program(program, object)
            bpf_program__set_autoload(program, bpf_program__name(program) == mine.name);
        program = bpf_object__find_program_by_name(object, mine.name.c_str());
        // Attach targets are the kernel's affair, not the linker's.
        if (has_kernel_target(bpf_program__type(program))) {
            if (libbpf_major_version() == 1 && libbpf_minor_version() < 3) {
                ++count_.not_loaded; // It crashes when it loads a program whose type was changed.
                bpf_object__close(object);
                return;
            }
            bpf_program__set_type(program, BPF_PROG_TYPE_SOCKET_FILTER);
        }
        last_complaint.clear();
        captured().clear();
        const bool loaded = bpf_object__load(object) == 0;
        // Programs of one struct_ops map are loaded together; their short names may be equal.
        const auto [begin, end] = captured().equal_range(mine.name.substr(0, BPF_OBJ_NAME_LEN - 1));
        std::string what = "libbpf does not link it: " + last_complaint;
        const bool linked = loaded && begin != end;
        for (auto code = begin; linked && code != end && !what.empty(); ++code)
            what = difference(ours, mine, code->second, object);
        ++(!linked ? count_.not_loaded : what.empty() ? count_.equal : count_.different);
        if (!what.empty())
            say(fmt::format("program \"{}\": {}", mine.name, what));
        bpf_object__close(object);
    }

    static std::string map_name(bpf_object* object, int fd) {
        bpf_map* map = nullptr;
        bpf_object__for_each_map(map, object) {
            std::string name = bpf_map__name(map);
            if (bpf_map__fd(map) != fd)
                continue;
            if (bpf_map__is_internal(map) && name.find('.') != 0 && name.contains('.'))
                name = name.substr(name.find('.'));
            return name;
        }
        return "?";
    }

    static std::string difference(const object::Object& ours, const Program& mine,
                                  const std::vector<isa::Insn>& theirs, bpf_object* object) {
        if (mine.insns.size() != theirs.size())
            return fmt::format("{} instructions, libbpf has {}", mine.insns.size(), theirs.size());
        for (std::size_t i = 0; i < theirs.size(); ++i) {
            const isa::Insn a = mine.insns[i];
            const isa::Insn b = theirs[i];
            const bool wide = a.opcode == isa::kLddw && i + 1 < theirs.size();
            const bool external = (wide && a.src == isa::kLddwBtfId) ||
                                  (a.opcode == isa::kCall && a.src == isa::kCallKfunc);
            if (external && (a.opcode == b.opcode || b.imm >= kPoisonedKfunc)) {
                i += wide ? 1 : 0; // The numbers are the kernel's.
                continue;
            }
            if (wide && (a.src == isa::kLddwMapFd || a.src == isa::kLddwMapValue)) {
                const std::string name = map_name(object, b.imm);
                if (a.src != b.src || a.dst != b.dst ||
                    theirs[i + 1].imm != mine.insns[i + 1].imm ||
                    find_map(ours, name) != static_cast<std::size_t>(a.imm))
                    return fmt::format("instruction {}: map {} + {}, libbpf: {} + {}", i,
                                       ours.maps[static_cast<std::uint32_t>(a.imm)].def.name,
                                       mine.insns[i + 1].imm, name, theirs[i + 1].imm);
                ++i;
            } else if (std::memcmp(&a, &b, sizeof a) != 0) {
                return fmt::format(
                    "instruction {}: {:#x} r{} r{} {} {}, libbpf: {:#x} r{} r{} {} {}", i, a.opcode,
                    int{a.dst}, int{a.src}, a.off, a.imm, b.opcode, int{b.dst}, int{b.src}, b.off,
                    b.imm);
            }
        }
        return {};
    }

    std::string path_;
    const object::OpenOptions& options_;
    Count& count_;
};

std::map<std::string, std::string> read_config(const char* path) {
    std::map<std::string, std::string> config;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);)
        if (const auto equal = line.find('='); line.starts_with("CONFIG_") && equal != line.npos)
            config[line.substr(0, equal)] = line.substr(equal + 1);
    return config;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        fmt::print(stderr, "usage: libbpf_agreement CONFIG OBJECT...\n"
                           "CONFIG: the running kernel's, unpacked (zcat /proc/config.gz)\n");
        return 2;
    }
    const auto bytes = read_file("/sys/kernel/btf/vmlinux");
    object::OpenOptions options;
    options.target_name = "the running kernel";
    options.kconfig = read_config(argv[1]);
    options.kernel_version = (6U << 16) + (18U << 8);
    if (bytes)
        if (auto types = skep::btf::Btf::parse(*bytes))
            options.target_btf = *std::move(types);
    libbpf_set_print(keep_complaint);
    Count count;
    for (int i = 2; i < argc; ++i)
        Comparison(argv[i], options, count).run();
    fmt::print("objects: {}, opened by both {}, refused by both {}, refused by skep only {}, "
               "refused by libbpf only {}\n"
               "programs: {}, linked the same {}, differently {}, not by both {}\n"
               "maps: {}, the same {}\n",
               count.objects, count.both, count.neither, count.only_libbpf, count.only_skep,
               count.programs, count.equal, count.different, count.not_loaded, count.maps,
               count.maps_equal);
    return count.only_libbpf + count.different == 0 ? 0 : 1;
}
