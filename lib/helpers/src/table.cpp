// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/helpers/helpers.hpp"

#include "helper.hpp"
#include "skep/base/check.hpp"
#include "skep/spec/helper.hpp"

namespace skep::helpers {
namespace {

exec::HelperTable build() {
    exec::HelperTable table;
    for (const auto list :
         {map_helpers(), ringbuf_helpers(), dynptr_helpers(), time_helpers(), task_helpers(),
          probe_helpers(), text_helpers(), loop_helpers(), checksum_helpers(), xdp_helpers(),
          skb_helpers(), route_helpers(), socket_helpers(), trace_helpers()})
        for (const Entry& entry : list) {
            const spec::HelperProto* proto = spec::find_helper(entry.name);
            SKEP_CHECK(proto != nullptr && table.functions[proto->id] == nullptr);
            table.functions[proto->id] = entry.function;
        }
    return table;
}

} // namespace

const exec::HelperTable& table() {
    static const exec::HelperTable built = build();
    return built;
}

} // namespace skep::helpers
