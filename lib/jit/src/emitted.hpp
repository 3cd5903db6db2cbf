// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "allocate.hpp"
#include "ir.hpp"
#include "skep/jit/jit.hpp"
#include "target.hpp"

namespace skep::jit {

/// Which argument of a function of machine code is the run: the program itself is an
/// exec::EntryFn, the other functions are helpers to those who call them back.
[[nodiscard]] constexpr std::size_t run_argument(std::uint32_t function) noexcept {
    return function == 0 ? 1 : 5;
}

/// What writes machine code of one architecture: the functions of a program one after the other.
class Backend {
public:
    virtual ~Backend() = default;
    [[nodiscard]] virtual const Target& target() const noexcept = 0;
    /// Appends the function with that index. Requires select() and allocate() with target().
    virtual void emit(const ir::Graph& graph, const Allocation& allocation,
                      std::uint32_t function) = 0;
    /// The code of all functions that were emitted, their places by offset, their lines. `names`
    /// is filled by the caller. Requires that every function that is called was emitted.
    virtual Image finish() = 0;
    /// In the order of their emission.
    [[nodiscard]] virtual const std::vector<std::uint32_t>& order() const noexcept = 0;
};

[[nodiscard]] std::unique_ptr<Backend> make_x64(const Program& program, std::uint32_t functions,
                                                const Options& options);
[[nodiscard]] std::unique_ptr<Backend> make_a64(const Program& program, std::uint32_t functions,
                                                const Options& options);

} // namespace skep::jit
