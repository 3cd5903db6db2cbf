// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "skep/base/result.hpp"
#include "skep/spec/map_def.hpp"

namespace skep::maps {

/// The kernel's ENOTSUPP. It is not in errno.h, yet some map operations return it to user space.
inline constexpr int kNotSupported = 524;

/// What the kernel finds by BTF inside a value and keeps out of plain copies.
enum class FieldKind : std::uint8_t { SpinLock, Timer, Other };

struct ValueField {
    FieldKind kind = FieldKind::Other;
    std::uint32_t offset = 0; ///< within the value
    std::uint32_t size = 0;   ///< bytes: 4 for a spin lock, 16 for a timer
};

struct CreateOptions {
    std::uint32_t cpus = 1; ///< slots of per-CPU kinds
    std::uint32_t id = 0;   ///< what read() of a map of maps reports; 0: none was given
    /// Bytes a map may reserve. Memory is committed as it is touched, so this bounds what a hostile
    /// object can make the process reserve, not what a map costs.
    std::uint64_t max_bytes = std::uint64_t{1} << 32;
    /// Objects that a local storage map can serve at once (the kernel's has no such limit).
    std::uint32_t storage_objects = 1U << 16;
    std::vector<ValueField> fields{}; ///< special fields of a value, by offset
};

/// Operations of one kind, for engines that know the map: without dispatch, and with what is known
/// of the kind and its key size compiled in. As the member functions of Map; nullptr: none.
struct DirectOps {
    std::byte* (*lookup)(void* map, const std::byte* key, std::uint32_t cpu) noexcept = nullptr;
    std::int64_t (*update)(void* map, const std::byte* key, const std::byte* value,
                           std::uint64_t flags, std::uint32_t cpu) noexcept = nullptr;
    std::int64_t (*erase)(void* map, const std::byte* key) noexcept = nullptr;
};

/// Called for each element; returns false to stop. The value is the given CPU's slot.
using ForEachFn = bool (*)(void* arg, const std::byte* key, std::byte* value);

/// A map: one interface in front of every kind.
///
/// Threads: every operation may be called from any number of threads at once. A value pointer
/// stays valid until the epoch section (maps::EpochGuard) in which it was obtained ends, even if
/// the element is deleted or replaced meanwhile: a program run is one such section. As in the
/// kernel, the memory of a deleted element of a hash may meanwhile be given to another key.
/// Bytes of values are moved by relaxed atomic words: never a data race, and torn exactly where
/// the kernel's are.
/// Errors are negative errno values, the kernel's for the same mistake; operations that a kind
/// does not have return what the kernel returns for it (-EINVAL, -EOPNOTSUPP or -kNotSupported).
class Map {
public:
    explicit Map(spec::MapDef def, CreateOptions options = {});
    Map(const Map&) = delete;
    Map& operator=(const Map&) = delete;
    virtual ~Map() = default;

    [[nodiscard]] const spec::MapDef& def() const noexcept { return def_; }
    [[nodiscard]] std::uint32_t cpus() const noexcept { return options_.cpus; }
    [[nodiscard]] std::uint32_t id() const noexcept { return options_.id; }

    // --- what a running program does; `cpu` < cpus() selects the slot of per-CPU kinds ---

    /// The value of a key (this CPU's slot for per-CPU kinds), or nullptr. Maps of maps return
    /// the inner Map, as reinterpret_cast<std::byte*>(Map*).
    virtual std::byte* lookup(const std::byte* key, std::uint32_t cpu) noexcept;
    /// `flags`: BPF_ANY, BPF_NOEXIST, BPF_EXIST; per-CPU kinds write only this CPU's slot.
    virtual int update(const std::byte* key, const std::byte* value, std::uint64_t flags,
                       std::uint32_t cpu) noexcept;
    virtual int erase(const std::byte* key) noexcept;
    virtual int push(const std::byte* value, std::uint64_t flags) noexcept;
    /// On failure `value` is zeroed, as the kernel does.
    virtual int pop(std::byte* value) noexcept;
    virtual int peek(std::byte* value) noexcept;
    /// Calls fn for each element that is there all the time; elements that come or go meanwhile
    /// may be seen or not. Returns the number of calls, or -EOPNOTSUPP. fn may change the map.
    virtual int for_each(ForEachFn fn, void* arg, std::uint32_t cpu) noexcept;

    // --- what user space does, by bpf(2)'s rules: permission, freeze and flags are checked ---

