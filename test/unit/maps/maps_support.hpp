// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <memory>
#include <string>

#include "skep/base/bytes.hpp"
#include "skep/maps/map.hpp"

namespace skep::maps::test {

/// A map of that definition; the test fails if there is none.
inline std::shared_ptr<Map> make(const spec::MapDef& def, const CreateOptions& options = {}) {
    auto made = create(def, options);
    if (!made) {
        ADD_FAILURE() << made.error().to_string();
        std::abort();
    }
    return *made;
}

template <class T>
const std::byte* bytes(const T& value) {
    return reinterpret_cast<const std::byte*>(&value);
}
template <class T>
std::byte* bytes(T& value) {
    return reinterpret_cast<std::byte*>(&value);
}

/// The whole message of a refusal, "" if the map was created.
inline std::string refusal(const spec::MapDef& def, const CreateOptions& options = {}) {
    auto made = create(def, options);
    return made ? "" : made.error().to_string();
}

using U32 = std::uint32_t;
using U64 = std::uint64_t;

} // namespace skep::maps::test
