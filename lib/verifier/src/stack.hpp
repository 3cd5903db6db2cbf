// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "skep/base/pool.hpp"
#include "value.hpp"

namespace skep::verifier {

/// The stack of a function, in cells: [i] are the bytes -4 * (i + 1) to -4 * i - 1. Of each cell it
/// knows which of its bytes were written, and of stores of 1, 2, 4 or 8 bytes that begin there (and
/// that nothing was written over) the value. Copies share memory, in pieces, until one of them
/// changes; all copies belong to one thread at a time.
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
    Stack(Stack&& other) noexcept
        : pieces_(std::exchange(other.pieces_, {})), size_(std::exchange(other.size_, 0)) {}
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
    /// Cells that were used; the others up to kCells are empty.
    [[nodiscard]] std::size_t size() const { return size_; }
    /// Never fewer than before. Requires cells <= kCells.
    void grow(std::size_t cells) {
        if (cells > size_)
            size_ = static_cast<u32>(cells);
    }

    /// Bytes of the value that was stored here; 0: none is known.
    [[nodiscard]] unsigned remembered(std::size_t cell) const {
        const Piece* piece = pieces_[cell / kPiece];
        return piece == nullptr ? 0 : piece->sizes[cell % kPiece];
    }
    /// Requires remembered(cell) != 0.
    [[nodiscard]] const Val& value(std::size_t cell) const {
        return pieces_[cell / kPiece]->values[cell % kPiece];
    }
    /// Which of its bytes were written: a bit for each.
    [[nodiscard]] unsigned written(std::size_t cell) const {
        const Piece* piece = pieces_[cell / kPiece];
        return piece == nullptr
                   ? 0
                   : static_cast<unsigned>(piece->written >> (cell % kPiece * 4)) & 0xfU;
    }
    /// Everything that was written in b was so in a.
    [[nodiscard]] static bool written_in(const Stack& a, const Stack& b) {
        for (std::size_t p = 0; p * kPiece < b.size_; ++p)
            if (b.pieces_[p] != nullptr && b.pieces_[p] != a.pieces_[p] &&
                (b.pieces_[p]->written & ~(a.pieces_[p] == nullptr ? 0 : a.pieces_[p]->written)) !=
                    0)
                return false;
        return true;
    }
    /// visit(cell, value, bytes) for each value that is remembered, in the order of cells.
    template <class Visit>
    void each(Visit visit) const {
        for (std::size_t p = 0; p * kPiece < size_; ++p)
            if (pieces_[p] != nullptr)
                each_in(p, visit);
    }

    /// visit(one, other) for each cell where both remember as many bytes, in memory that they do
    /// not share.
    template <class Visit>
    static void each_pair(const Stack& a, const Stack& b, Visit visit) {
        for (std::size_t p = 0; p < kPieces; ++p) {
            const Piece* x = a.pieces_[p];
            const Piece* y = b.pieces_[p];
            if (x == nullptr || y == nullptr || x == y)
                continue;
            for (u32 both = x->known & y->known; both != 0; both &= both - 1) {
                const auto i = static_cast<std::size_t>(std::countr_zero(both));
                if (x->sizes[i] == y->sizes[i])
                    visit(x->values[i], y->values[i]);
            }
        }
    }

    // Of those that change: requires cell < size().

    void write(std::size_t cell, unsigned bytes) {
        if ((written(cell) & bytes) != bytes)
            own(cell / kPiece).written |= u64{bytes} << (cell % kPiece * 4);
    }
    /// What is here was stored as a whole; the caller has made the other cells of it forget.
    void remember(std::size_t cell, const Val& value, unsigned bytes) {
        Piece& piece = own(cell / kPiece);
        piece.values[cell % kPiece] = value;
        piece.sizes[cell % kPiece] = static_cast<uint8_t>(bytes);
        piece.known |= 1U << (cell % kPiece);
    }
    void forget(std::size_t cell) {
        if (remembered(cell) == 0)
            return;
        Piece& piece = own(cell / kPiece);
        piece.sizes[cell % kPiece] = 0;
        piece.known &= ~(1U << (cell % kPiece));
    }
    /// change(Val&) for each pointer for which which(const Val&) holds.
    template <class Which, class Change>
    void change_pointers(Which which, Change change) {
        each([&](std::size_t cell, const Val& value, unsigned bytes) {
            if (bytes != 8 || value.kind != Kind::Pointer || !which(value))
                return;
            change(own(cell / kPiece).values[cell % kPiece]);
        });
    }
    /// Forgets the pointers for which which(const Val&) holds.
    template <class Which>
    void forget_pointers(Which which) {
        each([&](std::size_t cell, const Val& value, unsigned bytes) {
            if (bytes == 8 && value.kind == Kind::Pointer && which(value))
                forget(cell);
        });
    }
    /// Becomes what holds for both: join(a's value, b's) where both remember as many bytes, `keep`
    /// of each value of memory that they share. Requires that it is new.
    template <class Join, class Keep>
    void join(const Stack& a, const Stack& b, Join join, Keep keep) {
        grow(std::min(a.size_, b.size_));
        for (std::size_t p = 0; p * kPiece < size_; ++p) {
            const Piece* x = a.pieces_[p];
            const Piece* y = b.pieces_[p];
            if (x == nullptr || y == nullptr)
                continue;
            if (x == y) {
                pieces_[p] = a.pieces_[p];
                ++pieces_[p]->users;
                each_in(p, [&](std::size_t, const Val& value, unsigned) { keep(value); });
                continue;
            }
            Piece& made = own(p);
            made.written = x->written & y->written;
            for (u32 both = x->known & y->known; both != 0; both &= both - 1) {
                const auto i = static_cast<std::size_t>(std::countr_zero(both));
                if (x->sizes[i] != y->sizes[i])
                    continue;
                const Val joined = join(x->values[i], y->values[i]);
                if (joined.kind != Kind::Uninit)
                    remember(p * kPiece + i, joined, x->sizes[i]);
            }
        }
    }

private:
    struct Piece {
        u32 users = 1;
        u32 known = 0;   ///< a bit for each cell with a value
        u64 written = 0; ///< four bits for each cell
        std::array<uint8_t, kPiece> sizes{};
        std::array<Val, kPiece> values{};
    };

    template <class Visit>
    void each_in(std::size_t p, Visit visit) const {
        // By number: visit() may put another piece in its place.
        for (u32 known = pieces_[p]->known; known != 0; known &= known - 1) {
            const auto i = static_cast<std::size_t>(std::countr_zero(known));
            visit(p * kPiece + i, pieces_[p]->values[i], unsigned{pieces_[p]->sizes[i]});
        }
    }
    static void release(Piece* piece) {
        if (piece != nullptr && --piece->users == 0)
            Pool::give(piece, sizeof(Piece));
    }
    Piece& own(std::size_t p) {
        Piece*& piece = pieces_[p];
        if (piece == nullptr) {
            piece = new (Pool::take(sizeof(Piece))) Piece;
        } else if (piece->users != 1) {
            Piece* copy = new (Pool::take(sizeof(Piece))) Piece(*piece);
            copy->users = 1;
            --piece->users;
            piece = copy;
        }
        return *piece;
    }

    std::array<Piece*, kPieces> pieces_{};
    u32 size_ = 0;
};

} // namespace skep::verifier
