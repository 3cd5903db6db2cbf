// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "hash_map.hpp"

namespace skep::maps {

Made make_lru_hash(const spec::MapDef& def, const CreateOptions& options) {
    return make_hash_map</*PerCpu=*/false, /*Lru=*/true>(def, options);
}

} // namespace skep::maps
