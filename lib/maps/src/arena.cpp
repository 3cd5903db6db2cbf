// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <cstring>
#include <mutex>
#include <sys/mman.h>
#include <vector>

#include "area.hpp"
#include "kinds.hpp"
#include "skep/maps/storage.hpp"

namespace skep::maps {
namespace {

constexpr std::uint64_t kPage = 4096;

class Arena final : public ArenaMap {
public:
    Arena(const spec::MapDef& def, const CreateOptions& options, Area pages)
        : ArenaMap(def, options), pages_(std::move(pages)), taken_(def.max_entries, false) {}

    [[nodiscard]] std::byte* base() const noexcept override { return pages_.data(); }
    [[nodiscard]] std::uint64_t size() const noexcept override { return taken_.size() * kPage; }

    std::byte* alloc_pages(std::byte* wanted, std::uint32_t count) noexcept override {
        const std::lock_guard guard(mutex_);
        if (count == 0 || count > taken_.size())
            return nullptr;
        if (wanted != nullptr) {
            const auto offset = static_cast<std::uint64_t>(wanted - base());
            if (wanted < base() || offset % kPage != 0 || offset / kPage > taken_.size() - count)
                return nullptr;
            return claim(offset / kPage, count);
        }
        for (std::size_t first = 0; first + count <= taken_.size(); first++)
            if (std::byte* found = claim(first, count); found != nullptr)
                return found;
        return nullptr;
    }

    void free_pages(std::byte* start, std::uint32_t count) noexcept override {
        const std::lock_guard guard(mutex_);
        if (start < base())
            return;
        const auto first = static_cast<std::uint64_t>(start - base()) / kPage;
        for (std::uint64_t page = first; page < first + count && page < taken_.size(); page++) {
            if (!taken_[page])
                continue;
            taken_[page] = false;
            madvise(base() + page * kPage, kPage, MADV_DONTNEED); // The next owner reads zeros.
        }
    }

    int update(const std::byte* /*key*/, const std::byte* /*value*/, std::uint64_t /*flags*/,
               std::uint32_t /*cpu*/) noexcept override {
        return -EOPNOTSUPP;
    }
    int erase(const std::byte* /*key*/) noexcept override { return -EOPNOTSUPP; }

protected:
    int do_read(const std::byte* /*key*/, std::byte* /*value*/,
                std::uint64_t /*flags*/) noexcept override {
        return -EINVAL;
    }
    int do_next_key(const std::byte* /*key*/, std::byte* /*next*/) noexcept override {
        return -EOPNOTSUPP;
    }

private:
    std::byte* claim(std::size_t first, std::uint32_t count) noexcept {
        for (std::size_t i = 0; i < count; i++)
            if (taken_[first + i])
                return nullptr;
        for (std::size_t i = 0; i < count; i++)
            taken_[first + i] = true;
        return base() + first * kPage;
    }

    std::mutex mutex_;
    Area pages_;
    std::vector<bool> taken_;
};

} // namespace

ArenaMap* ArenaMap::from(Map& map) noexcept {
    return map.def().kind == spec::MapKind::Arena ? static_cast<ArenaMap*>(&map) : nullptr;
}

Made make_arena(const spec::MapDef& def, const CreateOptions& options) {
    Area pages = SKEP_TRY(Area::create(bytes_for(def, options)));
    return std::make_shared<Arena>(def, options, std::move(pages));
}

} // namespace skep::maps
