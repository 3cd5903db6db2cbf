// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace skep {

void check_failed(const char* condition, const char* file, int line) noexcept {
    std::fprintf(stderr, "skep: internal error: %s is false at %s:%d\n", condition, file, line);
    std::abort();
}

} // namespace skep
