// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/base/result.hpp"

namespace skep::debuginfo {

/// Where the value of a variable is.
enum class Home : std::uint8_t {
    Register, ///< in register `number`
    Memory,   ///< at address (register `number`) + `value`
    Frame,    ///< `value` bytes above the lowest byte of the function's stack: clang counts a
              ///< BPF function's frame from there, and does not say how large it is
    Constant, ///< nowhere: it is `value`
    Computed, ///< an expression of registers that none of the above says
};

/// A range of instructions in which a variable has one home.
struct Location {
    std::uint32_t begin = 0; ///< first slot, counted from the start of the section
    std::uint32_t end = 0;   ///< one past the last slot
    Home home = Home::Computed;
    std::uint8_t number = 0;
    std::int64_t value = 0;
};

/// A local variable or parameter of one function. An inlined function's belong to its caller, with
/// `inlined` naming where they come from.
struct Variable {
    std::string name;
    std::string type;     ///< as C writes it, without its name: "struct ethhdr *", "__u32[4]"
    std::string function; ///< of the symbol table
    std::string inlined;  ///< the inlined function that declares it; empty: `function` itself
    std::string section;  ///< ELF section of `function`
    std::uint32_t line = 0;
    bool parameter = false;
    std::vector<Location> locations; ///< may be empty: optimised away
};

/// The local variables of an object file. Immutable; share it freely between threads.
class Variables {
public:
    /// Reads DWARF 2 to 5 of a relocatable BPF object. An object without DWARF has no variables;
    /// hostile input gives an Error or fewer variables, and never takes more than
    /// kMaxVariables. The bytes may go away afterwards.
    static Result<std::shared_ptr<const Variables>> parse(Bytes elf);

    [[nodiscard]] const std::vector<Variable>& all() const noexcept { return variables_; }
    /// A variable that has a home at this instruction, with that home.
    struct Live {
        const Variable* variable;
        const Location* location;
    };
    /// Those at a slot of a section, in the order of the file.
    [[nodiscard]] std::vector<Live> at(std::string_view section, std::uint32_t slot) const;

    static constexpr std::size_t kMaxVariables = 1'000'000;

private:
    std::vector<Variable> variables_;
};

} // namespace skep::debuginfo
