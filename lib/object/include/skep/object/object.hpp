// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/base/result.hpp"
#include "skep/program/program.hpp"
#include "skep/spec/map_def.hpp"

namespace skep::btf {
class Btf;
}

namespace skep::object {

/// A map of the object and what it holds before the first run.
struct ObjectMap {
    spec::MapDef def;
    std::vector<std::byte>
        contents;        ///< of .data, .rodata, .bss, .kconfig...: the one value; else empty
    bool frozen = false; ///< .rodata and .kconfig: read-only to programs and user space
    /// Initialisers in the source (`.values = {...}`): key to the name of a program (prog array) or
    /// of a map (map of maps).
    std::vector<std::pair<std::uint32_t, std::string>> slots;
};

/// A global variable in one of the internal maps.
struct GlobalVariable {
    std::string name;
    std::uint32_t map = 0;    ///< index into Object::maps
    std::uint32_t offset = 0; ///< bytes into its value
    std::uint32_t size = 0;
    std::uint32_t type_id = 0; ///< in Object::btf; 0: not known
};

struct OpenOptions {
    std::string name; ///< of the object; default: the file name up to the first '.'
    /// Types to relocate CO-RE accesses against; null: CO-RE programs fail to link, with a reason.
    std::shared_ptr<const btf::Btf> target_btf;
    /// Called if target_btf is null and the object asks for kernel types: a kernel's BTF takes
    /// longer to read than most objects. May give null.
    std::function<Result<std::shared_ptr<const btf::Btf>>()> find_target_btf;
    std::string target_name = "none"; ///< where target_btf is from, for messages
    /// Values of CONFIG_* and LINUX_KERNEL_VERSION for `.kconfig` externs, as in .config ("y", "n",
    /// "\"str\"", "42").
    std::map<std::string, std::string> kconfig;
    std::uint32_t kernel_version = 0; ///< KERNEL_VERSION(a,b,c) for LINUX_KERNEL_VERSION
    /// Also read DWARF into Program::variables. Off: reading it costs more than linking does.
    /// Unreadable DWARF is a warning.
    bool variables = false;
};

/// A BPF object file, opened and linked. Programs that could not be linked (CO-RE, externs) are in
/// `failed` with the reason; the others are usable. Copyable, immutable when shared.
struct Object {
    std::string name;
    std::string license;
    std::uint32_t kernel_version = 0;
    std::vector<ObjectMap> maps;
    std::vector<GlobalVariable> globals;
    std::vector<std::shared_ptr<const Program>> programs;
    struct Failed {
        std::string program;
        Error error;
    };
    std::vector<Failed> failed;
    std::vector<std::string> warnings;   ///< legacy maps, unknown sections, ...
    std::shared_ptr<const btf::Btf> btf; ///< of the object; may be null

    /// The program of that name, or NotFound with a "did you mean" and the names there are.
    [[nodiscard]] Result<std::shared_ptr<const Program>> program(const std::string& name) const;
    [[nodiscard]] Result<std::uint32_t> map_index(const std::string& name) const;
    /// Sets a global variable (a `const volatile` one too) before the object is loaded. The value
    /// must have the variable's size; integers may be given by set_integer().
    Result<void> set_global(const std::string& name, Bytes value);
    Result<void> set_global_integer(const std::string& name, std::int64_t value);
};

/// Opens an ELF object of EM_BPF, little-endian, as clang 11 to 19 writes it. Reads all it needs:
/// the bytes may go away afterwards. Hostile input gives an Error, never a crash.
Result<Object> open(Bytes elf, const OpenOptions& options = {});

/// The section .BTF of any little-endian 64-bit ELF file: a BPF object, a vmlinux, a module. Points
/// into `elf`. NotFound if there is none; Malformed if `elf` is no such file.
Result<Bytes> btf_section(Bytes elf);
Result<Object> open_file(const std::filesystem::path& path, const OpenOptions& options = {});

} // namespace skep::object
