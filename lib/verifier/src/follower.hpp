// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "proof.hpp"
#include "skep/verifier/follower.hpp"

namespace skep::verifier {

/// Both must outlive the follower.
[[nodiscard]] std::unique_ptr<Follower> make_follower(Walker& walker, const Proof& proof);

} // namespace skep::verifier
