// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/btf/btf.hpp"

namespace skep::btf {

/// Makes BTF: add types, then emit() the blob. Ids count up from 1 (or from the base's size); a
/// type may refer to ids that are added later. Nothing is validated here: Btf::parse() does that,
/// so tests can build what is wrong. Strings are shared. Not for use by several threads at once.
class BtfBuilder {
public:
    /// With `base`, makes split BTF on top of it; the base must outlive the builder.
    explicit BtfBuilder(const Btf* base = nullptr);

    std::uint32_t add_int(std::string_view name, std::uint32_t bytes, bool is_signed = false,
                          bool is_char = false, bool is_bool = false);
    std::uint32_t add_float(std::string_view name, std::uint32_t bytes);
    std::uint32_t add_ptr(std::uint32_t to);
    /// Const, Volatile or Restrict; also Typedef and TypeTag, with a name. `attribute` is the kind
    /// flag of a TypeTag: a full __attribute__ instead of btf_type_tag.
    std::uint32_t add_modifier(Kind kind, std::uint32_t to, std::string_view name = {},
                               bool attribute = false);
    std::uint32_t add_typedef(std::string_view name, std::uint32_t to);
    std::uint32_t add_array(std::uint32_t element, std::uint32_t index, std::uint32_t count);
    /// Struct or Union. The kind flag is set if a member has a bit_size or `force_flag`.
    std::uint32_t add_composite(Kind kind, std::string_view name, std::uint32_t bytes,
                                std::span<const Member> members, bool force_flag = false);
    std::uint32_t add_fwd(std::string_view name, bool is_union = false);
    /// Enum or Enum64.
    std::uint32_t add_enum(Kind kind, std::string_view name, std::uint32_t bytes, bool is_signed,
                           std::span<const Enumerator> enumerators);
    std::uint32_t add_func_proto(std::uint32_t returns, std::span<const Parameter> parameters);
    std::uint32_t add_func(std::string_view name, std::uint32_t proto,
                           Linkage linkage = Linkage::Global);
    std::uint32_t add_var(std::string_view name, std::uint32_t type,
                          Linkage linkage = Linkage::Global);
    std::uint32_t add_datasec(std::string_view name, std::uint32_t bytes,
                              std::span<const SectionVariable> variables);
    std::uint32_t add_decl_tag(std::string_view text, std::uint32_t on, std::int32_t component = -1,
                               bool attribute = false);
    /// The same type as `id` of another BTF: references keep their numbers.
    std::uint32_t add_copy(const Btf& from, std::uint32_t id);

    /// Offset of a string, added if it is new; "" is 0.
    std::uint32_t string(std::string_view text);

    /// The blob; with `big_endian`, in that byte order.
    [[nodiscard]] std::vector<std::byte> emit(bool big_endian = false) const;

private:
    std::uint32_t record(Kind kind, bool flag, std::size_t vlen, std::string_view name,
                         std::uint32_t size_or_type);
    void word(std::uint32_t value) { words_.push_back(value); }

    std::uint32_t next_id_ = 1;
    std::uint32_t first_string_ = 0;
    std::vector<std::uint32_t> words_; ///< the type section: all its fields are 32 bits wide
    std::string strings_;
    std::unordered_map<std::string, std::uint32_t> offsets_;
};

} // namespace skep::btf
