// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "skep/exec/run_context.hpp"

namespace skep::verifier {

/// Watches a traced run of an accepted program and compares every moment with the proof: registers
/// and stack must lie in a state of it. A finding is a bug of the verifier or of the interpreter.
class Follower : public exec::Observer {
public:
    /// What lies outside the proof, the first time; "" if nothing did.
    [[nodiscard]] const std::string& violation() const noexcept { return violation_; }
    /// Moments that were compared.
    [[nodiscard]] std::uint64_t compared() const noexcept { return compared_; }

protected:
    std::string violation_;
    std::uint64_t compared_ = 0;
};

/// The proof of an accepted program, kept on request. Not thread-safe.
class Certificate {
public:
    virtual ~Certificate() = default;
    /// For one run. The certificate and the program must outlive it.
    [[nodiscard]] virtual std::unique_ptr<Follower> follow() = 0;
};

} // namespace skep::verifier
