// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <utility>

#include "skep/base/pool.hpp"
#include "value.hpp"

namespace skep::verifier {

/// Four bytes of stack. A store of 1, 2, 4 or 8 bytes at the first of them is remembered whole.
struct Cell {
    Val val;
    uint8_t size = 0; ///< bytes of `val` that were stored here; 0: none; kRest: of the cell before
    uint8_t written = 0; ///< a bit per byte
    static constexpr uint8_t kRest = 0xff;

    [[nodiscard]] bool remembers() const { return size != 0 && size != kRest; }
    friend bool operator==(const Cell&, const Cell&) = default;
};

/// The stack of a function: [i] are the bytes -4 * (i + 1) to -4 * i - 1. Copies share memory,
/// in pieces, until one of them changes; all copies belong to one thread at a time.
class Stack {
public:
    static constexpr std::size_t kCells = 128;
    static constexpr std::size_t kPiece = 16; ///< cells that are shared or copied together
    static constexpr std::size_t kPieces = kCells / kPiece;

    Stack() = default;
    Stack(const Stack& other) noexcept : pieces_(other.pieces_), size_(other.size_) {
        for (std::size_t p = 0; p * kPiece < size_; ++p)
            if (pieces_[p] != nullptr)
                ++pieces_[p]->users;
    }
    Stack(Stack&& other) noexcept : pieces_(other.pieces_), size_(std::exchange(other.size_, 0)) {
        other.pieces_ = {};
    }
    Stack& operator=(Stack other) noexcept {
        std::swap(pieces_, other.pieces_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Stack() {
        for (std::size_t p = 0; p * kPiece < size_; ++p)
            release(pieces_[p]);
    }

    /// The cell of a byte. Requires -512 <= off < 0.
    [[nodiscard]] static std::size_t index_of(i64 off) {
        return static_cast<std::size_t>((-off - 1) / 4);
    }
    /// Cells; the others up to kCells are empty.
    [[nodiscard]] std::size_t size() const { return size_; }
    /// Never fewer than before. Requires cells <= kCells.
    void grow(std::size_t cells) {
        if (cells > size_)
            size_ = static_cast<u32>(cells);
    }
    [[nodiscard]] const Cell& operator[](std::size_t index) const {
        static constexpr Cell kEmpty;
        const Piece* piece = pieces_[index / kPiece];
        return piece == nullptr ? kEmpty : piece->cells[index % kPiece];
    }
    /// The cell, to write to. Requires index < size().
    [[nodiscard]] Cell& change(std::size_t index) {
        return own(index / kPiece)->cells[index % kPiece];
    }

    /// Whether both share a piece, and so are the same there.
    [[nodiscard]] static bool shares(const Stack& a, const Stack& b, std::size_t piece) {
        return a.pieces_[piece] == b.pieces_[piece];
    }
    /// Nothing is known of these cells.
    [[nodiscard]] bool is_empty(std::size_t piece) const { return pieces_[piece] == nullptr; }
    /// Makes a piece that of another stack.
    void share(std::size_t piece, const Stack& from) {
        Piece* theirs = from.pieces_[piece];
        if (theirs != nullptr)
            ++theirs->users;
        release(std::exchange(pieces_[piece], theirs));
    }

private:
    struct Piece {
        u32 users = 1;
        std::array<Cell, kPiece> cells{};
    };

    static void release(Piece* piece) {
        if (piece != nullptr && --piece->users == 0)
            Pool::give(piece, sizeof(Piece));
    }
    Piece* own(std::size_t p) {
        Piece*& piece = pieces_[p];
        if (piece == nullptr) {
            piece = new (Pool::take(sizeof(Piece))) Piece;
        } else if (piece->users != 1) {
            Piece* copy = new (Pool::take(sizeof(Piece))) Piece(*piece);
            copy->users = 1;
            --piece->users;
            piece = copy;
        }
        return piece;
    }

    std::array<Piece*, kPieces> pieces_{};
    u32 size_ = 0;
};

} // namespace skep::verifier
