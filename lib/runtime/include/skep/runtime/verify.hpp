// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "skep/base/result.hpp"
#include "skep/object/object.hpp"
#include "skep/verifier/verifier.hpp"

namespace skep::runtime {

/// The maps of an object as the verifier sees them. Refers to the object.
[[nodiscard]] std::vector<verifier::MapView> map_views(const object::Object& object);

/// Proves a program; with `facts`, what was proved, else null. An error for a program that is not
/// proved safe: Rejected, or Unsupported where the verifier cannot tell.
[[nodiscard]] Result<std::shared_ptr<const Facts>>
prove(const Program& program, std::span<const verifier::MapView> maps, bool facts);

} // namespace skep::runtime
