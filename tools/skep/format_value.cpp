// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "format_value.hpp"

#include <fmt/format.h>
#include <utility>
#include <vector>

#include "hex.hpp"
#include "skep/btf/btf.hpp"
#include "skep/btf/value.hpp"

namespace skep::tool {
namespace {

using btf::Btf;
using btf::Kind;

Json bytes_json(Bytes value) {
    return "0x" + to_hex(value);
}

/// Builds the JSON value while the walk goes on.
class JsonVisitor final : public btf::ValueVisitor {
public:
    Json result;

    // Members of anonymous structs and unions are shown as the outer one's, as C reaches them.
    void begin_struct() override {
        if (!open_.empty() && open_.back()->is_object() && name_.empty())
            open_.push_back(open_.back());
        else
            open_.push_back(&put(Json::object()));
    }
    void end_struct() override { open_.pop_back(); }
    void begin_array() override { open_.push_back(&put(Json::array())); }
    void end_array() override { open_.pop_back(); }
    void member(std::string_view name) override { name_ = name; }
    void integer(std::int64_t value) override { put(value); }
    void natural(std::uint64_t value) override { put(value); }
    void bits(std::uint64_t high, std::uint64_t low) override {
        put(high != 0 ? fmt::format("0x{:x}{:016x}", high, low) : fmt::format("0x{:x}", low));
    }
    void boolean(bool value) override { put(value); }
    void character(char value) override {
        put(value >= ' ' && value <= '~' ? Json(std::string(1, value)) : Json(int{value}));
    }
    void string(std::string_view value) override { put(std::string(value)); }
    void floating(double value) override { put(value); }
    void pointer(std::uint64_t value) override { put(fmt::format("0x{:x}", value)); }
    void enumerator(std::string_view name, std::int64_t value) override {
        put(name.empty() ? Json(value) : Json(std::string(name)));
    }
    void opaque(Bytes bytes) override { put(bytes_json(bytes)); }

private:
    Json& put(Json value) {
        if (open_.empty())
            return result = std::move(value);
        Json& outer = *open_.back();
        if (outer.is_array())
            return outer.emplace_back(std::move(value));
        // A bit-field without a name is padding.
        Json& slot = name_.empty() ? padding_ : outer[std::exchange(name_, {})];
        return slot = std::move(value);
    }

    std::vector<Json*> open_;
    std::string name_;
    Json padding_;
};

std::string plain(const Json& json) {
    if (json.is_string())
        return "\"" + json.get<std::string>() + "\"";
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string text_of(const Json& json) {
    if (json.is_string() && json.get_ref<const std::string&>().starts_with("0x"))
        return json.get<std::string>();
    if (!json.is_structured())
        return plain(json);
    std::string out;
    for (const auto& [name, value] : json.items())
        out += (out.empty() ? "" : ", ") +
               (json.is_object() ? "." + name + " = " + text_of(value) : text_of(value));
    return json.is_object() ? "{" + out + "}" : "[" + out + "]";
}

bool knows(const Btf* btf, std::uint32_t type_id) {
    return btf != nullptr && type_id != 0 && type_id < btf->size();
}

} // namespace

Json value_to_json(const Btf* btf, std::uint32_t type_id, Bytes value) {
    if (!knows(btf, type_id))
        return bytes_json(value);
    JsonVisitor visitor;
    if (!btf::visit_value(*btf, type_id, value, visitor))
        return bytes_json(value);
    return std::move(visitor.result);
}

std::string value_to_text(const Btf* btf, std::uint32_t type_id, Bytes value) {
    return text_of(value_to_json(btf, type_id, value));
}

std::uint32_t find_struct(const Btf* btf, const std::string& name) {
    return btf == nullptr ? 0 : btf->find(Kind::Struct, name).value_or(0);
}

} // namespace skep::tool
