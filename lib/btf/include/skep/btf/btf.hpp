// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/base/result.hpp"

namespace skep::btf {

/// BTF_KIND_* of linux/btf.h; the numbers are the kernel's.
enum class Kind : std::uint8_t {
    Void = 0,
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    Datasec = 15,
    Float = 16,
    DeclTag = 17,
    TypeTag = 18,
    Enum64 = 19,
};

/// "struct", "typedef"...: the kind as C or the kernel's documentation calls it.
[[nodiscard]] std::string_view kind_name(Kind kind) noexcept;

/// A type record. What follows it in the file is reached through Btf's accessors.
struct Type {
    Kind kind = Kind::Void;
    bool kind_flag = false;
    std::uint16_t vlen = 0;         ///< members, enumerators, parameters or variables
    std::uint32_t name_off = 0;     ///< into the strings; 0: anonymous
    std::uint32_t size_or_type = 0; ///< bytes, or the type referred to, by kind
    std::uint32_t data = 0;         ///< offset of the trailing data in the type section
};

struct Member {
    std::string_view name;
    std::uint32_t type = 0;
    std::uint32_t bit_offset = 0; ///< from the start of the struct or union
    std::uint32_t bit_size = 0;   ///< 0: not a bit-field
};
struct Enumerator {
    std::string_view name;
    std::int64_t value = 0; ///< of an unsigned enum64: the same bits
};
struct Parameter {
    std::string_view name;
    std::uint32_t type = 0; ///< 0 as the last one: "..."
};
struct SectionVariable {
    std::uint32_t type = 0; ///< a Var
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
};
struct ArrayInfo {
    std::uint32_t element = 0;
    std::uint32_t index = 0;
    std::uint32_t count = 0;
};
struct IntInfo {
    bool is_signed = false;
    bool is_char = false;
    bool is_bool = false;
    std::uint8_t bit_offset = 0;
    std::uint8_t bits = 0;
};
enum class Linkage : std::uint8_t { Static = 0, Global = 1, Extern = 2 };

/// A validated BTF blob. Immutable; share it between threads. Ids run from 1 to size() - 1; 0 is
/// void. Everything that an accessor returns lives as long as the Btf.
class Btf {
public:
    /// Validates everything that later use relies on: header, strings, kinds, sizes, ids, names
    /// that must be there, and that no type contains itself by value or refers to itself through
    /// modifiers. Accepts both byte orders. With `base` this is split BTF (a kernel module's): ids
    /// and strings continue those of the base.
    static Result<std::shared_ptr<const Btf>> parse(Bytes bytes,
                                                    std::shared_ptr<const Btf> base = nullptr);

    /// One past the last type id.
    [[nodiscard]] std::uint32_t size() const noexcept {
        return first_id_ + static_cast<std::uint32_t>(types_.size());
    }
    /// First id that is not the base's; 1 without a base... 0 is void.
    [[nodiscard]] std::uint32_t first_id() const noexcept { return first_id_ == 0 ? 1 : first_id_; }

    /// The record of an id. Requires id < size().
    [[nodiscard]] const Type& type(std::uint32_t id) const noexcept {
        return id < first_id_ ? base_->type(id) : types_[id - first_id_];
    }
    [[nodiscard]] Kind kind(std::uint32_t id) const noexcept { return type(id).kind; }
    /// The name; "" if anonymous.
    [[nodiscard]] std::string_view name(std::uint32_t id) const noexcept {
        return string(type(id).name_off);
    }
    /// A string by offset; "" if out of range.
    [[nodiscard]] std::string_view string(std::uint32_t offset) const noexcept;

