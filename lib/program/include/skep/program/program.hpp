// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "skep/isa/insn.hpp"
#include "skep/spec/program_type.hpp"

namespace skep::btf {
class Btf;
}
namespace skep::debuginfo {
class Variables;
}

namespace skep {

/// A function of a linked program. The first one is the program itself.
struct Subprogram {
    std::string name;
    std::uint32_t start = 0;        ///< first slot
    std::uint32_t end = 0;          ///< one past the last slot
    bool global = false;            ///< not static in the source: verified by contract
    std::uint32_t type_id = 0;      ///< FUNC in the object's BTF; 0: not known
    std::string section;            ///< ELF section that it comes from
    std::uint32_t section_slot = 0; ///< its first slot there
};

/// Where an instruction came from (.BTF.ext line_info). Holds from `insn` to the next entry.
struct LineInfo {
    std::uint32_t insn = 0;
    std::string_view file; ///< owned by the object's BTF
    std::string_view text; ///< the source line; owned by the object's BTF
    std::uint32_t line = 0;
    std::uint32_t column = 0;
};

/// A kernel function or variable that the program refers to.
struct ExternRef {
    std::string name;
    bool weak = false;
    bool function = false;
    std::uint32_t kernel_type_id = 0; ///< in the target BTF; 0: not resolved
};

/// An instruction that CO-RE could not adapt: the target has no such type, field or value. It was
/// replaced by a call of helper 0xbad2310 and must not be reached.
struct Poisoned {
    std::uint32_t insn = 0;
    std::string what; ///< "struct task_struct, field __state"
};

/// One program after linking: everything that a verifier, an engine or a disassembler needs.
///
/// Immutable; share it freely between threads. Instructions are in the form that the kernel takes,
/// with these meanings of immediates that name something outside the program:
///  - lddw src 1 (map):        imm = index into the object's maps
///  - lddw src 2 (map value):  imm = index into the object's maps, imm of slot 2 = byte offset
///  - lddw src 3 (BTF id):     imm = index into `externs` (a typed kernel variable)
///  - lddw src 4 (function):   imm = distance in slots from the next instruction, as the kernel's
///  - call src 1 (local):      imm = distance in slots from the next instruction
///  - call src 2 (kfunc):      imm = index into `externs`
struct Program {
    std::string name;    ///< of the C function
    std::string section; ///< as in the object, without a leading '?'
    spec::ProgramType type = spec::ProgramType::Unspec;
    std::uint32_t attach_type = 0; ///< enum bpf_attach_type; meaning depends on `type`
    bool sleepable = false;        ///< SEC("...s")
    bool autoload = true;          ///< false for SEC("?...")
    bool xdp_frags = false;        ///< SEC("xdp.frags")
    std::string attach_target;     ///< what follows the '/' in the section name
    std::string license;           ///< of the object
    std::uint32_t kernel_version = 0;
    std::vector<isa::Insn> insns;
    std::vector<Subprogram> subprograms; ///< by start; never empty
    std::vector<LineInfo> lines;         ///< by insn; may be empty
    std::vector<ExternRef> externs;
    std::vector<Poisoned> poisoned;                        ///< by insn
    std::shared_ptr<const btf::Btf> btf;                   ///< of the object; may be null
    std::shared_ptr<const debuginfo::Variables> variables; ///< from DWARF; may be null
    std::shared_ptr<const void> owner; ///< keeps what the string_views above point into alive

    /// The line that covers an instruction, or nullptr.
    [[nodiscard]] const LineInfo* line_of(std::uint32_t insn) const noexcept;
    /// The subprogram that contains an instruction, or nullptr.
    [[nodiscard]] const Subprogram* subprogram_of(std::uint32_t insn) const noexcept;
    /// True if the licence permits helpers that are GPL-only (kernel: license_is_gpl_compatible).
    [[nodiscard]] bool gpl_compatible() const noexcept;
};

} // namespace skep
