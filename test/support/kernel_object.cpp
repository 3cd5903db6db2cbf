// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "kernel_object.hpp"

#include <cstring>

#include "kernel_bpf.hpp"
#include "skep/btf/build.hpp"
#include "skep/isa/insn.hpp"

namespace skep::test::kernel {
namespace {

constexpr std::uint32_t kReadOnlyToPrograms = 1U << 7; // BPF_F_RDONLY_PROG
constexpr std::uint32_t kMaxName = 15;

Error refused(const std::string& what, int errno_value, const std::string& log = {}) {
    return {.code = ErrorCode::Invalid,
            .message = "the kernel refuses " + what + ": " + std::strerror(errno_value) +
                       (log.empty() ? "" : "\n" + log)};
}

/// What the verifier wants of functions that are called back: that BTF calls them static. The
/// types are not the object's own, whose sections libbpf would have to mend first.
struct FunctionTypes {
    Fd btf;
    std::vector<std::uint32_t> records; ///< struct bpf_func_info: instruction, type
};

FunctionTypes function_types(const Program& program) {
    FunctionTypes types;
    btf::BtfBuilder builder;
    const auto integer = builder.add_int("int", 4, true);
    const auto signature = builder.add_func_proto(integer, {});
    for (const Subprogram& function : program.subprograms)
        types.records.insert(
            types.records.end(),
            {function.start, builder.add_func(function.name, signature, btf::Linkage::Static)});
    types.btf = Fd(btf_load(builder.emit()));
    return types;
}

} // namespace

Result<void> Loaded::create_map(const object::ObjectMap& map) {
    MapAttr attr{.type = static_cast<std::uint32_t>(map.def.kind),
                 .key_size = map.def.key_size,
                 .value_size = map.def.value_size,
                 .max_entries = map.def.max_entries,
                 .flags = map.def.flags,
                 .extra = map.def.extra};
    Fd inner;
    if (map.def.inner != nullptr) {
        const spec::MapDef& def = *map.def.inner;
        inner = Fd(map_create({.type = static_cast<std::uint32_t>(def.kind),
                               .key_size = def.key_size,
                               .value_size = def.value_size,
                               .max_entries = def.max_entries,
                               .flags = def.flags}));
        attr.inner_map_fd = inner.get();
    }
    const int fd = map_create(attr);
    if (fd < 0)
        return std::unexpected(refused("map \"" + map.def.name + "\"", -fd));
    maps_.emplace_back(fd);
    if (!map.contents.empty()) {
        std::vector<std::byte> value(map.contents);
        value.resize(map.def.value_size);
        const std::uint32_t key = 0;
        if (const int bad = map_update(fd, &key, value.data()); bad != 0)
            return std::unexpected(refused("the contents of \"" + map.def.name + "\"", -bad));
    }
    // The verifier takes what a frozen map holds for constants, as it does for libbpf.
    if (map.frozen && (map.def.flags & kReadOnlyToPrograms) != 0)
        (void)map_freeze(fd);
    return {};
}

Result<void> Loaded::load_program(const object::Object& object, const std::string& name) {
    if (programs_.contains(name))
        return {};
    const auto program = SKEP_TRY(object.program(name));
    std::vector<isa::Insn> insns = program->insns;
    for (std::size_t i = 0; i < insns.size(); ++i) {
        if (insns[i].opcode != isa::kLddw)
            continue;
        if (insns[i].src == isa::kLddwMapFd || insns[i].src == isa::kLddwMapValue)
            insns[i].imm = map(static_cast<std::size_t>(insns[i].imm));
        ++i;
    }
    std::vector<std::uint64_t> raw(insns.size());
    std::memcpy(raw.data(), insns.data(), raw.size() * sizeof raw[0]);
    const FunctionTypes types = function_types(*program);
    const ProgAttr attr{.type = static_cast<std::uint32_t>(program->type),
                        .expected_attach_type = program->attach_type,
                        .insns = raw,
                        .license = program->license,
                        .name = name.substr(0, kMaxName),
                        .log_level = 0,
                        .btf_fd = types.btf.get(),
                        .func_info = std::as_bytes(std::span(types.records)),
                        .func_info_size = 8};
    int fd = prog_load(attr);
    if (fd < 0) {
        ProgAttr again = attr;
        again.log_level = 1;
        std::string log;
        fd = prog_load(again, &log);
        if (fd < 0)
            return std::unexpected(refused("program \"" + name + "\"", -fd, log));
    }
    programs_.emplace(name, fd);
    return {};
}

Result<Loaded> Loaded::load(const object::Object& object,
                            const std::vector<std::string>& programs) {
    Loaded loaded;
    for (const object::ObjectMap& map : object.maps)
        SKEP_TRY(loaded.create_map(map));
    for (const std::string& name : programs)
        SKEP_TRY(loaded.load_program(object, name));
    for (std::size_t i = 0; i < object.maps.size(); ++i) {
        const bool of_programs = object.maps[i].def.kind == spec::MapKind::ProgArray;
        for (const auto& [slot, name] : object.maps[i].slots) {
            if (!of_programs)
                continue;
            SKEP_TRY(loaded.load_program(object, name));
            const int fd = loaded.program(name);
            if (const int bad = map_update(loaded.map(i), &slot, &fd); bad != 0)
                return std::unexpected(refused("\"" + name + "\" in a program array", -bad));
        }
    }
    return loaded;
}

} // namespace skep::test::kernel
