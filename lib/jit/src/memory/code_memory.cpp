// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "code_memory.hpp"

// Idea: chunks of memfds, mapped to be executed and written through the file. First fit over all
// chunks; programs are few and large enough for that to be cheap.
//
// Invariants:
// 1. No address of a chunk is ever writable. A piece in memory of its own is writable until its
//    code is complete, and executable only from then on.
// 2. A unit of a chunk is taken from place() until no epoch section can run its code.
// 3. What is executable and not taken holds breakpoints, unless its chunk is frozen.
// 4. The memory of a memfd stays shared when the process forks, unlike the maps of what is taken.
//    So fork(2) freezes every chunk, before it happens: neither process writes there any more.
//    A frozen chunk goes when its last piece does.

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <pthread.h>
#include <string>
#include <sys/mman.h>
#include <utility>
#include <vector>

#include "chunk.hpp"
#include "region.hpp"
#include "skep/base/check.hpp"
#include "skep/base/file.hpp"
#include "skep/maps/epoch.hpp"

namespace skep::jit {

struct CodePiece::Place {
    Chunk* chunk = nullptr; ///< null: `own` holds the code
    Region own{};
    Bytes code{};
};

namespace {

struct Placed {
    Chunk* chunk;
    Bytes code;
};

class Store {
public:
    Store() noexcept { pthread_atfork(before_fork, after_fork, after_fork); }

    Result<Placed> place(Bytes code) {
        const std::lock_guard lock(mutex_);
        for (const auto& chunk : chunks_) {
            if (chunk->frozen())
                continue;
            if (const auto placed = SKEP_TRY(chunk->place(code)))
                return count({chunk.get(), *placed});
        }
        chunks_.push_back(SKEP_TRY(Chunk::create(code.size())));
        Chunk* fresh = chunks_.back().get();
        const auto placed = SKEP_TRY(fresh->place(code));
        SKEP_CHECK(placed.has_value()); // It was made for this code.
        return count({fresh, *placed});
    }

    void give_back(Chunk* chunk, Bytes code) noexcept {
        const std::lock_guard lock(mutex_);
        --pieces_;
        if (chunk == nullptr)
            return;
        chunk->give_back(code);
        if (chunk->empty())
            drop_empty();
    }

    void count_alone() noexcept {
        const std::lock_guard lock(mutex_);
        ++pieces_;
    }

    CodeMemory use() noexcept {
        const std::lock_guard lock(mutex_);
        CodeMemory sum{.chunks = chunks_.size(), .pieces = pieces_};
        for (const auto& chunk : chunks_)
            sum.open_bytes += chunk->open_bytes();
        return sum;
    }

private:
    Placed count(Placed placed) noexcept {
        ++pieces_;
        return placed;
    }

    /// Keeps one empty chunk for the next program: the lowest in the order of search.
    void drop_empty() noexcept {
        bool kept = false;
        std::erase_if(chunks_, [&kept](const std::unique_ptr<Chunk>& chunk) {
            return chunk->empty() && (chunk->frozen() || std::exchange(kept, true));
        });
    }

    // The lock is held over the fork, so that the child finds it free and the chunks whole.
    static void before_fork() noexcept;
    static void after_fork() noexcept;

    std::mutex mutex_;
    std::vector<std::unique_ptr<Chunk>> chunks_;
    std::size_t pieces_ = 0;
};

// Never destroyed: programs may be freed after main() returns.
Store& store() noexcept {
    static auto* instance = new (std::nothrow) Store;
    SKEP_CHECK(instance != nullptr);
    return *instance;
}

void Store::before_fork() noexcept {
    Store& all = store();
    all.mutex_.lock();
    for (const auto& chunk : all.chunks_)
        chunk->freeze();
    all.drop_empty();
}

void Store::after_fork() noexcept {
    store().mutex_.unlock();
}

/// Pages of their own: written first, then made executable.
Result<Region> place_alone(Bytes code) {
    Region region = SKEP_TRY(Region::reserve(round_up(code.size(), page_bytes())));
    if (mprotect(region.begin(), region.size(), PROT_READ | PROT_WRITE) != 0)
        return std::unexpected(os_error(errno, "mprotect"));
    std::memcpy(region.begin(), code.data(), code.size());
    for (std::size_t at = code.size(); at < region.size();) {
        const std::size_t skipped = at % breakpoints().size(); // Keeps the pattern aligned.
        const Bytes some = breakpoints().subspan(skipped);
        std::memcpy(region.begin() + at, some.data(), some.size());
        at += some.size();
    }
    if (mprotect(region.begin(), region.size(), PROT_READ | PROT_EXEC) != 0)
        return std::unexpected(os_error(errno, "mprotect"));
    publish({region.begin(), code.size()}, false);
    return region;
}

} // namespace

Result<CodePiece> CodePiece::place(Bytes code, const Placing& how) {
    if (code.empty())
        return fail(ErrorCode::Invalid, "there is no code to place");
    std::unique_ptr<Place, Retire> place(new Place);
    std::string refusal;
    if (!how.anonymous && code_follows_its_file()) {
        if (auto placed = store().place(code)) {
            place->chunk = placed->chunk;
            place->code = placed->code;
            return CodePiece(std::move(place));
        } else {
            refusal = placed.error().message + "; ";
        }
    }
    auto alone = place_alone(code);
    if (!alone) {
        return fail(ErrorCode::Environment,
                    "no executable memory: " + refusal + alone.error().message, {},
                    "run the program in the interpreter, which needs none");
    }
    store().count_alone();
    place->own = *std::move(alone);
    place->code = {place->own.begin(), code.size()};
    return CodePiece(std::move(place));
}

Bytes CodePiece::bytes() const noexcept {
    return place_ != nullptr ? place_->code : Bytes{};
}

void CodePiece::Retire::operator()(Place* place) const noexcept {
    if (place->code.empty()) { // It was never placed.
        delete place;
        return;
    }
    maps::retire(place, [](void* object) noexcept {
        const std::unique_ptr<Place> dead(static_cast<Place*>(object));
        store().give_back(dead->chunk, dead->code);
    });
}

CodeMemory code_memory() noexcept {
    return store().use();
}

} // namespace skep::jit
