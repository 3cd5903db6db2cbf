// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli.hpp"
#include "skep/object/object.hpp"

namespace skep::tool {

/// The options that every verb with a BPF program as input has.
struct InputOptions {
    std::string file; ///< an object, or a .c file
    std::string btf;  ///< to relocate against: a file; empty: the running kernel's; "none"
    std::string cpu = "v3";
    std::vector<std::string> includes, defines;
    bool variables = false;   ///< read the debugging information, too
    bool say_warnings = true; ///< about the object
};

void add_input_options(CLI::App& verb, InputOptions& options);
/// The same without the file.
void add_opening_options(CLI::App& verb, InputOptions& options);

/// Opens and links the object; compiles it first, to a temporary file, if it is C. Says on stderr
/// what the object's warnings are. A .c file that does not compile is an Error with clang's text.
Result<object::Object> open_input(const Console& console, const InputOptions& options);

/// The program of that name; without name, the only one. Errors: NotFound with a "did you mean";
/// Invalid if there are several; the reason if that program could not be linked.
Result<std::string> choose_program(const object::Object& object, const std::string& name);

} // namespace skep::tool
