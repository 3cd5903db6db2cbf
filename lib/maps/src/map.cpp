// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/maps/map.hpp"

#include <cerrno>
#include <cstring>
#include <linux/bpf.h>

#include "atomic_copy.hpp"
#include "skep/base/check.hpp"
#include "skep/maps/epoch.hpp"
#include "skep/maps/spin.hpp"

namespace skep::maps {

using spec::MapKind;

Map::Map(spec::MapDef def, CreateOptions options)
    : def_(std::move(def)), options_(std::move(options)) {
    for (const ValueField& field : options_.fields)
        if (field.kind == FieldKind::SpinLock)
            spin_lock_ = field.offset;
}

std::byte* Map::lookup(const std::byte* /*key*/, std::uint32_t /*cpu*/) noexcept {
    return nullptr;
}
int Map::update(const std::byte* /*key*/, const std::byte* /*value*/, std::uint64_t /*flags*/,
                std::uint32_t /*cpu*/) noexcept {
    return -EINVAL;
}
int Map::erase(const std::byte* /*key*/) noexcept {
    return -EINVAL;
}
int Map::push(const std::byte* /*value*/, std::uint64_t /*flags*/) noexcept {
    return -EOPNOTSUPP;
}
int Map::pop(std::byte* /*value*/) noexcept {
    return -EOPNOTSUPP;
}
int Map::peek(std::byte* /*value*/) noexcept {
    return -EOPNOTSUPP;
}
int Map::for_each(ForEachFn /*fn*/, void* /*arg*/, std::uint32_t /*cpu*/) noexcept {
    return -EOPNOTSUPP;
}

int Map::do_read(const std::byte* key, std::byte* value, std::uint64_t flags) noexcept {
    const std::byte* found = lookup(key, 0);
    if (found == nullptr)
        return -ENOENT;
    load_value(value, found, flags);
    return 0;
}
int Map::do_write(const std::byte* key, const std::byte* value, std::uint64_t flags) noexcept {
    return update(key, value, flags, 0);
}
int Map::do_take(const std::byte* /*key*/, std::byte* /*value*/, std::uint64_t /*flags*/) noexcept {
    return -kNotSupported;
}
int Map::do_next_key(const std::byte* /*key*/, std::byte* /*next*/) noexcept {
    return -kNotSupported;
}

namespace {

/// A key where none is due is a mistake of the caller, as is the lack of one.
int check_key(const spec::MapDef& def, const std::byte* key) noexcept {
    if (def.key_size == 0)
        return key == nullptr ? 0 : -EINVAL;
    return key == nullptr ? -EFAULT : 0;
}

} // namespace

int Map::read(const std::byte* key, std::byte* value, std::uint64_t flags) noexcept {
    if ((flags & ~std::uint64_t{BPF_F_LOCK}) != 0)
        return -EINVAL;
    if ((def_.flags & BPF_F_WRONLY) != 0)
        return -EPERM;
    if ((flags & BPF_F_LOCK) != 0 && !has_spin_lock())
        return -EINVAL;
    if (const int error = check_key(def_, key); error != 0)
        return error;
    const EpochGuard guard;
    return do_read(key, value, flags);
}

int Map::write(const std::byte* key, const std::byte* value, std::uint64_t flags) noexcept {
    if ((def_.flags & BPF_F_RDONLY) != 0 || frozen())
        return -EPERM;
    if ((flags & BPF_F_LOCK) != 0 && !has_spin_lock())
        return -EINVAL;
    if (const int error = check_key(def_, key); error != 0)
        return error;
    const EpochGuard guard;
    return do_write(key, value, flags);
}

int Map::remove(const std::byte* key) noexcept {
    if ((def_.flags & BPF_F_RDONLY) != 0 || frozen())
        return -EPERM;
    if (const int error = check_key(def_, key); error != 0)
        return error;
    const EpochGuard guard;
    return do_remove(key);
}

int Map::take(const std::byte* key, std::byte* value, std::uint64_t flags) noexcept {
    if ((flags & ~std::uint64_t{BPF_F_LOCK}) != 0)
        return -EINVAL;
    if ((def_.flags & (BPF_F_RDONLY | BPF_F_WRONLY)) != 0 || frozen())
        return -EPERM;
    if (flags != 0 && (def_.kind == MapKind::Queue || def_.kind == MapKind::Stack))
        return -EINVAL;
    if ((flags & BPF_F_LOCK) != 0 && !has_spin_lock())
        return -EINVAL;
    if (const int error = check_key(def_, key); error != 0)
        return error;
    const EpochGuard guard;
    return do_take(key, value, flags);
}

int Map::next_key(const std::byte* key, std::byte* next) noexcept {
    if ((def_.flags & BPF_F_WRONLY) != 0)
        return -EPERM;
    if (def_.key_size == 0 && key != nullptr)
        return -EINVAL;
    const EpochGuard guard;
    return do_next_key(key, next);
}

int Map::freeze() noexcept {
    if (def_.kind == MapKind::StructOps || !options_.fields.empty())
        return -kNotSupported;
    if ((def_.flags & BPF_F_RDONLY) != 0)
        return -EPERM;
    return frozen_.exchange(true, std::memory_order_acq_rel) ? -EBUSY : 0;
}

std::uint32_t Map::user_value_size() const noexcept {
    return def_.value_size;
}

void Map::lock_value(std::byte* value) const noexcept {
    SKEP_CHECK(has_spin_lock()); // Callers ask first; the verifier does so for programs.
    auto* word = reinterpret_cast<std::uint32_t*>(value + spin_lock_);
    std::uint32_t spins = 0;
    while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE) != 0)
        spin_pause(spins);
}