    /// Copies the value out. Per-CPU kinds: all CPUs, each rounded up to 8 bytes.
    /// `flags`: 0 or BPF_F_LOCK. Bloom filters take the value to look for in `value`.
    int read(const std::byte* key, std::byte* value, std::uint64_t flags = 0) noexcept;
    /// Copies the value in; the mirror image of read(). Queue, stack, bloom filter: key nullptr.
    int write(const std::byte* key, const std::byte* value, std::uint64_t flags) noexcept;
    /// BPF_MAP_DELETE_ELEM.
    int remove(const std::byte* key) noexcept;
    /// BPF_MAP_LOOKUP_AND_DELETE_ELEM: hash kinds, queue and stack.
    int take(const std::byte* key, std::byte* value, std::uint64_t flags = 0) noexcept;
    /// The key after `key` (nullptr: the first) into `next`; -ENOENT at the end.
    int next_key(const std::byte* key, std::byte* next) noexcept;
    /// Forbids further writes from user space (BPF_MAP_FREEZE).
    int freeze() noexcept;
    [[nodiscard]] bool frozen() const noexcept { return frozen_.load(std::memory_order_acquire); }

    /// Bytes that read(), write() and take() transfer.
    [[nodiscard]] virtual std::uint32_t user_value_size() const noexcept;

    // --- what engines may use for speed ---

    /// Address of the value of key 0 when values lie side by side (array kinds), else nullptr.
    [[nodiscard]] virtual std::byte* direct_values() noexcept { return nullptr; }
    /// Bytes from one value to the next when direct_values() is not null.
    [[nodiscard]] virtual std::uint32_t direct_stride() const noexcept { return 0; }
    /// Of per-CPU arrays: CPU 0's value of key 0; the values of a CPU lie side by side.
    [[nodiscard]] virtual std::byte* percpu_values() noexcept { return nullptr; }
    /// Bytes from a CPU's values to the next CPU's, and from one value to the next.
    [[nodiscard]] virtual std::uint64_t percpu_cpu_stride() const noexcept { return 0; }
    [[nodiscard]] virtual std::uint32_t percpu_stride() const noexcept { return 0; }
    /// `map` of the functions is this map.
    [[nodiscard]] virtual DirectOps direct_ops() const noexcept { return {}; }

    // --- special fields of values ---

    /// Takes and gives back the bpf_spin_lock of a value, as bpf_spin_lock() and BPF_F_LOCK do.
    /// Requires has_spin_lock().
    void lock_value(std::byte* value) const noexcept;
    void unlock_value(std::byte* value) const noexcept;
    [[nodiscard]] bool has_spin_lock() const noexcept { return spin_lock_ >= 0; }
    [[nodiscard]] const std::vector<ValueField>& fields() const noexcept { return options_.fields; }

protected:
    // The user-space operations behind the checks. Flags are checked by the kinds.
    virtual int do_read(const std::byte* key, std::byte* value, std::uint64_t flags) noexcept;
    virtual int do_write(const std::byte* key, const std::byte* value,
                         std::uint64_t flags) noexcept;
    virtual int do_remove(const std::byte* key) noexcept { return erase(key); }
    virtual int do_take(const std::byte* key, std::byte* value, std::uint64_t flags) noexcept;
    virtual int do_next_key(const std::byte* key, std::byte* next) noexcept;

    [[nodiscard]] const CreateOptions& options() const noexcept { return options_; }
    /// Moves a value into the map, except its special fields; under its lock if BPF_F_LOCK is set.
    void store_value(std::byte* to, const std::byte* from, std::uint64_t flags = 0) const noexcept;
    /// Moves a value out of the map; special fields read as zero.
    void load_value(std::byte* to, const std::byte* from, std::uint64_t flags = 0) const noexcept;
    /// Zeroes the special fields of a value that starts its life.
    void init_fields(std::byte* value) const noexcept;

private:
    spec::MapDef def_;
    CreateOptions options_;
    std::int64_t spin_lock_ = -1; ///< offset of the spin lock in a value; -1: none
    std::atomic<bool> frozen_{false};
};

/// 0 if the kernel would create such a map, else its -errno; then `reason` (if given) receives
/// what is wrong: "max_entries is 0, expected at least 1".
[[nodiscard]] int check_def(const spec::MapDef& def, const CreateOptions& options = {},
                            std::string* reason = nullptr);

/// Makes a map. Limits and error messages follow the kernel's map_alloc_check of each kind.
/// Errors: Invalid (EINVAL), Limit (E2BIG and more than options.max_bytes), Unsupported.
Result<std::shared_ptr<Map>> create(const spec::MapDef& def, const CreateOptions& options = {});

/// True if a map of definition `candidate` may go into a map of maps whose template is `inner`
/// (the kernel's bpf_map_meta_equal).
[[nodiscard]] bool fits_template(const spec::MapDef& inner, const spec::MapDef& candidate) noexcept;

} // namespace skep::maps
