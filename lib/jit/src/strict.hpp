// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <asmjit/core.h>
#include <cstdio>

#include "skep/base/check.hpp"

namespace skep::jit {

/// An instruction that cannot be encoded is a bug of ours.
struct Strict final : asmjit::ErrorHandler {
    void handleError(asmjit::Error error, const char* message,
                     asmjit::BaseEmitter* /*origin*/) override {
        std::fprintf(stderr, "machine code: %s\n", message);
        SKEP_CHECK(error == asmjit::kErrorOk);
    }
};

} // namespace skep::jit
