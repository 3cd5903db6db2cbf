// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core.hpp"
#include "elf.hpp"
#include "skep/btf/btf.hpp"
#include "skep/btf/ext.hpp"
#include "skep/debuginfo/variables.hpp"
#include "skep/object/object.hpp"

namespace skep::object {

/// A function of the ELF file: a program, or a subprogram of `.text`.
struct Function {
    std::string name;
    std::uint32_t section = 0;
    std::uint32_t start = 0; ///< slots into the section
    std::uint32_t count = 0; ///< slots
    bool global = false;
    std::uint32_t type_id = 0;
};

/// A symbol without a definition, resolved by the loader.
struct Extern {
    std::string name;
    bool weak = false;
    bool function = false;
    bool kconfig = false;
    std::uint32_t type_id = 0;        ///< a Var or Func of the object's BTF; 0: not known
    std::uint32_t offset = 0;         ///< into the .kconfig map's value
    std::uint32_t kernel_type_id = 0; ///< ksym: in the target BTF
    std::optional<Error> unknown;     ///< kconfig: why it has no value; programs that use it fail
};

/// Everything known of the object between the steps of open().
struct Opener {
    const OpenOptions& options;
    Elf elf;
    Object object;
    btf::Ext ext;
    std::shared_ptr<const btf::Btf> target; ///< null: none, or nothing asks for it
    std::shared_ptr<const debuginfo::Variables> variables;
    std::vector<Function> functions; ///< by section, then start
    std::map<std::uint32_t, std::string_view> symbol_of_extern;
    std::unordered_map<std::string_view, Extern> externs;
    /// Map of a section (.data...) or of a (section, offset) in `.maps` and `maps`.
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint32_t> map_at;
    std::map<std::uint32_t, std::uint32_t> data_map; ///< by section
    std::optional<std::uint32_t> kconfig_map;
    std::uint32_t text_section = 0;

    explicit Opener(const OpenOptions& o) : options(o) {}
    Result<void> run(Bytes bytes);

private:
    Result<void> read_btf();
    Result<void> read_license();
    Result<void> read_functions();
    Result<void> add_function(std::uint32_t section, const Symbol& symbol);
};

/// Reads `.maps` and `maps`, then the data sections, into object.maps (in libbpf's order).
Result<void> read_maps(Opener& opener);
/// Fills `.kconfig` and resolves kernel symbols; also lists global variables.
Result<void> read_externs(Opener& opener);
void read_globals(Opener& opener);
/// Links every program, into object.programs and object.failed.
void link_programs(Opener& opener);

} // namespace skep::object
