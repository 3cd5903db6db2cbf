// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "skep/base/file.hpp"
#include "skep/base/result.hpp"
#include "skep/object/object.hpp"

namespace skep::test::kernel {

/// An object that skep has linked, in the running kernel: its maps with their contents, and the
/// programs that were asked for. What skep and the kernel make of it can then differ only in the
/// running. Attaches nothing; everything is gone with it.
class Loaded {
public:
    /// Creates the maps and loads `programs`, and those that its program arrays name. The error
    /// holds the verifier's text.
    static Result<Loaded> load(const object::Object& object,
                               const std::vector<std::string>& programs);

    [[nodiscard]] int program(const std::string& name) const { return programs_.at(name).get(); }
    [[nodiscard]] int map(std::size_t index) const { return maps_.at(index).get(); }

private:
    Result<void> create_map(const object::ObjectMap& map);
    Result<void> load_program(const object::Object& object, const std::string& name);

    std::vector<Fd> maps_; ///< in the object's order
    std::map<std::string, Fd> programs_;
};

} // namespace skep::test::kernel
