// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

#include "skep/base/bytes.hpp"
#include "skep/base/result.hpp"

/// Memory for machine code. No mapping of it is writable while it is executable, and in shared
/// chunks none ever is: code is written through a memfd that nothing maps to be written.
namespace skep::jit {

struct Placing {
    /// In pages of its own, which belong to no file: see needs_own_pages(). Slower, and at least a
    /// page for each program.
    bool anonymous = false;
};

/// A program's code, where it runs. Read and execute only, at a multiple of 64; no other code is in
/// its cache lines, breakpoints are around it, and pages that cannot be touched around its chunk.
///
/// Destruction hands the place to maps::retire(): until every epoch section open then has ended,
/// the code stays as it is; after that breakpoints replace it.
class CodePiece {
public:
    /// Copies `code`, which must not depend on its address, into executable memory.
    /// Errors: Invalid for empty code; Environment if this system refuses executable memory.
    /// Thread-safe; one system call, mostly.
    ///
    /// A fork(2) leaves the code of both processes as it is. A child made by clone(2) or vfork(2)
    /// that shares no memory with its parent must not place code or free it.
    static Result<CodePiece> place(Bytes code, const Placing& how = {});

    CodePiece(CodePiece&& other) noexcept = default;
    CodePiece& operator=(CodePiece&& other) noexcept = default;

    /// Empty only after it was moved from.
    [[nodiscard]] Bytes bytes() const noexcept;

private:
    struct Place;
    struct Retire {
        void operator()(Place* place) const noexcept;
    };
    explicit CodePiece(std::unique_ptr<Place, Retire> place) noexcept : place_(std::move(place)) {}

    std::unique_ptr<Place, Retire> place_;
};

/// What the process holds; for tests and statistics.
struct CodeMemory {
    std::size_t chunks = 0;
    std::size_t open_bytes = 0; ///< of chunks: that can be executed
    std::size_t pieces = 0;     ///< not yet given back, in chunks or alone
};
[[nodiscard]] CodeMemory code_memory() noexcept;

} // namespace skep::jit