    // Each requires a type of the kinds it is for, and i < type(id).vlen.
    [[nodiscard]] Member member(std::uint32_t id, std::uint32_t i) const noexcept;
    [[nodiscard]] Enumerator enumerator(std::uint32_t id, std::uint32_t i) const noexcept;
    [[nodiscard]] Parameter parameter(std::uint32_t id, std::uint32_t i) const noexcept;
    [[nodiscard]] SectionVariable section_variable(std::uint32_t id,
                                                   std::uint32_t i) const noexcept;
    [[nodiscard]] ArrayInfo array(std::uint32_t id) const noexcept;
    [[nodiscard]] IntInfo integer(std::uint32_t id) const noexcept;
    [[nodiscard]] Linkage variable_linkage(std::uint32_t id) const noexcept; ///< Var
    [[nodiscard]] Linkage function_linkage(std::uint32_t id) const noexcept; ///< Func
    /// Offset of the name of a member or parameter; 0: none.
    [[nodiscard]] std::uint32_t member_name_offset(std::uint32_t id,
                                                   std::uint32_t i) const noexcept;
    [[nodiscard]] std::uint32_t parameter_name_offset(std::uint32_t id,
                                                      std::uint32_t i) const noexcept;
    /// Of an Int: encoding << 24 | bit offset << 16 | bits, as in the file.
    [[nodiscard]] std::uint32_t int_word(std::uint32_t id) const noexcept;
    /// Of a DeclTag: the member or parameter it is about, or -1 for the type itself.
    [[nodiscard]] std::int32_t tag_component(std::uint32_t id) const noexcept;

    /// The type that a pointer, modifier, typedef, function, variable or tag refers to.
    [[nodiscard]] std::uint32_t target(std::uint32_t id) const noexcept {
        return type(id).size_or_type;
    }
    /// Past const, volatile, restrict and type tags; with `typedefs`, past typedefs too.
    [[nodiscard]] std::uint32_t strip(std::uint32_t id, bool typedefs = true) const noexcept;
    /// sizeof; nothing for void, functions and forward declarations.
    [[nodiscard]] std::optional<std::uint64_t> size_of(std::uint32_t id) const noexcept;
    /// Alignment in bytes as the layout shows it: 1 for packed structs and where there is none.
    [[nodiscard]] std::uint32_t align_of(std::uint32_t id) const noexcept;

    /// The first type of that kind and name (this BTF before its base), or nothing.
    [[nodiscard]] std::optional<std::uint32_t> find(Kind kind, std::string_view name) const;
    /// Ids of this BTF (not the base's) whose name without a "___flavour" suffix is `name`,
    /// ascending.
    [[nodiscard]] std::vector<std::uint32_t> with_essential_name(std::string_view name) const;
    /// Texts of the decl tags on a type (component -1) or on one of its members or parameters.
    [[nodiscard]] std::vector<std::string_view> decl_tags(std::uint32_t id,
                                                          std::int32_t component = -1) const;

    /// One past the last string offset, the base's strings included.
    [[nodiscard]] std::uint32_t string_end() const noexcept {
        return first_string_ + static_cast<std::uint32_t>(strings_.size());
    }
    [[nodiscard]] const std::shared_ptr<const Btf>& base() const noexcept { return base_; }
    /// The blob as parsed, in the host's byte order.
    [[nodiscard]] Bytes raw() const noexcept { return raw_; }
    /// What the kernel would refuse in the header, although it can be read; "" if nothing.
    [[nodiscard]] std::string_view header_fault() const noexcept { return header_fault_; }
    [[nodiscard]] bool was_swapped() const noexcept { return swapped_; }

private:
    friend class Parser;
    Btf() = default;
    [[nodiscard]] const std::byte* trailing(std::uint32_t id) const noexcept;

    std::shared_ptr<const Btf> base_;
    std::vector<std::byte> raw_;
    Bytes type_section_;
    std::string_view strings_;
    std::uint32_t first_id_ = 0;     ///< 0: types_[0] is void
    std::uint32_t first_string_ = 0; ///< length of the base's strings
    std::vector<Type> types_;
    std::vector<std::uint8_t> aligns_; ///< by id - first_id(): computed once, graphs can be deep
    std::string_view header_fault_;
    bool swapped_ = false;
    struct Named {
        std::string_view name; ///< essential
        std::uint32_t id;
    };
    /// By name then id: sorted on first use, because most objects never ask.
    mutable std::vector<Named> by_name_;
    mutable std::once_flag sorted_;
    [[nodiscard]] std::span<const Named> named(std::string_view name) const;
    std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> tags_; ///< by tagged type
};

/// The name up to a "___flavour" suffix ("task_struct___old" is task_struct).
[[nodiscard]] std::string_view essential_name(std::string_view name) noexcept;

} // namespace skep::btf
