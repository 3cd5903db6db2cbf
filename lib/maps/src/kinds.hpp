// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "skep/maps/map.hpp"

// One maker per family of kinds; create() has checked the definition and its size before.
namespace skep::maps {

using Made = Result<std::shared_ptr<Map>>;

Made make_array(const spec::MapDef& def, const CreateOptions& options);
Made make_percpu_array(const spec::MapDef& def, const CreateOptions& options);
Made make_hash(const spec::MapDef& def, const CreateOptions& options);
Made make_percpu_hash(const spec::MapDef& def, const CreateOptions& options);
Made make_lru_hash(const spec::MapDef& def, const CreateOptions& options);
Made make_lru_percpu_hash(const spec::MapDef& def, const CreateOptions& options);
Made make_lpm_trie(const spec::MapDef& def, const CreateOptions& options);
Made make_queue(const spec::MapDef& def, const CreateOptions& options);
Made make_bloom_filter(const spec::MapDef& def, const CreateOptions& options);
Made make_ringbuf(const spec::MapDef& def, const CreateOptions& options);
Made make_user_ringbuf(const spec::MapDef& def, const CreateOptions& options);
Made make_perf_array(const spec::MapDef& def, const CreateOptions& options);
Made make_prog_array(const spec::MapDef& def, const CreateOptions& options);
Made make_array_of_maps(const spec::MapDef& def, const CreateOptions& options);
Made make_hash_of_maps(const spec::MapDef& def, const CreateOptions& options);
Made make_target_array(const spec::MapDef& def, const CreateOptions& options);
Made make_target_hash(const spec::MapDef& def, const CreateOptions& options);
Made make_storage(const spec::MapDef& def, const CreateOptions& options);
Made make_stack_trace(const spec::MapDef& def, const CreateOptions& options);
Made make_arena(const spec::MapDef& def, const CreateOptions& options);

/// Bytes that a map of this definition reserves; saturates. Requires check_def() == 0.
[[nodiscard]] std::uint64_t bytes_for(const spec::MapDef& def, const CreateOptions& options);

/// get_next_key of every kind whose keys are 0 to max_entries - 1.
[[nodiscard]] int next_index(const std::byte* key, std::byte* next,
                             std::uint32_t max_entries) noexcept;

/// The operations of a final class, called without a table.
template <class Kind>
[[nodiscard]] DirectOps make_direct_ops() noexcept {
    return {.lookup =
                [](void* map, const std::byte* key, std::uint32_t cpu) noexcept {
                    return static_cast<Kind*>(static_cast<Map*>(map))->Kind::lookup(key, cpu);
                },
            .update =
                [](void* map, const std::byte* key, const std::byte* value, std::uint64_t flags,
                   std::uint32_t cpu) noexcept {
                    return std::int64_t{static_cast<Kind*>(static_cast<Map*>(map))
                                            ->Kind::update(key, value, flags, cpu)};
                },
            .erase =
                [](void* map, const std::byte* key) noexcept {
                    return std::int64_t{
                        static_cast<Kind*>(static_cast<Map*>(map))->Kind::erase(key)};
                }};
}

} // namespace skep::maps
