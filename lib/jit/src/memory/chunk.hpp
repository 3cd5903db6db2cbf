// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "region.hpp"
#include "skep/base/file.hpp"

namespace skep::jit {

/// Which units of a chunk are taken.
class UnitMap {
public:
    explicit UnitMap(std::size_t units) : units_(units), words_((units + 63) / 64) {}
    /// The lowest run of `count` free units, which it takes.
    std::optional<std::size_t> take(std::size_t count) noexcept;
    void give(std::size_t first, std::size_t count) noexcept;
    [[nodiscard]] std::size_t taken() const noexcept { return taken_; }

private:
    /// The first unit from `from` on that is taken (or free), or `limit`.
    [[nodiscard]] std::size_t find(bool is_taken, std::size_t from,
                                   std::size_t limit) const noexcept;
    void set(std::size_t first, std::size_t count, bool is_taken) noexcept;

    std::size_t units_;
    std::size_t taken_ = 0;
    std::size_t hopeless_ = SIZE_MAX; ///< no run of so many units is free
    std::vector<std::uint64_t> words_;
};

/// Executable memory for many programs: a memfd, mapped to be read and executed. Code is written
/// through the file, so no address of it is ever writable, and what else is there runs on.
/// Not thread-safe.
class Chunk {
public:
    /// Pieces begin at multiples of this and share no cache line with others.
    static constexpr std::size_t kUnit = 64;
    static constexpr std::size_t kUsualBytes = std::size_t{256} << 10;

    /// A chunk that has room for `bytes`.
    static Result<std::unique_ptr<Chunk>> create(std::size_t bytes);

    /// Puts code into the chunk; nothing if there is no room for it. Requires that it is not empty.
    Result<std::optional<Bytes>> place(Bytes code);
    /// Takes back what place() gave.
    void give_back(Bytes code) noexcept;

    [[nodiscard]] bool empty() const noexcept { return units_.taken() == 0; }
    /// Code stays as and where it is: another process has this memory, too.
    void freeze() noexcept { frozen_ = true; }
    [[nodiscard]] bool frozen() const noexcept { return frozen_; }
    /// Bytes that can be executed.
    [[nodiscard]] std::size_t open_bytes() const noexcept { return open_; }

private:
    Chunk(Fd file, Region region) noexcept;
    Result<void> open_until(std::size_t end);
    [[nodiscard]] Result<void> write(std::size_t offset, Bytes bytes) const;
    [[nodiscard]] Result<void> fill(std::size_t offset, std::size_t size) const;

    Fd file_;
    Region region_;
    UnitMap units_;
    std::size_t open_ = 0; ///< what lies behind it is neither filled nor mapped
    bool reused_ = false;  ///< a piece was given back here
    bool frozen_ = false;
};

} // namespace skep::jit
