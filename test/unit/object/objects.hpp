// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "skep/base/file.hpp"
#include "skep/object/object.hpp"

namespace skep::object {

inline std::string path_of(const std::string& name) {
    return std::string(SKEP_OBJECTS) + "/" + name;
}

inline Object open_object(const std::string& name, const OpenOptions& options = {}) {
    auto opened = open_file(path_of(name), options);
    EXPECT_TRUE(opened) << opened.error().to_string();
    return opened ? *std::move(opened) : Object();
}

inline std::string refusal(Bytes bytes) {
    const auto opened = open(bytes);
    return opened ? "opened" : opened.error().to_string();
}

inline std::shared_ptr<const Program> program_of(const Object& object, const std::string& name) {
    auto program = object.program(name);
    EXPECT_TRUE(program) << program.error().to_string();
    return program ? *program : std::make_shared<const Program>();
}

} // namespace skep::object
