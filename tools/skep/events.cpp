// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "events.hpp"

#include <fmt/format.h>

#include "format_value.hpp"

namespace skep::tool {

Events::Events(const Console& console, std::shared_ptr<const btf::Btf> btf, std::string type,
               std::uint64_t limit)
    : console_(console), btf_(std::move(btf)), type_(std::move(type)), limit_(limit) {}

Result<void> Events::watch(const runtime::Runtime& runtime) {
    type_id_ = find_struct(btf_.get(), type_.empty() ? "event" : type_);
    if (type_id_ == 0 && !type_.empty())
        return fail(ErrorCode::NotFound, "the object's BTF has no struct \"" + type_ + "\"");
    for (const auto& map : runtime.maps())
        if (map->def().kind == spec::MapKind::Ringbuf)
            rings_.push_back({this, map->def().name, SKEP_TRY(maps::RingbufReader::open(*map))});
    return {};
}

void Events::printk(std::string_view text) {
    while (text.ends_with('\n') || text.ends_with('\0'))
        text.remove_suffix(1);
    if (console_.json)
        printk_.push_back(text);
    else
        console_.out(fmt::format("printk: {}\n", text));
}

void Events::perf(const maps::Map& map, std::uint32_t /*cpu*/, Bytes bytes) {
    record(map.def().name, bytes);
}

void Events::record(const std::string& map, Bytes bytes) {
    ++count_;
    if (console_.json)
        events_.push_back({{"map", map}, {"data", value_to_json(btf_.get(), type_id_, bytes)}});
    else if (count_ <= limit_)
        console_.out(fmt::format("{}: {}\n", map, value_to_text(btf_.get(), type_id_, bytes)));
}

void Events::drain() {
    for (Ring& ring : rings_)
        ring.reader.consume(
            [](void* arg, Bytes bytes) {
                auto* from = static_cast<Ring*>(arg);
                from->owner->record(from->name, bytes);
                return true;
            },
            &ring);
}

void Events::add_to(Json& json) const {
    if (!printk_.empty())
        json["printk"] = printk_;
    if (!events_.empty())
        json["events"] = events_;
}

} // namespace skep::tool