void Map::unlock_value(std::byte* value) const noexcept {
    SKEP_CHECK(has_spin_lock());
    __atomic_store_n(reinterpret_cast<std::uint32_t*>(value + spin_lock_), 0, __ATOMIC_RELEASE);
}

void Map::store_value(std::byte* to, const std::byte* from, std::uint64_t flags) const noexcept {
    if (options_.fields.empty()) {
        copy_in(to, from, def_.value_size);
        return;
    }
    const bool locked = (flags & BPF_F_LOCK) != 0 && has_spin_lock();
    if (locked)
        lock_value(to);
    std::uint32_t at = 0;
    for (const ValueField& field : options_.fields) {
        copy_in(to + at, from + at, field.offset - at);
        at = field.offset + field.size;
    }
    copy_in(to + at, from + at, def_.value_size - at);
    if (locked)
        unlock_value(to);
}

void Map::load_value(std::byte* to, const std::byte* from, std::uint64_t flags) const noexcept {
    const bool locked = (flags & BPF_F_LOCK) != 0 && has_spin_lock();
    if (locked)
        lock_value(const_cast<std::byte*>(from)); // The lock is the one part that readers write.
    copy_out(to, from, def_.value_size);
    if (locked)
        unlock_value(const_cast<std::byte*>(from));
    for (const ValueField& field : options_.fields)
        std::memset(to + field.offset, 0, field.size);
}

void Map::init_fields(std::byte* value) const noexcept {
    for (const ValueField& field : options_.fields)
        zero_out(value + field.offset, field.size);
}

bool fits_template(const spec::MapDef& inner, const spec::MapDef& candidate) noexcept {
    // Access rights of user space belong to a descriptor, not to the map.
    constexpr std::uint32_t kPermanent = ~std::uint32_t{BPF_F_RDONLY | BPF_F_WRONLY};
    if (inner.kind != candidate.kind || inner.key_size != candidate.key_size ||
        inner.value_size != candidate.value_size ||
        (inner.flags & kPermanent) != (candidate.flags & kPermanent))
        return false;
    if (inner.kind == MapKind::Xskmap)
        return inner.max_entries == candidate.max_entries;
    // The size of an array is part of the code that is generated for its lookups.
    return inner.kind != MapKind::Array || (inner.flags & BPF_F_INNER_MAP) != 0 ||
           inner.max_entries == candidate.max_entries;
}

} // namespace skep::maps
